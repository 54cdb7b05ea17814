"""The end of an order whose money went back. The money itself is `payments`' and the ledger's business."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction

from kameng.accounts.types import Actor
from tenant_apps.orders.services._errors import OrderMissing
from tenant_apps.orders.services._transitions import lock_order, move_lines, move_order
from tenant_apps.orders.states import DeliveryEvent, OrderEvent, OrderState


def mark_refunded(*, number: str, by: Actor, now: datetime, note: str = "") -> None:
    """PAID or DELIVERED → REFUNDED; lines that still wait for a person are cancelled. In the caller's transaction, with
    the ledger's legs. Delivered codes stay delivered: nothing leads back. Raises: OrderMissing, OrderTransitionRefused.
    """
    with transaction.atomic():
        order = lock_order(number)
        if order is None:
            raise OrderMissing()
        move_order(order_id=order.pk, number=number, event=OrderEvent.REFUND, by=by, now=now, note=note)
        move_lines(order_id=order.pk, event=DeliveryEvent.CANCEL, by=by, now=now)
        with connection.cursor() as cursor:
            cursor.execute("SELECT gate.note_order(%s, %s, %s)", [number, str(OrderState.REFUNDED), now])
