"""Refunds: written down before the channel is called, and asked about until the channel has said what became of them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Sum
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue
from kameng.lib.errors import Refused
from kameng.lib.ids import public_id
from shared_apps.receipts.models import NetworkOrder, Receipt, Refund, RefundPurpose, RefundState
from shared_apps.receipts.services._facts import receipt as read_receipt
from shared_apps.receipts.types import ReceiptInfo, RefundInfo

RUN_JOB = "payments.run_refund"
# A time-out is unknown, not failed: ask after 5 minutes, 1 hour, then daily.
ASK_AFTER = (timedelta(minutes=5), timedelta(hours=1), timedelta(days=1))


class RefundRefused(Refused):
    """More than was paid, or a refund of it is under way already."""

    code = "refund_refused"


def ask_refund(
    *, receipt_id: int, amount_minor: int, reason: str, by: Actor, now: datetime, case_id: int | None = None
) -> RefundInfo:
    """Write a refund down and queue its sending, in one transaction of the main scope. Safe to repeat: the living
    refund of the same receipt and purpose is the answer.

    Race: two people refund one payment at once. The receipt's row is locked, so the second one sees the first's.
    Raises: RefundRefused.
    """
    paid = Receipt.objects.select_for_update(of=("self",)).get(pk=receipt_id)
    purpose = RefundPurpose.ORDER if case_id is None else RefundPurpose.CASE
    living = Refund.objects.exclude(state=RefundState.FAILED).filter(receipt_id=receipt_id)
    same = living.filter(purpose=purpose).first()
    if same is not None:
        if same.amount_minor != amount_minor or same.case_id != case_id:
            raise RefundRefused(_("Another refund of this payment is under way or done. Nothing was changed."))
        return _info(same)
    asked = living.aggregate(total=Sum("amount_minor"))["total"] or 0
    if paid.kind != "PAID" or amount_minor <= 0 or asked + amount_minor > paid.amount_minor:
        raise RefundRefused(_("This is more than what is left of the payment. Nothing was changed."))
    refund = Refund.objects.create(
        public_id=public_id("rfd"), receipt_id=receipt_id, purpose=purpose, case_id=case_id,
        substation_id=paid.substation_id, order_number=paid.order_number, amount_minor=amount_minor,
        currency=paid.currency, reason=reason[:200], by=by.label[:120], asked_at=now, ask_at=now + ASK_AFTER[0],
    )  # fmt: skip
    audit.record(
        action="receipts.refund.asked", by=by, target=refund.public_id, at=now, receipt=paid.public_id,
        amount_minor=amount_minor, reason=reason[:200],
    )  # fmt: skip
    enqueue(kind=RUN_JOB, payload={"refund_public_id": refund.public_id}, dedupe=refund.public_id)
    return _info(refund)


def refund(refund_public_id: str, *, lock: bool = False) -> RefundInfo:
    """A refund; with `lock`, its row locked until the transaction ends. Main scope. Raises Refund.DoesNotExist."""
    rows = Refund.objects.select_for_update() if lock else Refund.objects
    return _info(rows.get(public_id=refund_public_id))


def note_refund(
    *, refund_id: int, state: str, now: datetime, channel_refund_ref: str = "", problem: str = "", transfer_id: str = ""
) -> bool:
    """Write what became of a refund; False when it had ended before. Main scope.

    While it is open, the janitor is told when to ask next.
    """
    row = Refund.objects.select_for_update().get(pk=refund_id)
    if row.state in (RefundState.SUCCEEDED, RefundState.FAILED):
        return False
    row.state, row.problem = state, problem[:300]
    row.channel_refund_ref = channel_refund_ref or row.channel_refund_ref
    row.transfer_id = transfer_id or row.transfer_id
    if state in (RefundState.SUCCEEDED, RefundState.FAILED):
        row.finished_at, row.ask_at = now, None
    else:
        row.ask_at = now + ASK_AFTER[min(row.ask_count, len(ASK_AFTER) - 1)]
        row.ask_count += 1
    row.save()
    return True


def note_refunded(receipt: ReceiptInfo, *, now: datetime) -> None:
    """Note that a receipt's order was refunded, where its shop can't. Main scope."""
    assert receipt.substation_id is not None, "A sale's receipt has a shop."
    NetworkOrder.objects.filter(substation_id=receipt.substation_id, order_number=receipt.order_number).update(
        state="REFUNDED", updated_at=now
    )


def wake_refund(refund_public_id: str) -> None:
    """The channel told something about a refund of ours: have it looked at now. Main scope."""
    if Refund.objects.filter(public_id=refund_public_id, state__in=("ASKED", "UNKNOWN", "PENDING")).exists():
        enqueue(kind=RUN_JOB, payload={"refund_public_id": refund_public_id}, dedupe=refund_public_id)


def refunds_to_ask(*, now: datetime, limit: int = 100) -> list[str]:
    """Public ids of refunds whose time to be asked about has come. Main scope."""
    rows = Refund.objects.filter(ask_at__lte=now).order_by("ask_at")
    return list(rows.values_list("public_id", flat=True)[:limit])


def _info(row: Refund) -> RefundInfo:
    return RefundInfo(
        id=row.pk, public_id=row.public_id, purpose=row.purpose, state=row.state, amount_minor=row.amount_minor,
        currency=row.currency, reason=row.reason, receipt=read_receipt(row.receipt_id), case_id=row.case_id,
        channel_refund_ref=row.channel_refund_ref, ask_count=row.ask_count, by=row.by,
    )  # fmt: skip
