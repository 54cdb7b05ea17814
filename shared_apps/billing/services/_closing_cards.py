"""Shops that are closing while a card pays for them: their channel is told to end with what is paid, so that no new period is
charged; and to go on, where the closing is called off. Main scope; the channel outside it."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing.models import Subscription
from shared_apps.billing.services._card_channels import channel_for
from shared_apps.billing.services._subscriptions import GOING, lock
from shared_apps.billing.services._telling import claim, is_being_told, telling
from shared_apps.billing.states import Method, SubscriptionState
from tenants.states import SubstationState

log = structlog.get_logger("billing")


def tell_closings(*, now: datetime) -> int:
    """Tell the channels of all such shops; answers how many. Safe to repeat; one whose channel does not answer is told by
    the next tick. Outside any transaction."""
    with in_main():
        by_card = Subscription.objects.filter(method=Method.STRIPE).exclude(state=SubscriptionState.ENDED)
        ending = by_card.filter(substation__state=SubstationState.CLOSING, cancel_at_period_end=False)
        going_on = by_card.filter(cancelled_by_closing=True).exclude(substation__state__in=GOING)
        found = list((ending | going_on).order_by("pk").values_list("substation_id", flat=True))
    for substation_id in found:
        try:
            _tell_one(substation_id=substation_id, now=now)
        except Exception:  # One shop's channel must not let the others be charged.
            log.exception("billing.subscription.closing_not_told", substation=substation_id)
    return len(found)


def _tell_one(*, substation_id: int, now: datetime) -> None:
    """Race: the closing is called off, or the owner cancels, meanwhile. Who tells has claimed it under the row's lock; what
    the shop is after that is told by the next tick. Raises: ProviderError, NoWayToPay."""
    assert not connection.in_atomic_block, "_tell_one calls a channel: not inside a transaction."
    with in_main():
        row = lock(substation_id)
        ends = row.substation.state == SubstationState.CLOSING
        nothing_to_tell = row.cancel_at_period_end if ends else not row.cancelled_by_closing
        if row.method != Method.STRIPE or nothing_to_tell or is_being_told(row, now=now):
            return
        row.cancelled_by_closing = True
        row.save(update_fields=["cancelled_by_closing"])
        claim(row, now=now)
    with telling(row) as key:
        channel = channel_for(substation_id)
        if ends:
            channel.cancel(subscription=row.stripe_subscription, at_period_end=True, idempotency_key=key)
        else:
            channel.keep(subscription=row.stripe_subscription, idempotency_key=key)
        with in_main():
            asked, row = row, lock(substation_id)
            if row.stripe_subscription != asked.stripe_subscription:
                return  # It ended meanwhile.
            row.cancel_at_period_end = row.cancelled_by_closing = ends
            # The channel has given up what waited. The main station's choice is told again when the shop goes on.
            row.next_plan, row.next_interval, row.moved_to, row.updated_at = None, "", None, now
            row.save()
            audit.record(
                action="billing.subscription.cancelled" if ends else "billing.subscription.kept", by=SYSTEM,
                target=row.substation.public_id, at=now,
            )  # fmt: skip
