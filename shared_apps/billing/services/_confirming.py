"""Confirming a change of plan that counts at once: the balance pays, or the balance its part and then the card the rest.

A card's channel is asked outside any transaction, after the balance's part has been paid and written down: whatever cuts
it off, what is missing is either the channel's answer, which is asked for again, or nothing. Main scope.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.db import connection
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.lib.errors import ProviderError
from kameng.lib.outside.refusals import ChannelRefused
from kameng.lib.words import worded
from shared_apps.billing import prorata, texts
from shared_apps.billing.channel import BillingChannel
from shared_apps.billing.models import ChangeQuote, Invoice, Subscription
from shared_apps.billing.services._card_channels import account_of, channel_of
from shared_apps.billing.services._card_pages import take_pages_away
from shared_apps.billing.services._cards import follow
from shared_apps.billing.services._changes import (
    from_balance,
    has_paid_period,
    missing_of,
    payer_reads,
    pays_by_card,
    refuse_misfit,
    still_holds,
)
from shared_apps.billing.services._errors import BalanceTooLow, BillingRefused, ChannelAway, QuoteOutdated
from shared_apps.billing.services._invoices import issue, pay_from_prepaid
from shared_apps.billing.services._pending import charged, give_up, refuse_beside, use
from shared_apps.billing.services._subscriptions import align, lock, move, put_on_plan
from shared_apps.billing.services._telling import refuse_while_told
from shared_apps.billing.states import InvoiceKind, Method, SubscriptionEvent, SubscriptionState
from shared_apps.billing.types import Line

# An unanswered change is looked into when no call that was made for it can still be under way.
LOOK_AFTER = timedelta(minutes=15)
_DECLINED = _("The card was not charged (%(why)s), and the plan was not changed. Use another card.")
_NO_ANSWER = _(
    "The payment channel has not answered. If the change came about, it shows here within half an hour; else what was "
    "taken from the balance is back by then."
)
log = structlog.get_logger("billing")


def confirm_change(*, substation_id: int, quote_public_id: str, by: Actor, now: datetime) -> list[Invoice]:
    """Charge a quote and put the shop on the new plan, at once; answers the invoices. Outside any transaction.

    The sum is the quote's, reckoned again at the quote's own moment: when it is not the same any more (a price, the
    period or the plan changed, time ran out), nothing is charged and it has to be shown anew. Repeating a confirmed
    quote goes on with the same charge, or answers what was charged.
    Raises: QuoteOutdated, ChangeRefused, BalanceTooLow, BillingRefused, NoWayToPay, ChannelAway.
    """
    assert not connection.in_atomic_block, "confirm_change may call a channel: not inside a transaction."
    with in_main():
        # Race: two clicks, or a renewal meanwhile. All lock the subscription's row; the quote is read under the lock.
        row, quote = _locked_quote(substation_id, quote_public_id)
        if quote.used_at is not None:
            return charged(quote)
        first = quote.confirmed_at is None
        if first:
            refuse_beside(substation_id)
            refuse_while_told(row, now=now)
            lines = still_holds(row, quote, now)
            refuse_misfit(row, quote.to_plan)
            if not pays_by_card(row):
                _charge(row, quote, lines, by=by, now=now)
                _begin_changed(row, quote, by=by, now=now)
                take_pages_away(substation_id)
                return use(row, quote, by=by, now=now)
        # Without an account nobody can be asked: it is refused before anything is paid.
        account_id = account_of(row)
        channel = channel_of(account_id)
        if first:
            _charge(row, quote, from_balance(lines), by=by, now=now)
            audit.record(
                action="billing.plan.confirmed", by=by, target=row.substation.public_id, at=now,
                plan=quote.to_plan.code, interval=quote.to_interval, total_minor=quote.total_minor,
                quote=quote.public_id,
            )  # fmt: skip
        asked_at = _note_asking(quote, now)
    refusal = _ask_channel(channel, row, quote)
    if refusal is None or not first:  # What was refused now may have come about when it was asked before.
        _follow(account_id, row, now=now)
    with in_main():
        row, quote = _locked_quote(substation_id, quote_public_id)
        if quote.used_at is not None:
            return charged(quote)
        if refusal is not None and quote.confirmed_at == asked_at:  # Else another click is asking at this moment.
            give_up(row, quote, now=now)
    if refusal is None:
        raise ChannelAway(_NO_ANSWER)
    if isinstance(refusal, ChannelRefused):
        raise BillingRefused(worded(_DECLINED, why=refusal.code)) from refusal
    raise ChannelAway(_("The payment channel does not answer now. Nothing was changed; try again.")) from refusal


def _note_asking(quote: ChangeQuote, now: datetime) -> datetime:
    """Write down that the channel is asked now. No two moments of a quote are the same: who gives it up has to see that
    nobody has begun to ask again since."""
    before = quote.confirmed_at
    quote.confirmed_at = now if before is None or now > before else before + timedelta(microseconds=1)
    quote.save(update_fields=["confirmed_at"])
    return quote.confirmed_at


def _ask_channel(channel: BillingChannel, row: Subscription, quote: ChangeQuote) -> ProviderError | None:
    """Have the channel change the subscription and charge the difference now, at the quote's moment; answers why this
    call has done nothing. The key is the quote's: sent twice, it is charged once. Raises: ChannelAway (not known)."""
    plan, fee = quote.to_plan, quote.to_fee_minor
    try:
        channel.change_plan(
            subscription=row.stripe_subscription, interval=quote.to_interval, plan=plan.code,
            new_amount_minor=plan.period_fee_minor(quote.to_interval) if fee is None else fee,
            name=payer_reads(row, plan), at=quote.at, prorate=True, idempotency_key=quote.public_id,
        )  # fmt: skip
    except ProviderError as error:
        if error.unknown:
            raise ChannelAway(_NO_ANSWER) from error
        return error
    return None


def _follow(account_id: int, row: Subscription, *, now: datetime) -> None:
    try:
        follow(account_id=account_id, subscription_id=row.stripe_subscription, now=now)
    except ProviderError as error:
        raise ChannelAway(_NO_ANSWER) from error


def finish_changes(*, now: datetime, limit: int = 100) -> int:
    """Ask what became of the changes by card whose channel has not answered; answers how many. Outside any transaction.

    Safe to repeat. One that can't be looked into comes last the next time, and keeps the others from nothing.
    """
    with in_main():
        waiting = ChangeQuote.objects.filter(
            confirmed_at__lte=now - LOOK_AFTER, used_at=None, refused_at=None
        )  # fmt: skip
        due = list(waiting.order_by("confirmed_at")[:limit])
    for quote in due:
        try:
            _look_into(quote, now=now)
        except Exception:  # Whatever it was, the next shop's change is not to wait for it.
            log.exception("billing.change.not_known", quote=quote.public_id, substation=quote.substation_id)
            with in_main():
                waiting.filter(pk=quote.pk, confirmed_at=quote.confirmed_at).update(confirmed_at=now)
    return len(due)


def _look_into(seen: ChangeQuote, *, now: datetime) -> None:
    """Fetch what the channel has; what it does not have did not come about. Raises: ProviderError, NoWayToPay."""
    with in_main():
        row = lock(seen.substation_id)
        account_id = account_of(row) if pays_by_card(row) else None
    if account_id is not None:
        follow(account_id=account_id, subscription_id=row.stripe_subscription, now=now)
    with in_main():
        row = lock(seen.substation_id)
        # Race: somebody confirms it once more meanwhile, or it has been settled. Both are seen under the lock.
        quote = ChangeQuote.objects.select_related("to_plan").get(pk=seen.pk)
        if quote.used_at is None and quote.refused_at is None and quote.confirmed_at == seen.confirmed_at:
            give_up(row, quote, now=now)


def _locked_quote(substation_id: int, public_id: str) -> tuple[Subscription, ChangeQuote]:
    row = lock(substation_id)
    mine = ChangeQuote.objects.filter(public_id=public_id, substation_id=substation_id)
    quote = mine.select_related("from_plan", "to_plan").first()  # The subscription's lock holds it, too.
    if quote is None or not quote.at_once or quote.refused_at is not None:
        raise QuoteOutdated(_("This offer is not there any more. Look at the new one."))
    return row, quote


def _charge(row: Subscription, quote: ChangeQuote, lines: list[Line], *, by: Actor, now: datetime) -> list[Invoice]:
    """One invoice for what is income and one for the deposit, both paid from the balance or neither."""
    income = [line for line in lines if line.kind != "deposit"]
    held = [line for line in lines if line.kind == "deposit"]
    period = (quote.at, _new_end(row, quote)) if any(line.kind == "period" for line in income) else None
    kind = InvoiceKind.PERIOD if period else InvoiceKind.PRORATA
    _refuse_uncovered(row, sum(line.amount_minor for line in lines))
    invoices = []
    for which, part, span in ((kind, income, period), (InvoiceKind.DEPOSIT, held, None)):
        if part and sum(line.amount_minor for line in part):
            made = issue(substation=row.substation, kind=which, lines=part, at=now, period=span, change=quote)
            invoices.append(pay_from_prepaid(invoice_id=made.pk, now=now, by=by))
    assert sum(invoice.total_minor for invoice in invoices) == sum(line.amount_minor for line in lines)
    return invoices


def _new_end(row: Subscription, quote: ChangeQuote) -> datetime:
    return prorata.add_months(quote.at, prorata.MONTHS[quote.to_interval], texts.zone())


def _begin_changed(row: Subscription, quote: ChangeQuote, *, by: Actor, now: datetime) -> None:
    """The periods that follow from a confirmed quote, and the shop's plan."""
    plan, interval = quote.to_plan, quote.to_interval
    fee = plan.period_fee_minor(interval)
    # The balance pays from now on, whoever paid before: what a card's channel ran has ended, and is not the shop's any
    # more. Its customer stays, for a card may take over again.
    row.method, row.stripe_subscription = Method.PREPAID, ""
    fields: dict[str, object] = {
        "cancel_at_period_end": False, "next_plan": None, "next_interval": "", "moved_to": None
    }  # fmt: skip
    if row.state == SubscriptionState.TRIAL and plan.costs:
        for name, value in fields.items():
            setattr(row, name, value)
        row.updated_at = now
        put_on_plan(row, plan, interval, by=by, now=now)
        row.save()
        return
    if not fee:
        fields |= {"anchor_at": None, "period_start": None, "period_end": None, "trial_ends_at": None}
    elif not has_paid_period(row) or interval != row.interval:
        fields |= {"anchor_at": quote.at, "period_start": quote.at, "period_end": _new_end(row, quote)}
    put_on_plan(row, plan, interval, by=by, now=now)
    move(row, SubscriptionEvent.PAY, now=now, period_fee_minor=fee, **fields)
    align(row, now=now, by=by)


def _refuse_uncovered(row: Subscription, due_minor: int) -> None:
    missing = missing_of(row.substation_id, due_minor)
    if missing:
        raise BalanceTooLow(
            _("The prepaid balance does not cover this change. Top it up; nothing was charged."),
            details={"missing_minor": missing, "total_minor": due_minor},
        )  # fmt: skip
