"""Changing the plan: what it would cost is reckoned once and kept, and what is charged is that row, or nothing.

Upward it counts at once, with the rest of the period paid pro rata (`_confirming`); downward it waits for the period's
end, which has been paid. Main scope.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import translation
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.lib.errors import ProviderError
from kameng.lib.words import Sentence, worded
from shared_apps.billing import prorata, selectors, texts
from shared_apps.billing.models import ChangeQuote, Subscription
from shared_apps.billing.services._card_channels import channel_for
from shared_apps.billing.services._errors import (
    BillingRefused,
    ChangeRefused,
    ChannelAway,
    QuoteOutdated,
    refuse_closed,
)
from shared_apps.billing.services._fitting import exceeded_by
from shared_apps.billing.services._invoices import deposit, prepaid
from shared_apps.billing.services._pending import refuse_beside
from shared_apps.billing.services._subscriptions import lock
from shared_apps.billing.services._telling import claim, telling
from shared_apps.billing.states import Method, SubscriptionState
from shared_apps.billing.types import Line
from shared_apps.ledger import selectors as ledger
from tenants import lifecycle
from tenants.models import Plan

QUOTE_LIFE = timedelta(minutes=15)
CARD_KINDS = ("credit", "rest", "period")  # What a card's channel charges; the rest comes from the prepaid balance.


@dataclass(frozen=True, slots=True)
class Change:
    """What a change of plan would do. `effective_at` is set when it waits for the period's end.

    `balance_minor`: what of the total the prepaid balance pays; a card's channel charges the rest. `missing_minor`: what
    the balance lacks of it. `problems`: what is in use beyond the new plan; with any of them the change is refused.
    """

    plan: Plan
    interval: str
    at_once: bool
    effective_at: datetime | None
    quote: ChangeQuote
    lines: tuple[Line, ...]
    total_minor: int
    balance_minor: int
    missing_minor: int
    problems: tuple[Sentence, ...]


def quote_change(*, substation_id: int, plan_code: str, interval: str, now: datetime) -> Change:
    """Reckon a change at `now` (in whole seconds) and keep it for QUOTE_LIFE; nothing is changed, nothing is charged.

    Outside any transaction: where a card pays, its channel is asked what it would charge.
    Raises: ChangeRefused (the present plan, one that is not offered, not for that interval), BillingRefused (something
    is due first, or the shop is closed), ChannelAway.
    """
    assert not connection.in_atomic_block, "quote_change may call a channel: not inside a transaction."
    at = now.replace(microsecond=0)
    with in_main():
        row = lock(substation_id)
        plan = _offered(row, plan_code, interval)
        problems = tuple(exceeded_by(row.substation, plan))
        at_once = _counts_at_once(row, plan, interval)
        lines = _lines(row, plan, interval, at=at) if at_once else []
        by_card = pays_by_card(row)
    if by_card and any(line.kind in CARD_KINDS for line in lines):
        lines = _as_the_card_is_charged(row, plan, interval, lines, at=at)
    total = sum(line.amount_minor for line in lines)
    with in_main():
        kept = ChangeQuote.objects.create(
            substation=row.substation, from_plan=row.plan, from_interval=row.interval, to_plan=plan,
            to_interval=interval, period_end=_ends(row), at=at, expires_at=now + QUOTE_LIFE,
            currency=row.substation.currency, total_minor=total, lines=[line.as_json() for line in lines],
            at_once=at_once, to_fee_minor=plan.period_fee_minor(interval),
        )  # fmt: skip
        ours = sum(line.amount_minor for line in (from_balance(lines) if by_card else lines))
        missing = missing_of(substation_id, ours)
    return Change(
        plan, interval, at_once, None if at_once else _ends(row), kept, tuple(lines), total, ours, missing, problems
    )


def quoted(*, substation_id: int, quote_public_id: str) -> Change:
    """A quote again, as it was shown, with what is missing and in the way now. Main scope. Raises: QuoteOutdated."""
    quote = (
        ChangeQuote.objects.select_related("to_plan", "from_plan", "substation")
        .filter(public_id=quote_public_id, substation_id=substation_id, used_at=None, refused_at=None)
        .first()
    )
    row = selectors.subscription(substation_id)
    if quote is None or row is None:
        raise QuoteOutdated(_("This offer is not there any more. Look at the new one."))
    lines = tuple(Line.from_json(kept) for kept in quote.lines)
    ours = sum(line.amount_minor for line in (from_balance(lines) if pays_by_card(row) else lines))
    missing = 0 if quote.confirmed_at else missing_of(substation_id, ours)  # Confirmed: the balance has paid its part.
    return Change(
        quote.to_plan, quote.to_interval, quote.at_once, None if quote.at_once else quote.period_end, quote, lines,
        quote.total_minor, ours, missing,
        tuple(exceeded_by(quote.substation, quote.to_plan)),
    )  # fmt: skip


def missing_of(substation_id: int, due_minor: int) -> int:
    """How much the prepaid balance lacks."""
    return max(0, due_minor - ledger.balance_minor(prepaid(substation_id)))


def pays_by_card(row: Subscription) -> bool:
    return row.method == Method.STRIPE and row.state != SubscriptionState.ENDED


def _as_the_card_is_charged(
    row: Subscription, plan: Plan, interval: str, lines: list[Line], *, at: datetime
) -> list[Line]:
    """The lines, with the channel's sum for what it will charge. Ours reckons the same way; where the two differ by a
    cent, one line says the channel's. Raises: ChannelAway."""
    try:
        charged = channel_for(row.substation_id).preview_change(
            subscription=row.stripe_subscription, new_amount_minor=plan.period_fee_minor(interval), interval=interval,
            plan=plan.code, name=payer_reads(row, plan), at=at,
        )  # fmt: skip
    except ProviderError as error:
        raise ChannelAway(_("The payment channel does not answer now. Nothing was changed; try again.")) from error
    ours = [line for line in lines if line.kind in CARD_KINDS]
    others = from_balance(lines)
    if sum(line.amount_minor for line in ours) == charged:
        return lines
    end = row.period_end or at
    return [*others, texts.rest_line(plan, charged, at, end)] if charged else others


def payer_reads(row: Subscription, plan: Plan) -> str:
    """A plan's name on the channel's papers: in the shop's language, so that a repeat is the same to the byte."""
    with translation.override(row.substation.language):
        return plan.label


def _offered(row: Subscription, plan_code: str, interval: str) -> Plan:
    refuse_closed(row.substation.state)
    plan = Plan.objects.filter(code=plan_code, active=True).first()
    if plan is None:
        raise ChangeRefused(_("This plan is not on offer. Nothing was changed."), field="plan")
    if interval not in plan.intervals:
        raise ChangeRefused(_("This plan is not sold for that period. Nothing was changed."), field="interval")
    if row.state == SubscriptionState.PAST_DUE:
        raise BillingRefused(_("Pay what is due first; then the plan can be changed."))
    same = plan.pk == row.plan_id and (interval == row.interval or not plan.costs)
    if same and row.state != SubscriptionState.ENDED:
        raise ChangeRefused(_("The shop has this plan already. Nothing was changed."), field="plan")
    return plan


def _ends(row: Subscription) -> datetime | None:
    return row.trial_ends_at if row.state == SubscriptionState.TRIAL else row.period_end


def has_paid_period(row: Subscription) -> bool:
    return row.state == SubscriptionState.ACTIVE and row.period_end is not None


def _counts_at_once(row: Subscription, plan: Plan, interval: str) -> bool:
    """Without a paid period there is nothing to wait for: a trial goes on with the other plan, and a shop without a
    running subscription begins one. A plan that costs less a month is a step down, whatever its year costs."""
    if not has_paid_period(row):
        return True
    old = prorata.Terms(row.period_fee_minor, row.interval)
    new = prorata.Terms(plan.period_fee_minor(interval), interval)
    return prorata.is_at_once(old=old, new=new) and plan.monthly_fee_minor >= row.plan.monthly_fee_minor


def _lines(row: Subscription, plan: Plan, interval: str, *, at: datetime) -> list[Line]:
    """What a change that counts at once is charged, in the order of the invoice; the lines of nothing are left out."""
    lines: list[Line] = []
    if plan.opening_fee_minor > row.plan.opening_fee_minor:
        difference = plan.opening_fee_minor - row.plan.opening_fee_minor
        lines.append(texts.opening_difference_line(plan, difference))
    fee = plan.period_fee_minor(interval)
    if has_paid_period(row):
        assert row.period_start is not None
        assert row.period_end is not None
        split = prorata.change_now(
            old=prorata.Terms(row.period_fee_minor, row.interval), new=prorata.Terms(fee, interval),
            start=row.period_start, end=row.period_end, at=at, zone=texts.zone(),
        )  # fmt: skip
        lines.append(texts.unused_line(row.plan, split.credit_minor, at, row.period_end))
        lines.append(texts.rest_line(plan, split.charge_minor, at, split.period_end))
    elif row.state != SubscriptionState.TRIAL and fee:
        end = prorata.add_months(at, prorata.MONTHS[interval], texts.zone())
        lines.append(texts.period_line(plan, interval, fee, at, end))
    held = ledger.balance_minor(deposit(row.substation_id))
    if plan.deposit_minor > held:
        lines.append(texts.deposit_line(plan, plan.deposit_minor - held))
    return [line for line in lines if line.amount_minor]


def still_holds(row: Subscription, quote: ChangeQuote, now: datetime) -> list[Line]:
    """The quote's lines, when they are what would be reckoned today for its moment. Raises: QuoteOutdated."""
    outdated = QuoteOutdated(
        _("What this change costs is not the same any more. Look at the new sum; nothing was charged.")
    )
    before = (row.plan_id, row.interval, _ends(row))
    if now >= quote.expires_at or before != (quote.from_plan_id, quote.from_interval, quote.period_end):
        raise outdated
    plan = _offered(row, quote.to_plan.code, quote.to_interval)
    if not _counts_at_once(row, plan, quote.to_interval):
        raise outdated
    lines = _lines(row, plan, quote.to_interval, at=quote.at)
    shown = [Line.from_json(kept) for kept in quote.lines]
    if pays_by_card(row):  # A card's sum is its channel's word for the same moment and price.
        same = quote.to_fee_minor in (None, plan.period_fee_minor(quote.to_interval))
        if not same or from_balance(lines) != from_balance(shown):
            raise outdated
    elif lines != shown:
        raise outdated
    return shown


def from_balance(lines: Sequence[Line]) -> list[Line]:
    """Of a card's change: what its channel does not charge."""
    return [line for line in lines if line.kind not in CARD_KINDS]


def refuse_misfit(row: Subscription, plan: Plan) -> None:
    """Raises: ChangeRefused, where more is in use than a plan holds.

    Race: somebody adds the last one at this moment. Whoever adds locks the shop's row (`tenants.limits.claim`), and so does
    this: either it is counted here, or it finds the smaller plan.
    """
    problems = exceeded_by(lifecycle.locked(row.substation_id), plan)
    if problems:
        raise ChangeRefused(
            worded(_("More is in use than %(plan)s holds. %(problems)s Nothing was changed."),
                   plan=plan.label, problems=" ".join(str(problem) for problem in problems)),
            field="plan", details={"problems": [str(problem) for problem in problems]},
        )  # fmt: skip


def schedule_change(*, substation_id: int, plan_code: str, interval: str, by: Actor, now: datetime) -> Subscription:
    """Change the plan when the paid period ends. Outside any transaction: a card's channel is told. Raises: ChangeRefused
    (more is in use than the plan holds; or it would count at once, and wants a quote), BillingRefused, ChannelAway."""
    assert not connection.in_atomic_block, "schedule_change may call a channel: not inside a transaction."
    with in_main():
        row = lock(substation_id)
        plan = _offered(row, plan_code, interval)
        if _counts_at_once(row, plan, interval):
            raise ChangeRefused(_("This change counts at once. Look at what it costs first."), field="plan")
        refuse_misfit(row, plan)
        refuse_beside(substation_id)
        if pays_by_card(row) and not plan.costs:
            raise ChangeRefused(_("Cancel the subscription by card first; the free plan can be taken when it ends."))
        claim(row, now=now)
    with telling(row) as key:
        if pays_by_card(row):
            _tell_of_later(row, plan, interval, key=key, now=now)
        with in_main():
            row = lock(substation_id)
            row.next_plan, row.next_interval, row.cancel_at_period_end, row.updated_at = plan, interval, False, now
            row.moved_to = None
            row.save()
            audit.record(
                action="billing.plan.scheduled", by=by, target=row.substation.public_id, at=now, plan=plan.code,
                interval=interval, effective_at=row.period_end.isoformat() if row.period_end else "",
            )  # fmt: skip
    return row


def _tell_of_later(row: Subscription, plan: Plan, interval: str, *, key: str, now: datetime) -> None:
    try:
        channel_for(row.substation_id).change_plan(
            subscription=row.stripe_subscription, new_amount_minor=plan.period_fee_minor(interval), interval=interval,
            plan=plan.code, name=payer_reads(row, plan), at=now, prorate=False, idempotency_key=key,
        )  # fmt: skip
    except ProviderError as error:
        raise ChannelAway(_("The payment channel does not answer now. Nothing was changed; try again.")) from error
