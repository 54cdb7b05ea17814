"""Delivery by a person, and showing what was delivered from the code stock."""

from __future__ import annotations

from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor, ActorKind
from kameng.jobs.services import enqueue
from shared_apps.stock import keys
from tenant_apps.orders.models import Order, OrderLine
from tenant_apps.orders.services import _sql
from tenant_apps.orders.services._errors import OrderInvalid, OrderMissing, OrderTransitionRefused, RevealRefused
from tenant_apps.orders.services._transitions import deliver_if_complete, lock_order, move_lines
from tenant_apps.orders.states import DeliveryEvent, DeliveryState, OrderState
from tenant_apps.orders.types import RevealedCode

MAX_NOTE = 4000
MAIL_JOB = "orders.mail_delivered"


def deliver_by_hand(*, line_id: int, note: str, by: Actor, now: datetime) -> bool:
    """Deliver one queued line: `note` is what the buyer reads (an account, a tracking number, codes as text).

    Answers whether the order is complete now. Raises: OrderMissing, OrderInvalid, OrderTransitionRefused.
    """
    text = note.strip()
    if not text:
        raise OrderInvalid(_("Write what the buyer gets: they read this text."), field="note")
    if len(text) > MAX_NOTE:
        raise OrderInvalid(_("This is too long."), field="note")
    with transaction.atomic():
        line = OrderLine.objects.filter(pk=line_id).select_related("order").first()
        if line is None:
            raise OrderMissing()
        order = lock_order(line.order.number)
        if order is None or order.state != OrderState.PAID:
            raise OrderTransitionRefused(number=line.order.number, event="DELIVER", state=order.state if order else "")
        moved = move_lines(
            order_id=order.pk, line_ids=[line_id], event=DeliveryEvent.DELIVER, by=by, now=now, delivery_note=text,
            delivered_at=now,
        )  # fmt: skip
        if not moved:
            raise OrderTransitionRefused(number=order.number, event="DELIVER", state=line.delivery_state)
        complete = deliver_if_complete(order_id=order.pk, number=order.number, by=by, now=now)
        if complete:
            with connection.cursor() as cursor:
                cursor.execute("SELECT gate.note_order(%s, %s, %s)", [order.number, str(OrderState.DELIVERED), now])
        # The note itself may hold what was sold: the audit trail says that it was written, not what.
        audit.record(
            action="orders.line.delivered", by=by, target=order.number, at=now, line=line_id, sku=line.sku_code
        )
        enqueue(kind=MAIL_JOB, payload={"order_number": order.number}, dedupe=order.number)
    return complete


def is_undelivered(*, number: str, lock: bool = False) -> bool:
    """Whether an order is paid and every line of it still waits. `lock`: nothing of it is delivered until the caller's
    transaction ends. Raises: OrderMissing."""
    order = lock_order(number) if lock else Order.objects.filter(number=number).first()
    if order is None:
        raise OrderMissing()
    delivered = OrderLine.objects.filter(order_id=order.pk, delivery_state=DeliveryState.DELIVERED)
    return order.state == OrderState.PAID and not delivered.exists()


def reveal_codes(*, number: str, by: Actor, reason: str, ip: str, now: datetime) -> list[RevealedCode]:
    """The codes of a delivered order, in plain text; each look is recorded, code by code, before it is answered.

    The caller has checked that this person may see the order. Raises: OrderMissing, RevealRefused (no reason given),
    CodeUnreadable.
    """
    if not reason.strip():
        raise RevealRefused()
    with transaction.atomic():
        order = Order.objects.filter(number=number).only("id", "state").first()
        if order is None:
            raise OrderMissing()
        with _sql.through_the_gate(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT code_id, sku_id, blob, key_version FROM gate.reveal_codes(%s, %s, %s, %s, %s, %s)",
                [number, str(by.kind), by.label[:120], reason.strip()[:200], ip[:45], now],
            )
            rows = cursor.fetchall()
        codes = [
            RevealedCode(
                sku_id=sku_id, code_id=code_id, text=keys.open_code(sku_id=sku_id, blob=blob, key_version=version)
            )
            for code_id, sku_id, blob, version in rows
        ]
        if by.kind in (ActorKind.USER, ActorKind.TOKEN):
            audit.record(
                action="orders.codes.revealed",
                by=by,
                target=number,
                at=now,
                reason=reason.strip()[:200],
                codes=len(codes),
            )
    return codes
