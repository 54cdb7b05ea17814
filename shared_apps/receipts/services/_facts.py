"""What the channels said about money: recorded once, and belonging to whoever announced the payment."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import F

from kameng.lib.ids import public_id
from shared_apps.receipts.models import Announced, Receipt
from shared_apps.receipts.types import Fact, ReceiptInfo

_COLUMNS = (
    "r.id, r.public_id, r.account_id, r.channel, r.kind, r.payment_id, r.channel_ref, r.substation_id, "
    # An erased shop has no tables any more.
    "CASE WHEN s.state = 'ERASED' THEN '' ELSE coalesce(s.schema_name, '') END, r.order_number, "
    "r.amount_minor, r.currency, r.fee_minor, r.occurred_at, "
    "r.refund_id, r.detail, r.used_for"
)
_RECORD = """SELECT * FROM receipts_record_fact(%(public_id)s, %(account_id)s, %(channel)s, %(fact_id)s, %(kind)s,
    %(payment_id)s, %(channel_ref)s, %(amount_minor)s, %(currency)s, %(fee_minor)s, %(refund_id)s, %(detail)s,
    %(occurred_at)s, %(now)s)"""
_READ = f"SELECT {_COLUMNS} FROM receipts_receipt r LEFT JOIN tenants_substation s ON s.id = r.substation_id WHERE "


def record_fact(*, fact: Fact, now: datetime) -> ReceiptInfo:
    """Append a fact, or find it. One statement when it is new; main scope, in the caller's transaction.

    Race: the same fact told by two callbacks at once. The second insert waits for the first one's commit, writes
    nothing, and reads what the first did with it.
    """
    params: dict[str, Any] = {
        "public_id": public_id("rcp"), "account_id": fact.account_id, "channel": fact.channel, "fact_id": fact.fact_id,
        "kind": fact.kind, "payment_id": fact.payment_id[:30], "channel_ref": fact.channel_ref[:120],
        "amount_minor": fact.amount_minor, "currency": fact.currency, "fee_minor": fact.fee_minor,
        "refund_id": fact.refund_id[:30], "detail": fact.detail[:60], "occurred_at": fact.occurred_at, "now": now,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_RECORD, params)
        pk, substation_id, schema_name, order_number, fresh = cursor.fetchone()
    if not fresh:
        return receipt(pk)
    return ReceiptInfo(
        id=pk, public_id=params["public_id"], account_id=fact.account_id, channel=fact.channel, kind=fact.kind,
        payment_id=params["payment_id"], channel_ref=params["channel_ref"], substation_id=substation_id,
        schema_name=schema_name, order_number=order_number, amount_minor=fact.amount_minor, currency=fact.currency,
        fee_minor=fact.fee_minor, occurred_at=fact.occurred_at, refund_id=params["refund_id"], detail=params["detail"],
        used_for="", fresh=True,
    )  # fmt: skip


def receipt(public_id_or_pk: str | int) -> ReceiptInfo:
    """A receipt by its public id or its key. Main scope. Raises Receipt.DoesNotExist: a programmer's mistake."""
    column = "r.public_id" if isinstance(public_id_or_pk, str) else "r.id"
    with connection.cursor() as cursor:
        cursor.execute(f"{_READ}{column} = %s", [public_id_or_pk])
        row = cursor.fetchone()
    if row is None:
        raise Receipt.DoesNotExist(public_id_or_pk)
    return ReceiptInfo(*row, fresh=False)  # type: ignore[misc]


def schedule_question(*, payment_id: str, ask_at: datetime | None) -> None:
    """Say when the janitor asks about an announced payment next; None: never again. Main scope."""
    Announced.objects.filter(payment_id=payment_id).update(ask_at=ask_at, ask_count=F("ask_count") + 1)


def ask_soon(*, substation_id: int, order_number: str, now: datetime) -> None:
    """Have the open attempts of an order asked about at the janitor's next round. Main scope."""
    Announced.objects.filter(substation_id=substation_id, order_number=order_number, ask_at__isnull=False).update(
        ask_at=now
    )


def note_receipt(receipt_id: int, used_for: str = "NOTED") -> None:
    """Mark a receipt that needs nothing further as seen, or as used for what is no sale and no case. Main scope."""
    Receipt.objects.filter(pk=receipt_id, used_for="").update(used_for=used_for)
