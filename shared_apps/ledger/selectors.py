"""What others read of the ledger. Main station's scope."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db import connection
from django.utils.translation import gettext as _

from kameng.lib.errors import Missing
from shared_apps.ledger.models import Account, Control
from shared_apps.ledger.states import AccountClass
from shared_apps.ledger.types import Statement, StatementLine


class AccountMissing(Missing):
    code = "account_missing"


def find_account(code: str) -> Account:
    """Raises AccountMissing."""
    account = Account.objects.filter(code=code).first()
    if account is None:
        raise AccountMissing(_("There is no ledger account %(code)s.") % {"code": code})
    return account


def has_account(code: str) -> bool:
    """Whether an account was ever opened."""
    return Account.objects.filter(code=code).exists()


def balance_minor(code: str) -> int:
    """An account's balance on its own side, as of this statement: what was rolled up and the tail of what was not."""
    account = find_account(code)
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.ledger_balance_minor(%s)", [account.pk])
        return int(cursor.fetchone()[0]) * AccountClass(account.account_class).sign


def statement(code: str, *, since: date, until: date, limit: int = 1000) -> Statement:
    """The lines of an account from `since` to `until` (both included), by the event's day in the ledger's zone.

    At most `limit` lines; the closing balance is that of the period whether or not all lines are shown.
    """
    account = find_account(code)
    sign = AccountClass(account.account_class).sign
    zone = ZoneInfo(Control.objects.get(pk=1).zone)
    start = datetime.combine(since, time.min, zone)
    end = datetime.combine(until + timedelta(days=1), time.min, zone)
    with connection.cursor() as cursor:
        cursor.execute(
            # The last day that closed before, and what was posted since the roll-up: one statement, one snapshot.
            "SELECT coalesce((SELECT d.closing_minor FROM ledger_dailybalance d WHERE d.account_id = %(account)s "
            "                 AND d.day < m.day ORDER BY d.day DESC LIMIT 1), 0) "
            "     + coalesce((SELECT sum(e.amount_minor) FROM ledger_entry e JOIN ledger_transfer t ON t.id = e.transfer_id "
            "                 WHERE e.account_id = %(account)s AND e.xid >= c.rolled_to AND t.event_at < m.at), 0)::bigint "
            "FROM (VALUES (%(since)s, %(start)s), (%(after)s, %(end)s)) AS m(day, at), ledger_control c ORDER BY m.day",
            {"account": account.pk, "since": since, "start": start, "after": until + timedelta(days=1), "end": end},
        )
        opening, closing = (int(row[0]) * sign for row in cursor.fetchall())
        cursor.execute(
            "SELECT t.public_id, t.kind, t.reference, t.event_at, e.amount_minor FROM ledger_entry e "
            "JOIN ledger_transfer t ON t.id = e.transfer_id WHERE e.account_id = %s AND t.event_at >= %s "
            "AND t.event_at < %s ORDER BY t.event_at, t.id, e.leg LIMIT %s",
            [account.pk, start, end, limit],
        )
        lines, running = [], opening
        for public_id, kind, reference, event_at, amount in cursor.fetchall():
            running += amount * sign
            lines.append(StatementLine(public_id, kind, reference, event_at, amount * sign, running))
    return Statement(code, account.currency, since, until, opening, tuple(lines), closing)


def trial_balance() -> dict[str, int]:
    """The sum of all entries by currency: zero each, or the ledger is broken."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT currency, sum(amount_minor)::bigint FROM ledger_entry GROUP BY currency ORDER BY 1")
        return {currency: int(total) for currency, total in cursor.fetchall()}


def horizon_lag() -> int:
    """How many transactions the oldest open writer holds roll-up and seal back; large: somebody never commits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint - "
            "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        )
        return int(cursor.fetchone()[0])
