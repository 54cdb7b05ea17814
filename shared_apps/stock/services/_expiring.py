"""Stock that nobody came for. Orders give back what they hold when they expire; this is the net below them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from kameng.db.context import in_main

# An order's own expiry, which knows its payment, goes first; a hold this late belongs to an order that never committed
# its end (a shop that was suspended, a schema restored from an older copy).
EXPIRY_PATIENCE = timedelta(minutes=30)
BATCH = 500

# SKIP LOCKED: a hold that is being delivered at this moment is locked by the sale, and is none of ours.
_RELEASE = """WITH due AS (
    SELECT id FROM stock_hold WHERE state = 'HELD' AND (expires_at < %(before)s
        -- No order waits so long: a shop's SQL named its own time. Both limits are the server's clock's.
        OR (expires_at > clock_timestamp() + interval '1 day' AND created_at < clock_timestamp() - interval '1 hour'))
    ORDER BY expires_at LIMIT %(batch)s FOR UPDATE SKIP LOCKED
), released AS (
    UPDATE stock_hold h SET state = 'RELEASED', updated_at = %(now)s FROM due WHERE h.id = due.id
    RETURNING h.id, h.sku_id, h.quantity, h.policy
), codes AS (
    UPDATE stock_code c SET state = 'AVAILABLE', hold_id = NULL FROM released r
    WHERE r.policy = 'CODES' AND c.hold_id = r.id AND c.state = 'HELD'
), counts AS (
    UPDATE stock_stockcount n SET available = n.available + r.quantity, updated_at = %(now)s
    FROM (SELECT sku_id, sum(quantity)::bigint AS quantity FROM released WHERE policy = 'COUNTED' GROUP BY sku_id) r
    WHERE n.sku_id = r.sku_id
), moved AS (
    INSERT INTO stock_stockmove (sku_id) SELECT DISTINCT sku_id FROM released
)
SELECT count(*) FROM released"""


def release_expired(*, now: datetime) -> int:
    """Give back what is held long past its time; answers how many holds. Opens its own transactions."""
    released = 0
    while True:
        with in_main(), connection.cursor() as cursor:
            cursor.execute(_RELEASE, {"before": now - EXPIRY_PATIENCE, "now": now, "batch": BATCH})
            done = int(cursor.fetchone()[0])
        released += done
        if done < BATCH:
            return released
