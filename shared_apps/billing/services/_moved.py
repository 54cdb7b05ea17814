"""Shops that the main station put on another plan while a card pays for them: their channel is told, and charges the new
plan from the next period on. What has been paid is not charged again, up or down. Main scope; the channel outside it."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection
from django.db.models import F

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing.models import Subscription
from shared_apps.billing.services._card_channels import channel_for
from shared_apps.billing.services._changes import payer_reads
from shared_apps.billing.services._pending import under_way
from shared_apps.billing.services._subscriptions import GOING, lock, put_on_plan, start_period
from shared_apps.billing.states import Method, SubscriptionState
from tenants.models import Plan

PAID_FOR = (SubscriptionState.TRIAL, SubscriptionState.ACTIVE)  # What is due is paid first.
log = structlog.get_logger("billing")


def tell_moved(*, now: datetime) -> int:
    """Tell the channels of all such shops; answers how many were looked at. Safe to repeat: one whose channel knows it
    waits for its period's end. Outside any transaction."""
    with in_main():
        rows = Subscription.objects.filter(
            method=Method.STRIPE, state__in=PAID_FOR, next_plan=None, cancel_at_period_end=False,
        ).exclude(plan_id=F("substation__plan_id")).exclude(substation__state__in=GOING)  # fmt: skip
        found = list(rows.values_list("substation_id", flat=True))
    for substation_id in found:
        try:
            _tell_one(substation_id=substation_id, now=now)
        except Exception:  # One shop's channel must not keep the others' prices back.
            log.exception("billing.subscription.not_moved", substation=substation_id)
    return len(found)


def _tell_one(*, substation_id: int, now: datetime) -> bool:
    """Have the channel charge the plan that the main station chose; a plan without a price ends the subscription with what
    is paid. False when there is nothing to tell, or its owner's own change is on its way.

    Race: the owner changes the plan meanwhile. What the channel has in the end is followed, as always, and what we write
    down of it is written on the locked row, while it is still as it was. Raises: ProviderError, NoWayToPay.
    """
    assert not connection.in_atomic_block, "_tell_one calls a channel: not inside a transaction."
    with in_main():
        row = lock(substation_id)
        if not _waits(row):
            return False
        plan, interval = row.substation.plan, _interval_of(row)
    channel, key = channel_for(substation_id), f"moved:{row.pk}:{row.substation.plan.code}:{now:%Y%m%d%H%M}"
    is_there = False
    if plan.costs:
        told = channel.change_plan(
            subscription=row.stripe_subscription, new_amount_minor=plan.period_fee_minor(interval), interval=interval,
            plan=plan.code, name=payer_reads(row, plan), at=now, prorate=False, idempotency_key=key,
        )  # fmt: skip
        is_there = told.plan == plan.code  # On trial nothing is paid yet, so that it waits for nothing.
    else:
        channel.cancel(subscription=row.stripe_subscription, at_period_end=True, idempotency_key=key)
    with in_main():
        row = lock(substation_id)
        if not _waits(row) or row.substation.plan_id != plan.pk:
            return False
        if is_there:
            put_on_plan(row, plan, interval, by=SYSTEM, now=now)
        elif plan.costs:
            row.next_plan, row.next_interval = plan, interval
        else:
            row.cancel_at_period_end = True
        row.updated_at = now
        row.save()
        audit.record(
            action="billing.plan.scheduled", by=SYSTEM, target=row.substation.public_id, at=now, plan=plan.code,
            interval=interval, effective_at="" if is_there or row.period_end is None else row.period_end.isoformat(),
        )  # fmt: skip
    return True


def goes_on_free(row: Subscription, *, now: datetime) -> bool:
    """Whether a locked subscription that its channel has ended goes on without one: the main station chose a plan without a
    price, and nobody cancelled anything. It is there then."""
    plan = row.substation.plan
    if plan.pk == row.plan_id or plan.costs or row.state not in PAID_FOR:
        return False
    row.method, row.stripe_subscription, row.cancel_at_period_end = Method.PREPAID, "", False
    put_on_plan(row, plan, row.interval, by=SYSTEM, now=now)
    start_period(row, start=now, now=now)
    return True


def _waits(row: Subscription) -> bool:
    """Whether a locked row is of a shop whose plan the channel has not been told of."""
    return (
        row.method == Method.STRIPE and row.state in PAID_FOR
        and row.plan_id != row.substation.plan_id and row.next_plan_id is None and not row.cancel_at_period_end
        and under_way(row.substation_id) is None
    )  # fmt: skip


def _interval_of(row: Subscription) -> str:
    """How the shop paid until now, or else the first way in which its plan is sold."""
    plan: Plan = row.substation.plan
    sold = [interval for interval in (row.interval, *plan.intervals) if plan.period_fee_minor(interval)]
    return sold[0] if sold else row.interval
