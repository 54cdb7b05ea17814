"""Orders that end before their money comes: cancelled by somebody, or out of time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import connection, transaction

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM, Actor, ActorKind
from kameng.db.context import SchemaScope, in_main, in_substation
from kameng.jobs.services import enqueue
from shared_apps.receipts import selectors as receipts
from tenant_apps.orders.models import Order, OrderStep
from tenant_apps.orders.services._errors import OrderMissing, OrderTransitionRefused
from tenant_apps.orders.services._transitions import move_lines, move_order
from tenant_apps.orders.states import ORDER_TRANSITIONS, DeliveryEvent, OrderEvent, OrderState

ASK_JOB = "payments.ask_soon"
log = structlog.get_logger("orders")


def cancel_order(*, number: str, by: Actor, now: datetime, note: str = "") -> None:
    """End an unpaid order and give its stock back. Raises: OrderMissing, OrderTransitionRefused."""
    with transaction.atomic():
        order = _found(number)
        _end(order, OrderEvent.CANCEL, by=by, now=now, note=note)
        if by.kind != ActorKind.BUYER:
            audit.record(action="orders.order.cancelled", by=by, target=number, at=now, note=note)


def expire_order(*, number: str, by: Actor = SYSTEM, now: datetime) -> None:
    """End an order that was not paid in time and give its stock back. Raises: OrderMissing, OrderTransitionRefused.

    Race: its payment may be coming in at this moment. Both lock the order's row and ask for its state, so one of
    them finds the other's: a paid order does not expire, and money for an expired one goes the way of late money.
    """
    with transaction.atomic():
        _end(_found(number), OrderEvent.EXPIRE, by=by, now=now)


def expire_due(*, now: datetime, limit: int = 500, watch: Callable[[str], None] | None = None) -> int:
    """Expire every due order of the network, each in its own shop and transaction; answers how many.

    One query over the shared holds finds them, so that a quiet network costs one query a tick, however many shops.
    """
    with in_main():
        due = receipts.due_orders(now=now, limit=limit)
    expired = 0
    for item in due:
        try:
            with in_substation(SchemaScope(item.schema_name)):
                expire_order(number=item.order_number, now=now)
            expired += 1
        except OrderTransitionRefused as refusal:
            _give_back_leftovers(item.schema_name, item.order_number, str(refusal.details["state"]), now)
        except Exception:  # One shop's trouble must not keep the others' stock locked up.
            log.exception("orders.order.not_expired", schema=item.schema_name, number=item.order_number)
        if watch is not None:
            watch(item.order_number)
    return expired


def _found(number: str) -> Order:
    order = Order.objects.filter(number=number).first()
    if order is None:
        raise OrderMissing()
    return order


def _end(order: Order, event: OrderEvent, *, by: Actor, now: datetime, note: str = "") -> None:
    move_order(order_id=order.pk, number=order.number, event=event, by=by, now=now, note=note)
    move_lines(order_id=order.pk, event=DeliveryEvent.CANCEL, by=by, now=now)
    target = ORDER_TRANSITIONS[event][1]
    with connection.cursor() as cursor:
        cursor.execute("SELECT gate.release_order(%s, %s, %s)", [order.number, str(target), now])
    if OrderStep.objects.filter(order_id=order.pk, subject="PAYMENT").exists():
        # Somebody began to pay: ask the channel once more whether they were faster than the clock.
        enqueue(kind=ASK_JOB, payload={"order_number": order.number}, dedupe=order.number)


def _give_back_leftovers(schema_name: str, number: str, state: str, now: datetime) -> None:
    """An order that ended already and still holds something: give that back. A paid one keeps what it has."""
    if state not in (OrderState.EXPIRED, OrderState.CANCELLED):
        log.warning("orders.hold.of_paid_order", schema=schema_name, number=number, state=state)
        return
    with in_substation(SchemaScope(schema_name)), connection.cursor() as cursor:
        cursor.execute("SELECT gate.release_order(%s, %s, %s)", [number, state, now])
