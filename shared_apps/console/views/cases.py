"""Payment cases and the inbox of callbacks."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import audit, catalogue
from kameng.accounts.access import allowed, may_do
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.money import minor_to_decimal
from kameng.ui.fields import CardLabel
from kameng.web.actors import actor
from shared_apps.console import lists, words
from shared_apps.console.forms.money import CaseFilters, InboxFilters, NoteForm, SettleForm
from shared_apps.console.page import page, refuse
from shared_apps.console.selectors import books, trade
from shared_apps.console.views.orders import kind_words
from shared_apps.receipts import selectors as receipts
from shared_apps.receipts import services
from shared_apps.receipts.models import CaseState, PaymentCase, Resolution
from tenants import selectors as tenants

CASE_SORTS = {"opened": "opened_at", "amount": "amount_minor", "kind": "kind", "state": "state"}
EVENT_SORTS = {"received": "received_at", "attempts": "attempts", "state": "state"}
EVENT_EXPORT: list[lists.Column] = [
    (gettext_lazy("Event"), lambda row: row.event_id),
    (gettext_lazy("Kind"), lambda row: row.kind),
    (gettext_lazy("Channel"), lambda row: row.channel),
    (gettext_lazy("Payment"), lambda row: row.payment_id),
    (gettext_lazy("State"), lambda row: row.get_state_display()),
    (gettext_lazy("Failed tries"), lambda row: row.attempts),
    (gettext_lazy("Problem"), lambda row: row.problem),
    (gettext_lazy("Received"), lambda row: row.received_at),
    (gettext_lazy("Handled at"), lambda row: row.handled_at),
]


@require_GET
@allowed(catalogue.CASES_LOOK)
def cases(request: HttpRequest) -> HttpResponseBase:
    filters = CaseFilters(request.GET)
    rows = receipts.cases(
        state=filters.value("state"), kind=filters.value("kind"), substation_id=filters.substation_id,
        text=filters.query,
    )  # fmt: skip
    rows = lists.ordered(request, rows, CASE_SORTS, "-opened")
    shops = tenants.shop_names()
    if lists.wants_export(request):
        return lists.export(request, "payment-cases", _case_columns(shops), rows)
    shown = lists.paged(request, rows)
    for row in shown:
        row.shop = shops.get(row.substation_id)
        row.channel_words = words.channel_words(row.receipt.channel)
    return page(
        request, "console/cases.html", here="cases", heading=_("Payment cases"), filters=filters, rows=shown,
        chips=filters.chips(trade.case_counts()),
    )  # fmt: skip


def _case_columns(shops: dict[int, tenants.ShopName]) -> list[lists.Column]:
    return [
        (gettext_lazy("Case"), lambda row: row.public_id),
        (gettext_lazy("Kind"), lambda row: row.get_kind_display()),
        (gettext_lazy("State"), lambda row: row.get_state_display()),
        (gettext_lazy("Shop"), lambda row: shops[row.substation_id].name if row.substation_id in shops else ""),
        (gettext_lazy("Order"), lambda row: row.order_number),
        (gettext_lazy("Amount"), lambda row: minor_to_decimal(row.amount_minor, row.currency)),
        (gettext_lazy("Expected"), lambda row: _expected(row)),
        (gettext_lazy("Currency"), lambda row: row.currency),
        (gettext_lazy("Opened"), lambda row: row.opened_at),
        (gettext_lazy("Resolution"), lambda row: row.get_resolution_display()),
        (gettext_lazy("By"), lambda row: row.settled_by),
        (gettext_lazy("Settled at"), lambda row: row.settled_at),
    ]


def _expected(row: PaymentCase) -> object:
    return "" if row.expected_minor is None else minor_to_decimal(row.expected_minor, row.currency)


def _case(public_id: str) -> PaymentCase:
    row = receipts.case(public_id)
    if row is None:
        raise Http404(public_id)
    return row


@require_GET
@allowed(catalogue.CASES_LOOK)
def case(request: HttpRequest, public_id: str) -> HttpResponse:
    return _case_page(request, _case(public_id))


def _case_page(request: HttpRequest, row: Any, status: int = 200, **forms: Any) -> HttpResponse:
    may_do(request, catalogue.CASES_NOTE, catalogue.CASES_SETTLE)
    names = tenants.shop_names([row.substation_id]) if row.substation_id else {}
    refunds = list(row.refunds.all())
    moved: list[Any] = list(
        books.transfers_of_case(
            case=row.public_id, receipt=row.receipt.public_id, refunds=[refund.public_id for refund in refunds]
        )
    )
    row.channel_words = words.channel_words(row.receipt.channel)
    legs = books.legs([one.pk for one in moved])
    for one in moved:
        one.kind_words = kind_words(one.kind)
        one.legs = [(leg, words.account_words(leg.code)) for leg in legs[one.pk]]
    notes = list(row.notes.all())
    plain = {"text": "", "icon": "", "url": ""}
    events = [
        {**plain, "at": note.at, "by": note.by, "title": words.note_words(note.text), "tone": words.note_tone(note.text)}
        for note in notes
    ]  # fmt: skip
    undone = words.not_done(notes[0].text) if notes and row.state == CaseState.OPEN else ""
    return page(
        request, "console/case.html", here="cases", heading=row.get_kind_display(), row=row, status=status,
        substation=names.get(row.substation_id), refunds=refunds, transfers=moved, events=events, undone=undone,
        settle_form=forms.get("settle_form") or SettleForm(choices=_choices(row)),
        note_form=forms.get("note_form") or NoteForm(),
        crumbs=((_("Payment cases"), reverse("console:cases")),),
    )  # fmt: skip


def _choices(row: PaymentCase) -> list[tuple[str, Any]]:
    allowed = services.allowed_resolutions(row.kind)
    needs_shop = (Resolution.CREDIT, Resolution.CHARGE)
    return [
        (one.value, CardLabel(one.label, _consequence(row, one)))
        for one in Resolution
        if one in allowed and (row.substation_id or one not in needs_shop)
    ]


def _consequence(row: PaymentCase, deed: Resolution) -> str:
    """What a resolution does with this case's money, to the cent, said before it is chosen."""
    whole = words.money_words(row.amount_minor, row.currency)
    channel = words.channel_words(row.receipt.channel)
    gap = row.amount_minor - (row.amount_minor if row.expected_minor is None else row.expected_minor)
    if deed == Resolution.DELIVER:
        text = _("The order counts as paid; its goods are held again and delivered.")
        missing, excess = words.money_words(-gap, row.currency), words.money_words(gap, row.currency)
        if gap < 0:
            text += " " + _("The missing %(sum)s is borne by the shop.") % {"sum": missing}
        elif gap > 0:
            text += " " + _("The %(sum)s too much goes back to the payer.") % {"sum": excess}
        return text
    if deed == Resolution.CREDIT:
        net = words.money_words(row.amount_minor - (row.receipt.fee_minor or 0), row.currency)
        fee = words.money_words(row.receipt.fee_minor or 0, row.currency)
        told = _(
            "%(net)s becomes the shop's income (%(whole)s less the channel's fee of %(fee)s). Nothing is delivered."
        )
        return told % {"net": net, "whole": whole, "fee": fee}
    if deed == Resolution.REFUND:
        told = _("%(channel)s is asked to give %(whole)s back to its payer. Nothing is delivered.")
        return told % {"channel": channel, "whole": whole}
    if deed == Resolution.CHARGE:
        told = _("The %(whole)s that the channel took back is taken from the shop's pending balance.")
        return told % {"whole": whole}
    return _("The channel gave the %(whole)s back; nobody is charged.") % {"whole": whole}


@require_POST
@allowed(catalogue.CASES_SETTLE)
def case_settle(request: HttpRequest, public_id: str) -> HttpResponse:
    row = _case(public_id)
    form = SettleForm(request.POST, choices=_choices(row))
    if form.is_valid():
        try:
            with transaction.atomic():
                services.request_settlement(
                    case_public_id=public_id, resolution=form.cleaned_data["resolution"],
                    evidence=form.cleaned_data["evidence"], by=actor(request), now=clock.utc_now(),
                )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("Decided. It is being carried out; this page shows what comes of it."))
            return redirect("console:case", public_id)
    return _case_page(request, row, 422, settle_form=form)


@require_POST
@allowed(catalogue.CASES_NOTE)
def case_note(request: HttpRequest, public_id: str) -> HttpResponse:
    row = _case(public_id)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return _case_page(request, row, 422, note_form=form)
    by, now = actor(request), clock.utc_now()
    with transaction.atomic():
        services.add_note(case_id=row.pk, by=by.label, now=now, text=form.cleaned_data["text"])
        audit.record(action="receipts.case.noted", by=by, target=public_id, at=now)
    messages.success(request, _("Noted."))
    return redirect("console:case", public_id)


@require_GET
@allowed(catalogue.CASES_LOOK)
def inbox(request: HttpRequest) -> HttpResponseBase:
    channels = sorted(set(receipts.merchant_accounts().values_list("channel", flat=True)))
    filters = InboxFilters(request.GET, channels=channels)
    rows = trade.events(query=filters.query, state=filters.value("state"), channel=filters.value("channel"))
    rows = lists.ordered(request, rows, EVENT_SORTS, "-received")
    if lists.wants_export(request):
        return lists.export(request, "webhook-inbox", EVENT_EXPORT, rows)
    shown = lists.paged(request, rows)
    for row in shown:
        row.channel_words = words.channel_words(row.channel)
    return page(
        request, "console/inbox.html", here="inbox", heading=_("Webhook inbox"), filters=filters,
        chips=filters.chips(trade.event_counts()), rows=shown,
    )  # fmt: skip


@require_GET
@allowed(catalogue.CASES_LOOK, change=catalogue.INBOX_REPLAY)
def event(request: HttpRequest, pk: int) -> HttpResponse:
    row: Any = trade.event(pk)
    if row is None:
        raise Http404(str(pk))
    row.channel_words = words.channel_words(row.channel)
    owner = trade.owner_of_payment(row.payment_id) if row.payment_id else None
    shop = tenants.shop_names([owner[0]]).get(owner[0]) if owner else None
    return page(
        request, "console/event.html", here="inbox", heading=row.kind or row.event_id, row=row,
        body=_pretty(bytes(row.body)), owner=shop, order=owner[1] if owner else "", headers=sorted(row.headers.items()),
        crumbs=((_("Webhook inbox"), reverse("console:inbox")),),
    )  # fmt: skip


def _pretty(body: bytes) -> str:
    """A body as people read it: JSON indented, anything else as it came."""
    text = body.decode("utf-8", errors="backslashreplace")
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text


@require_POST
@allowed(catalogue.INBOX_REPLAY)
def event_replay(request: HttpRequest, pk: int) -> HttpResponse:
    services.replay_event(event_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("It is handled again. What it told before is counted once all the same."))
    return redirect("console:event", pk)
