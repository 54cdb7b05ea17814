"""Orders as the shop's people see them: lists, sums, one order with all that happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum

from tenant_apps.finance.models import StatementLine
from tenant_apps.orders import identity
from tenant_apps.orders.models import Order, OrderLine, OrderStep
from tenant_apps.orders.services import OrderMissing
from tenant_apps.orders.states import DeliveryState, OrderState
from tenant_apps.payments.models import Payment

MAX_TYPED = 120


@dataclass(frozen=True, slots=True)
class Sums:
    """The foot of a list of orders. Money in minor units; `paid` leaves out what was given back."""

    count: int
    total_minor: int
    earned_minor: int


@dataclass(frozen=True, slots=True)
class Queue:
    """How much waits for a person, and since when."""

    lines: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderDetail:
    """One order and everything about it, each list in the order of the screen."""

    order: Order
    lines: Sequence[OrderLine]
    steps: Sequence[OrderStep]
    payments: Sequence[Payment]
    ledger: Sequence[StatementLine]

    @property
    def queued(self) -> list[OrderLine]:
        return [line for line in self.lines if line.delivery_state == DeliveryState.QUEUED]

    @property
    def may_cancel(self) -> bool:
        return self.order.state == OrderState.PENDING_PAYMENT

    @property
    def has_codes(self) -> bool:
        """Something was delivered from the code stock, so there are codes to reveal."""
        return any(line.delivery == "CODES" and line.delivery_state == DeliveryState.DELIVERED for line in self.lines)

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The legs of its sale as the shop may see them; empty until the statement has it."""
        return next((list(line.parts) for line in self.ledger if line.kind == "SALE"), [])


def waiting_count() -> int:
    """Lines that a person has to deliver; the partial index answers."""
    return OrderLine.objects.filter(delivery_state=DeliveryState.QUEUED).count()


def queue() -> Queue:
    """The same with the age of the oldest."""
    waiting = OrderLine.objects.filter(delivery_state=DeliveryState.QUEUED)
    found = waiting.aggregate(lines=Count("pk"), oldest=Min("order__paid_at"))
    return Queue(found["lines"], found["oldest"])


def queued_lines() -> QuerySet[OrderLine]:
    """Lines that wait for a person, oldest first, with their orders."""
    return OrderLine.objects.filter(delivery_state=DeliveryState.QUEUED).select_related("order").order_by("id")


def found(
    *,
    query: str = "",
    state: str = "",
    since: datetime | None = None,
    before: datetime | None = None,
) -> QuerySet[Order]:
    """Orders by number, contact or SKU code; `since` ≤ placed < `before`."""
    rows = Order.objects.all()
    word = query.strip()[:MAX_TYPED].replace("\x00", "")
    if word:
        by_sku = OrderLine.objects.filter(sku_code__iexact=word).values("order_id")
        rows = rows.filter(
            Q(number__startswith=identity.clean_number(word)) | Q(contact__icontains=word) | Q(pk__in=by_sku)
        )
    if state:
        rows = rows.filter(state=state)
    if since is not None:
        rows = rows.filter(placed_at__gte=since)
    if before is not None:
        rows = rows.filter(placed_at__lt=before)
    return rows


def sums(rows: QuerySet[Order]) -> Sums:
    """Over all that match, in one statement. `total` is of orders that were paid and not given back."""
    kept = Q(state__in=(OrderState.PAID, OrderState.DELIVERED))
    over = rows.order_by().aggregate(
        count=Count("pk"), total=Sum("total_minor", filter=kept), earned=Sum("earned_minor", filter=kept)
    )
    return Sums(over["count"], over["total"] or 0, over["earned"] or 0)


def counts_by_state(rows: QuerySet[Order]) -> dict[str, int]:
    """How many orders of each state match."""
    return {row["state"]: row["n"] for row in rows.order_by().values("state").annotate(n=Count("pk"))}


def detail(number: str) -> OrderDetail:
    """One order by its number, five statements. Raises: OrderMissing."""
    order = Order.objects.filter(number=identity.clean_number(number)).first()
    if order is None:
        raise OrderMissing()
    return OrderDetail(
        order=order,
        lines=list(order.lines.order_by("pk")),
        steps=list(order.steps.order_by("-at", "-pk")),
        payments=list(order.payments.order_by("-pk")),
        ledger=list(StatementLine.objects.filter(reference=order.number).order_by("-event_at", "-pk")),
    )
