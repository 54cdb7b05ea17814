"""What receipts, cases and refunds post to the ledger. Main scope, inside the caller's transaction.

Debits are positive. Money that a channel took is in `channel:{c}:clearing` (an asset: the channel owes it to us); money
that nobody has decided about is in `suspense:{c}` (a liability). Accounts of a currency other than the network's carry
it at the end: `suspense:stripe:USD`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import connection

from kameng.lib import clock
from shared_apps.receipts.types import ReceiptInfo, RefundInfo

Leg = tuple[str, int]


def open_channel(channel: str, currency: str = "") -> None:
    """Open the accounts of a channel; safe to repeat."""
    suffix = _suffix(currency or settings.CURRENCY)
    for code, kind in (("clearing", "ASSET"), ("fee", "LIABILITY")):
        _open(f"channel:{channel}:{code}{suffix}", kind, currency or settings.CURRENCY)
    _open(f"suspense:{channel}{suffix}", "LIABILITY", currency or settings.CURRENCY)


def into_suspense(receipt: ReceiptInfo, *, outward: bool) -> str:
    """Money that fits no order (or that the channel took away): clearing against suspense. Answers trf_…"""
    if receipt.currency != settings.CURRENCY:
        open_channel(receipt.channel, receipt.currency)
    sign = -1 if outward else 1
    return _post(
        key=f"case:{receipt.public_id}", receipt=receipt, event_at=receipt.occurred_at,
        legs=[(clearing(receipt), sign * receipt.amount_minor), (suspense(receipt), -sign * receipt.amount_minor)],
    )  # fmt: skip


def returned(disputed: ReceiptInfo, *, by_receipt: ReceiptInfo) -> str:
    """A disputed payment came back: undo what its case booked."""
    return _post(
        key=f"returned:{by_receipt.public_id}", receipt=disputed, event_at=by_receipt.occurred_at,
        legs=[(clearing(disputed), disputed.amount_minor), (suspense(disputed), -disputed.amount_minor)],
    )  # fmt: skip


def note_returned(receipt: ReceiptInfo, *, case_public_id: str, now: datetime) -> str:
    """A person saw that the channel gave disputed money back, though it never told us."""
    legs = [(clearing(receipt), receipt.amount_minor), (suspense(receipt), -receipt.amount_minor)]
    return _post(key=f"returned:{case_public_id}", receipt=receipt, event_at=now, legs=legs)


def credit_to_shop(receipt: ReceiptInfo, *, case_public_id: str, now: datetime) -> str:
    """A case's money, less what the channel keeps of it, becomes income of its shop, pending like a sale's."""
    fee = receipt.fee_minor or 0
    legs = [(suspense(receipt), receipt.amount_minor), (_pending(receipt), -(receipt.amount_minor - fee))]
    if fee:
        legs.append((f"channel:{receipt.channel}:fee{_suffix(receipt.currency)}", -fee))
    return _post(key=f"credit:{case_public_id}", receipt=receipt, event_at=now, legs=legs)


def charge_to_shop(receipt: ReceiptInfo, *, case_public_id: str, now: datetime) -> str:
    """Money that the channel took back for good (a lost dispute, a foreign refund) is taken from the shop's pending."""
    legs = [(_pending(receipt), receipt.amount_minor), (suspense(receipt), -receipt.amount_minor)]
    return _post(key=f"charge:{case_public_id}", receipt=receipt, event_at=now, legs=legs)


def refund_from_suspense(receipt: ReceiptInfo, *, refund_public_id: str, amount_minor: int, now: datetime) -> str:
    """A case's money went back to its payer."""
    legs = [(suspense(receipt), amount_minor), (clearing(receipt), -amount_minor)]
    return _post(key=f"refund:{refund_public_id}", receipt=receipt, event_at=now, legs=legs)


def refund_sale(refund: RefundInfo, *, now: datetime) -> str:
    """A whole order went back: every party gives up its leg of the sale, and the channel has the money again.

    Answers trf_… Safe to repeat: the key is the refund's. Raises: the ledger's own refusals, as database errors.
    """
    receipt = refund.receipt
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM ledger_transfer WHERE idempotency_key = %s", [f"sale:{receipt.public_id}"])
        sale = cursor.fetchone()[0]
        cursor.execute(
            "SELECT public_id FROM public.ledger_reverse(%s, %s, 'refund', %s, %s::jsonb, 'REFUNDS')",
            [f"refund:{refund.public_id}", sale, now, json.dumps({"refund": refund.public_id})],
        )
        transfer = str(cursor.fetchone()[0])
        # A sale out of a case was paid from suspense, and its reversal fills that again: send it on to the channel.
        cursor.execute(
            "SELECT coalesce(sum(e.amount_minor), 0)::bigint FROM ledger_entry e "
            "JOIN ledger_account a ON a.id = e.account_id WHERE e.transfer_id = %s AND a.code = %s",
            [sale, suspense(receipt)],
        )
        taken = cursor.fetchone()[0]
    if taken:
        legs = [(suspense(receipt), taken), (clearing(receipt), -taken)]
        _post(key=f"refund:{refund.public_id}:channel", receipt=receipt, event_at=now, legs=legs)
    return transfer


def clearing(receipt: ReceiptInfo) -> str:
    return f"channel:{receipt.channel}:clearing{_suffix(receipt.currency)}"


def suspense(receipt: ReceiptInfo) -> str:
    return f"suspense:{receipt.channel}{_suffix(receipt.currency)}"


def _pending(receipt: ReceiptInfo) -> str:
    return f"substation:{receipt.substation_id}:pending"


def _suffix(currency: str) -> str:
    return "" if currency == settings.CURRENCY else f":{currency}"


def _open(code: str, account_class: str, currency: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT public.ledger_open_account(%s, %s, %s, NULL, NULL, %s)",
            [code, account_class, currency, clock.utc_now()],
        )


def _post(*, key: str, receipt: ReceiptInfo, legs: Sequence[Leg], event_at: datetime) -> str:
    """Post one transfer of kind `case`, referring to the order where there is one; answers trf_…"""
    codes = [code for code, _ in legs]
    amounts = [amount for _, amount in legs]
    reference = receipt.order_number or receipt.public_id
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT public_id FROM public.ledger_post(%s, 'case', %s, %s, %s, %s, %s::text[], %s::bigint[], %s::text[])",
            [key, "order" if receipt.order_number else "receipt", reference, receipt.substation_id, event_at, codes,
             amounts, [receipt.currency]],
        )  # fmt: skip
        return str(cursor.fetchone()[0])
