"""Asking about what was never told: attempts without an answer, refunds on their way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

import structlog

from kameng.db.context import SchemaScope, in_main, in_substation
from kameng.lib.errors import DomainError, ProviderError
from shared_apps.receipts import selectors as receipt_selectors
from shared_apps.receipts import services as receipts
from shared_apps.receipts.types import Announcement
from tenant_apps.payments.models import Payment
from tenant_apps.payments.services._inbox import ask_and_take
from tenant_apps.payments.services._refunding import run_refund
from tenant_apps.payments.states import PaymentState

# A time-out is unknown, not failed: asked at 5 minutes, 1 hour, then daily (design/payments.md), for a month.
PAUSES = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1))
GIVE_UP = 30
OPEN_STATES = (PaymentState.CREATED, PaymentState.UNKNOWN, PaymentState.PENDING)
log = structlog.get_logger("payments")


def ask_about_unknown(*, now: datetime, limit: int = 200) -> int:
    """Ask the channels about every attempt and refund whose time has come; answers how many were asked.

    The attempts of all shops are found by one query over the announced payments, so that a quiet network costs one.
    """
    with in_main():
        due = receipt_selectors.announced_to_ask(now=now, limit=limit)
        refunds = receipts.refunds_to_ask(now=now, limit=limit)
    asking: list[tuple[str, Callable[..., object]]] = [(found.payment_id, partial(_ask, found)) for found in due]
    asking += [(refund_id, partial(run_refund, refund_public_id=refund_id)) for refund_id in refunds]
    for subject, ask in asking:
        try:
            ask(now=now)
        except Exception:  # One shop's trouble must not keep the others' money waiting.
            log.exception("payments.ask.broken", subject=subject)
    return len(due) + len(refunds)


def _ask(found: Announcement, *, now: datetime) -> None:
    """Ask about one attempt, unless it has ended, and say when to ask next."""
    with in_substation(SchemaScope(found.schema_name)):
        payment = Payment.objects.filter(public_id=found.payment_id).first()
        is_open = payment is not None and payment.state in OPEN_STATES
        ref = payment.channel_ref if payment is not None else ""
    if is_open:
        with in_main():
            account = receipts.account_with_credentials(account_id=found.account_id)
        try:
            ask_and_take(account=account, payment_id=found.payment_id, channel_ref=ref, now=now)
        except (ProviderError, DomainError) as error:  # Weather: the next round asks again.
            log.warning("payments.ask.failed", payment=found.payment_id, problem=str(error)[:200])
        with in_substation(SchemaScope(found.schema_name)):
            is_open = Payment.objects.filter(public_id=found.payment_id, state__in=OPEN_STATES).exists()
    ends = not is_open or found.ask_count + 1 >= GIVE_UP
    pause = PAUSES[min(found.ask_count + 1, len(PAUSES) - 1)]
    with in_main():
        receipts.schedule_question(payment_id=found.payment_id, ask_at=None if ends else now + pause)
