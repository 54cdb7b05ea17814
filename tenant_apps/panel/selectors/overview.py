"""The figures of the first screen: today beside yesterday, in the shop's own zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from tenant_apps.listings.models import Listing, MarkupRule
from tenant_apps.listings.states import StockState
from tenant_apps.orders import selectors as orders
from tenant_apps.orders.models import Order
from tenant_apps.shop.types import ShopInfo

DAYS = 14
FIRST_RULE_BY = "Kameng"  # Who wrote the markup rule that a new shop starts with.
_UNTIL_SQL = """
SELECT count(*), coalesce(sum(total_minor), 0)::bigint, coalesce(sum(earned_minor), 0)::bigint
FROM orders_order WHERE paid_at >= %(since)s AND paid_at < %(until)s AND state IN ('PAID', 'DELIVERED')
"""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of today, beside yesterday's at the same time of day, with the days before."""

    today: int
    yesterday: int
    days: Sequence[int]  # Oldest first, today last.

    @property
    def trend_bps(self) -> int | None:
        """The change in whole percents, as ten-thousandths; None where yesterday had nothing to compare with."""
        return round((self.today - self.yesterday) * 100 / self.yesterday) * 100 if self.yesterday > 0 else None


@dataclass(frozen=True, slots=True)
class Today:
    """Paid orders, what buyers paid for them, and the shop's part. Money in minor units; refunded ones left out."""

    orders: Figure
    gmv: Figure
    earned: Figure
    day_names: Sequence[str]  # ISO dates.


@dataclass(frozen=True, slots=True)
class Step:
    """One of the first days' steps."""

    key: str
    done: bool


def today(now: dt.datetime) -> Today:
    """The last 14 days by the active zone's calendar, and yesterday until this time of day."""
    here = timezone.localtime(now)
    days = orders.day_figures(now=now, zone=timezone.get_current_timezone_name(), days=DAYS)
    # The same time of day yesterday by the calendar, so that a change of the clocks does not shift the comparison.
    yesterday = here.date() - dt.timedelta(days=1)
    since = timezone.make_aware(dt.datetime.combine(yesterday, dt.time.min))
    until = timezone.make_aware(dt.datetime.combine(yesterday, here.time().replace(tzinfo=None)))
    with connection.cursor() as cursor:
        cursor.execute(_UNTIL_SQL, {"since": since, "until": until})
        count, gmv, earned = cursor.fetchone()
    return Today(
        orders=_figure([day.orders_paid for day in days], count),
        gmv=_figure([day.gmv_minor for day in days], gmv),
        earned=_figure([day.earned_minor for day in days], earned),
        day_names=[day.day for day in days],
    )


def _figure(days: list[int], yesterday_by_now: int) -> Figure:
    return Figure(days[-1], yesterday_by_now, days)


def sold_out_on_shelf() -> int:
    """SKUs that buyers see and can't buy."""
    return Listing.objects.filter(active=True, on_shelf=True, stock_state=StockState.OUT).count()


def ever_sold() -> bool:
    return Order.objects.filter(paid_at__isnull=False).exists()


def first_steps(shop: ShopInfo, *, default_accent: str) -> list[Step]:
    """The list of the first days. What can be seen from the shop's own data ticks itself off."""
    done = shop.first_steps
    priced = MarkupRule.objects.exclude(updated_by__in=("", FIRST_RULE_BY)).exists()
    return [
        Step("look", bool(done.get("look"))),
        Step("prices", priced),
        Step("notice", bool(shop.notice)),
        Step("face", bool(shop.logo) or shop.accent.lower() != default_accent),
        Step("share", bool(done.get("share"))),
        Step("sale", ever_sold()),
    ]
