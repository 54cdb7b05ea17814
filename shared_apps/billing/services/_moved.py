"""Shops that the main station put on another plan while a card pays for them: their channel is told, and charges the new
plan from the next period on. What has been paid is not charged again, up or down. So is what waits already and may have
been given up there by something that failed. Main scope; the channel outside it."""

from __future__ import annotations

from datetime import datetime
from itertools import islice

import structlog
from django.db import connection
from django.db.models import F, Q

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing.models import Subscription
from shared_apps.billing.services._card_channels import channel_for
from shared_apps.billing.services._changes import payer_reads
from shared_apps.billing.services._pending import under_way
from shared_apps.billing.services._subscriptions import GOING, lock, put_on_plan, start_period
from shared_apps.billing.services._telling import claim, is_being_told, telling
from shared_apps.billing.states import Method, SubscriptionState
from tenants.models import Plan
from tenants.states import SubstationState

PAID_FOR = (SubscriptionState.TRIAL, SubscriptionState.ACTIVE)  # What is due is paid first.
log = structlog.get_logger("billing")


def tell_moved(*, now: datetime, limit: int = 100) -> int:
    """Tell the channels of such shops; answers how many there were something to tell. Safe to repeat: one whose channel
    knows it waits for its period's end. Outside any transaction.

    Those that nobody has tried to tell come first, then who was tried the longest ago: a channel that fails each time
    does not keep the others waiting.
    """
    with in_main():
        nothing_waits = Q(next_plan=None, cancel_at_period_end=False) & ~Q(plan_id=F("substation__plan_id"))
        rows = Subscription.objects.filter(
            Q(moved_to=None) & nothing_waits | Q(moved_to__isnull=False) | Q(asking_until__lte=now),
            method=Method.STRIPE, state__in=PAID_FOR,
        ).exclude(substation__state__in=GOING).select_related("substation__plan", "plan", "moved_to")  # fmt: skip
        waiting = rows.order_by(F("asking_until").asc(nulls_first=True), "pk").iterator()
        # Most of them are told already; that is seen without a lock, and judged again under it.
        untold = (row.substation_id for row in waiting if row.asking_until is not None or _is_untold(row))
        found = list(islice(untold, limit))
    for substation_id in found:
        tell_quietly(substation_id=substation_id, now=now)
    return len(found)


def tell_quietly(*, substation_id: int, now: datetime) -> None:
    """Tell one shop's channel, if there is something to tell; what is in the way is logged, and the next tick tells again.
    Outside any transaction."""
    try:
        _tell_one(substation_id=substation_id, now=now)
    except Exception:  # One shop's channel must not keep the others' prices back.
        log.exception("billing.subscription.not_moved", substation=substation_id)


def _tell_one(*, substation_id: int, now: datetime) -> bool:
    """Have the channel charge the plan that the main station chose; a plan without a price ends the subscription with what
    is paid. False when there is nothing to tell, or its owner's own change is on its way.

    What is told is written down before (`moved_to`): whatever cuts it off, what the channel may have is told again, or
    taken back when the main station has changed its mind.

    Race: the owner changes the plan, or another worker tells, meanwhile. Who tells has claimed it under the row's lock;
    a change that is charged at once is under way from then on, and waited for. Raises: ProviderError, NoWayToPay.
    """
    assert not connection.in_atomic_block, "_tell_one calls a channel: not inside a transaction."
    with in_main():
        row = lock(substation_id)
        if is_being_told(row, now=now) or under_way(substation_id) is not None:
            return False
        is_new = _is_untold(row)
        if is_new:
            row.moved_to, (interval, fee) = row.substation.plan, _terms(row)
        elif row.asking_until is not None and row.next_plan is not None:
            interval, fee = row.next_interval, row.next_plan.period_fee_minor(row.next_interval)
        else:
            row.asking_until = None
            row.save(update_fields=["asking_until"])
            return False
        plan = row.moved_to if is_new else row.next_plan
        assert plan is not None
        row.save(update_fields=["moved_to"])
        claim(row, now=now)
    with telling(row) as key:
        channel, is_there = channel_for(substation_id), False
        if plan.costs:
            if row.cancel_at_period_end:  # It was to end with a plan without a price.
                channel.keep(subscription=row.stripe_subscription, idempotency_key=f"{key}:keep")
            told = channel.change_plan(
                subscription=row.stripe_subscription, new_amount_minor=fee, interval=interval, plan=plan.code,
                name=payer_reads(row, plan), at=now, prorate=False, idempotency_key=key,
            )  # fmt: skip
            is_there = told.plan == plan.code  # On trial nothing is paid yet, so that it waits for nothing.
        else:
            channel.cancel(subscription=row.stripe_subscription, at_period_end=True, idempotency_key=key)
        with in_main():
            return _note_told(substation_id, row, plan, interval, is_new=is_new, is_there=is_there, now=now)


def _note_told(
    substation_id: int, asked: Subscription, plan: Plan, interval: str, *, is_new: bool, is_there: bool, now: datetime
) -> bool:
    """Write down what the channel has been told. It has it, whatever the main station has chosen since: that is told then."""
    row = lock(substation_id)
    if row.method != Method.STRIPE or row.stripe_subscription != asked.stripe_subscription:
        return False  # It ended meanwhile.
    row.next_plan, row.next_interval, row.cancel_at_period_end = None, "", not plan.costs
    if is_there:
        put_on_told_plan(row, plan, interval, now=now)
    elif plan.costs:
        row.next_plan, row.next_interval = plan, interval
    row.updated_at = now
    row.save()
    if is_new:
        audit.record(
            action="billing.plan.scheduled", by=SYSTEM, target=row.substation.public_id, at=now, plan=plan.code,
            interval=interval, effective_at="" if is_there or row.period_end is None else row.period_end.isoformat(),
        )  # fmt: skip
    return True


def put_on_told_plan(row: Subscription, plan: Plan, interval: str, *, now: datetime) -> None:
    """A locked row is charged for `plan` from now on, as its channel says; the caller saves it. The shop is on it, too,
    unless it came by the main station's choice and that is another one by now: then it is told of that."""
    asked = under_way(row.substation_id)
    owners_own = asked is not None and asked.to_plan_id == plan.pk
    if row.moved_to_id is not None and not owners_own:
        row.plan, row.interval = plan, interval
        if row.moved_to_id == plan.pk:
            row.moved_to = None
    else:
        put_on_plan(row, plan, interval, by=SYSTEM, now=now)


def goes_on_free(row: Subscription, *, now: datetime) -> bool:
    """Whether a locked subscription that its channel has ended goes on without one: the main station chose a plan without a
    price, and the owner cancelled nothing. It is there then."""
    plan = row.substation.plan
    if plan.pk == row.plan_id or plan.costs or row.state not in PAID_FOR:
        return False
    if row.substation.state in (SubstationState.CLOSED, SubstationState.ERASED):
        return False
    if row.cancel_at_period_end and row.moved_to_id is None:  # By its owner.
        return False
    row.method, row.stripe_subscription, row.cancel_at_period_end = Method.PREPAID, "", False
    row.next_plan, row.next_interval, row.moved_to = None, "", None
    put_on_plan(row, plan, row.interval, by=SYSTEM, now=now)
    start_period(row, start=now, now=now)
    return True


def _is_untold(row: Subscription) -> bool:
    """Whether a locked row's channel has to be told of the main station's choice. What the owner chose stands."""
    if row.method != Method.STRIPE or row.state not in PAID_FOR or row.substation.state in GOING:
        return False
    chosen = row.substation.plan_id
    if row.moved_to_id is None:
        return row.plan_id != chosen and row.next_plan_id is None and not row.cancel_at_period_end
    return row.moved_to_id != chosen or not row.is_moved


def _terms(row: Subscription) -> tuple[str, int]:
    """Interval and fee of the main station's choice: as the shop paid until now, or else the first way in which its plan is
    sold. Back on the plan that is paid, it is what is paid."""
    plan: Plan = row.substation.plan
    if plan.pk == row.plan_id and row.period_end is not None:
        return row.interval, row.period_fee_minor
    sold = [interval for interval in (row.interval, *plan.intervals) if plan.period_fee_minor(interval)]
    interval = sold[0] if sold else row.interval
    return interval, plan.period_fee_minor(interval)
