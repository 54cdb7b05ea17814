"""The statements of the hot path: each one round trip, each a function of `sql/definitions/10_hot_path.sql`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError

READ_FOR_CHECKOUT = "SELECT gate.orders_read_shelves(%(skus)s::bigint[], %(now)s)"
PLACE = """SELECT * FROM gate.orders_place(%(number)s, %(token_digest)s, %(lookup_digest)s, %(contact)s, %(state)s,
    %(currency)s, %(total)s, %(buyer_fields)s, %(language)s, %(ip)s, %(source)s, %(now)s, %(pay_by)s, %(hold_until)s,
    %(hint)s, %(by_kind)s, %(by_label)s, %(gate_lines)s, %(lines)s)"""
LOCK_PAYABLE = "SELECT * FROM gate.orders_lock_payable(%(number)s, %(terms_at)s)"
SETTLE_ARGUMENTS = """%(number)s, %(order_id)s, %(receipt)s, %(codes)s::text[], %(amounts)s::bigint[], %(rule)s,
    %(earned)s, %(now)s, %(event)s, %(sources)s, %(from_state)s, %(paid)s, %(final)s, %(line_sources)s, %(by_kind)s,
    %(by_label)s, %(note)s, %(jobs)s::text[]"""
SETTLE = f"SELECT * FROM gate.orders_settle({SETTLE_ARGUMENTS})"

REQUEUE_LINES = """
WITH moved AS (
    UPDATE orders_orderline SET delivery_state = %(target)s
    WHERE order_id = %(order_id)s AND delivery_state = ANY (%(sources)s)
    RETURNING order_id, name_zh, quantity
)
INSERT INTO orders_orderstep (order_id, at, subject, event, from_state, to_state, by_kind, by_label, note)
SELECT order_id, %(now)s, 'DELIVERY', %(event)s, 'CANCELLED', %(target)s, %(by_kind)s, %(by_label)s,
       left(name_zh || ' × ' || quantity, 300) FROM moved
"""


class GateRefused(Exception):
    """A gate function said no. `code` is its SQLSTATE, `detail` what it was about (often a SKU's id)."""

    def __init__(self, code: str, detail: str, text: str) -> None:
        super().__init__(f"{code} {text} {detail}")
        self.code = code
        self.detail = detail
        self.text = text

    @property
    def sku_id(self) -> int:
        return int(self.detail) if self.detail.isdigit() else 0


@contextmanager
def through_the_gate() -> Iterator[None]:
    """Turn the gate's own errors (KGxxx) into GateRefused; everything else passes."""
    try:
        yield
    except DatabaseError as error:
        cause: Any = error.__cause__
        code = getattr(cause, "pgcode", "") or ""
        if not code.startswith("KG"):
            raise
        raise GateRefused(code, cause.diag.message_detail or "", cause.diag.message_primary or "") from error
