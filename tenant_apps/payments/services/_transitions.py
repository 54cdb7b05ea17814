"""The one place that assigns a payment's state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kameng.accounts.types import Actor
from tenant_apps.orders.models import OrderStep
from tenant_apps.payments.models import Payment
from tenant_apps.payments.states import PAYMENT_TRANSITIONS, PaymentEvent


def move_payment(
    *, payment_id: str, event: PaymentEvent, by: Actor, now: datetime, note: str = "", **fields: Any
) -> bool:
    """Take a payment through `event` and log the step in its order's history; False when it was not in a state for it
    (told twice, or overtaken). In the caller's transaction, in the shop's scope."""
    sources, target = PAYMENT_TRANSITIONS[event]
    payment = Payment.objects.select_for_update().filter(public_id=payment_id).first()
    if payment is None or payment.state not in sources:
        return False
    # Guarded once more: the states are checked where the row is written.
    moved = Payment.objects.filter(pk=payment.pk, state=payment.state).update(state=target, updated_at=now, **fields)
    if moved:
        OrderStep.objects.create(
            order_id=payment.order_id, at=now, subject="PAYMENT", event=event, from_state=payment.state,
            to_state=target, by_kind=by.kind, by_label=by.label[:120], note=(note or payment.channel)[:300],
        )  # fmt: skip
    return bool(moved)
