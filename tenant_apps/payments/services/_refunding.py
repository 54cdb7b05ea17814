"""Giving money back: asked once, sent outside any transaction, and finished when the channel has said so."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection, transaction

from kameng.accounts.types import SYSTEM, Actor, ActorKind
from kameng.db.context import SchemaScope, in_main, in_substation, pointed_at
from kameng.lib.errors import DomainError, ProviderError
from shared_apps.receipts import selectors as receipt_selectors
from shared_apps.receipts import services as receipts
from shared_apps.receipts.types import RefundInfo
from tenant_apps.orders import services as orders
from tenant_apps.payments import providers
from tenant_apps.payments.providers.base import ChannelRefused, RefundState, RefundStatus
from tenant_apps.payments.services._errors import OrderNotRefundable
from tenant_apps.payments.services._starting import to_merchant
from tenant_apps.payments.services._transitions import move_payment
from tenant_apps.payments.states import PaymentEvent
from tenants.models import Substation
from tenants.states import SubstationState

log = structlog.get_logger("payments")
_ENDED = ("SUCCEEDED", "FAILED")


def refund_order(*, substation_id: int, order_number: str, reason: str, by: Actor, now: datetime) -> RefundInfo:
    """Refund a paid order in full: the channel gives the money back, every party gives up its leg, the order ends.

    Outside any transaction. Safe to repeat. A time-out leaves the refund UNKNOWN and the order as it is, and the janitor
    asks. Raises: OrderNotRefundable, RefundRefused.
    """
    with in_main():
        refund = _ask(substation_id, order_number, reason=reason, by=by, now=now)
    return run_refund(refund_public_id=refund.public_id, now=now)


def refund_undelivered(*, schema_name: str, order_number: str, reason: str, now: datetime) -> RefundInfo:
    """A shop that is being closed gives back an order of which nothing was delivered. Its own wish, which its own SQL may
    write as well: so nothing is taken from the wish but the order's number and the words, and all is looked at again.

    Race: the closing is called off, or the order delivered, between the wish and its worker. The substation's row and the
    order's are locked until the refund is written down. Outside any transaction. Safe to repeat.
    Raises: OrderNotRefundable (nothing was changed), RefundRefused.
    """
    with in_main():
        shop = Substation.objects.select_for_update(no_key=True).get(schema_name=schema_name)
        with in_substation(shop):
            waits = orders.is_undelivered(number=order_number, lock=True)
        if (
            shop.state != SubstationState.CLOSING
            or not waits
            or not receipt_selectors.is_undelivered_sale(substation_id=shop.pk, order_number=order_number)
        ):
            raise OrderNotRefundable(order_number)
        by = Actor(ActorKind.SYSTEM, f"{shop.name} ({shop.slug})")
        refund = _ask(shop.pk, order_number, reason=reason, by=by, now=now)
    return run_refund(refund_public_id=refund.public_id, now=now)


def _ask(substation_id: int, order_number: str, *, reason: str, by: Actor, now: datetime) -> RefundInfo:
    """Write the refund of a whole order down. Main scope. Raises: OrderNotRefundable, RefundRefused."""
    receipt_id = receipt_selectors.sale_receipt_id(substation_id=substation_id, order_number=order_number)
    if receipt_id is None:
        raise OrderNotRefundable(order_number)
    sold = receipts.receipt(receipt_id)
    amount = receipt_selectors.sale_amount(substation_id=substation_id, order_number=order_number)
    return receipts.ask_refund(
        receipt_id=receipt_id, amount_minor=min(amount, sold.amount_minor), reason=reason, by=by, now=now
    )


def run_refund(*, refund_public_id: str, now: datetime) -> RefundInfo:
    """Send an asked refund, or ask what became of a sent one, and write down what the channel says.

    Outside any transaction; safe to repeat, for our id is the idempotency key at the channel.
    """
    assert not connection.in_atomic_block, "run_refund calls the channel: not inside a transaction."
    with in_main():
        refund = receipts.refund(refund_public_id)
        if refund.state in _ENDED:
            return refund
        account = receipts.account_with_credentials(account_id=refund.receipt.account_id)
    adapter, merchant, paid = providers.get(account.channel), to_merchant(account), refund.receipt
    try:
        state: RefundState | None = None
        if refund.state in ("UNKNOWN", "PENDING"):  # Sent before: ask, and send again only if it never arrived.
            state = adapter.query_refund(
                account=merchant, payment_id=paid.payment_id, channel_ref=paid.channel_ref, refund_id=refund.public_id,
                channel_refund_ref=refund.channel_refund_ref,
            )  # fmt: skip
        if state is None or state.status == RefundStatus.NOT_FOUND:
            state = adapter.refund(
                account=merchant, payment_id=paid.payment_id, channel_ref=paid.channel_ref, refund_id=refund.public_id,
                amount_minor=refund.amount_minor, currency=refund.currency, reason=refund.reason,
            )  # fmt: skip
    except ChannelRefused as refusal:
        return _failed(refund, f"{refusal.code}: {refusal}", now=now)
    except ProviderError as error:
        with in_main():
            receipts.note_refund(
                refund_id=refund.id, state="UNKNOWN" if error.unknown else refund.state, now=now, problem=str(error)
            )
            return receipts.refund(refund_public_id)
    if state.status == RefundStatus.SUCCEEDED:
        return _succeeded(refund, state, now=now)
    if state.status == RefundStatus.FAILED:
        return _failed(refund, "failed at the channel", now=now)
    with in_main():
        receipts.note_refund(refund_id=refund.id, state="PENDING", now=now, channel_refund_ref=state.channel_refund_ref)
        return receipts.refund(refund_public_id)


def _succeeded(refund: RefundInfo, state: RefundState, *, now: datetime) -> RefundInfo:
    """Ledger, order, case and refund in one transaction. Race: the janitor and a click at once; the refund's row is
    locked first, so the second one finds it ended."""
    with in_main():
        locked = receipts.refund(refund.public_id, lock=True)
        if locked.state in _ENDED:
            return locked
        if locked.case_id is None:
            transfer = receipts.refund_sale(locked, now=now)
            by = Actor(SYSTEM.kind, locked.by)
            try:
                if not locked.receipt.schema_name:  # Its shop was erased while the channel took its time.
                    raise OrderNotRefundable(locked.receipt.order_number)
                with pointed_at(SchemaScope(locked.receipt.schema_name)), transaction.atomic():
                    orders.mark_refunded(number=locked.receipt.order_number, by=by, now=now, note=locked.reason)
                    move_payment(payment_id=locked.receipt.payment_id, event=PaymentEvent.REFUND, by=by, now=now)
            except DomainError:
                # The money has gone back, so the books must say so, whatever became of the order in its shop's own
                # tables: a shop that removes it there would keep what it earned by it.
                log.exception("payments.refund.order_gone", refund=locked.public_id, order=locked.receipt.order_number)
                receipts.note_refunded(locked.receipt, now=now)
        else:
            transfer = receipts.refund_from_suspense(
                locked.receipt, refund_public_id=locked.public_id, amount_minor=locked.amount_minor, now=now
            )
            if locked.receipt.used_for != "SALE":  # What was paid too much goes back; the rest was sold.
                receipts.use_receipt(locked.receipt.id, "REFUND")
            receipts.finish_case(
                case_id=locked.case_id, by=locked.by, now=now, text=f"Refunded: {locked.public_id}, {transfer}."
            )
        receipts.note_refund(
            refund_id=locked.id, state="SUCCEEDED", now=now, channel_refund_ref=state.channel_refund_ref,
            transfer_id=transfer,
        )  # fmt: skip
        return receipts.refund(refund.public_id)


def _failed(refund: RefundInfo, problem: str, *, now: datetime) -> RefundInfo:
    log.warning("payments.refund.failed", refund=refund.public_id, problem=problem)
    with in_main():
        if receipts.note_refund(refund_id=refund.id, state="FAILED", now=now, problem=problem) and refund.case_id:
            receipts.reopen_case(case_id=refund.case_id, by=refund.by, now=now, why=problem)
        return receipts.refund(refund.public_id)
