"""Substations and plans."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts import support as visits
from kameng.accounts.access import allowed, may, may_do
from kameng.lib import clock
from kameng.lib.errors import DomainError, Refused
from kameng.lib.money import minor_to_decimal
from kameng.web.actors import actor
from shared_apps.console import lists, words
from shared_apps.console.forms.tenants import (
    ChangePlanForm,
    CloseForm,
    EraseForm,
    PlanForm,
    SubstationFilters,
    SupportForm,
    SuspendForm,
)
from shared_apps.console.page import page, posted, refuse
from shared_apps.console.selectors import books, lifecycle, overview, system, trade
from shared_apps.console.views import billing, terms
from shared_apps.console.views.system import tell_record
from shared_apps.receipts import selectors as receipts
from shared_apps.receipts.models import CaseState
from shared_apps.regions import selectors as regions
from tenants import selectors as tenants
from tenants import services
from tenants.models import Plan, Substation
from tenants.states import UNREACHABLE

SORTS = {"name": "name", "created": "created_at", "plan": "plan__sort", "state": "state", "live": "live_at"}
LATEST = 10
LATELY = timedelta(days=30)
EXPORT: list[lists.Column] = [
    (gettext_lazy("Id"), lambda row: row.public_id),
    (gettext_lazy("Name"), lambda row: row.name),
    (gettext_lazy("Address"), lambda row: row.host),
    (gettext_lazy("State"), lambda row: row.get_state_display()),
    (gettext_lazy("Plan"), lambda row: row.plan.code),
    (gettext_lazy("Owner"), lambda row: row.owner_name),
    (gettext_lazy("Mail"), lambda row: row.owner_email),
    (gettext_lazy("Signed up"), lambda row: row.created_at),
    (gettext_lazy("Open since"), lambda row: row.live_at),
]


PLAN_EXPORT: list[lists.Column] = [
    (pgettext_lazy("identifier", "Code"), lambda row: row.code),
    (gettext_lazy("Plan"), lambda row: row.label),
    (gettext_lazy("Supply prices"), lambda row: row.get_supply_level_display()),
    (gettext_lazy("Opening fee"), lambda row: minor_to_decimal(row.opening_fee_minor)),
    (gettext_lazy("Monthly fee"), lambda row: minor_to_decimal(row.monthly_fee_minor)),
    (gettext_lazy("Yearly fee"), lambda row: minor_to_decimal(row.yearly_fee_minor)),
    (gettext_lazy("Deposit"), lambda row: minor_to_decimal(row.deposit_minor)),
    (gettext_lazy("Trial (days)"), lambda row: row.trial_days),
    (gettext_lazy("Grace (days)"), lambda row: row.grace_days),
    (gettext_lazy("Platform fee (%)"), lambda row: row.platform_fee_bps / 100),
    (gettext_lazy("Settlement (days)"), lambda row: row.settlement_days),
    (gettext_lazy("SKUs on the shelf"), lambda row: row.max_listings),
    (gettext_lazy("People who may log in"), lambda row: row.max_staff),
    (gettext_lazy("Products of their own"), lambda row: row.max_own_products),
    (gettext_lazy("API"), lambda row: row.api_allowed),
    (gettext_lazy("A domain of their own"), lambda row: row.own_domain_allowed),
    (gettext_lazy("Shops"), lambda row: row.shop_count),
    (gettext_lazy("Offered"), lambda row: row.active),
]


@require_GET
@allowed(catalogue.NETWORK_LOOK)
def substations(request: HttpRequest) -> HttpResponseBase:
    filters = SubstationFilters(request.GET)
    rows = tenants.substations(
        query=filters.query, state=filters.value("state"), plan=filters.value("plan"),
        stayed_behind=filters.value("upgrade") == "FAILED",
    )  # fmt: skip
    rows = lists.ordered(request, rows, SORTS, "-created")
    if lists.wants_export(request):
        return lists.export(request, "substations", EXPORT, rows)
    shown = lists.paged(request, rows)
    sold = trade.sales_of_shops([row.pk for row in shown], clock.utc_now() - LATELY)
    for row in shown:
        row.plan_name = row.plan.label
        row.orders, row.sold_minor = sold.get(row.pk, (0, 0))
    return page(
        request, "console/substations.html", here="substations", heading=_("Substations"), filters=filters,
        chips=filters.chips(tenants.state_counts()), rows=shown,
    )  # fmt: skip


@require_GET
@allowed(catalogue.NETWORK_LOOK)
def substation(request: HttpRequest, public_id: str) -> HttpResponse:
    row = tenants.substation(public_id)
    response = substation_page(request, row)
    if request.headers.get("HX-Target") == "archives" and not lifecycle.archive_under_way(row):
        response["HX-Refresh"] = "true"  # The page that watched: its buttons come back.
    return response


def substation_page(request: HttpRequest, row: Substation, status: int = 200, **forms: Any) -> HttpResponse:
    """The page of one shop; `forms`: those that were refused, and `open_dialog`, the one that they stand in."""
    now = clock.utc_now()
    may_do(request, catalogue.NETWORK_MANAGE, catalogue.SUPPORT_VISIT, catalogue.NETWORK_END, catalogue.INVOICES_MANAGE)
    feeds = overview.feed_states(now, row.pk)
    orders: list[Any] = list(receipts.network_orders(substation_id=row.pk)[:LATEST])
    for order in orders:
        order.state_words = words.ORDER_STATES.get(order.state, order.state)
    balances: list[Any] = list(books.accounts(substation_id=row.pk))
    for account in balances:
        account.words = words.account_words(account.code)
    changes: list[Any] = system.trail_of(row.public_id, LATEST)
    for record in changes:
        tell_record(record)
        reason = record.details.get("reason", "")
        record.text = words.reason_words(reason) if isinstance(reason, str) and reason else ""
        if not record.text and may(request, catalogue.TERMS_LOOK):
            record.text = words.terms_words(record)
    return page(
        request, "console/substation.html", here="substations", heading=row.name, status=status,
        crumbs=((_("Substations"), reverse("console:substations")),), row=row, plan_name=row.plan.label,
        feeds=[(feed, words.FEEDS[feed.feed], words.FEED_STATES[feed.state]) for feed in feeds],
        balances=balances, orders=orders, figures=_figures(row, balances, now), changes=changes,
        suspend_form=forms.get("suspend_form") or SuspendForm(),
        support_form=forms.get("support_form") or SupportForm(), support_open=forms.get("open_dialog") == "support",
        reachable=row.state not in UNREACHABLE,
        plan_form=forms.get("plan_form") or ChangePlanForm(current=row.plan.code, language=get_language() or ""),
        bill=billing.billing_of(row), deposit_form=forms.get("deposit_form") or billing.deposit_form(),
        deposit_open=forms.get("open_dialog") == "deposit", suspend_open=forms.get("open_dialog") == "suspend",
        plan_open=forms.get("open_dialog") == "plan",
        close_form=forms.get("close_form") or CloseForm(auto_id="close_%s"), close_open=forms.get("open_dialog") == "close",
        erase_form=forms.get("erase_form") or EraseForm(auto_id="erase_%s"), erase_open=forms.get("open_dialog") == "erase",
        city=regions.labels([row.region]).get(row.region, "") if row.region else "",
        holds=list(regions.grants(substation_id=row.pk, when="now", at=now)),
        **lifecycle.about(request, row), **terms.card_of(row),
    )  # fmt: skip


def _figures(row: Substation, balances: list[Any], now: datetime) -> dict[str, Any]:
    """What the shop sold lately, what it is owed, and what of its money waits for a decision."""
    orders, sold = trade.sales_of_shops([row.pk], now - LATELY).get(row.pk, (0, 0))
    pending = next((one for one in balances if one.code.endswith(":pending")), None)
    cases = trade.case_counts(row.pk)
    return {
        "orders": orders, "sold_minor": sold, "pending": pending,
        "cases": sum(count for state, count in cases.items() if state != CaseState.SETTLED),
    }  # fmt: skip


@require_POST
@allowed(catalogue.NETWORK_MANAGE)
def suspend(request: HttpRequest, public_id: str) -> HttpResponse:
    form = SuspendForm(request.POST)
    if form.is_valid():
        try:
            services.suspend(
                public_id=public_id, reason=form.cleaned_data["reason"], by=actor(request), now=clock.utc_now()
            )
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("The shop is suspended. It sells nothing until you resume it."))
            return redirect("console:substation", public_id)
    return substation_page(request, tenants.substation(public_id), 422, suspend_form=form, open_dialog="suspend")


@require_POST
@allowed(catalogue.SUPPORT_VISIT)
def support(request: HttpRequest, public_id: str) -> HttpResponse:
    """Look into the shop's panel, with a reason: over to its own host, by a pass that is good once and for a minute."""
    row = tenants.substation(public_id)
    if row.state in UNREACHABLE:
        raise Refused(_("This shop has no panel: it is being made, or erased."))
    form = SupportForm(request.POST)
    if form.is_valid():
        try:
            entry = visits.make_pass(
                schema=row.schema_name, substation=row.public_id, reason=form.cleaned_data["reason"], by=actor(request),
                now=clock.utc_now(),
            )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            return redirect(f"{row.url}/panel/support/enter/?{urlencode({'support_pass': entry})}")
    return substation_page(request, row, 422, support_form=form, open_dialog="support")


@require_POST
@allowed(catalogue.NETWORK_MANAGE)
def resume(request: HttpRequest, public_id: str) -> HttpResponse:
    services.resume(public_id=public_id, by=actor(request), now=clock.utc_now())
    messages.success(request, _("The shop sells again."))
    return redirect("console:substation", public_id)


@require_POST
@allowed(catalogue.NETWORK_MANAGE)
def change_plan(request: HttpRequest, public_id: str) -> HttpResponse:
    row = tenants.substation(public_id)
    form = ChangePlanForm(request.POST, current=row.plan.code, language=get_language() or "")
    if form.is_valid():
        try:
            services.change_plan(
                public_id=public_id, plan_code=form.cleaned_data["plan"], by=actor(request), now=clock.utc_now()
            )
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("The plan is changed. The shop's supply prices follow within seconds."))
            return redirect("console:substation", public_id)
    return substation_page(request, tenants.substation(public_id), 422, plan_form=form, open_dialog="plan")


@require_GET
@allowed(catalogue.PLANS_LOOK, change=catalogue.PLANS_MANAGE)
def plans(request: HttpRequest) -> HttpResponseBase:
    rows = list(tenants.plans())
    if lists.wants_export(request):
        return lists.export(request, "plans", PLAN_EXPORT, rows)
    rule = books.rule_in_force(clock.utc_now())
    return page(request, "console/plans.html", here="plans", heading=_("Plans"), rows=rows, rule=rule, filters=None)


@allowed(catalogue.PLANS_MANAGE)
def plan_new(request: HttpRequest) -> HttpResponse:
    form = PlanForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                made = services.create_plan(by=actor(request), now=clock.utc_now(), **form.cleaned_data)
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("The plan is there."))
            return redirect("console:plan", made.code)
    return _plan_page(request, form, _("New plan"))


@allowed(catalogue.PLANS_LOOK, change=catalogue.PLANS_MANAGE)
def plan(request: HttpRequest, code: str) -> HttpResponseBase:
    row = tenants.plan(code)
    initial = {name: getattr(row, name) for name in PlanForm.base_fields}
    form = PlanForm(posted(request), initial=initial)
    del form.fields["code"]
    if request.method == "POST":
        return _plan_saved(request, row, form)
    return _plan_page(request, form, row.label, row)


def _plan_saved(request: HttpRequest, row: Plan, form: PlanForm) -> HttpResponseBase:
    if form.is_valid():
        try:
            with transaction.atomic():
                services.update_plan(code=row.code, by=actor(request), now=clock.utc_now(), **form.cleaned_data)
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("Saved. The next sales go by it."))
            return redirect("console:plan", row.code)
    return _plan_page(request, form, row.label, row)


def _plan_page(request: HttpRequest, form: PlanForm, heading: str, row: Plan | None = None) -> HttpResponse:
    return page(
        request, "console/plan.html", here="plans", heading=heading, form=form, row=row,
        crumbs=((_("Plans"), reverse("console:plans")),), status=422 if form.is_bound else 200,
    )  # fmt: skip
