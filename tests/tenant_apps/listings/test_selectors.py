"""What the shop's pages read: complete, in order, in few statements."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kameng.db.context import in_main, in_substation
from tenant_apps.listings import selectors, services, sync
from tests.tenant_apps.market import CLERK, NOW, make_goods


@pytest.fixture(scope="module")
def shop(make_shop: Any) -> Any:
    return make_shop()


@pytest.fixture(scope="module")
def shelf(shop: Any) -> Any:
    """Five products in a category of their own, one of them in a sub-category."""
    from shared_apps.library.models import Brand, Category, Product

    with in_main():
        goods = [make_goods(name="Tee" if n < 4 else "Kaffee") for n in range(5)]
        top = Category.objects.create(slug=f"tea-{goods[0].product_id}", name_zh="茶", name_en="Tea")
        low = Category.objects.create(slug=f"green-{goods[0].product_id}", name_zh="绿茶", parent=top)
        brand = Brand.objects.create(slug=f"leaf-{goods[0].product_id}", name_zh="叶子", name_en="Leaf_100%")
        Product.objects.filter(pk__in=[row.product_id for row in goods]).update(
            category=top, brand=brand, tags=["Green", "热门"]
        )
        Product.objects.filter(pk=goods[4].product_id).update(category=low)
    sync.sync_substation(shop)
    return SimpleNamespace(goods=goods, top=top, low=low, ids=[row.product_id for row in goods])


def ids(page: Any) -> list[int]:
    return [card.id for card in page.products]


class TestProductsPage:
    def test_takes_in_what_stands_below_the_category(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            assert ids(selectors.products_page(category=shelf.top.slug)) == shelf.ids
            assert ids(selectors.products_page(category=shelf.low.slug)) == shelf.ids[4:]

    def test_pages_by_key_without_gap_or_double(self, shop: Any, shelf: Any) -> None:
        seen: list[int] = []
        cursor = ""
        with in_substation(shop):
            while True:
                page = selectors.products_page(category=shelf.top.slug, after=cursor, limit=2)
                seen += ids(page)
                cursor = page.next_cursor
                if not cursor:
                    break

        assert seen == shelf.ids

    @pytest.mark.parametrize("cursor", ["", "x", "1.2", "1.2.3.4", "9" * 40 + ".1.1", "-1.-1.-1", "1.1.1e5", "٣.١.١.x"])
    def test_a_cursor_that_is_none_begins_at_the_first_page(self, shop: Any, shelf: Any, cursor: str) -> None:
        with in_substation(shop):
            assert ids(selectors.products_page(category=shelf.top.slug, after=cursor)) == shelf.ids

    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ("tee", 4),
            ("LEAF kaffee", 1),
            ("叶子", 5),
            ("热门 green", 5),
            ("leaf_100%", 5),  # Wildcards of LIKE are letters like any other.
            ("l%f", 0),
            ("tee kaffee", 0),
            ("\\", 0),
            ("\x00tee", 4),
        ],
    )
    def test_finds_words_in_names_brand_and_tags(self, shop: Any, shelf: Any, query: str, found: int) -> None:
        with in_substation(shop):
            assert len(selectors.products_page(category=shelf.top.slug, query=query).products) == found

    def test_leaves_out_what_has_nothing_on_the_shelf(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            services.set_on_shelf(listing_ids=[shelf.goods[0].sku_id], on=False, by=CLERK, now=NOW)
            try:
                assert ids(selectors.products_page(category=shelf.top.slug)) == shelf.ids[1:]
            finally:
                services.set_on_shelf(listing_ids=[shelf.goods[0].sku_id], on=True, by=CLERK, now=NOW)

    def test_a_hidden_category_hides_what_is_below_it(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            services.hide_category(category_id=shelf.top.pk, hidden=True, by=CLERK, now=NOW)
            try:
                assert not set(ids(selectors.products_page(limit=1000))) & set(shelf.ids)
                with pytest.raises(selectors.CategoryGone):
                    selectors.products_page(category=shelf.low.slug)
                with pytest.raises(selectors.ProductGone):
                    selectors.product_by_slug(product_slug(shelf.ids[4]))
            finally:
                services.hide_category(category_id=shelf.top.pk, hidden=False, by=CLERK, now=NOW)

    def test_home_is_four_statements_whatever_it_shows(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop), CaptureQueriesContext(connection) as sent:
            tree = selectors.categories_for_home()
            page = selectors.products_page(categories=tree)

        statements = [query["sql"] for query in sent if "SELECT" in query["sql"]]
        assert len(statements) == 4
        assert not [sql for sql in statements if "count(" in sql.lower()]
        assert page.products

    def test_a_card_shows_the_lowest_price_and_the_best_stock(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            card = selectors.products_page(category=shelf.top.slug).products[0]

        assert (card.from_price, card.sku_count, card.stock_state) == (Decimal("10.3"), 1, "OUT")
        assert card.from_price_text == "¥10.30"


def product_slug(product_id: int) -> str:
    from tenant_apps.listings.models import ListedProduct

    return ListedProduct.objects.get(pk=product_id).slug


class TestProductBySlug:
    def test_brings_skus_prices_and_the_way_there(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            detail = selectors.product_by_slug(product_slug(shelf.ids[4]))

        assert [offer.listing.id for offer in detail.offers] == [shelf.goods[4].sku_id]
        assert detail.offers[0].price.unit == Decimal("10.3")
        assert [category.id for category in detail.trail] == [shelf.top.pk, shelf.low.pk]

    def test_refuses_what_is_not_there(self, shop: Any) -> None:
        with in_substation(shop), pytest.raises(selectors.ProductGone):
            selectors.product_by_slug("nothing")


class TestPanel:
    def test_filters_and_prices_a_page(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            rows = selectors.priced(selectors.panel_listings(category_id=shelf.top.pk).order_by("id"))
            by_name = selectors.panel_listings(query="kaffee", category_id=shelf.top.pk)

            assert [row.listing.id for row in rows] == [goods.sku_id for goods in shelf.goods]
            assert (rows[0].margin, rows[0].margin_percent) == (Decimal("0.8"), Decimal("8.4"))
            assert [row.id for row in by_name] == [shelf.goods[4].sku_id]
