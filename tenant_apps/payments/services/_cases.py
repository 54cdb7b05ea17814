"""Carrying out what a person decided about a payment case."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.db import connection

from kameng.accounts.types import SYSTEM, Actor
from kameng.db.context import SchemaScope, in_main, pointed_at
from kameng.lib.errors import DomainError
from shared_apps.billing import services as billing
from shared_apps.receipts import services as receipts
from shared_apps.receipts.types import CaseInfo
from tenant_apps.orders import services as orders
from tenant_apps.payments.services._applying import as_paid
from tenant_apps.payments.services._refunding import run_refund

log = structlog.get_logger("payments")


def settle_case(*, case_public_id: str, resolution: str, evidence: str, by: Actor, now: datetime) -> str:
    """Decide a case and carry it out; answers its state: SETTLED, or SETTLING while the channel works on a refund.

    Outside any transaction. DELIVER sells the order after all, out of suspense (what was paid too much goes back to the
    payer); CREDIT gives the money to the shop's pending; REFUND sends it back; CHARGE takes what the channel took back
    from the shop's pending. Of a page of billing's both go by the prepaid balance. When it can't be done the case is open
    again, with the reason in its notes.
    Raises: CaseMissing, CaseRefused, EvidenceMissing, and what delivering refuses (SoldOut, SettlementRefused, …).
    """
    with in_main():
        receipts.begin_settlement(
            case_public_id=case_public_id, resolution=resolution, evidence=evidence, by=by, now=now
        )
    return carry_out_case(case_public_id=case_public_id, by=by, now=now)


def carry_out_case(*, case_public_id: str, by: Actor = SYSTEM, now: datetime) -> str:
    """Do what a case that is SETTLING was decided to. Outside any transaction; safe to repeat."""
    assert not connection.in_atomic_block, "carry_out_case may call the channel: not inside a transaction."
    refund_id = ""
    try:
        with in_main():
            case = receipts.lock_case(case_public_id)
            if case.state != "SETTLING":
                return case.state
            if case.resolution == "DELIVER":
                refund_id = _deliver(case, by=by, now=now)
            elif case.resolution == "REFUND":
                refund_id = _ask_refund(case, case.amount_minor, by=by, now=now)
            else:
                _book(case, by=by, now=now)
    except DomainError as refusal:
        _reopen(case_public_id, by=by, now=now, why=str(refusal))
        raise
    if refund_id:
        run_refund(refund_public_id=refund_id, now=now)
    with in_main():
        return receipts.lock_case(case_public_id).state


def _deliver(case: CaseInfo, *, by: Actor, now: datetime) -> str:
    """Sell the order against the case's money; answers the refund of what was too much, or nothing."""
    with pointed_at(SchemaScope(case.receipt.schema_name)):
        sold = orders.pay_order(receipt=as_paid(case.receipt, from_suspense=True), by=by, now=now)
    excess = case.amount_minor - (case.expected_minor or case.amount_minor)
    if excess > 0:
        return _ask_refund(case, excess, by=by, now=now)
    receipts.finish_case(
        case_id=case.id, by=by.label, now=now, text=f"Delivered: order {sold.number}, {sold.transfer_id}."
    )
    return ""


def _ask_refund(case: CaseInfo, amount_minor: int, *, by: Actor, now: datetime) -> str:
    refund = receipts.ask_refund(
        receipt_id=case.receipt.id, amount_minor=amount_minor, reason=f"case {case.public_id}", by=by, now=now,
        case_id=case.id,
    )  # fmt: skip
    return refund.public_id


def _book(case: CaseInfo, *, by: Actor, now: datetime) -> None:
    """Resolutions that are a transfer and nothing more."""
    if case.resolution == "CREDIT":
        transfer = _credit(case, now=now)
        receipts.use_receipt(case.receipt.id, "CREDIT")
    elif case.resolution == "CHARGE":
        transfer = _charge(case, now=now)
    else:  # RETURNED: the channel has given it back in a way it did not tell us; a person saw it.
        transfer = receipts.note_returned(case.receipt, case_public_id=case.public_id, now=now)
    receipts.finish_case(case_id=case.id, by=by.label, now=now, text=f"{case.resolution}: {transfer}.")


def _credit(case: CaseInfo, *, now: datetime) -> str:
    """To the shop's pending; what is of no order but of a shop was paid on a page of billing's, to the balance."""
    if case.receipt.substation_id is not None:
        return receipts.credit_to_shop(case.receipt, case_public_id=case.public_id, now=now)
    assert case.substation_id is not None
    return billing.credit_again(
        receipt=case.receipt, substation_id=case.substation_id, case_public_id=case.public_id, now=now
    )


def _charge(case: CaseInfo, *, now: datetime) -> str:
    """From the shop's pending, or from the balance."""
    if case.receipt.substation_id is not None:
        return receipts.charge_to_shop(case.receipt, case_public_id=case.public_id, now=now)
    assert case.substation_id is not None
    return billing.charge_back(
        receipt=case.receipt, substation_id=case.substation_id, case_public_id=case.public_id, now=now
    )


def _reopen(case_public_id: str, *, by: Actor, now: datetime, why: str) -> None:
    log.warning("payments.case.not_done", case=case_public_id, why=why)
    with in_main():
        case = receipts.lock_case(case_public_id)
        receipts.reopen_case(case_id=case.id, by=by.label, now=now, why=why)
