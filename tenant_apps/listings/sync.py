"""How the library reaches a shop: set-based, fenced by transaction id, safe to repeat and to run twice at once.

A library row carries the id of the transaction that last changed it. A sync reads the rows stamped at or after its
watermark and sets the watermark to the oldest transaction that was still open when it looked
(`pg_snapshot_xmin(pg_current_snapshot())`). A writer that commits late has a stamp at or above that, so the next sync
sees its rows; a cut by id or by time would pass them over for good.

Rows at or above the horizon that are visible already are taken along at once and read once more by the next sync, so
that one transaction left open somewhere delays nobody's prices. Reading a row twice writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import HasSchema, SchemaScope, in_main, in_substation, in_sync
from kameng.lib import clock
from kameng.lib.errors import Missing
from tenant_apps.listings import _sync_sql as sql
from tenant_apps.listings import services
from tenants.models import Substation, SyncFeed, SyncState
from tenants.states import SYNCED

FEEDS = (SyncFeed.LIBRARY, SyncFeed.STOCK)
# How long rows that can't be concluded yet (a transaction stays open) wait before they are looked at again.
PATIENCE = timedelta(seconds=10)
log = structlog.get_logger("listings.sync")


class SubstationUnknown(Missing):
    """No such substation, or it never began to sync."""

    code = "substation_unknown"


@dataclass(frozen=True)
class Outcome:
    """What one sync of one substation did: rows written by feed."""

    schema_name: str
    rows: dict[str, int] = field(default_factory=dict)
    duration_ms: int = 0


@dataclass(frozen=True)
class Due:
    """A substation with something to fetch."""

    substation_id: int
    schema_name: str
    feeds: tuple[str, ...]


def sync_substation(
    substation: HasSchema, feeds: Iterable[str] = FEEDS, *, full: bool = False, now: datetime | None = None
) -> Outcome:
    """Bring the synced tables of one substation up to date. `full`: compare every row, whatever the watermark says.

    Opens its own transaction (or savepoint) under the sync role. Two runners of one substation wait for each other.
    Raises: SubstationUnknown.
    """
    began = time.monotonic()
    rows: dict[str, int] = {}
    with in_sync(substation), connection.cursor() as cursor:
        cursor.execute(sql.LOCK, {"schema": substation.schema_name})
        states = cursor.fetchall()
        watermarks = {feed: watermark for feed, watermark, _priced in states}
        priced = {feed: at for feed, _watermark, at in states}
        if len(watermarks) < len(FEEDS):
            raise SubstationUnknown(_("This substation has no sync yet. Its making has to be finished first."))
        cursor.execute(sql.LEVEL, {"schema": substation.schema_name})
        substation_id, level, bound, horizon, products = cursor.fetchone()
        at = now or clock.utc_now()  # After the lock: terms that began while we waited for it are in force.
        for feed in FEEDS:  # In this order: the stock feed only changes listings that are there.
            if feed not in feeds:
                continue
            whole = full or watermarks[feed] == 0
            values = {
                "since": str(watermarks[feed]), "substation": substation_id, "level": level, "at": at,
                "priced": priced[feed] or "-infinity",
            }  # fmt: skip
            statements = _statements(feed, whole, bounded=bound is not None)
            if feed == SyncFeed.LIBRARY and not whole and (products or 0) < watermarks[feed]:
                statements = statements[-1:]  # Of the SKUs alone: mostly it is prices that change.
            rows[feed] = _run(cursor, statements, values)
            done = {
                "horizon": horizon,
                "at": at,
                "rows": rows[feed],
                "now": now or clock.utc_now(),
                "duration_ms": int((time.monotonic() - began) * 1000),
                "schema": substation.schema_name,
                "feed": feed,
            }
            cursor.execute(sql.FINISH, done)
    if bound is not None:
        # Afterwards, for it locks the substation's row, which a change of plan locks before the feeds' rows. What waits
        # says so in its row: after a death in between, the next sync finds it.
        with in_substation(substation):
            services.fill_room()
    return Outcome(substation.schema_name, rows, int((time.monotonic() - began) * 1000))


def _statements(feed: str, whole: bool, *, bounded: bool) -> tuple[str, ...]:
    if feed == SyncFeed.STOCK:
        return (sql.STOCK,) if whole else (sql.STOCK_CHANGED,)
    if bounded:
        return sql.BOUNDED_FULL if whole else sql.BOUNDED_CHANGED
    return sql.LIBRARY_FULL if whole else sql.LIBRARY_CHANGED


def _run(cursor: Any, statements: tuple[str, ...], values: dict[str, Any]) -> int:
    """Rows written."""
    written = 0
    for statement in statements:
        cursor.execute(statement, values)
        written += cursor.rowcount
    return written


def due(*, nudged: bool = False, now: datetime | None = None) -> list[Due]:
    """Substations that a change waits for, found in one query. `nudged`: do not wait for the horizon."""
    with in_main(), connection.cursor() as cursor:
        at = now or clock.utc_now()
        cursor.execute(sql.DUE, {"states": [*SYNCED], "nudged": nudged, "patience": at - PATIENCE, "at": at})
        return [Due(substation_id, schema, tuple(feeds)) for substation_id, schema, feeds in cursor.fetchall()]


def sync_due(*, nudged: bool = False, now: datetime | None = None) -> list[Outcome]:
    """Sync every substation that has something to fetch, each in a transaction of its own.

    One that fails is logged and shown on the sync page, and does not stop the others; the next tick tries it again.
    """
    outcomes = []
    for found in due(nudged=nudged, now=now):
        ensure_states(found.substation_id)
        try:
            outcomes.append(sync_substation(SchemaScope(found.schema_name), found.feeds, now=now))
        except Exception as error:
            log.exception("listings.sync.failed", schema=found.schema_name)
            _note_error(found, error, now or clock.utc_now())
    return outcomes


def _note_error(found: Due, error: Exception, now: datetime) -> None:
    with in_main():
        SyncState.objects.filter(substation_id=found.substation_id, feed__in=found.feeds).update(
            error=f"{type(error).__name__}: {error}"[:500], ran_at=now
        )


def ensure_states(substation_id: int) -> None:
    """Make the rows that hold how far a substation has come. Safe to repeat."""
    with in_main():
        SyncState.objects.bulk_create(
            [SyncState(substation_id=substation_id, feed=feed) for feed in FEEDS], ignore_conflicts=True
        )


def forget(substation_id: int) -> None:
    """Make the next sync compare everything: its plan level changed, so every supply price may have.

    Call it in the transaction that changes the plan.
    """
    SyncState.objects.filter(substation_id=substation_id, feed__in=FEEDS).update(watermark=0)


def resync(*, substation: Substation, by: Actor, now: datetime) -> Outcome:
    """Compare every row of one substation with the library now: the button on the sync page.

    Raises: SubstationUnknown.
    """
    ensure_states(substation.pk)
    outcome = sync_substation(substation, full=True, now=now)
    with in_main(), transaction.atomic():
        audit.record(action="listings.sync.repeat", by=by, target=substation.public_id, at=now, rows=outcome.rows)
    return outcome
