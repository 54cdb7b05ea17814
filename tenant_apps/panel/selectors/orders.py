"""Orders as the shop's people see them: sums of a list, what waits, one order with all that happened to it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum

from kameng.lib.words import in_english
from tenant_apps.finance import selectors as finance
from tenant_apps.finance.types import Line
from tenant_apps.listings.models import ListedProduct
from tenant_apps.orders import selectors as orders
from tenant_apps.orders.models import Order, OrderLine, OrderStep
from tenant_apps.orders.states import DeliveryState, OrderState
from tenant_apps.payments.models import Payment


@dataclass(frozen=True, slots=True)
class Sums:
    """The foot of a list of orders. Money in minor units, of orders that were paid and not given back."""

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
    steps: Sequence[OrderStep]  # Newest first.
    payments: Sequence[Payment]  # Newest first.
    ledger: Sequence[Line]  # Oldest first.

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
    def parts(self) -> Sequence[dict[str, Any]]:
        """The legs of its sale as the shop may see them; empty until the statement has it."""
        return next((line.parts for line in self.ledger if line.kind == "sale"), [])


def waiting_count() -> int:
    """Lines that a person has to deliver; the partial index answers."""
    return OrderLine.objects.filter(delivery_state=DeliveryState.QUEUED).count()


def queue() -> Queue:
    """The same with the age of the oldest."""
    waiting = OrderLine.objects.filter(delivery_state=DeliveryState.QUEUED)
    found = waiting.aggregate(lines=Count("pk"), oldest=Min("order__paid_at"))
    return Queue(found["lines"], found["oldest"])


def queued_lines(query: str = "") -> QuerySet[OrderLine]:
    """Lines that wait for a person, the longest waiting first, with their orders."""
    rows = OrderLine.objects.filter(delivery_state=DeliveryState.QUEUED).select_related("order").order_by("pk")
    word = query.strip().replace("\x00", "")
    if not word:
        return rows
    return rows.filter(
        Q(order__number__icontains=word.replace("-", "")) | Q(order__contact__icontains=word)
        | Q(name_zh__icontains=word) | Q(name_en__icontains=word) | Q(sku_code__icontains=word)
    )  # fmt: skip


def sums(rows: QuerySet[Order]) -> Sums:
    """Over all that match, in one statement."""
    kept = Q(state__in=(OrderState.PAID, OrderState.DELIVERED))
    over = rows.order_by().aggregate(
        count=Count("pk"), total=Sum("total_minor", filter=kept), earned=Sum("earned_minor", filter=kept)
    )
    return Sums(over["count"], over["total"] or 0, over["earned"] or 0)


def counts_by_state(rows: QuerySet[Order]) -> dict[str, int]:
    """How many orders of each state match."""
    return {row["state"]: row["n"] for row in rows.order_by().values("state").annotate(n=Count("pk"))}


def field_labels(slugs: Iterable[str]) -> dict[str, str]:
    """What the fields are called that these products ask their buyers for, by key, in the reader's language."""
    english = in_english()
    labels: dict[str, str] = {}
    for wanted in ListedProduct.objects.filter(slug__in=set(slugs)).values_list("buyer_fields", flat=True):
        for field in wanted or ():
            labels[str(field["key"])] = (
                (english and field.get("label_en")) or field.get("label_zh") or str(field["key"])
            )
    return labels


def detail(number: str) -> OrderDetail:
    """One order by its number, five statements. Raises: OrderMissing."""
    order = orders.order_for_staff(number)
    return OrderDetail(
        order=order,
        lines=list(order.lines.all()),
        steps=orders.timeline(order.pk)[::-1],
        payments=list(Payment.objects.filter(order=order).order_by("-pk")),
        ledger=finance.lines_of_order(order.number),
    )
