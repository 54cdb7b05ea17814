"""A shop's statement: synced from the ledger, fenced, read-only for the shop, and equal to the ledger to the cent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from django.db import DatabaseError, connection

from kameng.db.context import in_main, in_substation
from shared_apps.ledger import selectors as ledger
from tenant_apps.finance import selectors, sync
from tenant_apps.payments import services as payments
from tests.horizon import wait_until_concluded
from tests.tenant_apps import market
from tests.tenant_apps.market import NOW, announce, pay_fact, place

Sell = Callable[..., market.Goods]
DAY = timedelta(days=1)


def sold(shop: Any, account: Any, goods: market.Goods, *, at: datetime = NOW) -> Any:
    """One sale of 11.40 that earns the shop 1.80, paid at `at`."""
    with in_substation(shop):
        placed = place(goods, now=at)
        payment = announce(placed, account, now=at)
    payments.take_fact(fact=pay_fact(account, payment, placed.total_minor, occurred_at=at), now=at)
    wait_until_concluded()
    return placed


def watermark(shop: Any) -> int:
    found = market.rows(
        "SELECT watermark FROM tenants_syncstate WHERE substation_id = %s AND feed = 'STATEMENT'", shop.pk
    )
    return int(found[0][0])


@pytest.fixture
def own_shop(fresh_shop: Any) -> Any:
    """A shop whose books nobody else writes."""
    with in_main():
        market.open_books(fresh_shop)
    return fresh_shop


@pytest.fixture
def goods(own_shop: Any) -> market.Goods:
    with in_main():
        made = market.make_goods(codes=8)
    market.stock_shelves(own_shop)
    return made


class TestSync:
    def test_brings_the_shops_own_legs_and_what_the_sale_was_made_of(
        self, own_shop: Any, account: Any, goods: market.Goods
    ) -> None:
        placed = sold(own_shop, account, goods)

        assert sync.sync_statement(own_shop).rows == 1

        with in_substation(own_shop):
            [line] = selectors.lines_of_order(placed.number)
        assert (line.account, line.kind, line.amount_minor, line.balance_minor) == ("pending", "sale", 180, 180)
        assert {part["part"]: part["amount_minor"] for part in line.parts} == {
            "gross": -1140, "supply": 950, "channel_fee": 6, "platform_fee": 4, "pending": 180,
        }  # fmt: skip

    def test_again_brings_nothing(self, own_shop: Any, account: Any, goods: market.Goods) -> None:
        sold(own_shop, account, goods)
        sync.sync_statement(own_shop)

        assert sync.sync_statement(own_shop).rows == 0
        assert sync.sync_statement(own_shop, full=True).rows == 0

    def test_one_query_finds_the_shops_with_news(self, own_shop: Any, account: Any, goods: market.Goods) -> None:
        wait_until_concluded()
        sync.sync_due()
        sold(own_shop, account, goods)

        assert [done.schema_name for done in sync.sync_due()] == [own_shop.schema_name]
        assert sync.sync_due() == []

    def test_sees_a_sale_that_began_before_the_sync_and_commits_after_it(
        self, own_shop: Any, account: Any, goods: market.Goods
    ) -> None:
        """The writer has its transaction id before the sync's horizon is taken; its row appears only afterwards."""
        from tests.tenant_apps.racing import Runner

        with in_main():
            with connection.cursor() as cursor:
                self._post(cursor, own_shop, "early")
            later = Runner(lambda: self._committed(own_shop, "late"))
            later.result()
            first = Runner(lambda: sync.sync_statement(own_shop)).result()
        second = sync.sync_statement(own_shop)

        assert (first.rows, second.rows) == (1, 1)

    def test_a_cut_at_the_newest_row_would_lose_it(self, own_shop: Any, account: Any, goods: market.Goods) -> None:
        """The same, with the watermark set past the newest row seen, as a cut by id would."""
        from tests.tenant_apps.racing import Runner

        with in_main():
            with connection.cursor() as cursor:
                self._post(cursor, own_shop, "early")
            Runner(lambda: self._committed(own_shop, "late")).result()
            Runner(lambda: sync.sync_statement(own_shop)).result()
            newest = market.rows("SELECT max(xid) FROM ledger_transfer")[0][0]
        with in_main(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE tenants_syncstate SET watermark = %s WHERE substation_id = %s AND feed = 'STATEMENT'",
                [newest + 1, own_shop.pk],
            )

        assert sync.sync_statement(own_shop).rows == 0
        assert sync.sync_statement(own_shop, full=True).rows == 1

    def test_the_watermark_is_the_horizon(self, own_shop: Any) -> None:
        before = watermark(own_shop)
        wait_until_concluded()

        sync.sync_statement(own_shop)

        assert watermark(own_shop) > before

    def test_the_shop_can_not_write_its_own_statement(self, own_shop: Any, account: Any, goods: market.Goods) -> None:
        sold(own_shop, account, goods)
        sync.sync_statement(own_shop)

        for statement in (
            "UPDATE finance_statementline SET amount_minor = 1000000",
            "DELETE FROM finance_statementline",
            "INSERT INTO finance_statementline SELECT * FROM finance_statementline",
        ):
            with pytest.raises(DatabaseError) as refused, in_substation(own_shop), connection.cursor() as cursor:
                cursor.execute(statement)
            assert isinstance(refused.value.__cause__, psycopg2.errors.InsufficientPrivilege)
        with in_substation(own_shop):
            assert selectors.balances()["pending"] == 180

    def _post(self, cursor: Any, shop: Any, key: str) -> None:
        cursor.execute(
            "SELECT ledger_post(%s, 'adjustment', '', '', %s, %s, ARRAY['main:revenue', %s], ARRAY[5, -5]::bigint[], "
            "ARRAY['CNY'])",
            [f"{key}:{shop.pk}", shop.pk, NOW, f"substation:{shop.pk}:pending"],
        )

    def _committed(self, shop: Any, key: str) -> None:
        with in_main(), connection.cursor() as cursor:
            self._post(cursor, shop, key)


class TestStatement:
    def test_adds_up_to_the_ledger(self, own_shop: Any, account: Any, goods: market.Goods) -> None:
        days = [NOW - 2 * DAY, NOW - DAY, NOW - DAY + timedelta(hours=1), NOW]
        for at in days:
            sold(own_shop, account, goods, at=at)
        sync.sync_statement(own_shop)
        since, until = (NOW - DAY).date(), NOW.date()

        with in_main():
            books = ledger.statement(f"substation:{own_shop.pk}:pending", since=since, until=until)
        start, end = selectors.period(since=since, until=until, zone="Asia/Shanghai")
        with in_substation(own_shop):
            mine = selectors.statement(account="pending", since=start, until=end)

        assert (mine.opening_minor, mine.closing_minor) == (books.opening_minor, books.closing_minor) == (180, 720)
        assert [line.amount_minor for line in reversed(mine.lines)] == [line.amount_minor for line in books.lines]
        assert [line.balance_minor for line in reversed(mine.lines)] == [line.balance_minor for line in books.lines]
        assert (mine.in_minor, mine.out_minor, mine.line_count) == (540, 0, 3)

    def test_pages_keep_the_running_balance_of_the_period(
        self, own_shop: Any, account: Any, goods: market.Goods
    ) -> None:
        for hour in range(3):
            sold(own_shop, account, goods, at=NOW + timedelta(hours=hour))
        sync.sync_statement(own_shop)

        with in_substation(own_shop):
            pages = [
                selectors.statement(since=NOW - DAY, until=NOW + DAY, limit=1, offset=offset).lines[0].balance_minor
                for offset in range(3)
            ]

        assert pages == [540, 360, 180]

    def test_a_refund_takes_back_what_the_sale_gave(
        self, own_shop: Any, account: Any, goods: market.Goods, channel: Any
    ) -> None:
        placed = sold(own_shop, account, goods)
        payments.refund_order(
            substation_id=own_shop.pk, order_number=placed.number, reason="wrong one", by=market.CLERK, now=NOW
        )
        sync.sync_statement(own_shop)

        with in_substation(own_shop):
            lines = selectors.lines_of_order(placed.number)

        assert [(line.kind, line.amount_minor, line.balance_minor) for line in lines] == [
            ("sale", 180, 180), ("refund", -180, 0),
        ]  # fmt: skip

    def test_days_are_the_shops_own(self) -> None:
        start, end = selectors.period(since=date(2026, 11, 24), until=date(2026, 11, 24), zone="Asia/Shanghai")

        assert start.astimezone(UTC) == datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
        assert end - start == DAY
