"""Subscriptions that a channel runs by itself (Stripe Billing): what it has now is fetched, and ours follows.

No event is believed for what it says, nor for when it came: each leads to the same question, and the answer is applied
whole. So a cancelled subscription that is told of before its creation ends as cancelled, and is never begun.
Calls stand outside any transaction; `_apply` is one.
"""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from shared_apps.billing import stripe
from shared_apps.billing.channel import CheckoutState, InvoiceState, SubscriptionState
from shared_apps.billing.models import Invoice, PaymentPage, Subscription
from shared_apps.billing.services import _notices
from shared_apps.billing.services._card_channels import channel_of
from shared_apps.billing.services._card_invoices import keep_stray_money, take_invoice
from shared_apps.billing.services._card_pages import PAGE_LIFE, end_page, reckon
from shared_apps.billing.services._moved import goes_on_free, put_on_told_plan
from shared_apps.billing.services._pending import came_about, give_up, under_way
from shared_apps.billing.services._subscriptions import align, begin, collect, lock, move, put_on_plan, settle_debt
from shared_apps.billing.states import (
    DunningKind,
    Method,
    PagePurpose,
    PageState,
    SubscriptionEvent,
)
from shared_apps.billing.states import InvoiceState as OurInvoiceState
from shared_apps.billing.states import SubscriptionState as OurState
from tenants import paying
from tenants.models import Plan, Substation
from tenants.states import SubstationState

CANCEL_JOB = "billing.cancel_stray"
# Nothing has been paid for, or nothing will be any more.
DEAD = ("canceled", "incomplete_expired")
ALIVE = ("active", "trialing", "past_due", "unpaid")
log = structlog.get_logger("billing")


def ask_about_checkout(page: PaymentPage, *, now: datetime) -> str:
    """Fetch what became of a page and of the subscription that it began; answers "PAID", "PENDING" or "EXPIRED".

    Outside any transaction. Raises: ProviderError.
    """
    channel = channel_of(page.account_id)
    if not page.session_ref:
        return "NOT_FOUND"
    told: CheckoutState = channel.fetch_checkout(page.session_ref)
    if told.status == "complete" and told.subscription:
        follow(account_id=page.account_id, subscription_id=told.subscription, now=now)
        with in_main():
            return "PAID" if PaymentPage.objects.get(pk=page.pk).state == PageState.PAID else "PENDING"
    return "EXPIRED" if told.status == "expired" else "PENDING"


def take_event(*, account_id: int, body: bytes, now: datetime) -> bool | None:
    """Follow up a stored webhook; None when it is nothing of billing's, False when it is of nobody we know.

    Outside any transaction. Raises: ProviderError.
    """
    event = stripe.stored_event(body)
    if event is None:
        return None
    channel = channel_of(account_id)
    invoice: InvoiceState | None = None
    if event.object_type == "checkout":
        subscription_id = channel.fetch_checkout(event.object_id).subscription
    elif event.object_type == "invoice":
        invoice = channel.fetch_invoice(event.object_id)
        subscription_id = invoice.subscription
    else:
        subscription_id = event.object_id
    if not subscription_id:
        return False
    return follow(account_id=account_id, subscription_id=subscription_id, invoice=invoice, now=now)


def follow(*, account_id: int, subscription_id: str, now: datetime, invoice: InvoiceState | None = None) -> bool:
    """Fetch a subscription with its last invoice, and bring ours in line, with `invoice` as well: one that was fetched
    just now. False when it is nobody's that we know. Outside any transaction; as often as one likes.
    Raises: ProviderError."""
    assert not connection.in_atomic_block, "follow calls the channel: not inside a transaction."
    channel = channel_of(account_id)
    told = channel.fetch_subscription(subscription_id)
    invoices = [invoice] if invoice is not None else []
    if told.latest_invoice and (invoice is None or invoice.id != told.latest_invoice):
        invoices.append(channel.fetch_invoice(told.latest_invoice))
    with in_main():
        return _apply(account_id, told, invoices, now=now)


def _apply(account_id: int, told: SubscriptionState, invoices: list[InvoiceState], *, now: datetime) -> bool:
    """What the channel has, applied whole in one transaction.

    Race: two events at once, or an event and the page's return. An application's signup is locked first, else the
    subscription, so that they follow one another; what is applied twice changes nothing more.
    """
    page = (
        PaymentPage.objects.filter(public_id=told.reference, purpose=PagePurpose.SUBSCRIBE, account_id=account_id)
        .select_related("plan")
        .first()
    )
    known = Subscription.objects.filter(stripe_subscription=told.id).first()
    if page is None and known is None:
        return False
    substation_id = known.substation_id if known else page.substation_id  # type: ignore[union-attr]
    paying.lock_paying(substation_id)
    row = lock(substation_id) if Subscription.objects.filter(substation_id=substation_id).exists() else None
    if row is None or row.stripe_subscription != told.id:
        if page is None:  # It ended, and its shop went on by other means, while the lock was waited for.
            return False
        page.refresh_from_db(fields=["state"])  # As it is under the lock.
        begun = _begin(row, page, told, now=now)
        if begun is None:
            for invoice in invoices:
                keep_stray_money(page, invoice, now=now)
            if row is not None:  # What came in may pay what is due.
                collect(substation_id=substation_id, now=now)
            return True
        row = begun
    _follow_terms(row, told, now=now)
    for invoice in sorted(invoices, key=lambda one: one.created_at):
        take_invoice(row, invoice, now=now)
    came_about(row, told, now=now)
    _follow_state(row, told, now=now)
    if page is not None:
        _open_paid_signup(page, now=now)
    return True


def _begin(
    row: Subscription | None, page: PaymentPage, told: SubscriptionState, *, now: datetime
) -> Subscription | None:
    """Take a subscription on that a page of ours began; None when it is dead, not paid yet, or one too many."""
    if told.status in DEAD:
        end_page(page, PageState.ENDED, now=now)
        return None
    if told.status not in ALIVE:
        return None
    used = page.state == PageState.PAID
    end_page(page, PageState.PAID, now=now)
    shop, plan = page.substation, page.plan
    assert plan is not None
    signup = paying.lock_paying(shop.pk)
    # An application that was given up meanwhile is never made: nobody would have what the card is charged for. Race: it is
    # given up at this moment. Both lock the signup's row; its state was read under the lock.
    nobodys = row is None and signup is None and shop.state == SubstationState.APPLIED
    if used or nobodys or (row is not None and _one_too_many(row, page, told, now=now)):
        # Two pages were paid, the balance has paid for the same meanwhile, or the one that this page began is not the
        # shop's any more: a page begins one subscription, once. What runs besides is ended at once, and its money is kept
        # for the shop.
        jobs.enqueue(
            kind=CANCEL_JOB, payload={"account_id": page.account_id, "subscription": told.id}, dedupe=told.id
        )  # fmt: skip
        audit.record(
            action="billing.subscription.second", by=SYSTEM, target=page.substation.public_id, at=now,
            subscription=told.id,
        )  # fmt: skip
        return None
    if row is None:  # An application: what was paid for is the page's plan, whatever was chosen meanwhile.
        if signup is not None:
            paying.put_on_plan(signup_id=signup.pk, plan=plan, interval=page.interval)
            shop = Substation.objects.select_related("plan").get(pk=shop.pk)
        row = begin(substation=shop, interval=page.interval, now=now)
        row = lock(shop.pk)
    else:
        change = under_way(shop.pk)
        if change is not None:  # It was the former subscription's, which has ended without it.
            give_up(row, change, now=now)
        put_on_plan(row, plan, page.interval, by=SYSTEM, now=now)
    row.method, row.stripe_subscription, row.stripe_customer = Method.STRIPE, told.id, told.customer
    row.next_plan, row.next_interval, row.cancel_at_period_end, row.updated_at = None, "", False, now
    row.moved_to, row.page = None, page
    row.save()
    audit.record(
        action="billing.subscription.card",
        by=SYSTEM,
        target=shop.public_id,
        at=now,
        subscription=told.id,
        plan=plan.code,
    )
    return row


def _one_too_many(row: Subscription, page: PaymentPage, told: SubscriptionState, *, now: datetime) -> bool:
    """Whether a card pays for a locked subscription already, or the page charged, or its card will charge, for what has
    been paid otherwise since it was opened: the opening, a deposit, a period."""
    if row.state == OurState.ENDED:
        return False
    if row.method == Method.STRIPE:
        return True
    assert page.plan is not None
    opening, held, free = reckon(row, page.plan, page.interval, row.substation_id, now=now)
    asked_now = opening + held + (0 if free else page.plan.period_fee_minor(page.interval))
    until = row.trial_ends_at if row.state == OurState.TRIAL else row.period_end
    charged_from = told.trial_ends_at if told.status == "trialing" and told.trial_ends_at else told.period_start
    # The card's first charge comes in whole days after the payment; by more than a page's life before the end of what is
    # paid, it comes for a period that was paid since.
    return page.amount_minor > asked_now or (until is not None and until - charged_from > PAGE_LIFE)


def _follow_terms(row: Subscription, told: SubscriptionState, *, now: datetime) -> None:
    """Plan, interval, price and period as the channel charges them."""
    if told.plan and told.plan != row.plan.code:
        plan = Plan.objects.filter(code=told.plan).first()
        if plan is None:
            log.error("billing.stripe.unknown_plan", plan=told.plan, subscription=told.id)
        else:
            put_on_told_plan(row, plan, told.interval, now=now)
    if row.next_plan is not None and (row.next_plan.code, row.next_interval) == (told.plan, told.interval):
        row.next_plan, row.next_interval = None, ""
    row.interval, row.cancel_at_period_end, row.updated_at = told.interval, told.cancel_at_period_end, now
    if told.status == "trialing" and told.trial_ends_at is not None:
        if row.state == OurState.TRIAL:
            row.trial_ends_at = told.trial_ends_at
        elif row.period_end is not None:  # What was paid before by the balance runs on until the card's first charge.
            row.period_end = told.trial_ends_at
        else:
            row.anchor_at = row.period_start = told.period_start
            row.period_end = told.trial_ends_at
    elif told.status in ALIVE:
        row.anchor_at, row.period_start, row.period_end = told.period_start, told.period_start, told.period_end
        row.period_fee_minor = told.amount_minor
    row.save()


def _follow_state(row: Subscription, told: SubscriptionState, *, now: datetime) -> None:
    """Active, unpaid or over, as the channel says; dunning begins when a payment failed."""
    unpaid = told.status in ("past_due", "unpaid")
    if told.status in DEAD and row.state != OurState.ENDED:
        if goes_on_free(row, now=now):
            return
        move(row, SubscriptionEvent.END, now=now)
        _notices.step(row, DunningKind.ENDED, round_at=now, now=now)
    elif unpaid and row.state in (OurState.TRIAL, OurState.ACTIVE):
        owed = (
            Invoice.objects.filter(substation_id=row.substation_id, state=OurInvoiceState.OPEN).order_by("id").first()
        )
        move(row, SubscriptionEvent.MISS, now=now, trial_ends_at=None, due_since=owed.due_at if owed else now)
        _notices.step(row, DunningKind.DUE, round_at=row.due_since or now, now=now, detail=owed.number if owed else "")
    elif told.status == "active" and row.state != OurState.ACTIVE:
        if row.state == OurState.PAST_DUE:
            settle_debt(row, now=now)
        else:
            move(row, SubscriptionEvent.PAY, now=now, trial_ends_at=None)
    align(row, now=now)


def _open_paid_signup(page: PaymentPage, *, now: datetime) -> None:
    signup = paying.lock_paying(page.substation_id)
    if signup is not None:
        paying.paid(signup_id=signup.pk, now=now)


def expire_page(*, page_public_id: str, now: datetime) -> None:
    """Have a page of a subscription by card take no more money; one that was paid meanwhile is followed up. Outside any
    transaction. Raises: ProviderError."""
    assert not connection.in_atomic_block, "expire_page calls the channel: not inside a transaction."
    with in_main():
        page = PaymentPage.objects.get(public_id=page_public_id)
    if page.state not in (PageState.ASKED, PageState.OPEN) or not page.session_ref:
        return  # One whose opening was not answered has no name at the channel; its payer's return or event tells.
    told = channel_of(page.account_id).expire_checkout(page.session_ref)
    if told.subscription:
        follow(account_id=page.account_id, subscription_id=told.subscription, now=now)
    elif told.status == "expired":
        with in_main():
            end_page(page, PageState.ENDED, now=now)


def cancel_stray(*, account_id: int, subscription: str) -> None:
    """End a subscription that was one too many. Outside any transaction. Raises: ProviderError."""
    channel_of(account_id).cancel(
        subscription=subscription, at_period_end=False, idempotency_key=f"stray:{subscription}"
    )
