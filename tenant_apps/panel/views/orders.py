"""Orders: the list, what waits for a person, one order with its timeline, and the deeds on it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.lib import clock, money, reasons
from kameng.lib.errors import DomainError
from kameng.lib.words import Sentence, worded
from kameng.web.actors import actor, client_ip
from tenant_apps.listings.pricing import stage_sentence
from tenant_apps.orders import selectors as orders
from tenant_apps.orders import services
from tenant_apps.orders.models import Order, OrderLine
from tenant_apps.orders.states import DeliveryState
from tenant_apps.panel import services as panel
from tenant_apps.panel import words
from tenant_apps.panel.access import even_unpaid, screen, sees_money
from tenant_apps.panel.forms.orders import DeliverForm, OrderFilters, QueueFilters, ReasonForm
from tenant_apps.panel.lists import (
    Column,
    day_end,
    day_start,
    export,
    local_time,
    ordered,
    paged,
    sort_choices,
    wants_export,
)
from tenant_apps.panel.page import back_to, page, refuse, say
from tenant_apps.panel.selectors import orders as mine
from tenant_apps.panel.templatetags.panel import line_name

_SORT_WORDS = (
    ("-placed", gettext_lazy("Newest first")),
    ("placed", gettext_lazy("Oldest first")),
    ("-total", gettext_lazy("Total, highest first")),
    ("total", gettext_lazy("Total, lowest first")),
)
_SORT_WORDS_OWNER = (
    *_SORT_WORDS,
    ("-earned", gettext_lazy("Earned, highest first")),
    ("earned", gettext_lazy("Earned, lowest first")),
)
SORTS = {"placed": "placed_at", "total": "total_minor", "earned": "earned_minor"}
QUEUE_PAGE = 30


# -- Lists.


@require_GET
@screen(catalogue.ORDERS_LOOK)
def index(request: HttpRequest) -> HttpResponseBase:
    filters = OrderFilters(request.GET)
    since, until = filters.value("since"), filters.value("until")
    everywhere = orders.orders_for_panel(
        text=filters.query, since=day_start(since) if since else None, until=day_end(until) if until else None
    )
    state = filters.value("state")
    found = everywhere.filter(state=state) if state else everywhere
    earns = sees_money(request)
    sorts = SORTS if earns else {key: SORTS[key] for key in ("placed", "total")}
    found = ordered(request, found, sorts, "-placed", nullable=("earned_minor",))
    if wants_export(request):
        return export(request, "orders", _columns(earns=earns), found)
    return page(
        request, "panel/orders.html", here="orders", heading=_("Orders"), filters=filters, rows=paged(request, found),
        chips=filters.chips(mine.counts_by_state(everywhere)), sums=mine.sums(found),
        sorts=sort_choices(request, _SORT_WORDS_OWNER if earns else _SORT_WORDS),
    )  # fmt: skip


def _columns(*, earns: bool) -> tuple[Column, ...]:
    columns: tuple[Column, ...] = (
        (gettext_lazy("Order"), lambda row: row.number),
        (gettext_lazy("State"), lambda row: row.get_state_display()),
        (gettext_lazy("Contact"), lambda row: row.contact),
        (
            gettext_lazy("Goods"),
            lambda row: "; ".join(f"{line_name(line)} × {line.quantity}" for line in row.lines.all()),
        ),
        (gettext_lazy("Currency"), lambda row: row.currency),
        (gettext_lazy("Paid by the buyer"), lambda row: money.minor_to_decimal(row.total_minor, row.currency)),
    )
    times: tuple[Column, ...] = (
        (gettext_lazy("Placed"), lambda row: local_time(row.placed_at)),
        (gettext_lazy("Paid"), lambda row: local_time(row.paid_at)),
        (gettext_lazy("Delivered"), lambda row: local_time(row.delivered_at)),
    )
    if not earns:
        return (*columns, *times)
    return (*columns, (pgettext_lazy("shop", "You earn"), _earned), *times)


def _earned(row: Order) -> object:
    return "" if row.earned_minor is None else money.minor_to_decimal(row.earned_minor, row.currency)


@require_GET
@screen(catalogue.ORDERS_LOOK, change=catalogue.ORDERS_DELIVER)
def queue(request: HttpRequest) -> HttpResponseBase:
    """Lines that a person delivers, the longest waiting first, each with its form."""
    filters = QueueFilters(request.GET)
    found = mine.queued_lines(filters.query)
    if wants_export(request):
        return export(request, "to-deliver", _QUEUE_COLUMNS, found)
    rows = paged(request, found, QUEUE_PAGE)
    labels = mine.field_labels(line.product_slug for line in rows)
    waiting = [_line_row(line) | {"order": line.order, "fields": _fields(line.order, labels)} for line in rows]
    return page(
        request, "panel/queue.html", here="queue", heading=_("To deliver by hand"), rows=rows, waiting=waiting,
        filters=filters, next=request.get_full_path(),
    )  # fmt: skip


_QUEUE_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("Order"), lambda line: line.order.number),
    (gettext_lazy("Contact"), lambda line: line.order.contact),
    (gettext_lazy("Goods"), line_name),
    (gettext_lazy("SKU code"), lambda line: line.sku_code),
    (gettext_lazy("Quantity"), lambda line: line.quantity),
    (
        gettext_lazy("Fields"),
        lambda line: "; ".join(f"{key}: {value}" for key, value in line.order.buyer_fields.items()),
    ),
    (gettext_lazy("Paid"), lambda line: local_time(line.order.paid_at)),
)


# -- One order.


@require_GET
@screen(catalogue.ORDERS_LOOK, change=catalogue.ORDERS_DELIVER)
def detail(request: HttpRequest, number: str) -> HttpResponse:
    return _drawn(request, number)


def _drawn(request: HttpRequest, number: str, *, status: int = 200, **more: Any) -> HttpResponse:
    """The order's screen. `more`: a form that came back, codes that were revealed, the buyer's address."""
    found = mine.detail(number)
    order = found.order
    parts = _waterfall(found) if sees_money(request) else []
    lines = [_line_row(line, more.get("deliver_form")) for line in found.lines]
    # A delivery's step names what was delivered in Chinese.
    goods = {f"{line.name_zh} × {line.quantity}": f"{line_name(line)} × {line.quantity}" for line in found.lines}
    return page(
        request, "panel/order.html", here="orders", heading=order.number, status=status,
        crumbs=((_("Orders"), reverse("panel:orders")),), order=order, found=found,
        lines=lines, payments=[_payment_row(payment) for payment in found.payments],
        events=[words.step_event(step, goods) for step in found.steps], parts=parts, misfit=_misfit(found),
        deliver_form_shown=any(row["queued"] and row["form"] is more.get("deliver_form") for row in lines),
        fields=_fields(order, mine.field_labels(line.product_slug for line in found.lines)), next=request.get_full_path(),
        **{"reveal_form": ReasonForm(prefix="reveal"),
           "link_form": ReasonForm(prefix="link"), **more},
    )  # fmt: skip


def _misfit(found: mine.OrderDetail) -> Sentence:
    """Why money that came for this order did not pay it; empty when it did, or when none came."""
    if found.order.paid_at is not None:
        return ""
    return next((why for step in found.steps if (why := words.misfit_of(step))), "")


def _line_row(line: OrderLine, came_back: DeliverForm | None = None) -> dict[str, Any]:
    """A line with its form; `came_back` is one that was refused, and stays with its own line."""
    ids = f"line{line.pk}_%s"
    currency = line.order.currency
    stages = [
        {"label": stage_sentence(stage, currency), "value": money.format_unit(Decimal(stage["amount"]), currency)}
        for stage in line.stages
        if "code" in stage and "amount" in stage
    ]
    return {
        "line": line, "name": line_name(line), "stages": stages,
        "queued": line.delivery_state == DeliveryState.QUEUED,
        "form": came_back if came_back is not None and came_back.auto_id == ids else DeliverForm(auto_id=ids),
    }  # fmt: skip


def _fields(order: Order, labels: dict[str, str]) -> list[tuple[str, str]]:
    """What the buyer filled in, under the names that the product's page gave it."""
    return [(labels.get(key, key), str(value)) for key, value in order.buyer_fields.items()]


def _payment_row(payment: Any) -> dict[str, Any]:
    return {"payment": payment, "channel": words.CHANNELS.get(payment.channel, payment.channel)}


def _waterfall(found: mine.OrderDetail) -> list[dict[str, Any]]:
    """Where the buyer's money went, by the ledger's own legs; what the shop earned stands last."""
    taken = [part for part in found.parts if part["part"] != "gross" and part["amount_minor"]]
    taken.sort(key=lambda part: part["part"] == "pending")
    tones = {"pending": "success", "supply": "neutral"}
    return [
        {"label": words.PARTS.get(part["part"], part["part"]), "minor": part["amount_minor"],
         "tone": tones.get(part["part"], "")}
        for part in taken
    ]  # fmt: skip


# -- Deeds.


@require_POST
@screen(catalogue.ORDERS_DELIVER)
@even_unpaid
def deliver(request: HttpRequest, pk: int) -> HttpResponse:
    """Deliver one line; a text that was refused comes back with its reason."""
    form, status = DeliverForm(request.POST, auto_id=f"line{pk}_%s"), 422
    line = OrderLine.objects.select_related("order").filter(pk=pk).first()
    if line is None:
        raise services.OrderMissing(_("This shop has no order with this number."))
    if form.is_valid():
        try:
            complete = services.deliver_by_hand(
                line_id=pk, note=form.cleaned_data["note"], by=actor(request), now=clock.utc_now()
            )
        except DomainError as error:  # A wrong text, or a colleague was faster: what was typed comes back either way.
            refuse(form, error)
            status = error.status
        else:
            told = gettext_lazy("Delivered, and the buyer was told. Order %(number)s is complete.")
            more = gettext_lazy("Delivered, and the buyer was told. Order %(number)s has more to deliver.")
            say(request, worded(told if complete else more, number=line.order.number))
            return redirect(back_to(request, reverse("panel:order", args=[line.order.number])))
    return _drawn(request, line.order.number, status=status, deliver_form=form)


@require_POST
@screen(catalogue.ORDERS_CANCEL)
def cancel(request: HttpRequest, number: str) -> HttpResponse:
    """End an unpaid order; its stock goes back."""
    order = orders.order_for_staff(number)
    services.cancel_order(
        number=order.number, by=actor(request), now=clock.utc_now(), note=request.POST.get("note", "").strip()[:200]
    )
    say(request, _("Cancelled. Its stock is free again."))
    return redirect("panel:order", number=order.number)


@require_POST
@screen(catalogue.CODES_REVEAL)
@never_cache
def reveal(request: HttpRequest, number: str) -> HttpResponse:
    """Show the codes of an order, once, to somebody who says why; nothing of them is kept by the page."""
    form = ReasonForm(request.POST, prefix="reveal")
    order = orders.order_for_staff(number)
    if form.is_valid():
        try:
            codes = services.reveal_codes(
                number=order.number, by=actor(request), reason=form.cleaned_data["reason"], ip=client_ip(request),
                now=clock.utc_now(),
            )  # fmt: skip
        except services.RevealRefused as error:
            refuse(form, error)
        else:
            return _drawn(request, order.number, codes=codes, revealed=True)
    return _drawn(request, order.number, status=422, reveal_form=form)


@require_POST
@screen(catalogue.CODES_REVEAL)
@never_cache
def buyer_page(request: HttpRequest, number: str) -> HttpResponse:
    """The address of the buyer's own page: it opens codes, so it takes a reason like the codes do."""
    form = ReasonForm(request.POST, prefix="link")
    if form.is_valid():
        try:
            clean, key = panel.buyer_page_key(
                number=number, reason=form.cleaned_data["reason"], by=actor(request), now=clock.utc_now()
            )
        except reasons.ReasonMissing as error:
            refuse(form, error)
        else:
            path = reverse("storefront:order", args=[clean, key])
            return _drawn(request, clean, buyer_url=request.build_absolute_uri(path))
    return _drawn(request, number, status=422, link_form=form)
