"""How the ledger reaches a shop: its own entries, copied set-based, fenced by transaction id, safe to repeat.

The cut is `ledger_horizon()`: every transaction below it has ended, so an entry whose writer commits late lies at or
above the watermark and is read by the next sync. Entries above the horizon that are visible already are taken along and
read once more later, which writes nothing: the ledger is append-only, and so is its copy.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import connection

from kameng.db.context import HasSchema, SchemaScope, in_main, in_sync
from kameng.lib import clock
from tenants.models import SyncFeed, SyncState
from tenants.states import SYNCED, SubstationState

log = structlog.get_logger("finance.sync")

_LOCK = """SELECT y.watermark, s.id FROM public.tenants_syncstate y
JOIN public.tenants_substation s ON s.id = y.substation_id
WHERE s.schema_name = %(schema)s AND y.feed = 'STATEMENT' FOR UPDATE OF y"""
# A statement of its own, before the reading one: the snapshot that reads holds every row below it.
_HORIZON = "SELECT public.ledger_horizon()"
_COPY = """INSERT INTO finance_statementline (id, transfer_id, transfer_public_id, leg, account, kind, reference_type,
    reference, amount_minor, currency, parts, event_at, recorded_at)
SELECT f.id, f.transfer_id, f.transfer_public_id, f.leg, f.account, f.kind, f.reference_type, f.reference, f.own_minor,
    f.currency, f.parts, f.event_at, f.recorded_at
FROM public.ledger_statement_feed f WHERE f.substation_id = %(substation)s AND f.xid >= %(since)s
ON CONFLICT (id) DO NOTHING"""
_FINISH = """UPDATE public.tenants_syncstate y
SET watermark = %(horizon)s, ran_at = %(now)s,
    changed_at = CASE WHEN %(rows)s > 0 THEN %(now)s ELSE y.changed_at END,
    rows_changed = %(rows)s, duration_ms = %(duration_ms)s, error = ''
WHERE y.substation_id = %(substation)s AND y.feed = 'STATEMENT'"""
# One query for all shops: whose accounts have an entry at or above their watermark. One index probe an account. Closed
# ones too: a refund or a dispute may come late, and their owner still reads what they are owed.
_DUE = """SELECT s.id, s.schema_name FROM tenants_substation s
LEFT JOIN tenants_syncstate y ON y.substation_id = s.id AND y.feed = 'STATEMENT'
WHERE s.state = ANY (%(states)s) AND EXISTS (
    SELECT 1 FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id AND e.xid >= coalesce(y.watermark, 0)
    WHERE a.substation_id = s.id)
ORDER BY s.id"""


@dataclass(frozen=True)
class StatementSync:
    """What one sync of one shop's statement did."""

    schema_name: str
    rows: int
    duration_ms: int


def sync_statement(substation: HasSchema, *, full: bool = False, now: datetime | None = None) -> StatementSync:
    """Bring one shop's statement up to date, in a transaction under the sync role. `full`: read it from the start.

    Two runners of one shop wait for each other.
    """
    began = time.monotonic()
    with in_sync(substation), connection.cursor() as cursor:
        cursor.execute(_LOCK, {"schema": substation.schema_name})
        row = cursor.fetchone()
        if row is None:
            raise SyncState.DoesNotExist(f"{substation.schema_name} has no statement feed.")
        watermark, substation_id = row
        cursor.execute(_HORIZON)
        horizon = cursor.fetchone()[0]
        cursor.execute(_COPY, {"substation": substation_id, "since": 0 if full else watermark})
        rows = cursor.rowcount
        duration_ms = int((time.monotonic() - began) * 1000)
        cursor.execute(
            _FINISH,
            {"horizon": horizon, "rows": rows, "now": now or clock.utc_now(), "duration_ms": duration_ms,
             "substation": substation_id},
        )  # fmt: skip
    return StatementSync(substation.schema_name, rows, duration_ms)


def sync_due(*, now: datetime | None = None) -> list[StatementSync]:
    """Sync every shop with entries it has not seen; one that fails is logged, shown, and stops no other."""
    with in_main(), connection.cursor() as cursor:
        cursor.execute(_DUE, {"states": [*SYNCED, SubstationState.CLOSED]})
        due = cursor.fetchall()
    done = []
    for substation_id, schema_name in due:
        ensure_state(substation_id)
        try:
            done.append(sync_statement(SchemaScope(schema_name), now=now))
        except Exception as error:
            log.exception("finance.sync.failed", schema=schema_name)
            with in_main():
                SyncState.objects.filter(substation_id=substation_id, feed=SyncFeed.STATEMENT).update(
                    error=f"{type(error).__name__}: {error}"[:500], ran_at=now or clock.utc_now()
                )
    return done


def ensure_state(substation_id: int) -> None:
    """Make the row that holds how far the shop's statement has come. Safe to repeat."""
    with in_main():
        SyncState.objects.bulk_create(
            [SyncState(substation_id=substation_id, feed=SyncFeed.STATEMENT)], ignore_conflicts=True
        )


def sync_before_closing(substation: HasSchema) -> None:
    """One of settings.CLOSING_STEPS: what the closed shop's owner reads at once is whole."""
    sync_statement(substation)
