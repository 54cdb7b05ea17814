"""A receipt meets its order: a sale where it fits, a case where it does not. No cent is lost, none is counted twice."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection

from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import SchemaScope, in_main, pointed_at
from kameng.lib.errors import DomainError
from shared_apps.billing import services as billing
from shared_apps.receipts import services as receipts
from shared_apps.receipts.types import Fact, ReceiptInfo
from tenant_apps.orders import services as orders
from tenant_apps.orders.types import PaidReceipt
from tenant_apps.payments.services._errors import NotSettled
from tenant_apps.payments.services._transitions import move_payment
from tenant_apps.payments.states import PAYMENT_TRANSITIONS, PaymentEvent

log = structlog.get_logger("payments")
# The sale, and the attempt that brought its money has succeeded: one statement.
_SETTLE = f"""SELECT * FROM gate.payments_settle(%(payment)s, %(payment_event)s, %(payment_sources)s, %(payment_target)s,
    {orders.SETTLE_ARGUMENTS})"""
_SUCCEEDS_FROM = sorted(str(state) for state in PAYMENT_TRANSITIONS[PaymentEvent.SUCCEED][0])
_SUCCEEDED = str(PAYMENT_TRANSITIONS[PaymentEvent.SUCCEED][1])


def take_fact(*, fact: Fact, now: datetime) -> str:
    """Record one fact and act on it, all in one transaction; answers SALE, TOPUP, CASE, NOTED, or what was done before.

    Outside any transaction. Twice, or at once from two callbacks, it changes nothing more: the fact's row is unique,
    and the second one waits for the first.
    """
    assert not connection.in_atomic_block, "take_fact commits by itself."
    try:
        with in_main():
            receipt = receipts.record_fact(fact=fact, now=now)
            if receipt.used_for:
                return receipt.used_for
            if receipt.kind != "PAID":
                return _note_other(receipt, now=now)
            # What a shop's owner paid the main station. The id alone says nothing: the page is looked up with its account.
            if billing.is_ours(receipt.payment_id) and billing.take_receipt(receipt=receipt, now=now):
                return "TOPUP"
            _settle(receipt, now=now)
            return "SALE"
    except NotSettled as problem:
        # The sale's transaction is gone as if it had never been; the money gets a transaction of its own.
        return _open_case(fact, problem, now=now)


def _settle(receipt: ReceiptInfo, *, now: datetime) -> None:
    """Use a fresh receipt for its order, in the caller's transaction. Raises: NotSettled, saying which case it is."""
    if receipt.substation_id is None or not receipt.schema_name:  # Nobody's, or of a shop that was erased.
        raise NotSettled("UNKNOWN_ORDER")
    by = Actor(ActorKind.CHANNEL, receipt.channel)
    with pointed_at(SchemaScope(receipt.schema_name)):
        order = orders.lock_payable(receipt.order_number, paid_at=receipt.occurred_at)
        if order is None:
            raise NotSettled("UNKNOWN_ORDER")
        if receipt.currency != order.currency:
            raise NotSettled("CURRENCY", expected_minor=order.total_minor)
        if not order.waits and not order.ended_unpaid:
            raise NotSettled("DOUBLE", expected_minor=order.total_minor)
        if receipt.amount_minor != order.total_minor:
            kind = "SHORT" if receipt.amount_minor < order.total_minor else "OVER"
            raise NotSettled(kind, expected_minor=order.total_minor)
        try:
            orders.pay_order(
                receipt=as_paid(receipt), by=by, now=now, payable=order, statement=_SETTLE, payment=receipt.payment_id,
                payment_event=str(PaymentEvent.SUCCEED), payment_sources=_SUCCEEDS_FROM, payment_target=_SUCCEEDED,
            )  # fmt: skip
        except orders.ShopClosed as refusal:
            raise NotSettled("LATE", expected_minor=order.total_minor, note=str(refusal)) from refusal
        except (orders.SoldOut, orders.NotHeld) as refusal:
            raise NotSettled("NO_STOCK", expected_minor=order.total_minor, note=str(refusal)) from refusal
        except DomainError as refusal:
            log.exception("payments.sale.refused", receipt=receipt.public_id, order=receipt.order_number)
            raise NotSettled(
                "STUCK", expected_minor=order.total_minor, note=f"{refusal} {refusal.details}"
            ) from refusal


def as_paid(receipt: ReceiptInfo, *, from_suspense: bool = False) -> PaidReceipt:
    """A receipt in the words of the orders."""
    return PaidReceipt(
        public_id=receipt.public_id, order_number=receipt.order_number, channel=receipt.channel,
        amount_minor=receipt.amount_minor, currency=receipt.currency, fee_minor=receipt.fee_minor,
        occurred_at=receipt.occurred_at, from_suspense=from_suspense,
    )  # fmt: skip


def _open_case(fact: Fact, problem: NotSettled, *, now: datetime) -> str:
    with in_main():
        receipt = receipts.record_fact(fact=fact, now=now)
        if receipt.used_for:  # Another worker was faster between the two transactions.
            return receipt.used_for
        receipts.open_case(
            receipt=receipt, kind=problem.kind, expected_minor=problem.expected_minor, now=now, note=problem.note
        )
        if receipt.substation_id is not None and receipt.schema_name:
            _note_in_shop(receipt, f"{problem.kind} {receipt.public_id}", now=now)
    log.warning("payments.case.opened", kind=problem.kind, receipt=receipt.public_id, order=receipt.order_number)
    return "CASE"


def _note_in_shop(receipt: ReceiptInfo, note: str, *, now: datetime) -> None:
    """The attempt is paid as far as the channel goes, and the order's history says where the money is."""
    by = Actor(ActorKind.CHANNEL, receipt.channel)
    with pointed_at(SchemaScope(receipt.schema_name)):
        move_payment(payment_id=receipt.payment_id, event=PaymentEvent.SUCCEED, by=by, now=now, note=note)


def _note_other(receipt: ReceiptInfo, *, now: datetime) -> str:
    """Refunds and disputes, as the channel tells them. Money that went without our asking opens a case."""
    # A page of billing's was announced by nobody's shop: whose it is, its row says.
    payer = billing.payer_of(receipt) if billing.is_ours(receipt.payment_id) else None
    if receipt.kind == "DISPUTED":
        receipts.open_case(receipt=receipt, kind="DISPUTE", expected_minor=None, now=now, outward=True, payer=payer)
        return "CASE"
    if receipt.kind == "REFUNDED" and not receipt.refund_id:
        receipts.open_case(receipt=receipt, kind="OUTSIDE", expected_minor=None, now=now, outward=True, payer=payer)
        return "CASE"
    if receipt.kind == "DISPUTE_CLOSED" and receipt.amount_minor:
        by = f"{receipt.channel}: {receipt.detail or 'closed'}"
        if not receipts.return_disputed(receipt=receipt, by=by, now=now):
            receipts.open_case(receipt=receipt, kind="DOUBLE", expected_minor=None, now=now, note=by, payer=payer)
            return "CASE"
    if receipt.kind == "REFUND_FAILED":
        # A refund that had gone out came back: our money again, and somebody must find the payer another way.
        receipts.open_case(receipt=receipt, kind="RETURN", expected_minor=None, now=now, payer=payer)
        return "CASE"
    if receipt.refund_id:  # Our own refund has arrived: finish it now, not when the janitor asks.
        receipts.wake_refund(receipt.refund_id)
    receipts.note_receipt(receipt.id)
    return "NOTED"
