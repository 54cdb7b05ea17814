"""Today beside yesterday, what waits for a person, and how far the shops are behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

SPARK_DAYS = 14
# How long a feed may stay behind before the page says so: a tick and the work itself.
SYNC_PATIENCE = timedelta(seconds=60)
REVENUE, PLATFORM_FEE = "main:revenue", "main:platform_fee"

_WAITING = """SELECT
    (SELECT count(*) FROM receipts_paymentcase WHERE NOT state = 'SETTLED'),
    (SELECT count(*) FROM receipts_inboxevent WHERE state = 'FAILED'),
    (SELECT count(*) FROM jobs_job WHERE state = 'FAILED'),
    (SELECT count(DISTINCT substation_id) FROM tenants_syncstate WHERE NOT error = ''),
    (SELECT count(*) FROM billing_subscription WHERE state = 'PAST_DUE'),
    (SELECT count(*) FROM regions_lead WHERE state IN ('OPEN', 'DECLINED', 'LAPSED')),
    (SELECT count(*) FROM tenants_substation WHERE NOT schema_problem = '')"""

_WAITS = ("cases", "events", "jobs", "sync_errors", "unpaid", "leads", "upgrades")


def waiting() -> dict[str, int]:
    """What waits for a person, counted in one statement; the menu's badges."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return dict(zip(_WAITS, cursor.fetchone(), strict=True))


_STEPS = """SELECT
    EXISTS (SELECT FROM tenants_plan WHERE active), EXISTS (SELECT FROM library_sku WHERE active),
    EXISTS (SELECT FROM stock_code) OR EXISTS (SELECT FROM stock_stockcount WHERE available > 0),
    EXISTS (SELECT FROM receipts_merchantaccount WHERE enabled), EXISTS (SELECT FROM tenants_substation)"""


def steps_done() -> dict[str, bool]:
    """What a new main station has done of what it needs before it sells: plan, goods, stock, merchant account, shop."""
    with connection.cursor() as cursor:
        cursor.execute(_STEPS)
        return dict(zip(("plans", "products", "stock", "merchants", "substations"), cursor.fetchone(), strict=True))


@dataclass(frozen=True)
class Figure:
    """A number of today beside yesterday's at the same hour, with its last days. Minor units where it is money."""

    today: int
    yesterday: int  # Up to the hour that it is now.
    whole_yesterday: int
    days: tuple[int, ...]  # The last SPARK_DAYS, today last.

    @property
    def change_bps(self) -> int | None:
        """Today against yesterday by now, in ten-thousandths; None where there is nothing to compare with."""
        if self.yesterday <= 0:
            return None
        return round((self.today - self.yesterday) * 10_000 / self.yesterday)


# An order is paid within days of being placed, and only `placed_at` has an index.
_ORDERS = """WITH paid AS (
    SELECT paid_at, total_minor FROM receipts_networkorder
    WHERE placed_at >= %(since)s - interval '7 days' AND paid_at >= %(since)s)
SELECT (paid_at AT TIME ZONE %(zone)s)::date, count(*), coalesce(sum(total_minor), 0)::bigint,
       count(*) FILTER (WHERE paid_at < %(same_hour)s),
       coalesce(sum(total_minor) FILTER (WHERE paid_at < %(same_hour)s), 0)::bigint
FROM paid GROUP BY 1"""

# What was sealed before the first day holds no event of it: a block's rows were recorded before they were sealed.
_INCOME = """SELECT a.code, (t.event_at AT TIME ZONE %(zone)s)::date, -sum(e.amount_minor)::bigint,
       -coalesce(sum(e.amount_minor) FILTER (WHERE t.event_at < %(same_hour)s), 0)::bigint
FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id JOIN ledger_transfer t ON t.id = e.transfer_id
WHERE a.code = ANY (%(codes)s) AND t.event_at >= %(since)s
  AND e.xid >= coalesce((SELECT max(b.cut_xid) FROM ledger_block b WHERE b.sealed_at < %(since)s), 0)
GROUP BY 1, 2"""

_SHOPS = """SELECT (live_at AT TIME ZONE %(zone)s)::date, count(*), count(*) FILTER (WHERE live_at < %(same_hour)s)
FROM tenants_substation WHERE live_at >= %(since)s GROUP BY 1"""


def today_beside_yesterday(now: datetime) -> dict[str, Figure]:
    """GMV and number of paid orders, the main station's revenue and platform fee, shops that opened."""
    zone = timezone.get_current_timezone_name()
    today = timezone.localtime(now).date()
    first = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=SPARK_DAYS - 1)
    given: dict[str, Any] = {
        "since": first, "zone": zone, "same_hour": now - timedelta(days=1), "codes": [REVENUE, PLATFORM_FEE],
    }  # fmt: skip
    whole: dict[str, dict[date, int]] = {name: {} for name in ("gmv", "orders", "shops", REVENUE, PLATFORM_FEE)}
    by_now: dict[str, dict[date, int]] = {name: {} for name in whole}
    with connection.cursor() as cursor:
        cursor.execute(_ORDERS, given)
        for day, orders, gmv, orders_by_now, gmv_by_now in cursor.fetchall():
            whole["orders"][day], whole["gmv"][day] = orders, gmv
            by_now["orders"][day], by_now["gmv"][day] = orders_by_now, gmv_by_now
        cursor.execute(_INCOME, given)
        for code, day, income, income_by_now in cursor.fetchall():
            whole[code][day], by_now[code][day] = income, income_by_now
        cursor.execute(_SHOPS, given)
        for day, shops, shops_by_now in cursor.fetchall():
            whole["shops"][day], by_now["shops"][day] = shops, shops_by_now
    names = {"gmv": "gmv", "orders": "orders", "shops": "shops", "revenue": REVENUE, "fee": PLATFORM_FEE}
    return {name: _figure(whole[key], by_now[key], today) for name, key in names.items()}


def last_days(now: datetime) -> list[date]:
    """The days of a figure's `days`, today last."""
    today = timezone.localtime(now).date()
    return [today - timedelta(days=back) for back in range(SPARK_DAYS - 1, -1, -1)]


def _figure(whole: dict[date, int], by_now: dict[date, int], today: date) -> Figure:
    days = tuple(whole.get(today - timedelta(days=back), 0) for back in range(SPARK_DAYS - 1, -1, -1))
    return Figure(days[-1], by_now.get(today - timedelta(days=1), 0), days[-2], days)


@dataclass(frozen=True)
class FeedState:
    """One feed of one substation, as the sync page shows it."""

    substation_id: int
    public_id: str
    slug: str
    name: str
    feed: str
    state: str  # UP_TO_DATE, BEHIND, FAILED, WAITING (never ran).
    watermark: int
    newest: int | None
    ran_at: datetime | None
    changed_at: datetime | None
    rows_changed: int
    duration_ms: int
    error: str


# The newest stamp of each source, from the ends of their indexes.
_FEEDS = """WITH newest (feed, stamp) AS (
    SELECT 'LIBRARY', greatest(
        (SELECT changed_xid FROM library_category ORDER BY changed_xid DESC LIMIT 1),
        (SELECT changed_xid FROM library_brand ORDER BY changed_xid DESC LIMIT 1),
        (SELECT changed_xid FROM library_product ORDER BY changed_xid DESC LIMIT 1),
        (SELECT changed_xid FROM library_sku ORDER BY changed_xid DESC LIMIT 1),
        (SELECT changed_xid FROM library_supplyprice ORDER BY changed_xid DESC LIMIT 1))::text::bigint
    UNION ALL
    SELECT 'STOCK', (SELECT changed_xid FROM stock_stocklevel ORDER BY changed_xid DESC LIMIT 1)::text::bigint)
SELECT s.id, s.public_id, s.slug, s.name, y.feed, y.watermark,
       CASE WHEN y.feed = 'STATEMENT' THEN
           (SELECT max(e.xid) FROM ledger_account a JOIN ledger_entry e ON e.account_id = a.id
            WHERE a.substation_id = s.id AND e.xid >= y.watermark)
       WHEN y.feed = 'LIBRARY' THEN greatest(n.stamp,
           (SELECT p.changed_xid FROM library_privateprice p WHERE p.substation_id = s.id
            ORDER BY p.changed_xid DESC LIMIT 1)::text::bigint,
           -- Private terms that began or ended since the feed was fetched are due as if they had been written.
           CASE WHEN EXISTS (SELECT 1 FROM library_privateprice p WHERE p.substation_id = s.id
                AND (p.starts_at > y.prices_at AND p.starts_at <= %(now)s OR p.ends_at > y.prices_at AND p.ends_at <= %(now)s))
           THEN y.watermark END)
       ELSE n.stamp END,
       y.ran_at, y.changed_at, y.rows_changed, y.duration_ms, y.error
FROM tenants_syncstate y JOIN tenants_substation s ON s.id = y.substation_id
LEFT JOIN newest n ON n.feed = y.feed
WHERE s.state IN ('TRIAL', 'ACTIVE', 'PAST_DUE', 'SUSPENDED', 'CLOSING') AND (%(substation)s IS NULL OR s.id = %(substation)s)
ORDER BY s.name, s.id, y.feed"""


def feed_states(now: datetime, substation_id: int | None = None) -> list[FeedState]:
    """Every substation's feeds and whether something waits for them. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(_FEEDS, {"substation": substation_id, "now": now})
        return [_feed(row, now) for row in cursor.fetchall()]


def _feed(row: tuple[Any, ...], now: datetime) -> FeedState:
    pk, public_id, slug, name, feed, watermark, newest, ran_at, changed_at, rows, duration, error = row
    due = newest is not None and newest >= watermark
    if error:
        state = "FAILED"
    elif ran_at is None:
        state = "WAITING"
    elif due and ran_at < now - SYNC_PATIENCE:
        state = "BEHIND"
    else:
        state = "UP_TO_DATE"
    return FeedState(
        pk, public_id, slug, name, feed, state, watermark, newest, ran_at, changed_at, rows, duration, error
    )
