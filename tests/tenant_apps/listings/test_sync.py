"""The library's way into a shop: complete, nothing skipped, nothing of the shop's own touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation, in_sync
from shared_apps.library import services as library
from shared_apps.library.models import Brand, Category, Product, Sku, SupplyPrice
from shared_apps.stock import services as stock
from tenant_apps.listings import sync
from tenant_apps.listings.models import ListedCategory, ListedProduct, Listing, MarkupRule
from tenants.models import Substation, SyncFeed, SyncState
from tests.horizon import wait_until_concluded
from tests.tenant_apps.market import NOW, Goods, make_goods
from tests.tenant_apps.racing import Runner


@pytest.fixture
def goods(prepared: None) -> Goods:
    with in_main():
        return make_goods(codes=3)


@pytest.fixture
def shop(fresh_shop: Any, goods: Goods) -> Any:
    """A shop of this test's own that has fetched everything there is."""
    sync.sync_substation(fresh_shop)
    return fresh_shop


@pytest.fixture
def writer() -> Iterator[Any]:
    """A second connection, whose transaction the test ends when it wants."""
    conn = psycopg2.connect(os.environ["DATABASE_OWNER_URL"])
    yield conn
    conn.close()


def listing(shop: Any, sku_id: int) -> Listing:
    with in_substation(shop):
        return Listing.objects.get(pk=sku_id)


def watermark(shop: Any, feed: str = "LIBRARY") -> int:
    with in_main():
        return SyncState.objects.get(substation=shop, feed=feed).watermark


class TestWhatArrives:
    def test_a_new_shop_gets_everything_with_its_own_plans_price(self, alice: Any, bob: Any, goods: Goods) -> None:
        for shop in (alice, bob):
            sync.sync_substation(shop)

        assert listing(alice, goods.sku_id).supply_unit == Decimal("9.50")  # Basic.
        assert listing(bob, goods.sku_id).supply_unit == Decimal("9.00")  # Professional.
        assert listing(alice, goods.sku_id).on_shelf
        with in_substation(alice):
            assert ListedProduct.objects.get(pk=goods.product_id).search_text.startswith("card ")

    def test_a_change_arrives_and_nothing_else_is_written(self, shop: Any, goods: Goods) -> None:
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(name_zh="二十元")

        outcome = sync.sync_substation(shop)

        assert listing(shop, goods.sku_id).name_zh == "二十元"
        assert outcome.rows == {"LIBRARY": 1, "STOCK": 0}

    def test_reading_again_writes_nothing(self, shop: Any) -> None:
        assert sync.sync_substation(shop).rows == {"LIBRARY": 0, "STOCK": 0}
        assert sync.sync_substation(shop, full=True).rows == {"LIBRARY": 0, "STOCK": 0}

    def test_a_brand_takes_its_products_along(self, shop: Any, goods: Goods) -> None:
        with in_main():
            brand = Brand.objects.create(slug=f"b-{goods.product_id}", name_zh="旧")
            Product.objects.filter(pk=goods.product_id).update(brand=brand)
        sync.sync_substation(shop)
        with in_main():
            Brand.objects.filter(pk=brand.pk).update(name_zh="新牌")

        sync.sync_substation(shop)

        with in_substation(shop):
            row = ListedProduct.objects.get(pk=goods.product_id)
        assert row.brand_zh == "新牌"
        assert "新牌" in row.search_text

    def test_another_plans_price_is_no_change_of_this_shop(self, shop: Any, goods: Goods) -> None:
        with in_main():
            SupplyPrice.objects.filter(sku_id=goods.sku_id, level="PRO").update(unit=Decimal("9.01"))

        assert sync.sync_substation(shop).rows["LIBRARY"] == 0
        assert listing(shop, goods.sku_id).supply_unit == Decimal("9.50")

    def test_a_supply_price_taken_away_travels_as_inactive_and_comes_back(self, shop: Any, goods: Goods) -> None:
        with in_main():
            SupplyPrice.objects.filter(sku_id=goods.sku_id, level="BASIC").delete()
        sync.sync_substation(shop)
        gone = listing(shop, goods.sku_id)
        with in_main():
            SupplyPrice.objects.create(sku_id=goods.sku_id, level="BASIC", unit=Decimal("9.60"))

        sync.sync_substation(shop)

        assert not gone.active
        back = listing(shop, goods.sku_id)
        assert (back.active, back.supply_unit) == (True, Decimal("9.60"))

    def test_a_sku_without_a_price_of_the_plan_is_not_listed(self, shop: Any) -> None:
        with in_main():
            other = make_goods(supply={"PRO": Decimal(9)})

        sync.sync_substation(shop)

        with in_substation(shop):
            assert not Listing.objects.filter(pk=other.sku_id).exists()

    def test_a_closed_product_and_category_are_inactive(self, shop: Any, goods: Goods) -> None:
        with in_main():
            category = Category.objects.create(slug=f"c-{goods.product_id}", name_zh="类")
            Product.objects.filter(pk=goods.product_id).update(category=category)
        sync.sync_substation(shop)
        with in_main():
            Category.objects.filter(pk=category.pk).update(active=False)

        sync.sync_substation(shop)

        with in_substation(shop):
            assert not ListedProduct.objects.get(pk=goods.product_id).active
            assert not ListedCategory.objects.get(pk=category.pk).active

    def test_stock_arrives_by_its_own_feed(self, shop: Any, goods: Goods) -> None:
        before = listing(shop, goods.sku_id)
        stock.count_now(sku_ids=[goods.sku_id], now=NOW)

        outcome = sync.sync_substation(shop, feeds=["STOCK"])

        assert before.stock_state == "OUT"
        assert list(outcome.rows) == ["STOCK"]
        after = listing(shop, goods.sku_id)
        assert (after.stock_state, after.stock_available) == ("LOW", 3)

    def test_a_listing_that_comes_late_brings_the_stock_that_was_counted_before(self, shop: Any) -> None:
        with in_main():
            late = make_goods(codes=2, supply={"PRO": Decimal(9)})
        stock.count_now(sku_ids=[late.sku_id], now=NOW)
        sync.sync_substation(shop)  # The stock feed reads past it.
        with in_main():
            SupplyPrice.objects.create(sku_id=late.sku_id, level="BASIC", unit=Decimal(9))

        sync.sync_substation(shop, feeds=["LIBRARY"])

        assert listing(shop, late.sku_id).stock_available == 2

    def test_what_has_no_limit_is_in_stock(self, shop: Any) -> None:
        with in_main():
            endless = make_goods(policy="UNLIMITED", delivery="MANUAL")

        sync.sync_substation(shop)

        assert listing(shop, endless.sku_id).stock_state == "IN_STOCK"


class TestTheShopsOwn:
    def test_no_sync_touches_the_shops_columns(self, shop: Any, goods: Goods) -> None:
        with in_substation(shop):
            Listing.objects.filter(pk=goods.sku_id).update(on_shelf=False)
            ListedProduct.objects.filter(pk=goods.product_id).update(own_name="我的", own_sort=7, seo_title="t")
            category = ListedProduct.objects.get(pk=goods.product_id).category_id
            ListedCategory.objects.filter(pk=category).update(hidden=True)
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(name_zh="改")
            Product.objects.filter(pk=goods.product_id).update(name_zh="改")

        sync.sync_substation(shop, full=True)

        with in_substation(shop):
            product = ListedProduct.objects.get(pk=goods.product_id)
            assert (product.name_zh, product.own_name, product.own_sort, product.seo_title) == ("改", "我的", 7, "t")
            row = Listing.objects.get(pk=goods.sku_id)
            assert (row.name_zh, row.on_shelf) == ("改", False)
            assert ListedCategory.objects.get(pk=category).hidden

    def test_the_shop_itself_may_not_write_synced_columns(self, shop: Any, goods: Goods) -> None:
        with pytest.raises(Exception, match="permission denied"), in_substation(shop):
            Listing.objects.filter(pk=goods.sku_id).update(supply_unit=Decimal("0.01"))

        assert listing(shop, goods.sku_id).supply_unit == Decimal("9.50")

    def test_the_sync_may_not_write_elsewhere(self, shop: Any) -> None:
        with pytest.raises(Exception, match="permission denied"), in_sync(shop), connection.cursor() as cursor:
            cursor.execute("UPDATE listings_markuprule SET value = 0")
        with pytest.raises(Exception, match="permission denied"), in_sync(shop), connection.cursor() as cursor:
            cursor.execute("SELECT email FROM public.accounts_user")


class TestFence:
    def test_a_writer_that_commits_late_is_not_skipped(self, shop: Any, goods: Goods, writer: Any) -> None:
        with in_main():
            other = make_goods()
        sync.sync_substation(shop)
        with writer.cursor() as early:
            early.execute("UPDATE library_sku SET name_zh = '早写晚提交' WHERE id = %s", [goods.sku_id])
            early.execute("SELECT pg_current_xact_id()::text::bigint")
            early_xid = early.fetchone()[0]
        with in_main():
            Sku.objects.filter(pk=other.sku_id).update(name_zh="晚写早提交")
        sync.sync_substation(shop)
        between = listing(shop, goods.sku_id).name_zh
        mark_between = watermark(shop)
        writer.commit()

        sync.sync_substation(shop)

        assert listing(shop, other.sku_id).name_zh == "晚写早提交"
        assert between == "10 元"
        assert mark_between <= early_xid
        assert listing(shop, goods.sku_id).name_zh == "早写晚提交"

    def test_a_product_that_is_written_early_and_committed_late_is_not_left_out(
        self, shop: Any, goods: Goods, writer: Any
    ) -> None:
        """Its stamp is older than those of SKUs that were synced meanwhile, and no newer product is there."""
        wait_until_concluded()
        sync.sync_substation(shop)
        with writer.cursor() as early:
            early.execute("UPDATE library_product SET name_zh = '早写晚提交' WHERE id = %s", [goods.product_id])
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(name_zh="晚写早提交")
        sync.sync_substation(shop)
        writer.commit()

        sync.sync_substation(shop)

        with in_substation(shop):
            assert ListedProduct.objects.get(pk=goods.product_id).name_zh == "早写晚提交"
        assert listing(shop, goods.sku_id).name_zh == "晚写早提交"

    def test_where_skus_alone_have_changed_they_alone_are_read(self, shop: Any, goods: Goods) -> None:
        wait_until_concluded()
        sync.sync_substation(shop)
        wait_until_concluded()
        sync.sync_substation(shop)
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(name_zh="只有它")

        with CaptureQueriesContext(connection) as sent:
            sync.sync_substation(shop, (SyncFeed.LIBRARY,))

        merged = [query["sql"] for query in sent if "MERGE INTO" in query["sql"]]
        assert [sql.partition("MERGE INTO ")[2].split()[0] for sql in merged] == ["listings_listing"]
        assert listing(shop, goods.sku_id).name_zh == "只有它"

    @pytest.mark.parametrize("cut", ["changed_xid::text::bigint", "extract(epoch FROM updated_at)"])
    def test_a_cut_by_the_newest_seen_would_skip_it(self, goods: Goods, writer: Any, cut: str) -> None:
        """The guard removed: the same two writers, with "newer than the newest that I saw" in place of the fence."""
        with in_main():
            other = make_goods()
        with writer.cursor() as early:
            early.execute(
                "UPDATE library_sku SET name_zh = '早', updated_at = clock_timestamp() WHERE id = %s", [goods.sku_id]
            )
        with in_main(), connection.cursor() as cursor:
            cursor.execute(
                "UPDATE library_sku SET name_zh = '晚', updated_at = clock_timestamp() WHERE id = %s", [other.sku_id]
            )
        with in_main(), connection.cursor() as cursor:
            cursor.execute(f"SELECT max({cut}) FROM library_sku")
            newest_seen = cursor.fetchone()[0]
        writer.commit()

        with in_main(), connection.cursor() as cursor:
            cursor.execute(f"SELECT id FROM library_sku WHERE {cut} > %s AND id = %s", [newest_seen, goods.sku_id])
            found = cursor.fetchall()

        assert found == []  # It never arrives.

    def test_an_open_transaction_elsewhere_delays_nobody(self, shop: Any, goods: Goods, writer: Any) -> None:
        with writer.cursor() as idle:
            idle.execute("SELECT pg_current_xact_id()")
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(name_zh="马上")

        outcome = sync.sync_substation(shop)

        assert listing(shop, goods.sku_id).name_zh == "马上"
        assert outcome.rows["LIBRARY"] == 1
        assert sync.sync_substation(shop).rows["LIBRARY"] == 0  # Read again, not written again.

    def test_two_runners_of_one_shop_wait_for_each_other(self, shop: Any, goods: Goods, writer: Any) -> None:
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(name_zh="一次")
        with writer.cursor() as holder:
            holder.execute("SELECT id FROM tenants_syncstate WHERE substation_id = %s FOR UPDATE", [shop.pk])
        runners = [Runner(lambda: sync.sync_substation(shop)) for _ in range(2)]
        for runner in runners:
            runner.wait_until_blocked()
        writer.commit()

        assert sorted(runner.result().rows["LIBRARY"] for runner in runners) == [0, 1]


class TestDue:
    def mine(self, shop: Any, **options: Any) -> list[tuple[str, ...]]:
        return [found.feeds for found in sync.due(**options) if found.substation_id == shop.pk]

    def test_nothing_to_do_is_one_query(self, shop: Any) -> None:
        wait_until_concluded()
        sync.sync_due(nudged=True)

        with CaptureQueriesContext(connection) as sent:
            assert sync.sync_due() == []

        # Django notes a BEGIN of its own; ours travels with the first statement.
        assert len([query for query in sent if query["sql"] not in ("BEGIN", "COMMIT")]) == 1

    def test_a_change_makes_the_feed_due_that_it_belongs_to(self, shop: Any, goods: Goods) -> None:
        wait_until_concluded()
        sync.sync_due(nudged=True)
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(sort=9)
        wait_until_concluded()
        library_due = self.mine(shop)
        sync.sync_due(nudged=True)
        stock.count_now(sku_ids=[goods.sku_id], now=NOW)
        wait_until_concluded()

        assert library_due == [("LIBRARY",)]
        assert self.mine(shop) == [("STOCK",)]

    def test_rows_that_an_open_transaction_keeps_from_concluding_are_looked_at_again_later(
        self, shop: Any, goods: Goods, writer: Any
    ) -> None:
        wait_until_concluded()
        sync.sync_due(nudged=True)
        with writer.cursor() as idle:
            idle.execute("SELECT pg_current_xact_id()")
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(sort=4)
        sync.sync_due(nudged=True, now=NOW)
        sync.sync_due(nudged=True, now=NOW)

        assert self.mine(shop, now=NOW) == []
        assert self.mine(shop, now=NOW, nudged=True) == [("LIBRARY",)]
        assert self.mine(shop, now=NOW + sync.PATIENCE * 2) == [("LIBRARY",)]

    def test_one_shop_that_fails_does_not_stop_the_others(self, shop: Any, alice: Any, goods: Goods) -> None:
        sync.sync_due(nudged=True)
        with in_main():
            Substation.objects.filter(pk=shop.pk).update(schema_name="s_9999999")  # Its schema is gone.
            Sku.objects.filter(pk=goods.sku_id).update(name_zh="还是到")

        try:
            sync.sync_due(nudged=True)
        finally:
            with in_main():
                Substation.objects.filter(pk=shop.pk).update(schema_name=shop.schema_name)

        assert listing(alice, goods.sku_id).name_zh == "还是到"
        with in_main():
            assert "does not exist" in SyncState.objects.get(substation=shop, feed="LIBRARY").error
        sync.sync_due()
        with in_main():
            assert SyncState.objects.get(substation=shop, feed="LIBRARY").error == ""

    def test_another_plan_brings_its_prices(self, shop: Any, goods: Goods) -> None:
        from tenants.models import Plan

        with in_main():
            Substation.objects.filter(pk=shop.pk).update(plan=Plan.objects.get(code="flagship"))
            sync.forget(shop.pk)

        sync.sync_due()

        assert listing(shop, goods.sku_id).supply_unit == Decimal("8.50")


class TestResync:
    def test_it_mends_what_was_damaged_and_is_recorded(self, shop: Any, goods: Goods) -> None:
        with in_sync(shop):
            Listing.objects.filter(pk=goods.sku_id).update(supply_unit=Decimal("0.01"))

        outcome = sync.resync(substation=shop, by=SYSTEM, now=NOW)

        assert outcome.rows["LIBRARY"] == 1
        assert listing(shop, goods.sku_id).supply_unit == Decimal("9.50")

    def test_a_shop_that_never_began_is_refused(self, prepared: None) -> None:
        with pytest.raises(sync.SubstationUnknown):
            sync.sync_substation(Substation(schema_name="s_0000000"))


class TestNudge:
    def test_a_write_of_the_library_leaves_one_wish(self, goods: Goods) -> None:
        from kameng.jobs.models import Job

        with in_main():
            Job.objects.filter(kind="listings.sync_all", state="PENDING").delete()
            for name in ("甲", "乙"):
                library.update_sku(sku_id=goods.sku_id, name_zh=name, by=SYSTEM, now=NOW)
            assert Job.objects.filter(kind="listings.sync_all", state="PENDING").count() == 1


class TestFillShelves:
    def test_a_new_shop_has_a_first_rule_which_the_owners_own_survives(self, shop: Any) -> None:
        from tenant_apps.listings.provisioning import fill_shelves

        with in_substation(shop):
            first = MarkupRule.objects.get(scope="SHOP")
            MarkupRule.objects.filter(scope="SHOP").update(value=Decimal(33))

        fill_shelves(shop)

        with in_substation(shop):
            assert (first.kind, first.value) == ("PERCENT", Decimal(8))
            assert MarkupRule.objects.get(scope="SHOP").value == Decimal(33)
