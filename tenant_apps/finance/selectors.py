"""What the panel and the API read of a shop's money. In the shop's scope."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from tenant_apps.finance.types import ACCOUNTS, Line, Statement

_SUMS = """SELECT coalesce(sum(amount_minor) FILTER (WHERE event_at < %(since)s), 0)::bigint,
    coalesce(sum(amount_minor) FILTER (WHERE event_at < %(until)s), 0)::bigint,
    coalesce(sum(amount_minor) FILTER (WHERE event_at >= %(since)s AND event_at < %(until)s AND amount_minor > 0), 0)::bigint,
    coalesce(sum(amount_minor) FILTER (WHERE event_at >= %(since)s AND event_at < %(until)s AND amount_minor < 0), 0)::bigint,
    count(*) FILTER (WHERE event_at >= %(since)s AND event_at < %(until)s), max(recorded_at)
FROM finance_statementline WHERE (%(account)s = '' OR account = %(account)s)"""
# The running balance is the database's: of the whole period, whichever page is shown.
_LINES = """SELECT * FROM (
    SELECT id, transfer_public_id, account, kind, reference_type, reference, amount_minor,
        (%(opening)s + sum(amount_minor) OVER (ORDER BY event_at, id))::bigint AS balance, currency, parts, event_at,
        recorded_at
    FROM finance_statementline
    WHERE (%(account)s = '' OR account = %(account)s) AND event_at >= %(since)s AND event_at < %(until)s
) period
WHERE %(before)s::bigint IS NULL
    OR (event_at, id) < (SELECT event_at, id FROM finance_statementline WHERE id = %(before)s::bigint)
ORDER BY event_at DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s"""


def statement(
    *, since: datetime, until: datetime, account: str = "", limit: int = 50, offset: int = 0, before: int | None = None
) -> Statement:
    """The shop's money from `since` (included) to `until` (not), of one account or of all, with one page of its lines.

    `before`: the id of the last line that the reader has; lines that came in meanwhile then repeat none.
    It adds up to the ledger's own statement of the same accounts and period, as far as it has been synced.
    """
    assert account in ("", *ACCOUNTS), account
    params: dict[str, Any] = {
        "since": since,
        "until": until,
        "account": account,
        "limit": limit,
        "offset": offset,
        "before": before,
    }
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, params)
        opening, closing, came_in, went_out, count, recorded_to = cursor.fetchone()
        cursor.execute(_LINES, {**params, "opening": opening})
        rows = cursor.fetchall()
    lines = [_line(row) for row in rows]
    return Statement(account, since, until, opening, closing, came_in, went_out, count, lines, recorded_to)


def period(*, since: date, until: date, zone: str) -> tuple[datetime, datetime]:
    """Two days of the shop's calendar (both included) as moments: midnight to the midnight after."""
    at = ZoneInfo(zone)
    return datetime.combine(since, time.min, at), datetime.combine(until + timedelta(days=1), time.min, at)


def balances() -> dict[str, int]:
    """What the shop is owed, by account; minor units."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT account, sum(amount_minor)::bigint FROM finance_statementline GROUP BY account")
        found = dict(cursor.fetchall())
    return {account: int(found.get(account, 0)) for account in ACCOUNTS}


def lines_of_order(number: str) -> list[Line]:
    """Every line that refers to one order, oldest first; `balance_minor` runs over these lines alone."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, transfer_public_id, account, kind, reference_type, reference, amount_minor, "
            "(sum(amount_minor) OVER (ORDER BY event_at, id))::bigint, currency, parts, event_at, recorded_at "
            "FROM finance_statementline WHERE reference = %s ORDER BY event_at, id",
            [number],
        )
        return [_line(row) for row in cursor.fetchall()]


def _line(row: tuple[Any, ...]) -> Line:
    values = list(row)
    values[9] = json.loads(values[9]) if isinstance(values[9], str) else values[9]
    return Line(*values)
