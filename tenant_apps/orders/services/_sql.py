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
       (SELECT s.open FROM shop_shopsettings s WHERE s.id = 1),
       (SELECT t.terms FROM gate.sale_terms(%(now)s) t), (SELECT array_agg(c.channel) FROM gate.channels() c)
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

# The order's row locked; its lines and the shop's terms beside it.
LOCK_PAYABLE = """
WITH locked AS MATERIALIZED (
    SELECT id, state, total_minor, currency FROM orders_order WHERE number = %(number)s FOR NO KEY UPDATE
)
SELECT o.id, o.state, o.total_minor, o.currency,
       (SELECT json_agg(json_build_object('delivery', l.delivery, 'total_minor', l.total_minor,
                                          'cost_minor', l.cost_minor) ORDER BY l.id)
        FROM orders_orderline l WHERE l.order_id = o.id),
       t.substation_id, t.rule, t.platform_bps, t.terms
FROM locked o CROSS JOIN gate.sale_terms(%(terms_at)s) t
"""

# The sale through the gate, the order, its lines and every step, in one statement. The gate's answer is joined, so
# that nothing is written that it has not let through; the update is guarded by the states that the event may leave.
SETTLE = """
WITH settled AS MATERIALIZED (
    SELECT transfer_public_id FROM gate.settle_sale(%(number)s, %(receipt)s, %(codes)s::text[], %(amounts)s::bigint[],
                                                    %(rule)s, %(final)s, %(now)s)
), moved AS (
    UPDATE orders_order o SET state = %(final)s, paid_at = %(now)s, updated_at = %(now)s,
        transfer_id = s.transfer_public_id, earned_minor = %(earned)s,
        delivered_at = CASE WHEN %(final)s = %(paid)s THEN NULL ELSE %(now)s::timestamptz END
    FROM settled s WHERE o.id = %(order_id)s AND o.state = ANY (%(sources)s)
    RETURNING o.id, o.transfer_id
), lines AS (
    UPDATE orders_orderline l
    SET delivery_state = CASE l.delivery WHEN 'CODES' THEN %(delivered_line)s ELSE %(queued_line)s END,
        delivered_at = CASE l.delivery WHEN 'CODES' THEN %(now)s::timestamptz END
    FROM moved m WHERE l.order_id = m.id AND l.delivery_state = ANY (%(line_sources)s)
    RETURNING l.order_id, l.delivery, l.name_zh, l.quantity
), steps AS (
    INSERT INTO orders_orderstep (order_id, at, subject, event, from_state, to_state, by_kind, by_label, note)
    SELECT m.id, %(now)s, 'ORDER', %(event)s, %(from_state)s, %(paid)s, %(by_kind)s, %(by_label)s, %(note)s FROM moved m
    UNION ALL
    SELECT l.order_id, %(now)s, 'DELIVERY', CASE l.delivery WHEN 'CODES' THEN %(deliver_line)s ELSE %(queue_line)s END,
        'WAITING', CASE l.delivery WHEN 'CODES' THEN %(delivered_line)s ELSE %(queued_line)s END,
        %(by_kind)s, %(by_label)s, left(l.name_zh || ' × ' || l.quantity, 300) FROM lines l
    UNION ALL
    SELECT m.id, %(now)s, 'ORDER', %(deliver)s, %(paid)s, %(final)s, %(by_kind)s, %(by_label)s, ''
    FROM moved m WHERE %(final)s <> %(paid)s
)
SELECT m.transfer_id FROM moved m
"""

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
