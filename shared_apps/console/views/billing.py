"""Invoices, what is unpaid, and what a person does about it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.lib import clock
from kameng.lib.errors import DomainError, Invalid
from kameng.lib.ids import public_id as new_id
from kameng.lib.money import minor_to_decimal
from kameng.lib.words import in_english, worded
from kameng.web.actors import actor
from shared_apps.billing import selectors as billing
from shared_apps.billing import services
from shared_apps.billing.models import Invoice
from shared_apps.billing.states import InvoiceKind, InvoiceState
from shared_apps.console import lists, words
from shared_apps.console.forms.billing import DepositForm, InvoiceFilters, ReasonForm, UnpaidFilters
from shared_apps.console.page import page, refuse
from shared_apps.console.selectors import billing as bills
from shared_apps.console.selectors import system
from shared_apps.console.views.stock import day_start
from shared_apps.console.views.system import tell_record
from tenants import selectors as tenants
from tenants.models import Substation

LATEST = 5
ENDS = ("void", "write_off", "reverse")  # What a person may make of an invoice.
SORTS = {
    "number": "number", "shop": "buyer_name", "total": "total_minor", "issued": "issued_at", "due": "due_at",
}  # fmt: skip
EXPORT: list[lists.Column] = [
    (gettext_lazy("Number"), lambda row: row.number),
    (gettext_lazy("Kind"), lambda row: row.get_kind_display()),
    (gettext_lazy("State"), lambda row: row.get_state_display()),
    (gettext_lazy("Shop"), lambda row: row.buyer_name),
    (gettext_lazy("Amount"), lambda row: minor_to_decimal(row.total_minor, row.currency)),
    (gettext_lazy("Currency"), lambda row: row.currency),
    (gettext_lazy("Issued"), lambda row: row.issued_at),
    (gettext_lazy("Due"), lambda row: row.due_at),
    (pgettext_lazy("invoice", "Paid"), lambda row: row.paid_at),
    (gettext_lazy("Paid by"), lambda row: row.get_paid_by_display()),
    (gettext_lazy("Transfer"), lambda row: row.transfer_id),
    (gettext_lazy("At the channel"), lambda row: row.provider_ref),
]


@require_GET
@allowed(catalogue.INVOICES_LOOK, change=catalogue.INVOICES_MANAGE)
def invoices(request: HttpRequest) -> HttpResponseBase:
    filters = InvoiceFilters(request.GET)
    since, until = filters.value("since"), filters.value("until")
    rows = bills.invoices(
        query=filters.query, state=filters.value("state"), kind=filters.value("kind"),
        substation_id=filters.substation_id, since=day_start(since),
        before=day_start(until, 1),
    )  # fmt: skip
    rows = lists.ordered(request, rows, SORTS, "-number")
    if lists.wants_export(request):
        return lists.export(request, "invoices", EXPORT, rows)
    return page(
        request, "console/invoices.html", here="invoices", heading=_("Invoices"), filters=filters,
        chips=filters.chips(bills.invoice_counts()), rows=lists.paged(request, rows), totals=bills.totals(),
    )  # fmt: skip


@require_GET
@allowed(catalogue.INVOICES_LOOK, change=catalogue.INVOICES_MANAGE)
def invoice(request: HttpRequest, number: str) -> HttpResponse:
    return _invoice_page(request, _found(number))


def _found(number: str) -> Invoice:
    """Raises: InvoiceMissing."""
    found = bills.invoice(number)
    if found is None:
        raise services.InvoiceMissing(_("There is no such invoice."))
    return found


def _invoice_page(request: HttpRequest, row: Invoice, status: int = 200, **forms: Any) -> HttpResponse:
    english = in_english()
    lines: list[Any] = list(row.lines.all())
    for line in lines:
        line.text = line.text_en if english else line.text_zh
    trail: list[Any] = system.trail_of(row.number, LATEST * 2)
    for record in trail:
        tell_record(record)
        reason = record.details.get("reason", "")
        record.text = words.reason_words(reason) if isinstance(reason, str) else ""
    by_card = row.state == InvoiceState.OPEN and services.is_collected_by_card(row)
    may_void = row.state == InvoiceState.OPEN and not by_card
    may_reverse = row.state == InvoiceState.PAID and row.kind != InvoiceKind.CREDIT and not row.credits.exists()
    offered = {"void": may_void, "write_off": may_void, "reverse": may_reverse}
    return page(
        request, "console/invoice.html", here="invoices", heading=row.number, status=status, row=row, lines=lines,
        crumbs=((_("Invoices"), reverse("console:invoices")),), trail=trail, credits=list(row.credits.all()),
        by_card=by_card, may_void=may_void, may_reverse=may_reverse, opened={deed: deed in forms for deed in ENDS},
        forms={deed: forms.get(deed) or ReasonForm(auto_id=f"{deed}_%s") for deed in ENDS},
        # What somebody else has done meanwhile leaves no dialog in which the refusal could stand.
        refused=[text for deed, form in forms.items() if not offered[deed] for text in form.non_field_errors()],
    )  # fmt: skip


@require_POST
@allowed(catalogue.INVOICES_MANAGE)
def invoice_end(request: HttpRequest, number: str) -> HttpResponse:
    """Void an open invoice, write it off, or reverse a paid one by a credit note."""
    deed = request.POST.get("deed", "")
    if deed not in ENDS:
        raise Invalid(_("There is no such deed."), code="deed_unknown")
    row, form = _found(number), ReasonForm(request.POST, auto_id=f"{deed}_%s")
    if form.is_valid():
        given: dict[str, Any] = {"reason": form.cleaned_data["reason"], "by": actor(request), "now": clock.utc_now()}
        try:
            if deed == "reverse":
                made = services.credit_note(number=number, **given)
                told = worded(gettext_lazy("Credit note %(number)s is issued; the money is back."), number=made.number)
                row = made
            else:
                services.void_invoice(number=number, written_off=deed == "write_off", **given)
                told = gettext_lazy("Written off.") if deed == "write_off" else gettext_lazy("The invoice is void.")
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, str(told))
            return redirect("console:invoice", row.number)
    return _invoice_page(request, row, 422, **{deed: form})


UNPAID_EXPORT: list[lists.Column] = [
    (gettext_lazy("Shop"), lambda row: row.substation.name),
    (gettext_lazy("Address"), lambda row: row.substation.host),
    (gettext_lazy("Mail"), lambda row: row.substation.owner_email),
    (gettext_lazy("Plan"), lambda row: row.plan.code),
    (gettext_lazy("Restricted"), lambda row: row.substation.get_standing_display()),
    (gettext_lazy("Due since"), lambda row: row.due_since),
]


@require_GET
@allowed(catalogue.INVOICES_LOOK, change=catalogue.INVOICES_MANAGE)
def unpaid(request: HttpRequest) -> HttpResponseBase:
    """Shops whose payment is due: since when, how much, how far they are restricted, and what comes next."""
    filters = UnpaidFilters(request.GET)
    rows = bills.past_due(query=filters.query, standing=filters.value("standing"))
    if lists.wants_export(request):
        return lists.export(request, "unpaid", UNPAID_EXPORT, rows)
    now, shown = clock.utc_now(), lists.paged(request, rows)
    ids = [row.substation_id for row in shown]
    owed, steps = bills.owed(ids), bills.last_steps(ids)
    for row in shown:
        row.plan_name = row.plan.label
        row.owed_count, row.owed_minor = owed.get(row.substation_id, (0, 0))
        row.last_step = steps.get(row.substation_id)
        row.next_step = bills.next_step(row, now)
        row.next_words = words.DUNNING_NEXT.get(row.next_step.kind, "")
        row.days = (now - row.due_since).days
    return page(
        request, "console/unpaid.html", here="unpaid", heading=_("Unpaid"), filters=filters,
        chips=filters.chips(bills.standings()), rows=shown, totals=bills.totals(),
    )  # fmt: skip


def billing_of(row: Substation) -> dict[str, Any]:
    """What a substation's own page shows of its plan and money."""
    seen = billing.overview(row.pk)
    subscription = seen.subscription
    step = bills.next_step(subscription, clock.utc_now()) if subscription else None
    then = subscription.next_plan if subscription else None
    return {
        "seen": seen, "subscription": subscription, "steps": bills.steps_of(row.pk, LATEST),
        "invoices": list(billing.invoices(substation_id=row.pk)[:LATEST]), "next_step": step,
        "next_words": words.DUNNING_NEXT.get(step.kind, "") if step else "",
        "next_plan_name": then.label if then else "",
    }  # fmt: skip


def deposit_form() -> DepositForm:
    """An empty form with a key of its own."""
    return DepositForm(initial={"key": new_id("dep")})


@require_POST
@allowed(catalogue.INVOICES_MANAGE)
def deposit_return(request: HttpRequest, public_id: str) -> HttpResponse:
    """Give a deposit back, in part or whole."""
    from shared_apps.console.views.tenants import substation_page

    row, form = tenants.substation(public_id), DepositForm(request.POST)
    if form.is_valid():
        given = form.cleaned_data
        try:
            services.return_deposit(
                substation_id=row.pk, amount_minor=given["amount"], reason=given["reason"],
                key=f"{row.public_id}:{given['key']}", by=actor(request), now=clock.utc_now(),
            )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("The deposit is given back; the shop can withdraw it."))
            return redirect("console:substation", public_id)
    return substation_page(request, row, 422, deposit_form=form, open_dialog="deposit")
