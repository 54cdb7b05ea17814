"""What others read of orders. In the shop's scope."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from tenant_apps.orders import identity
from tenant_apps.orders.models import Order, OrderLine, OrderStep
from tenant_apps.orders.services import OrderMissing
from tenant_apps.orders.states import OrderState
from tenant_apps.orders.types import DayFigures

BEGUN = 3  # From so many characters on, the beginning of a number finds it.
SORTS = {
    "newest": ("-placed_at", "-id"),
    "oldest": ("placed_at", "id"),
    "total": ("-total_minor", "-id"),
    "paid": ("-paid_at", "-id"),
}


def order_by_token(number: str, token: str) -> Order:
    """The order of a buyer's link: the token it was placed with, or the one of the mail. Raises: OrderMissing."""
    order = Order.objects.filter(number=identity.clean_number(number)).first()
    # The digest is compared even where there is no order, so that the time taken says nothing.
    digest = bytes(order.token_digest) if order is not None else b"\0" * 32
    fits = identity.opens(digest, order.number if order is not None else number, token)
    if order is None or not fits:
        raise OrderMissing()
    return order


def order_by_lookup(number: str, secret: str) -> Order:
    """An order by its number and query password; the contact alone opens nothing. Raises: OrderMissing.

    The caller limits how often one address may try.
    """
    clean = identity.clean_number(number)
    order = Order.objects.filter(number=clean).first()
    digest = bytes(order.lookup_digest) if order is not None else b"\0" * 32
    fits = identity.lookup_matches(digest, clean, secret)
    if order is None or not fits:
        raise OrderMissing()
    return order


def order_for_staff(number: str) -> Order:
    """An order for the panel, its lines fetched along. Raises: OrderMissing."""
    found = Order.objects.filter(number=identity.clean_number(number)).prefetch_related("lines").first()
    if found is None:
        raise OrderMissing(_("This shop has no order with this number."))
    return found


def orders_for_panel(
    *, states: tuple[str, ...] = (), text: str = "", since: datetime | None = None, until: datetime | None = None,
    sku_id: int | None = None, queued: bool = False, sort: str = "newest",
) -> QuerySet[Order]:  # fmt: skip
    """Orders for a list: filtered, sorted, lines fetched along; the caller pages. `text` is a number or its
    beginning, or part of a contact. `queued`: only those with a line that waits for a person."""
    found = Order.objects.prefetch_related("lines")
    if states:
        found = found.filter(state__in=states)
    if text.strip():
        number = identity.clean_number(text)
        begun = Q(number__startswith=number) if len(number) >= BEGUN else Q(number=number)
        found = found.filter(begun | Q(contact__icontains=text.strip()))
    if since is not None:
        found = found.filter(placed_at__gte=since)
    if until is not None:
        found = found.filter(placed_at__lt=until)
    if sku_id is not None:
        found = found.filter(pk__in=OrderLine.objects.filter(sku_id=sku_id).values("order_id"))
    if queued:
        found = found.filter(pk__in=OrderLine.objects.filter(delivery_state="QUEUED").values("order_id"))
    return found.order_by(*SORTS[sort])


def state_counts() -> dict[str, int]:
    """How many orders are in each state; every state is named."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT state, count(*) FROM orders_order GROUP BY state")
        counts = dict(cursor.fetchall())
    return {str(state): int(counts.get(state, 0)) for state in OrderState}


def timeline(order_id: int) -> list[OrderStep]:
    """Every step of an order's, its payments' and its deliveries' lives, oldest first."""
    return list(OrderStep.objects.filter(order_id=order_id).order_by("id"))


def queue(*, limit: int = 100) -> list[OrderLine]:
    """Lines that wait for a person, the longest waiting first, with their orders."""
    lines = OrderLine.objects.filter(delivery_state="QUEUED").select_related("order").order_by("id")
    return list(lines[:limit])


def days_of(now: datetime, zone: str, days: int) -> list[date]:
    """The last `days` days of the shop's calendar, oldest first, today included."""
    today = now.astimezone(ZoneInfo(zone)).date()
    return [today - timedelta(days=back) for back in range(days - 1, -1, -1)]


def day_figures(*, now: datetime, zone: str, days: int = 1) -> list[DayFigures]:
    """Orders, turnover and earnings by day in the shop's zone, the last `days` days, oldest first. Three statements."""
    wanted = days_of(now, zone, days)
    start = datetime.combine(wanted[0], time.min, ZoneInfo(zone)).astimezone(UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (placed_at AT TIME ZONE %(zone)s)::date, count(*) FROM orders_order "
            "WHERE placed_at >= %(start)s GROUP BY 1",
            {"zone": zone, "start": start},
        )
        placed = dict(cursor.fetchall())
        cursor.execute(
            "SELECT (paid_at AT TIME ZONE %(zone)s)::date, count(*), sum(total_minor)::bigint, "
            "coalesce(sum(earned_minor), 0)::bigint FROM orders_order "
            "WHERE paid_at >= %(start)s AND state IN ('PAID', 'DELIVERED') GROUP BY 1",
            {"zone": zone, "start": start},
        )
        paid: dict[date, Any] = {row[0]: row[1:] for row in cursor.fetchall()}
        cursor.execute(
            "SELECT (SELECT count(*) FROM orders_orderline WHERE delivery_state = 'QUEUED'), "
            "(SELECT count(*) FROM orders_order WHERE state = 'PENDING_PAYMENT')"
        )
        queued, waiting = cursor.fetchone()
    return [
        DayFigures(
            day=day.isoformat(), orders_placed=placed.get(day, 0), orders_paid=paid.get(day, (0, 0, 0))[0],
            gmv_minor=paid.get(day, (0, 0, 0))[1], earned_minor=paid.get(day, (0, 0, 0))[2], queued_lines=queued,
            waiting_orders=waiting,
        )
        for day in wanted
    ]  # fmt: skip
