"""Orders across the network."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.lib.money import minor_to_decimal
from shared_apps.console import lists, words
from shared_apps.console.forms.money import OrderFilters
from shared_apps.console.page import page
from shared_apps.console.selectors import books, shelves, trade
from shared_apps.console.views.stock import day_start
from shared_apps.ledger.states import Kind
from shared_apps.receipts import selectors as receipts
from tenants import selectors as tenants

SORTS = {"placed": "placed_at", "paid": "paid_at", "total": "total_minor", "state": "state"}


@require_GET
@allowed(catalogue.SALES_LOOK)
def orders(request: HttpRequest) -> HttpResponseBase:
    filters = OrderFilters(request.GET)
    rows = trade.orders(
        number=filters.query, state=filters.value("state"), substation_id=filters.substation_id,
        since=day_start(filters.value("since")), until=day_start(filters.value("until"), 1),
    )  # fmt: skip
    shops = tenants.shop_names()
    rows = lists.ordered(request, rows, SORTS, "-placed")
    if lists.wants_export(request):
        return lists.export(request, "orders", _columns(shops), rows)
    shown = lists.paged(request, rows)
    for row in shown:
        row.shop = shops.get(row.substation_id)
        row.state_words = words.ORDER_STATES.get(row.state, row.state)
    return page(
        request, "console/orders.html", here="orders", heading=_("Orders"), filters=filters, chips=filters.chips(),
        rows=shown, sums=trade.order_sums(rows),
    )  # fmt: skip


def _columns(shops: dict[int, tenants.ShopName]) -> list[lists.Column]:
    return [
        (gettext_lazy("Order"), lambda row: row.order_number),
        (gettext_lazy("Shop"), lambda row: shops[row.substation_id].name if row.substation_id in shops else ""),
        (gettext_lazy("State"), lambda row: words.ORDER_STATES.get(row.state, row.state)),
        (gettext_lazy("Goods"), lambda row: "; ".join(f"{line['name']} × {line['quantity']}" for line in row.lines)),
        (gettext_lazy("Total"), lambda row: minor_to_decimal(row.total_minor, row.currency)),
        (gettext_lazy("Currency"), lambda row: row.currency),
        (gettext_lazy("Placed"), lambda row: row.placed_at),
        (gettext_lazy("Paid at"), lambda row: row.paid_at),
    ]


@require_GET
@allowed(catalogue.SALES_LOOK)
def order(request: HttpRequest, shop: str, number: str) -> HttpResponse:
    """Facts at left, what happened at right; each amount leads to what it is made of."""
    substation = tenants.substation(shop)
    row: Any = trade.order(substation_id=substation.pk, number=number)
    key = {"substation_id": substation.pk, "order_number": row.order_number}
    transfers = books.transfers(substation_id=substation.pk, query=row.order_number)
    moved: list[Any] = list(transfers.filter(reference_type="order").order_by("pk"))
    legs = books.legs([one.pk for one in moved])
    for one in moved:
        one.kind_words = kind_words(one.kind)
        one.legs = [
            {
                "code": leg.code, "words": words.account_words(leg.code), "debit_minor": leg.debit_minor,
                "credit_minor": leg.credit_minor, "currency": leg.currency,
            }
            for leg in legs[one.pk]
        ]  # fmt: skip
    told: list[Any] = list(receipts.receipts_of_order(**key))
    for one in told:
        one.channel_words = words.channel_words(one.channel)
    refunds: list[Any] = list(receipts.refunds_of_order(**key))
    cases = list(trade.cases_of_order(substation_id=substation.pk, number=row.order_number))
    sale = next((one for one in moved if one.kind == Kind.SALE), None)
    row.state_words = words.ORDER_STATES.get(row.state, row.state)
    return page(
        request, "console/order.html", here="orders", heading=row.order_number, row=row, substation=substation,
        transfers=moved, receipts=told, refunds=refunds, cases=cases, codes=shelves.codes_of_order(**key), sale=sale,
        parts=waterfall(legs[sale.pk]) if sale else [], events=_events(row, moved, told, refunds, cases, substation.pk),
        crumbs=((_("Orders"), reverse("console:orders")),),
    )  # fmt: skip


def kind_words(kind: str) -> Any:
    """A transfer's kind in words; the stored name where it has none."""
    return Kind(kind).label if kind in Kind.values else kind


def waterfall(legs: list[books.Leg]) -> list[dict[str, Any]]:
    """Where a sale's money goes: its credits, beside the gross amount that its debits sum to."""
    return [
        {
            "label": words.account_words(leg.code), "minor": -leg.amount_minor, "note": leg.code,
            "url": reverse("console:account", args=[leg.code]),
        }
        for leg in legs
        if leg.amount_minor < 0
    ]  # fmt: skip


def _events(
    row: Any, moved: list[Any], told: list[Any], refunds: list[Any], cases: list[Any], pk: int
) -> list[dict[str, Any]]:
    """Everything that the shared tables know of the order, newest first."""
    events: list[dict[str, Any]] = [_event(row.placed_at, _("Order placed"), row.contact_hint, icon="cart")]
    for one in told:
        title = f"{one.get_kind_display()} · {words.money_words(one.amount_minor, one.currency)}"
        tone = "success" if one.kind == "PAID" else "warning"
        events.append(_event(one.occurred_at, title, one.channel_ref, by=str(one.channel_words), tone=tone))
    for one in moved:
        url = reverse("console:transfer", args=[one.public_id])
        events.append(_event(one.recorded_at, _("Ledger: %(kind)s") % {"kind": one.kind_words}, icon="ledger", url=url))
    for one in refunds:
        title = _("Refund asked") + f" · {words.money_words(one.amount_minor, one.currency)}"
        events.append(_event(one.asked_at, title, one.reason, by=one.by, tone="warning"))
        if one.finished_at:
            title = _("Refund: %(state)s") % {"state": one.get_state_display()}
            tone = "success" if one.state == "SUCCEEDED" else "danger"
            events.append(_event(one.finished_at, title, one.problem, tone=tone))
    for note in trade.notes_of_cases([case.pk for case in cases]):
        url = reverse("console:case", args=[note.case.public_id])
        title = _("Payment case: %(kind)s") % {"kind": note.case.get_kind_display()}
        events.append(_event(note.at, title, words.note_words(note.text), by=note.by, tone="warning", url=url))
    for seen in trade.reveals_of_order(substation_id=pk, number=row.order_number):
        events.append(_event(seen.at, _("Code looked at"), seen.reason, by=seen.actor_label, icon="eye"))
    return sorted(events, key=lambda one: one["at"], reverse=True)


def _event(at: Any, title: Any, text: Any = "", **more: str) -> dict[str, Any]:
    return {"at": at, "title": title, "text": text, "by": "", "tone": "", "icon": "", "url": "", **more}
