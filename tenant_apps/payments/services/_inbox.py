"""Callbacks: verified on their raw bytes, stored, answered; and handled afterwards, as often as it takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog
from django.db import connection

from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import SchemaScope, in_main, in_substation
from kameng.lib.errors import DomainError, ProviderError
from shared_apps.billing import services as billing
from shared_apps.receipts import selectors as receipt_selectors
from shared_apps.receipts import services as receipts
from shared_apps.receipts.types import AccountInfo, Fact
from tenant_apps.payments import providers
from tenant_apps.payments.providers.base import CallbackAnswer, ChannelState, ChannelStatus, MoneyFact
from tenant_apps.payments.services._applying import take_fact
from tenant_apps.payments.services._starting import to_merchant
from tenant_apps.payments.services._transitions import move_payment
from tenant_apps.payments.states import PaymentEvent

MAX_BODY = 256 * 1024
log = structlog.get_logger("payments")


def receive_callback(
    *, channel: str, account_public_id: str, headers: Mapping[str, str], body: bytes, now: datetime
) -> CallbackAnswer:
    """Verify and store a callback; answers what the channel is to be told, which is only good after the commit.

    Outside any transaction. A duplicate is answered like the first one.
    Raises: AccountMissing, CallbackRefused (its signature, age, account or form); then nothing is stored.
    """
    assert not connection.in_atomic_block, "receive_callback commits by itself, before it is answered."
    with in_main():
        account = receipts.account_with_credentials(account_public_id=account_public_id)
    if account.channel != channel:
        raise receipts.AccountMissing()
    adapter = providers.get(channel)
    event = adapter.verify_callback(account=to_merchant(account), headers=headers, body=body, now=now)
    with in_main():
        receipts.store_event(
            account_id=account.id, channel=channel, event_id=event.event_id, kind=event.type,
            payment_id=event.payment_id or "", channel_ref=event.channel_ref or "", body=body, headers=headers, now=now,
        )  # fmt: skip
    return adapter.acknowledge(event=event)


def handle_event(*, event_id: int, now: datetime) -> str:
    """Ask the channel what a callback was about and act on every fact it tells; answers the event's state.

    Outside any transaction. Handling twice, or two events of one payment in any order, changes nothing more: what
    counts is what the channel says now, and each fact counts once. A failure is noted and tried again later.
    Raises: EventMissing.
    """
    with in_main():
        event = receipts.event(event_id)
        if event.state in ("HANDLED", "IGNORED"):
            return event.state
        account = receipts.account_with_credentials(account_id=event.account_id)
    try:
        if (
            account.substation_id is None and account.channel == "stripe"
        ):  # What shops pay us comes by the same callbacks.
            told = billing.take_event(account_id=account.id, body=event.body, now=now)
            if told is not None:
                with in_main():
                    receipts.mark_handled(event_id=event_id, nothing_to_do=not told, now=now)
                return "HANDLED" if told else "IGNORED"
        # An event of the merchant's other business (a customer, a payout) names nothing that could be asked about.
        named = bool(event.payment_id or event.channel_ref)
        taken = (
            ask_and_take(account=account, payment_id=event.payment_id, channel_ref=event.channel_ref, now=now)
            if named
            else 0
        )
    except (ProviderError, DomainError) as error:
        return _failed(event_id, f"{type(error).__name__}: {error}", now=now)
    except Exception as error:
        log.exception("payments.event.failed", event_id=event_id)
        return _failed(event_id, f"{type(error).__name__}: {error}", now=now)
    with in_main():
        receipts.mark_handled(event_id=event_id, nothing_to_do=taken == 0, now=now)
    return "IGNORED" if taken == 0 else "HANDLED"


def handle_waiting(*, now: datetime, limit: int = 200) -> int:
    """Handle every event whose time has come; the sweep behind the jobs. Answers how many."""
    with in_main():
        waiting = receipts.waiting_events(now=now, limit=limit)
    for event_id in waiting:
        handle_event(event_id=event_id, now=now)
    return len(waiting)


def ask_and_take(*, account: AccountInfo, payment_id: str, channel_ref: str, now: datetime) -> int:
    """Fetch a payment's state from its channel, take its facts, and bring our attempt up to date; answers the number
    of facts. Outside any transaction. Raises: ProviderError."""
    return len(_ask(account, payment_id, channel_ref, now=now).facts)


def ask_for_facts(*, account: AccountInfo, payment_id: str, channel_ref: str, now: datetime) -> str:
    """The same; answers the channel's word for where the payment stands (`providers.base.ChannelStatus`)."""
    return str(_ask(account, payment_id, channel_ref, now=now).status)


def _ask(account: AccountInfo, payment_id: str, channel_ref: str, *, now: datetime) -> ChannelState:
    state = providers.get(account.channel).query(
        account=to_merchant(account), payment_id=payment_id, channel_ref=channel_ref
    )
    ours = payment_id or state.payment_id
    for told in state.facts:
        take_fact(fact=_as_fact(account, told), now=now)
    if not state.facts:
        _note_state(account, ours, state, now=now)
    return state


def _note_state(account: AccountInfo, payment_id: str, state: ChannelState, *, now: datetime) -> None:
    """No money, but perhaps an end: the attempt failed or ran out at the channel, so the buyer may try again."""
    event = {ChannelStatus.FAILED: PaymentEvent.FAIL, ChannelStatus.EXPIRED: PaymentEvent.EXPIRE}.get(state.status)
    if event is None:
        return
    with in_main():
        owner = receipt_selectors.owner_of_payment(payment_id=payment_id, account_id=account.id)
    if owner is None:
        return
    with in_substation(SchemaScope(owner.schema_name)):
        move_payment(payment_id=payment_id, event=event, by=Actor(ActorKind.CHANNEL, account.channel), now=now)


def _failed(event_id: int, problem: str, *, now: datetime) -> str:
    with in_main():
        return receipts.mark_failed(event_id=event_id, problem=problem, now=now)


def _as_fact(account: AccountInfo, told: MoneyFact) -> Fact:
    """The payment is the one that the channel names, never the one that we asked about: the reference to ask by stands in
    a shop's own table, and a payment of the merchant's other business has no id of ours."""
    return Fact(
        account_id=account.id, channel=account.channel, fact_id=told.channel_fact_id, kind=str(told.kind),
        amount_minor=told.amount_minor, currency=told.currency, fee_minor=told.fee_minor, occurred_at=told.occurred_at,
        payment_id=told.payment_id, channel_ref=told.channel_ref, refund_id=told.refund_id,
        detail=told.detail,
    )  # fmt: skip
