"""What happens while a payment is due, day by day. Main scope; safe to repeat, with `now` passed in."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils.translation import gettext_noop

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing.models import DunningStep, Invoice, Subscription
from shared_apps.billing.services import _notices
from shared_apps.billing.services._subscriptions import GOING, align, each, lock, settle_debt
from shared_apps.billing.states import DunningKind, InvoiceState, SubscriptionState
from shared_apps.ledger import selectors as ledger
from tenants import lifecycle
from tenants.models import Substation
from tenants.states import Standing
from tenants.states import SubstationState as ShopState

REMIND_ON_DAYS = (3, 7)  # After the day on which it became due, which has a mail of its own.
TELL_AHEAD = timedelta(days=3)


def dun(*, now: datetime) -> int:
    """Take every unpaid subscription as far as its days say, tell those ahead whose next payment will not go through,
    and bring shops in line that were suspended meanwhile; answers how many were looked at."""
    with in_main():
        due = list(
            Subscription.objects.filter(state=SubscriptionState.PAST_DUE)
            .exclude(substation__state__in=GOING).values_list("substation_id", flat=True)
        )  # fmt: skip
        astray = list(_astray().values_list("substation_id", flat=True))
        soon = list(_soon(now).values_list("substation_id", flat=True))
    each(due, dun_one, now=now)
    each(astray, _bring_in_line, now=now)
    each(soon, _tell_ahead, now=now)
    return len(due) + len(astray) + len(soon)


def dun_one(*, substation_id: int, now: datetime) -> None:
    """One unpaid subscription. Race: a payment comes in meanwhile. Both lock the subscription's row; whoever is second
    finds the state that the first left."""
    row = lock(substation_id)
    since = row.due_since
    if row.state != SubscriptionState.PAST_DUE or since is None or settle_debt(row, now=now):
        return
    align(row, now=now, reason=gettext_noop("A payment is due."))
    owed = Invoice.objects.filter(substation_id=substation_id, state=InvoiceState.OPEN).order_by("id").first()
    number = owed.number if owed else ""
    shop = Substation.objects.get(pk=substation_id)
    for standing, kind, from_moment in (
        (Standing.SHUT, DunningKind.SHUT, row.shuts_at),
        (Standing.READ_ONLY, DunningKind.READ_ONLY, row.read_only_at),
    ):
        if from_moment is not None and now >= from_moment:
            if shop.state == ShopState.PAST_DUE and shop.standing != standing:
                lifecycle.set_standing(
                    substation_id=substation_id, standing=standing, by=SYSTEM, now=now, reason=f"{number} is not paid."
                )
            _notices.step(row, kind, round_at=since, now=now, day=(from_moment - since).days, detail=number)
            return
    passed = [day for day in REMIND_ON_DAYS if now >= since + timedelta(days=day)]
    if passed:  # A server that was away reminds once, and not for each day that it missed.
        _notices.step(row, DunningKind.REMINDER, round_at=since, now=now, day=passed[-1], detail=number)


def _astray() -> QuerySet[Subscription]:
    """Subscriptions whose shop is not where they say: it was suspended when they moved, and has been resumed."""
    paid = Subscription.objects.filter(state=SubscriptionState.ACTIVE, substation__state=ShopState.PAST_DUE)
    ended = Subscription.objects.filter(
        state=SubscriptionState.ENDED, substation__state__in=(ShopState.TRIAL, ShopState.ACTIVE)
    )
    return paid | ended


def _bring_in_line(*, substation_id: int, now: datetime) -> None:
    align(lock(substation_id), now=now)


def _soon(now: datetime) -> QuerySet[Subscription]:
    """Subscriptions whose next payment is near and whose owner has not been told: this is asked every minute."""
    renewing = Subscription.objects.filter(method="PREPAID", cancel_at_period_end=False).exclude(
        substation__state__in=GOING
    )
    told = DunningStep.objects.filter(substation_id=OuterRef("substation_id"), kind=DunningKind.NOTICE)
    return renewing.filter(
        ~Exists(told.filter(round=OuterRef("period_end"))), state=SubscriptionState.ACTIVE, period_end__gt=now,
        period_end__lte=now + TELL_AHEAD, period_start__lt=F("period_end") - TELL_AHEAD,
    ) | renewing.filter(
        ~Exists(told.filter(round=OuterRef("trial_ends_at"))), state=SubscriptionState.TRIAL, trial_ends_at__gt=now,
        trial_ends_at__lte=now + TELL_AHEAD,
    )  # fmt: skip


def _tell_ahead(*, substation_id: int, now: datetime) -> None:
    row = lock(substation_id)
    end = row.trial_ends_at if row.state == SubscriptionState.TRIAL else row.period_end
    plan, interval = (row.next_plan, row.next_interval) if row.next_plan else (row.plan, row.interval)
    fee = plan.period_fee_minor(interval)
    if end is None or ledger.balance_minor(f"substation:{substation_id}:prepaid") >= fee:
        return
    _notices.step(row, DunningKind.NOTICE, round_at=end, now=now)
