"""Money of a payment page that went back to its payer (a chargeback, a refund at the channel): taken from the balance when
the person who settles its case says so. What that does not cover is owed. In the caller's transaction, main scope."""

from __future__ import annotations

from datetime import datetime

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM
from shared_apps.billing.models import PaymentPage
from shared_apps.billing.services._invoices import prepaid
from shared_apps.ledger import services as ledger
from shared_apps.ledger.states import Kind
from shared_apps.ledger.types import Leg
from shared_apps.receipts.types import ReceiptInfo


def receivable(substation_id: int) -> str:
    """The code of the account of what a substation owes us."""
    return f"substation:{substation_id}:receivable"


def payer_of(receipt: ReceiptInfo) -> int | None:
    """The id of the substation whose page a receipt is of; None when there is no such page on that account, or the
    money is of another currency."""
    pages = PaymentPage.objects.filter(
        public_id=receipt.payment_id, account_id=receipt.account_id, currency=receipt.currency
    )
    return pages.values_list("substation_id", flat=True).first()


def charge_back(*, receipt: ReceiptInfo, substation_id: int, case_public_id: str, now: datetime) -> str:
    """Take what went back from the prepaid balance; what that does not cover is owed, and the next top-up repays it
    first. Answers trf_…

    Race: an invoice is paid from the balance meanwhile. Its account is locked before its balance is read.
    """
    balances = ledger.lock_accounts(codes=[prepaid(substation_id)])
    held = min(receipt.amount_minor, -balances[prepaid(substation_id)])
    legs = [
        Leg(f"suspense:{receipt.channel}", -receipt.amount_minor), Leg(prepaid(substation_id), held),
        Leg(receivable(substation_id), receipt.amount_minor - held),
    ]  # fmt: skip
    return post(f"charge:{case_public_id}", receipt, substation_id, legs, now)


def repay(*, receipt: ReceiptInfo, substation_id: int, now: datetime) -> None:
    """What a substation owes is paid from the money that has come in, as far as it goes.

    Race: two payments come in at once. Both accounts are locked before they are read, so that the debt is paid once.
    """
    mine, owed = prepaid(substation_id), receivable(substation_id)
    balances = ledger.lock_accounts(codes=[mine, owed])
    amount = min(-balances[mine], balances[owed])
    if amount <= 0:
        return
    post(f"repaid:{receipt.public_id}", receipt, substation_id, [Leg(mine, amount), Leg(owed, -amount)], now)
    audit.record(
        action="billing.debt.repaid", by=SYSTEM, target=receipt.payment_id, at=now, amount_minor=amount,
        receipt=receipt.public_id,
    )  # fmt: skip


def post(key: str, receipt: ReceiptInfo, substation_id: int, legs: list[Leg], now: datetime) -> str:
    """Post a transfer about a page's money; answers trf_…"""
    return ledger.post_transfer(
        key=key, kind=Kind.CASE, currency=receipt.currency, event_at=now, legs=[leg for leg in legs if leg.amount_minor],
        reference_type="payment_page", reference=receipt.payment_id, substation_id=substation_id,
    ).public_id  # fmt: skip
