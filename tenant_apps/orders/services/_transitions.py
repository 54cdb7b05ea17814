"""The one place that assigns an order's or a line's state."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kameng.accounts.types import Actor
from tenant_apps.orders.models import Order, OrderLine, OrderStep
from tenant_apps.orders.services._errors import OrderTransitionRefused
from tenant_apps.orders.states import (
    DELIVERY_TRANSITIONS,
    ORDER_TRANSITIONS,
    DeliveryEvent,
    OrderEvent,
    OrderState,
)


def move_order(
    *, order_id: int, number: str, event: OrderEvent, by: Actor, now: datetime, note: str = "", **fields: Any
) -> str:
    """Take an order through `event` and log the step; answers the state it came from. In the caller's transaction.

    Race: a second callback, the expiry and a person may all want to move one order. The guarded update lets the
    first through; the others wait for its row and then match nothing. Raises: OrderTransitionRefused.
    """
    sources, target = ORDER_TRANSITIONS[event]
    for source in sources:  # One or two; each try names the state it leaves, for the log.
        moved = Order.objects.filter(pk=order_id, state=source).update(state=target, updated_at=now, **fields)
        if moved:
            log_step(order_id=order_id, subject="ORDER", event=event, source=source, target=target, by=by, now=now,
                     note=note)  # fmt: skip
            return str(source)
    state = Order.objects.filter(pk=order_id).values_list("state", flat=True).first() or ""
    raise OrderTransitionRefused(number=number, event=event, state=state)


def move_lines(
    *, order_id: int, event: DeliveryEvent, by: Actor, now: datetime, line_ids: Iterable[int] | None = None,
    note: str = "", **fields: Any,
) -> int:  # fmt: skip
    """Take an order's lines (all, or those named) through `event`, one logged step a line; answers how many moved."""
    sources, target = DELIVERY_TRANSITIONS[event]
    lines = OrderLine.objects.select_for_update().filter(order_id=order_id, delivery_state__in=sources)
    if line_ids is not None:
        lines = lines.filter(pk__in=list(line_ids))
    found = list(lines.order_by("pk"))
    for line in found:
        log_step(
            order_id=order_id, subject="DELIVERY", event=event, source=line.delivery_state, target=target, by=by,
            now=now, note=note or f"{line.name_zh} × {line.quantity}",
        )  # fmt: skip
    OrderLine.objects.filter(pk__in=[line.pk for line in found]).update(delivery_state=target, **fields)
    return len(found)


def log_step(
    *, order_id: int, subject: str, event: str, source: str, target: str, by: Actor, now: datetime, note: str = ""
) -> None:
    """Write one step of a life; what is not a transition of an order's own goes through here as well."""
    OrderStep.objects.create(
        order_id=order_id, at=now, subject=subject, event=event, from_state=source, to_state=target,
        by_kind=by.kind, by_label=by.label[:120], note=note[:300],
    )  # fmt: skip


def deliver_if_complete(*, order_id: int, number: str, by: Actor, now: datetime) -> bool:
    """PAID → DELIVERED when no line is left to deliver. Race: two people deliver the last two lines at once; each
    locks the order row first (`lock_order`), so the second one sees the first one's line."""
    if OrderLine.objects.filter(order_id=order_id).exclude(delivery_state="DELIVERED").exists():
        return False
    move_order(order_id=order_id, number=number, event=OrderEvent.DELIVER, by=by, now=now, delivered_at=now)
    return True


def lock_order(number: str) -> Order | None:
    """The order, its row locked until the transaction ends; None when there is none."""
    return Order.objects.select_for_update().filter(number=number).first()


def is_paid(state: str) -> bool:
    """Whether the money for the order has been taken and kept."""
    return state in (OrderState.PAID, OrderState.DELIVERED)
