"""Counts: set by hand for counted SKUs, rolled up for the pages. No sale waits for a counter."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.lib.errors import Invalid, Refused
from kameng.lib.words import worded
from shared_apps.library.models import StockPolicy
from shared_apps.stock.models import StockCount
from shared_apps.stock.types import SkuRef

MAX_COUNT = 1_000_000_000
# Two roll-ups side by side could write an older count over a newer one; the second leaves the work to the first.
ROLL_UP_LOCK = 0x6B61_6D65_0001

# A count reads the partial index of available codes, never the sold ones. Moves that commit after this statement's
# snapshot are not deleted by it and are counted by the next one.
_ROLL_UP = """WITH moved AS (DELETE FROM stock_stockmove RETURNING sku_id),
counted AS (
    SELECT k.id, k.low_stock_at, CASE k.stock_policy
        WHEN 'CODES' THEN (SELECT count(*) FROM stock_code c WHERE c.sku_id = k.id AND c.state = 'AVAILABLE')
        WHEN 'COUNTED' THEN coalesce((SELECT n.available FROM stock_stockcount n WHERE n.sku_id = k.id), 0)
        ELSE 0 END AS available, k.stock_policy
    FROM (SELECT DISTINCT sku_id FROM moved) m JOIN library_sku k ON k.id = m.sku_id
)
INSERT INTO stock_stocklevel AS level (sku_id, available, state, counted_at)
SELECT id, available,
       CASE WHEN stock_policy = 'UNLIMITED' THEN 'IN_STOCK' WHEN available = 0 THEN 'OUT'
            WHEN available <= low_stock_at THEN 'LOW' ELSE 'IN_STOCK' END, %s
FROM counted
ON CONFLICT (sku_id) DO UPDATE SET available = excluded.available, state = excluded.state,
                                   counted_at = excluded.counted_at
WHERE (level.available, level.state) IS DISTINCT FROM (excluded.available, excluded.state)"""


class CountRefused(Invalid):
    """A number that no stock can have."""

    code = "count_refused"


class NotCounted(Refused):
    """The SKU's stock is no number."""

    code = "sku_not_counted"


def set_count(*, sku: SkuRef, available: int, by: Actor, now: datetime, reason: str = "") -> int:
    """Say how many units of a counted SKU there are; answers the number before. In the caller's main transaction.

    Raises: CountRefused, NotCounted.
    """
    if sku.stock_policy != StockPolicy.COUNTED:
        raise NotCounted(worded(_("The stock of %(sku)s is not a number that can be set."), sku=sku.code))
    if not 0 <= available <= MAX_COUNT:
        message = _("The stock must lie between 0 and %(max)s.")
        raise CountRefused(worded(message, max=f"{MAX_COUNT:,}"), field="available")
    with transaction.atomic():
        StockCount.objects.get_or_create(sku_id=sku.id, defaults={"updated_at": now})
        row = StockCount.objects.select_for_update().get(pk=sku.id)
        before, row.available, row.updated_at = row.available, available, now
        row.save(update_fields=["available", "updated_at"])
        note_moves([sku.id])
        audit.record(
            action="stock.count.set", by=by, target=sku.code, at=now, before=before, after=available, reason=reason
        )
    return before


def note_moves(sku_ids: Collection[int]) -> None:
    """Tell the roll-up that the stock of these SKUs moved. Inside the caller's transaction."""
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO stock_stockmove (sku_id) SELECT unnest(%s::bigint[])", [list(sku_ids)])


def roll_up(*, now: datetime) -> int:
    """Count again the SKUs that moved since the last time; answers how many levels changed."""
    with in_main(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ROLL_UP_LOCK])
        if not cursor.fetchone()[0]:
            return 0  # Another worker is at it; what it does not see, the next tick counts.
        cursor.execute(_ROLL_UP, [now])
        return int(cursor.rowcount)


def count_now(*, sku_ids: Collection[int], now: datetime) -> int:
    """Note a move for these SKUs and roll up at once: after an import, so that its page shows the new level."""
    with in_main():
        note_moves(sku_ids)
    return roll_up(now=now)
