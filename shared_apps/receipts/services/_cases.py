"""Money that fits no order: kept in suspense at once, and settled by a person with evidence."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue
from kameng.lib.errors import Invalid, Missing, Refused
from kameng.lib.ids import public_id
from shared_apps.receipts.models import (
    CaseKind,
    CaseNote,
    CaseState,
    NetworkOrder,
    PaymentCase,
    Receipt,
    Resolution,
)
from shared_apps.receipts.services import _books
from shared_apps.receipts.services._facts import receipt as read_receipt
from shared_apps.receipts.types import CaseInfo, ReceiptInfo

SETTLE_JOB = "payments.carry_out_case"
_IN = frozenset({Resolution.DELIVER, Resolution.CREDIT, Resolution.REFUND})
_OUT = frozenset({Resolution.CHARGE, Resolution.RETURNED})
# What may be done with money of each kind. A second payment can't be delivered twice; money without a shop can
# only go back.
ALLOWED: dict[str, frozenset[Resolution]] = {
    CaseKind.LATE: _IN,
    CaseKind.NO_STOCK: _IN,
    CaseKind.SHORT: _IN,
    CaseKind.OVER: _IN,
    CaseKind.STUCK: _IN,
    CaseKind.DOUBLE: _IN - {Resolution.DELIVER},
    CaseKind.RETURN: frozenset({Resolution.CREDIT}),
    CaseKind.CURRENCY: frozenset({Resolution.REFUND}),
    CaseKind.UNKNOWN_ORDER: frozenset({Resolution.REFUND}),
    CaseKind.DISPUTE: _OUT,
    CaseKind.OUTSIDE: _OUT,
}


class CaseMissing(Missing):
    code = "case_not_found"

    def __init__(self) -> None:
        super().__init__(_("There is no such case."))


class CaseRefused(Refused):
    """The case is not open, or this can't be done with money of its kind."""

    code = "case_refused"


class EvidenceMissing(Invalid):
    code = "evidence_missing"

    def __init__(self) -> None:
        super().__init__(_("Say what you checked: a case is settled with evidence."), field="evidence")


def allowed_resolutions(case_kind: str) -> frozenset[Resolution]:
    """What a person may do with a case of this kind."""
    return ALLOWED[case_kind]


def open_case(
    *,
    receipt: ReceiptInfo,
    kind: str,
    expected_minor: int | None,
    now: datetime,
    outward: bool = False,
    note: str = "",
    payer: int | None = None,
) -> str:
    """Open the case of a receipt and put its money into suspense, in one transaction of the main scope.

    Answers the case's public id. Safe to repeat: a receipt has one case. `expected_minor` is what the caller compared
    with; where the order's price is in question, the main station's own note of it is written instead: what is delivered
    and what goes back to the payer is decided by it, and a shop can write anything into its own order. `payer`: the
    substation that paid us, where the receipt is of no order.
    """
    if expected_minor is not None and receipt.substation_id is not None:
        asked = NetworkOrder.objects.filter(substation_id=receipt.substation_id, order_number=receipt.order_number)
        expected_minor = asked.values_list("total_minor", flat=True).first()
    made = PaymentCase(
        public_id=public_id("case"), kind=kind, receipt_id=receipt.id, substation_id=receipt.substation_id or payer,
        order_number=receipt.order_number, amount_minor=receipt.amount_minor, currency=receipt.currency,
        expected_minor=expected_minor, outward=outward, opened_at=now,
    )  # fmt: skip
    PaymentCase.objects.bulk_create([made], ignore_conflicts=True)
    case = PaymentCase.objects.get(receipt_id=receipt.id)
    if case.public_id != made.public_id:
        return str(case.public_id)
    Receipt.objects.filter(pk=receipt.id, used_for="").update(used_for="CASE")
    _books.into_suspense(receipt, outward=outward)
    CaseNote.objects.create(case=case, at=now, by="Kameng", text=note or f"Opened: {kind}.")
    return str(case.public_id)


def lock_case(case_public_id: str) -> CaseInfo:
    """A case, its row locked until the transaction ends. Main scope. Raises: CaseMissing."""
    case = PaymentCase.objects.select_for_update().filter(public_id=case_public_id).first()
    if case is None:
        raise CaseMissing()
    return _info(case)


def begin_settlement(*, case_public_id: str, resolution: str, evidence: str, by: Actor, now: datetime) -> CaseInfo:
    """OPEN → SETTLING: what is to be done, why, and who says so. Main scope.

    Raises: CaseMissing, CaseRefused (settled or being settled already; not possible with its kind), EvidenceMissing.
    """
    if len(evidence.strip()) < 3:
        raise EvidenceMissing()
    case = lock_case(case_public_id)
    if case.state != CaseState.OPEN:
        raise CaseRefused(_("This case is settled, or being settled, already. Nothing was changed."))
    wished = Resolution(resolution)
    if wished not in ALLOWED[case.kind] or (
        wished in (Resolution.CREDIT, Resolution.CHARGE) and not case.substation_id
    ):
        raise CaseRefused(_("This can't be done with a case of this kind. Nothing was changed."))
    PaymentCase.objects.filter(pk=case.id, state=CaseState.OPEN).update(
        state=CaseState.SETTLING, resolution=wished, evidence=evidence.strip(), settled_by=by.label[:120]
    )
    add_note(case_id=case.id, by=by.label, now=now, text=f"{wished}: {evidence.strip()}")
    audit.record(
        action="receipts.case.settling", by=by, target=case.public_id, at=now, resolution=str(wished),
        evidence=evidence.strip()[:1000], order=case.order_number, amount_minor=case.amount_minor,
    )  # fmt: skip
    return _info(PaymentCase.objects.get(pk=case.id))


def request_settlement(*, case_public_id: str, resolution: str, evidence: str, by: Actor, now: datetime) -> None:
    """`begin_settlement`, and a worker carries it out: for screens of the main station, which can't call a shop's
    services. What comes of it stands in the case and its notes. Raises as `begin_settlement`."""
    case = begin_settlement(case_public_id=case_public_id, resolution=resolution, evidence=evidence, by=by, now=now)
    enqueue(kind=SETTLE_JOB, payload={"case_public_id": case.public_id}, dedupe=case.public_id)


def finish_case(*, case_id: int, by: str, now: datetime, text: str) -> None:
    """SETTLING → SETTLED. Main scope, in the transaction of the deed. Raises: CaseRefused."""
    done = PaymentCase.objects.filter(pk=case_id, state=CaseState.SETTLING).update(
        state=CaseState.SETTLED, settled_at=now
    )
    if not done:
        raise CaseRefused(_("This case is not being settled."))
    add_note(case_id=case_id, by=by, now=now, text=text)


def reopen_case(*, case_id: int, by: str, now: datetime, why: str) -> None:
    """SETTLING → OPEN: it could not be done. The money still rests in suspense. Main scope."""
    changed = PaymentCase.objects.filter(pk=case_id, state=CaseState.SETTLING).update(
        state=CaseState.OPEN, resolution="", evidence="", settled_by=""
    )
    if changed:
        add_note(case_id=case_id, by=by, now=now, text=f"Not done: {why}")


def return_disputed(*, receipt: ReceiptInfo, by: str, now: datetime) -> bool:
    """A dispute was won and its money came back: settle its case by itself. False when no case of it is open.

    `channel_ref` is compared, too: the payments of a subscription all bear the id of the page that began it.
    """
    case = (
        PaymentCase.objects.select_for_update()
        .filter(order_number=receipt.order_number, receipt__payment_id=receipt.payment_id,
                receipt__account_id=receipt.account_id, receipt__channel_ref=receipt.channel_ref,
                kind=CaseKind.DISPUTE, state=CaseState.OPEN, amount_minor=receipt.amount_minor,
                outward=True)
        .first()
    )  # fmt: skip
    if case is None:
        return False
    _books.returned(read_receipt(case.receipt_id), by_receipt=receipt)
    PaymentCase.objects.filter(pk=case.pk).update(
        state=CaseState.SETTLED, resolution=Resolution.RETURNED, settled_at=now, settled_by=by,
        evidence=f"The channel gave it back: receipt {receipt.public_id}.",
    )  # fmt: skip
    add_note(case_id=case.pk, by=by, now=now, text=f"The channel gave the money back ({receipt.public_id}).")
    return True


def add_note(*, case_id: int, by: str, now: datetime, text: str) -> None:
    """A line in the case's history; append-only. Main scope."""
    CaseNote.objects.create(case_id=case_id, at=now, by=by[:120], text=text)


def use_receipt(receipt_id: int, purpose: str) -> None:
    """Note that a case's money was credited or sent back. Raises: CaseRefused when it was used otherwise."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE receipts_receipt SET used_for = %s WHERE id = %s AND used_for IN ('CASE', %s)",
            [purpose, receipt_id, purpose],
        )
        if cursor.rowcount != 1:
            raise CaseRefused(_("This money was used otherwise already. Nothing was changed."))


def _info(case: Any) -> CaseInfo:
    return CaseInfo(
        id=case.pk, public_id=case.public_id, kind=case.kind, state=case.state, resolution=case.resolution,
        outward=case.outward, receipt=read_receipt(case.receipt_id), amount_minor=case.amount_minor,
        expected_minor=case.expected_minor, currency=case.currency, substation_id=case.substation_id,
        order_number=case.order_number,
    )  # fmt: skip
