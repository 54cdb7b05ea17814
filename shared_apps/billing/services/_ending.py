"""Ending a subscription when what was paid for is over, and taking that back. Outside any transaction: a card's channel
is told first, and ours follows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import structlog
from django.db import connection
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.lib.errors import ProviderError
from kameng.lib.outside.refusals import ChannelRefused
from kameng.lib.words import worded
from shared_apps.billing import selectors
from shared_apps.billing.channel import BillingChannel
from shared_apps.billing.models import Subscription
from shared_apps.billing.services._card_channels import account_of, channel_for
from shared_apps.billing.services._cards import follow
from shared_apps.billing.services._changes import payer_reads
from shared_apps.billing.services._errors import BillingRefused, ChannelAway
from shared_apps.billing.services._moved import tell_quietly
from shared_apps.billing.services._pending import refuse_beside
from shared_apps.billing.services._subscriptions import lock, move
from shared_apps.billing.services._telling import claim, telling
from shared_apps.billing.states import Method, SubscriptionEvent, SubscriptionState

log = structlog.get_logger("billing")


def cancel(*, substation_id: int, by: Actor, now: datetime) -> Subscription:
    """End a subscription with its period or trial. Raises: BillingRefused (it has no period, or has ended),
    ChannelAway; nothing is changed."""
    assert not connection.in_atomic_block, "cancel may call a channel: not inside a transaction."
    with in_main():
        row = lock(substation_id)
        until = row.trial_ends_at if row.state == SubscriptionState.TRIAL else row.period_end
        if row.state not in (SubscriptionState.TRIAL, SubscriptionState.ACTIVE) or until is None:
            raise BillingRefused(
                worded(_("The subscription is “%(state)s” now. Nothing was changed."), state=row.get_state_display())
            )
        claim(row, now=now)
    with telling(row) as key:
        _tell(row, lambda channel: channel.cancel(
            subscription=row.stripe_subscription, at_period_end=True, idempotency_key=key
        ))  # fmt: skip
        return _write(substation_id, ends=True, action="billing.subscription.cancelled", by=by, now=now)


def keep(*, substation_id: int, by: Actor, now: datetime) -> Subscription:
    """Take back a cancellation, or a change that waits for the period's end. Raises: BillingRefused, ChannelAway."""
    assert not connection.in_atomic_block, "keep may call a channel: not inside a transaction."
    with in_main():
        row = lock(substation_id)
        if row.state == SubscriptionState.ENDED or (not row.cancel_at_period_end and row.next_plan_id is None):
            raise BillingRefused(_("There is nothing to take back."))
        if row.is_moved:
            raise BillingRefused(_("The main station has put the shop on its next plan. It can't be taken back here."))
        refuse_beside(substation_id)
        claim(row, now=now)
    with telling(row) as key:
        if row.cancel_at_period_end:
            _tell(row, lambda channel: channel.keep(subscription=row.stripe_subscription, idempotency_key=key))
        else:  # Asking for the present plan gives up the change that waits.
            _tell(row, lambda channel: channel.change_plan(
                subscription=row.stripe_subscription, new_amount_minor=row.period_fee_minor, interval=row.interval,
                plan=row.plan.code, name=payer_reads(row, row.plan), at=now, prorate=False, idempotency_key=key,
            ))  # fmt: skip
        kept = _write(substation_id, ends=False, action="billing.subscription.kept", by=by, now=now)
    # What the main station chose counts again, and not from the tick on: a period may begin before that.
    tell_quietly(substation_id=substation_id, now=now)
    return kept


def _tell(row: Subscription, deed: Callable[[BillingChannel], object]) -> None:
    if row.method != Method.STRIPE:
        return
    try:
        deed(channel_for(row.substation_id))
    except ProviderError as error:
        raise ChannelAway(_("The payment channel does not answer now. Nothing was changed; try again.")) from error


def _write(substation_id: int, *, ends: bool, action: str, by: Actor, now: datetime) -> Subscription:
    with in_main():
        row = lock(substation_id)
        row.cancel_at_period_end, row.next_plan, row.next_interval, row.updated_at = ends, None, "", now
        row.moved_to, row.cancelled_by_closing = None, False
        row.save()
        audit.record(action=action, by=by, target=row.substation.public_id, at=now)
    return row


def portal_url(*, substation_id: int, customer: str, return_url: str) -> str:
    """The channel's own page of a substation's cards and receipts; good for minutes. Raises: NoWayToPay, ChannelAway."""
    try:
        return channel_for(substation_id).portal(customer=customer, return_url=return_url)
    except ProviderError as error:
        raise ChannelAway(_("The payment channel does not answer now. Nothing was changed; try again.")) from error


def pay_by_card(*, substation_id: int, now: datetime) -> bool:
    """Have the card tried again for every invoice that is due; answers whether nothing is due any more.

    A decline is remembered under its key by the channel: each minute asks with a key of its own.
    Raises: NoWayToPay, BillingRefused (declined), ChannelAway.
    """
    channel = channel_for(substation_id)
    with in_main():
        row = lock(substation_id)
        account_id = account_of(row)
        due = list(selectors.open_invoices(substation_id).exclude(provider_ref=""))
    try:
        for reference in dict.fromkeys(invoice.provider_ref for invoice in due):
            told = channel.pay_invoice(invoice=reference, idempotency_key=f"pay:{reference}:{now:%Y%m%d%H%M}")
            follow(account_id=account_id, subscription_id=row.stripe_subscription, invoice=told, now=now)
    except ChannelRefused as refusal:
        raise BillingRefused(
            worded(
                _("The card was not charged (%(why)s). Use another card: “Card and receipts at Stripe”."),
                why=refusal.code,
            )
        ) from refusal
    except ProviderError as error:
        raise ChannelAway(_("The payment channel does not answer now. Nothing was changed; try again.")) from error
    with in_main():
        return not selectors.open_invoices(substation_id).exists()


def end_closed(*, now: datetime) -> int:
    """End the subscriptions of shops that are closed: a card's channel would go on charging, and dunning would go on. What
    is owed stays owed. Answers how many were looked at; one that its channel does not end now is looked at again."""
    with in_main():
        rows = Subscription.objects.filter(substation__state__in=("CLOSED", "ERASED"))
        found = list(rows.exclude(state=SubscriptionState.ENDED).select_related("substation"))
    for row in found:
        try:
            if row.method != Method.STRIPE:
                with in_main():
                    _end_prepaid(row.substation_id, now=now)
                continue
            with in_main():
                account_id = account_of(row)
            channel_for(row.substation_id).cancel(
                subscription=row.stripe_subscription, at_period_end=False, idempotency_key=f"closed:{row.pk}"
            )
            follow(account_id=account_id, subscription_id=row.stripe_subscription, now=now)
        except Exception:  # One shop's trouble must not let the others be charged.
            log.exception("billing.subscription.not_ended", substation=row.substation_id)
    return len(found)


def _end_prepaid(substation_id: int, *, now: datetime) -> None:
    """Race: a card's page is paid at this moment. Both lock the row; what a card pays then, the next tick ends."""
    row = lock(substation_id)
    if row.method == Method.PREPAID and row.state != SubscriptionState.ENDED:
        move(row, SubscriptionEvent.END, now=now)
