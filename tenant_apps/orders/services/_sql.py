"""The statements of the hot path. A sale is worth few round trips; each of these is one.

`gate.*` functions are the main station's; every other name is a table of the shop's own schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError

# Everything that a price and its limits are made of, in one round trip.
READ_FOR_CHECKOUT = """
SELECT l.id, l.product_id, l.code, l.name_zh, l.name_en, l.currency, l.supply_unit, l.suggested, l.floor, l.ceiling,
       l.active AND l.on_shelf AND p.active, p.category_id, p.slug, p.kind, p.delivery,
       coalesce(nullif(p.own_name, ''), p.name_zh), coalesce(nullif(p.own_name, ''), p.name_en), p.buyer_fields,
       (SELECT json_agg(json_build_array(r.scope, r.target_id, r.kind, r.value::text, r.rounding))
        FROM listings_markuprule r
        WHERE r.scope IN ('SHOP', 'CATEGORY') OR (r.scope = 'SKU' AND r.target_id = ANY (%(skus)s))
           OR (r.scope = 'PRODUCT' AND r.target_id IN
               (SELECT product_id FROM listings_listing WHERE id = ANY (%(skus)s)))),
       (SELECT json_agg(json_build_array(c.id, c.parent_id)) FROM listings_listedcategory c
        WHERE EXISTS (SELECT 1 FROM listings_markuprule r WHERE r.scope = 'CATEGORY')),
       (SELECT s.open FROM shop_shopsettings s WHERE s.id = 1)
FROM listings_listing l JOIN listings_listedproduct p ON p.id = l.product_id
WHERE l.id = ANY (%(skus)s)
"""

# Order, lines, first step, and through the gate: supply prices of now, bounds, stock, the main station's note.
PLACE = """
WITH held AS MATERIALIZED (
    SELECT * FROM gate.place_order(%(number)s, %(gate_lines)s::jsonb, %(total)s, %(currency)s, %(hint)s, %(now)s,
                                   %(hold_until)s)
), placed AS (
    INSERT INTO orders_order (number, token_digest, lookup_digest, contact, state, currency, total_minor, cost_minor,
        buyer_fields, language, ip, source, transfer_id, placed_at, expires_at, updated_at)
    SELECT %(number)s, %(token_digest)s, %(lookup_digest)s, %(contact)s, %(state)s, %(currency)s, %(total)s,
        sum(held.cost_minor), %(buyer_fields)s::jsonb, %(language)s, %(ip)s, %(source)s, '', %(now)s, %(pay_by)s,
        %(now)s
    FROM held
    RETURNING id
), lines AS (
    INSERT INTO orders_orderline (order_id, sku_id, sku_code, product_slug, name_zh, name_en, kind, delivery, quantity,
        unit, total_minor, supply_unit, cost_minor, stages, delivery_state, delivery_note)
    SELECT placed.id, l.sku_id, l.sku_code, l.product_slug, l.name_zh, l.name_en, l.kind, l.delivery, l.quantity,
        l.unit, l.total_minor, held.supply_unit, held.cost_minor, l.stages, 'WAITING', ''
    FROM placed CROSS JOIN jsonb_to_recordset(%(lines)s::jsonb) AS l(sku_id bigint, sku_code text, product_slug text,
        name_zh text, name_en text, kind text, delivery text, quantity integer, unit numeric, total_minor bigint,
        stages jsonb)
    JOIN held ON held.sku_id = l.sku_id
), step AS (
    INSERT INTO orders_orderstep (order_id, at, subject, event, from_state, to_state, by_kind, by_label, note)
    SELECT placed.id, %(now)s, 'ORDER', 'PLACE', '', %(state)s, %(by_kind)s, %(by_label)s, '' FROM placed
)
SELECT placed.id, held.sku_id, held.supply_unit, held.cost_minor FROM placed CROSS JOIN held
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
