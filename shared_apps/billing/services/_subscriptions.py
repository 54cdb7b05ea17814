"""A subscription's life: begun, renewed, missed, paid, ended. Main scope.

What the subscription is decides what the shop is (`_align`): lifecycle moves the shop's row, and nothing here does.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM, Actor
from kameng.db.context import in_main
from kameng.lib.words import worded
from shared_apps.billing import prorata, texts
from shared_apps.billing.models import Invoice, Subscription
from shared_apps.billing.services import _notices
from shared_apps.billing.services._errors import BalanceTooLow, BillingRefused
from shared_apps.billing.services._fitting import exceeded_by
from shared_apps.billing.services._invoices import issue, pay_from_prepaid
from shared_apps.billing.states import (
    SUBSCRIPTION_TRANSITIONS,
    DunningKind,
    InvoiceKind,
    InvoiceState,
    Method,
    SubscriptionEvent,
    SubscriptionState,
)
from tenants import lifecycle
from tenants import services as tenants
from tenants.models import Plan, Substation
from tenants.states import BillingInterval, Standing, SubstationEvent
from tenants.states import SubstationState as ShopState

GOING = frozenset({ShopState.CLOSING, ShopState.CLOSED, ShopState.ERASED})  # Nothing more is charged to these.
log = structlog.get_logger("billing")
_REFUSED = _("The subscription is “%(state)s” now. Nothing was changed.")


def begin(
    *, substation: Substation, interval: str = BillingInterval.MONTH, now: datetime, paid_period: bool = False
) -> Subscription:
    """The subscription of a new substation on its plan; found when it is there. In the caller's transaction.

    A plan with a trial begins with it, whoever paid what to open; `paid_period`: the first period is on the opening
    invoice; without a price there are no periods.
    """
    plan = substation.plan
    values: dict[str, Any] = {"plan": plan, "interval": interval, "created_at": now, "updated_at": now}
    if plan.has_trial:
        values |= {"state": SubscriptionState.TRIAL, "trial_ends_at": now + timedelta(days=plan.trial_days)}
    elif paid_period:
        end = prorata.add_months(now, prorata.MONTHS[interval], texts.zone())
        values |= {
            "anchor_at": now, "period_start": now, "period_end": end, "period_fee_minor": plan.period_fee_minor(interval)
        }  # fmt: skip
    row, made = Subscription.objects.get_or_create(substation=substation, defaults=values)
    if made:
        audit.record(
            action="billing.subscription.begun", by=SYSTEM, target=substation.public_id, at=now, plan=plan.code,
            interval=str(interval), state=row.state,
        )  # fmt: skip
    return row


def begin_unpaid(*, substation: Substation, interval: str, now: datetime) -> Subscription:
    """The subscription of a shop that was not asked for payment; found when it is there. A first period that costs is
    paid from the balance, or due at once and dunned. `interval` "": the shortest that the plan is sold for.

    In the caller's transaction. Race: two workers make one shop. Its schema's step is one worker's; the invoice's unique
    key on its period would hold without it.
    """
    plan = substation.plan
    if not interval:
        interval = BillingInterval.MONTH if plan.monthly_fee_minor or not plan.costs else BillingInterval.YEAR
    known = Subscription.objects.filter(substation=substation).exists()
    row = begin(substation=substation, interval=interval, now=now)
    if not known and row.state == SubscriptionState.ACTIVE and plan.period_fee_minor(interval):
        row = lock(substation.pk)
        start_period(row, start=now, now=now)
    return row


def lock(substation_id: int) -> Subscription:
    """A substation's subscription, its row locked: everything that charges or moves it waits for one another here.

    Raises: BillingRefused when there is none (a shop from before plans were billed).
    """
    # Locked without its plan: where a lock was waited for, Postgres joins the new row with the old one's partners, and a
    # row whose plan has changed meanwhile would not be found. The next statement has a snapshot of its own.
    locked = Subscription.objects.select_for_update().filter(substation_id=substation_id).first()
    if locked is None:
        raise BillingRefused(_("This shop has no subscription. Nothing was changed."))
    return Subscription.objects.select_related("substation__plan", "plan", "next_plan", "moved_to").get(pk=locked.pk)


def move(row: Subscription, event: SubscriptionEvent, *, now: datetime, **fields: Any) -> None:
    """Take a locked subscription through `event`. Raises: BillingRefused."""
    sources, target = SUBSCRIPTION_TRANSITIONS[event]
    if row.state not in sources:
        raise BillingRefused(worded(_REFUSED, state=row.get_state_display()))
    before = row.state
    row.state, row.updated_at = target, now
    if event == SubscriptionEvent.MISS:
        row.due_since = row.due_since or now
    else:
        row.due_since = None
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()
    audit.record(
        action=f"billing.subscription.{event.lower()}", by=SYSTEM, target=row.substation.public_id, at=now,
        before=before, after=str(target),
    )  # fmt: skip


def align(row: Subscription, *, now: datetime, by: Actor = SYSTEM, reason: str = "") -> None:
    """Bring the shop's own state in line with its subscription's; changes nothing where they agree.

    A shop that the main station has suspended stays so: it is brought in line when it is resumed, by the next tick.
    """
    shop = Substation.objects.get(pk=row.substation_id)
    if row.state == SubscriptionState.ACTIVE:
        if shop.state == ShopState.PAST_DUE:
            lifecycle.move(substation_id=shop.pk, event=SubstationEvent.PAY, by=by, now=now, reason=reason)
            _notices.step(row, DunningKind.PAID, round_at=now, now=now)
        elif shop.state == ShopState.TRIAL:
            lifecycle.move(substation_id=shop.pk, event=SubstationEvent.SUBSCRIBE, by=by, now=now, reason=reason)
        elif shop.standing != Standing.GOOD:  # It was suspended or is being closed, and has paid all the same.
            lifecycle.set_standing(substation_id=shop.pk, standing=Standing.GOOD, by=by, now=now, reason=reason)
    elif row.state in (SubscriptionState.PAST_DUE, SubscriptionState.ENDED) and shop.state in (
        ShopState.TRIAL, ShopState.ACTIVE,
    ):  # fmt: skip
        ended = row.state == SubscriptionState.ENDED
        lifecycle.move(
            substation_id=shop.pk, event=SubstationEvent.MISS_PAYMENT, by=by, now=now, reason=reason,
            standing=Standing.SHUT if ended else Standing.REMINDED,
        )  # fmt: skip
    elif row.state == SubscriptionState.ENDED and shop.state == ShopState.PAST_DUE and shop.standing != Standing.SHUT:
        lifecycle.set_standing(substation_id=shop.pk, standing=Standing.SHUT, by=by, now=now, reason=reason)


def renew_due(*, now: datetime, limit: int = 500) -> int:
    """Renew every prepaid subscription whose period or trial is over; answers how many were looked at.

    One transaction each: one shop's trouble does not keep the others waiting. Safe to repeat, and to run twice at once.
    """
    with in_main():
        ids = [
            *Subscription.objects.filter(state=SubscriptionState.ACTIVE, period_end__lte=now, method=Method.PREPAID)
            .order_by("period_end").values_list("substation_id", flat=True)[:limit],
            *Subscription.objects.filter(state=SubscriptionState.TRIAL, trial_ends_at__lte=now, method=Method.PREPAID)
            .order_by("trial_ends_at").values_list("substation_id", flat=True)[:limit],
        ]  # fmt: skip
    return each(ids, renew, now=now)


def each(substation_ids: list[int], work: Callable[..., object], *, now: datetime) -> int:
    """Do a work for each of them, in a transaction of its own; one that fails is logged. Answers how many there were."""
    for substation_id in substation_ids:
        try:
            with in_main():
                work(substation_id=substation_id, now=now)
        except Exception:
            log.exception("billing.subscription.broken", substation=substation_id, work=work.__name__)
    return len(substation_ids)


def renew(*, substation_id: int, now: datetime) -> Invoice | None:
    """Begin the next period of a prepaid subscription: its invoice, paid from the balance or due; None when there is
    nothing to do yet, nothing to pay, or when it ended.

    Race: two workers renew one subscription. Its row is locked and the period read under the lock; the invoice's unique
    key on its period would hold without it.
    """
    with transaction.atomic():
        row = lock(substation_id)
        over = row.trial_ends_at if row.state == SubscriptionState.TRIAL else row.period_end
        if row.state not in (SubscriptionState.TRIAL, SubscriptionState.ACTIVE) or over is None or over > now:
            return None
        if row.method != Method.PREPAID:
            return None  # Its channel renews it, and tells.
        if row.substation.state in GOING:
            if row.substation.state != ShopState.CLOSING:  # Which may still be called off.
                move(row, SubscriptionEvent.END, now=now)
            return None
        if row.cancel_at_period_end:
            _end(row, now=now)
            return None
        _take_next_plan(row, now=now)
        return start_period(row, start=over, now=now)


def _end(row: Subscription, *, now: datetime) -> None:
    move(row, SubscriptionEvent.END, now=now)
    align(row, now=now, reason=gettext_noop("The subscription was cancelled."))
    _notices.step(row, DunningKind.ENDED, round_at=now, now=now)


def _take_next_plan(row: Subscription, *, now: datetime) -> None:
    """The change that was asked for comes about, unless more is in use by now than the next plan holds."""
    plan, interval = row.next_plan, row.next_interval
    row.next_plan, row.next_interval = None, ""
    if plan is None:
        row.plan = row.substation.plan  # The main station may have changed it without a charge.
        if row.interval not in row.plan.intervals:
            row.interval = BillingInterval.MONTH
        return
    exceeded = exceeded_by(lifecycle.locked(row.substation_id), plan)
    if exceeded:
        _notices.mail(row, "downgrade_off", now=now, reasons=[str(reason) for reason in exceeded])
        audit.record(
            action="billing.subscription.downgrade_off", by=SYSTEM, target=row.substation.public_id, at=now,
            plan=plan.code, reasons=[str(reason) for reason in exceeded],
        )  # fmt: skip
        return
    put_on_plan(row, plan, interval, by=SYSTEM, now=now)


def put_on_plan(row: Subscription, plan: Plan, interval: str, *, by: Actor, now: datetime) -> None:
    """The subscription and its shop are on `plan` from now on; the caller saves the row."""
    if row.substation.plan_id != plan.pk:
        row.substation = tenants.change_plan(
            public_id=row.substation.public_id, plan_code=plan.code, by=by, now=now
        )  # fmt: skip
    row.plan, row.interval = plan, interval


def start_period(row: Subscription, *, start: datetime, now: datetime) -> Invoice | None:
    """Open the period that begins at `start`, on a locked row, and charge it. Without a price there is none."""
    fee = row.plan.period_fee_minor(row.interval)
    if not fee:
        move(
            row, SubscriptionEvent.PAY, now=now, anchor_at=None, period_start=None, period_end=None, period_fee_minor=0,
            trial_ends_at=None,
        )  # fmt: skip
        align(row, now=now)
        return None
    anchor = row.anchor_at if row.anchor_at is not None and row.state != SubscriptionState.TRIAL else start
    # A server that was down for weeks finds several periods over. Nothing is charged for time long gone: the period
    # that is begun is the one that is running.
    end = prorata.period_end(anchor=anchor, start=start, interval=row.interval, zone=texts.zone())
    while end <= now:
        start, end = end, prorata.period_end(anchor=anchor, start=end, interval=row.interval, zone=texts.zone())
    row.anchor_at, row.period_start, row.period_end, row.period_fee_minor = anchor, start, end, fee
    invoice = issue(
        substation=row.substation, kind=InvoiceKind.PERIOD, at=now, period=(start, end),
        lines=[texts.period_line(row.plan, row.interval, fee, start, end)],
    )  # fmt: skip
    try:
        paid = pay_from_prepaid(invoice_id=invoice.pk, now=now)
    except BalanceTooLow:
        move(row, SubscriptionEvent.MISS, now=now, trial_ends_at=None)
        align(row, now=now, reason=f"Invoice {invoice.number} is not paid.")
        _notices.step(row, DunningKind.DUE, round_at=now, now=now, detail=invoice.number)
        return invoice
    move(row, SubscriptionEvent.PAY, now=now, trial_ends_at=None)
    align(row, now=now)
    _notices.mail(row, "renewed", now=now, invoice=paid.number)
    return paid


def collect(*, substation_id: int, now: datetime, by: Actor = SYSTEM) -> list[Invoice]:
    """Pay what is due from the prepaid balance, the oldest first, as far as it goes; everything is back at once when
    nothing is left. Answers the invoices that were paid. Call it whenever money has come in."""
    paid = []
    with transaction.atomic():
        row = lock(substation_id)
        ours = Invoice.objects.filter(substation_id=substation_id, state=InvoiceState.OPEN)
        if row.method == Method.STRIPE:
            # What a channel collects by itself is left to it: paid from here, the card would be charged for it once
            # more. What one that has ended left open, nobody collects: the balance pays again, and pays it as well.
            ours = ours.filter(provider_ref="")
        for invoice in ours.order_by("id"):
            try:
                paid.append(pay_from_prepaid(invoice_id=invoice.pk, now=now, by=by))
            except BalanceTooLow:
                break
        settle_debt(row, now=now, by=by)
    return paid


def settle_debt(row: Subscription, *, now: datetime, by: Actor = SYSTEM) -> bool:
    """Take a locked PAST_DUE subscription back to ACTIVE when no invoice is open any more; answers whether it was.

    A period that ran out while it was unpaid is not billed again: the next one begins with the payment.
    """
    still_open = Invoice.objects.filter(substation_id=row.substation_id, state=InvoiceState.OPEN).exists()
    if row.state != SubscriptionState.PAST_DUE or still_open:
        return False
    fields: dict[str, Any] = {}
    if row.method == Method.PREPAID and row.period_end is not None and row.period_end <= now:
        fields = {"anchor_at": now, "period_start": row.period_start, "period_end": now}
    move(row, SubscriptionEvent.PAY, now=now, **fields)
    align(row, now=now, by=by)
    return True
