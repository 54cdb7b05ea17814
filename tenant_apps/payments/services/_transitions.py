"""The one place that assigns a payment's state."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

from kameng.accounts.types import Actor
from tenant_apps.payments.models import Payment
from tenant_apps.payments.states import PAYMENT_TRANSITIONS, PaymentEvent


def move_payment(
    *, payment_id: str, event: PaymentEvent, by: Actor, now: datetime, note: str = "", **fields: Any
) -> bool:
    """Take a payment through `event` and log the step in its order's history; False when it was not in a state for it
    (told twice, or overtaken). In the caller's transaction, in the shop's scope. The row is locked, then its update is
    guarded by the states that the event may leave."""
    sources, target = PAYMENT_TRANSITIONS[event]
    if fields:  # Before the state, which may want them: one that is pending has the channel's reference.
        Payment.objects.filter(public_id=payment_id, state__in=sources).update(**fields)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT gate.payments_move(%s, %s, %s, %s, %s, %s, %s, %s)",
            [payment_id, str(event), sorted(str(source) for source in sources), str(target), now, str(by.kind),
             by.label[:120], note[:300]],
        )  # fmt: skip
        (moved,) = cursor.fetchone()
    return bool(moved)
