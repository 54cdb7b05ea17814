"""The list of goods: found, sorted, switched, exported; and a product's own words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from shared_apps.library import services as library
from tenant_apps.listings.models import ListedCategory, ListedProduct, Listing, MarkupRule
from tests.tenant_apps.panel.office import Office, csv_rows, move

pytestmark = pytest.mark.usefixtures("quiet_terms")


def listed(response: Any) -> list[str]:
    return [row.listing.code for row in response.context["goods"]]


def on_shelf(office: Office, sku_id: int) -> bool:
    return bool(office.read(Listing, pk=sku_id).on_shelf)


class TestList:
    def test_finds_by_code_by_category_and_by_state(self, office: Office) -> None:
        dear = office.add_goods(supply={"BASIC": Decimal("20"), "PRO": Decimal("20"), "FLAGSHIP": Decimal("20")})
        browser, category = office.owner, office.category_id

        assert listed(browser.get(f"/panel/listings/?q={dear.code}")) == [dear.code]
        assert listed(browser.get(f"/panel/listings/?category={category}")) == [office.goods.code, dear.code]
        assert listed(browser.get(f"/panel/listings/?category={category}&state=off")) == []
        assert listed(browser.get("/panel/listings/?q=no+such+thing")) == []

    def test_calls_a_sku_by_its_product_and_its_own_name(self, office: Office) -> None:
        product = office.read(ListedProduct, pk=office.goods.product_id)

        rows = office.owner.get(f"/panel/listings/?q={office.goods.code}").context["goods"]
        assert [row.title for row in rows] == [f"{product.name_zh} · 10 元"]
        office.owner.post(f"/panel/products/{product.pk}/", {"own_name": "Night card"})
        rows = office.owner.get(f"/panel/listings/?q={office.goods.code}").context["goods"]
        assert [row.title for row in rows] == ["Night card · 10 元"]

    def test_the_goods_of_a_hidden_category_are_still_the_owners_to_find(self, office: Office) -> None:
        with in_main():
            from shared_apps.library.models import Category

            below = Category.objects.create(
                slug=f"below-{office.category_id}", name_zh="下", name_en="Below", parent_id=office.category_id
            )
        goods = office.add_goods()
        with in_main():
            move(goods, below.pk)
        office.sync()
        browser = office.owner

        browser.post(f"/panel/customise/categories/{below.pk}/", {})

        assert office.read(ListedCategory, pk=below.pk).hidden
        found = listed(browser.get(f"/panel/listings/?category={office.category_id}"))
        assert found == [office.goods.code, goods.code]
        counted = {row.category.id: row.products for row in browser.get("/panel/customise/").context["categories"]}
        assert (counted[office.category_id], counted[below.pk]) == (2, 1)

    def test_sorts_by_what_a_unit_costs_sells_for_and_brings(self, office: Office) -> None:
        dear = office.add_goods(supply={"BASIC": Decimal("20"), "PRO": Decimal("20"), "FLAGSHIP": Decimal("20")})
        with in_substation(office.shop):  # Margin: 20 % of the cheap one, 10 % of the dear one.
            MarkupRule.objects.create(scope="SKU", target_id=dear.sku_id, kind="PERCENT", value=10)
        cheap, browser, category = office.goods, office.owner, office.category_id

        for sort, wanted in (
            ("price", [cheap, dear]), ("-price", [dear, cheap]), ("supply", [cheap, dear]), ("margin", [dear, cheap]),
            ("-margin", [cheap, dear]),
        ):  # fmt: skip
            found = listed(browser.get(f"/panel/listings/?category={category}&sort={sort}"))
            assert found == [goods.code for goods in wanted], sort

    def test_shows_what_sits_at_the_floor_and_what_loses_money(self, office: Office) -> None:
        floored = office.add_goods(floor=Decimal("13.00"))
        losing = office.add_goods(ceiling=Decimal("9.00"))
        browser, category = office.owner, office.category_id

        assert listed(browser.get(f"/panel/listings/?category={category}&state=floor")) == [floored.code]
        assert listed(browser.get(f"/panel/listings/?category={category}&state=loss")) == [losing.code]

    def test_marks_what_is_the_shops_own_supply_price_and_filters_by_it(self, office: Office) -> None:
        special = office.add_goods()
        with in_main():
            library.set_private_price(
                substation_id=office.shop.pk, sku_id=special.sku_id, unit=Decimal("9.10"), note="between us", by=SYSTEM,
                now=clock.utc_now(),
            )  # fmt: skip
        office.sync()
        browser, category = office.owner, office.category_id

        page = browser.get(f"/panel/listings/?category={category}&state=private")

        assert listed(page) == [special.code]
        for shown in ("¥9.10", "Special terms", "Other shops don't see it"):
            assert shown in page.content.decode(), shown
        assert b"between us" not in page.content
        assert b"Special terms</span>" not in browser.get(f"/panel/listings/?q={office.goods.code}").content
        detail = browser.get(f"/panel/products/{special.product_id}/").content.decode()
        assert "Supply price agreed for your shop alone" in detail

    def test_a_fragment_has_the_rows_of_the_page_and_no_frame(self, office: Office) -> None:
        path = f"/panel/listings/?q={office.goods.code}"

        whole = office.owner.get(path)
        part = office.browser("OWNER", HTTP_HX_REQUEST="true").get(path)

        assert listed(part) == listed(whole) == [office.goods.code]
        assert b"<html" not in part.content
        assert "HX-Request" in part["Vary"]

    @pytest.mark.parametrize(
        "query", ["page=0", "page=-1", "page=9e9", "category=x", "category=99999999999999999999", "state=x", "sort=x",
                  "q=%00", "q=%25%27%22", "q=" + "a+" * 60],
    )  # fmt: skip
    def test_takes_any_address(self, office: Office, query: str) -> None:
        assert office.owner.get(f"/panel/listings/?{query}").status_code == 200

    def test_exports_exactly_what_matches(self, office: Office) -> None:
        response = office.owner.get(f"/panel/listings/?q={office.goods.code}&export=csv")

        rows = csv_rows(response)
        # 11.40 − 9.50 − 0.11 = 1.79 and 5 % of it, 0.09.
        assert rows == [
            ["SKU code", "Product", "SKU", "Currency", "Supply price", "Special terms", "Retail price", "Units",
             "Earned after fees", "Stock state", "On the shelf"],
            [office.goods.code, rows[1][1], "10 元", "CNY", "9.5", "no", "11.4", "1", "1.70", rows[1][9], "yes"],
        ]  # fmt: skip
        assert response["Content-Disposition"].startswith('attachment; filename="goods-')


class TestShelf:
    def test_a_switch_answers_with_itself(self, office: Office) -> None:
        sku = office.goods.sku_id
        browser = office.browser("STAFF", HTTP_HX_REQUEST="true")

        off = browser.post(f"/panel/listings/{sku}/shelf/", {})
        assert not on_shelf(office, sku)
        on = browser.post(f"/panel/listings/{sku}/shelf/", {"on": "1"})

        assert b"checked" not in off.content
        assert b"checked" in on.content
        assert on_shelf(office, sku)
        assert office.acts()[-2:] == ["listings.shelf.set", "listings.shelf.set"]

    def test_takes_chosen_rows_off_and_comes_back_to_the_list(self, office: Office) -> None:
        other, sku = office.add_goods(), office.goods.sku_id

        response = office.owner.post("/panel/listings/bulk/?q=card&page=2", {"ids": [str(sku)], "deed": "off"})

        assert response["Location"] == "/panel/listings/?q=card&page=2"
        assert (on_shelf(office, sku), on_shelf(office, other.sku_id)) == (False, True)

    def test_everything_is_all_that_matches_and_nothing_else(self, office: Office) -> None:
        other = office.add_goods()
        with in_substation(office.shop):
            rest = Listing.objects.exclude(pk__in=[office.goods.sku_id, other.sku_id]).filter(on_shelf=True).count()

        office.owner.post(
            f"/panel/listings/bulk/?category={office.category_id}",
            {"ids": [str(office.goods.sku_id)], "everything": "1", "deed": "off"},
        )

        assert (on_shelf(office, office.goods.sku_id), on_shelf(office, other.sku_id)) == (False, False)
        assert office.counts()["on_shelf"] == rest

    @pytest.mark.parametrize(
        ("data", "status"),
        [({"deed": "off"}, 422), ({"deed": "burn", "ids": "1"}, 422), ({"deed": "off", "ids": "x"}, 422),
         ({"deed": "off", "ids": "99999999999999999999"}, 422), ({"deed": "off", "ids": "-1"}, 422)],
    )  # fmt: skip
    def test_refuses_what_can_not_be_meant(self, office: Office, data: dict[str, str], status: int) -> None:
        before = office.counts()

        assert office.owner.post("/panel/listings/bulk/", data).status_code == status
        assert office.counts() == before


class TestProduct:
    def test_shows_its_skus_with_the_reasons_of_their_prices(self, office: Office) -> None:
        body = office.owner.get(f"/panel/products/{office.goods.product_id}/").content.decode()

        assert office.goods.code in body
        assert "Supply price of your plan" in body
        assert "Markup in percent (20 %)" in body

    def test_takes_the_shops_own_words(self, office: Office) -> None:
        path = f"/panel/products/{office.goods.product_id}/"

        response = office.staff.post(path, {"own_name": "  Night card ", "own_sort": "-5", "seo_title": "Cards"})

        assert response.status_code == 302
        row = office.read(ListedProduct, pk=office.goods.product_id)
        assert (row.own_name, row.own_sort, row.seo_title, row.own_description) == ("Night card", -5, "Cards", "")
        assert office.acts()[-1] == "listings.product.edit"

    def test_keeps_what_was_typed_when_it_is_too_long(self, office: Office) -> None:
        path, before = f"/panel/products/{office.goods.product_id}/", office.counts()

        response = office.owner.post(path, {"own_name": "x" * 121, "seo_description": "kept"})

        assert response.status_code == 422
        assert b"kept</textarea>" in response.content
        assert office.read(ListedProduct, pk=office.goods.product_id).own_name == ""
        assert office.counts() == before


class TestOwnWords:
    def test_are_found_and_exported(self, office: Office) -> None:
        other, browser = office.add_goods(), office.owner
        browser.post(f"/panel/products/{office.goods.product_id}/", {"own_name": "Night card", "own_sort": "3"})
        browser.post(f"/panel/products/{other.product_id}/", {"seo_title": "Cards by day"})

        everything = browser.get("/panel/customise/").context["rows"]
        found = browser.get("/panel/customise/?q=night").context["rows"]
        rows = csv_rows(browser.get("/panel/customise/?q=night&export=csv"))

        assert {row.pk for row in everything} == {office.goods.product_id, other.product_id}
        assert [row.own_name for row in found] == ["Night card"]
        assert [row[1:4] for row in rows] == [
            ["Name in your shop", "Description in your shop", "Place in the list"], ["Night card", "", "3"],
        ]  # fmt: skip


class TestCategories:
    def test_hides_one_and_shows_it_again(self, office: Office) -> None:
        path = f"/panel/customise/categories/{office.category_id}/"
        browser = office.browser("OWNER", HTTP_HX_REQUEST="true")

        browser.post(path, {})
        assert office.read(ListedCategory, pk=office.category_id).hidden
        shown = browser.post(path, {"shown": "1"})

        assert not office.read(ListedCategory, pk=office.category_id).hidden
        assert b"<html" not in shown.content
