"""Home, categories and search, as a visitor sees them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from kameng.db.context import in_main, in_substation, in_sync, pointed_at
from tenant_apps.listings.models import ListedCategory, ListedProduct, Listing
from tests.tenant_apps import market
from tests.tenant_apps.storefront.conftest import Stall, recount, set_markup, words

HOSTILE = '"><script>alert(1)</script>{{ 7|add:7 }}'


class TestHome:
    def test_shows_what_is_for_sale_with_its_price_its_delivery_and_its_stock(self, stall: Stall) -> None:
        response = stall.visitor().get("/")

        assert response.status_code == 200
        seen = words(response)
        assert f"Card {stall.goods.code.removeprefix('SKU-').lower()}" in seen
        assert "¥11.40" in seen
        assert "instant" in seen
        assert "few left" in seen  # Three are below the library's low mark of ten.

    def test_speaks_chinese_to_a_chinese_reader(self, stall: Stall) -> None:
        assert "库存不多" in words(stall.visitor(HTTP_ACCEPT_LANGUAGE="zh-CN").get("/"))

    def test_says_so_when_a_product_is_sold_out(self, make_stall: Any) -> None:
        stall = make_stall(codes=0)

        assert "sold out" in words(stall.visitor().get("/"))

    def test_has_words_for_an_empty_shelf(self, stall: Stall) -> None:
        with in_substation(stall.shop):
            Listing.objects.update(on_shelf=False)

        response = stall.visitor().get("/")

        assert response.status_code == 200
        assert "The shelves are still empty" in words(response)

    def test_shows_a_new_price_at_the_next_visit(self, stall: Stall) -> None:
        assert "¥11.40" in words(stall.visitor().get("/"))

        set_markup(stall, 30)

        assert "¥12.35" in words(stall.visitor().get("/"))

    def test_pages_by_plain_links_and_hands_a_script_only_the_further_cards(
        self, stall: Stall, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with in_main():
            for _n in range(3):
                market.make_goods(codes=1)
        stall.sync()
        monkeypatch.setattr("tenant_apps.listings.selectors.products_page.__kwdefaults__", {
            "category": None, "query": "", "after": "", "limit": 2, "categories": None})  # fmt: skip
        first = stall.visitor().get("/")
        more = first.context["more"]

        whole = stall.visitor().get(f"/{more}")
        part = stall.visitor().get(f"/{more}", headers={"HX-Target": "more"})

        assert len(first.context["cards"]) == 2
        assert f'href="{more}"' in first.content.decode().replace("&amp;", "&")
        shown = {card.url for card in first.context["cards"]}
        assert shown.isdisjoint(card.url for card in whole.context["cards"])
        assert [card.url for card in part.context["cards"]] == [card.url for card in whole.context["cards"]]
        assert b"<html" in whole.content
        assert b"<html" not in part.content

    @pytest.mark.parametrize("after", ["x", "1.2", "9" * 40 + ".1.1", "1.1.1'--", "%00", "１.１.１"])
    def test_begins_at_the_first_page_when_the_place_makes_no_sense(self, stall: Stall, after: str) -> None:
        response = stall.visitor().get("/", {"after": after})

        assert response.status_code == 200

    def test_costs_the_same_statements_with_more_stock(self, stall: Stall) -> None:
        visitor = stall.visitor()
        visitor.get("/")
        with CaptureQueriesContext(connection) as few:
            visitor.get("/")

        with in_main():
            market.add_codes(stall.goods, 40)
        recount(stall)
        visitor.get("/")
        with CaptureQueriesContext(connection) as many:
            visitor.get("/")

        assert len(few) == len(many)
        assert not any("stock_code" in query["sql"] or "gate." in query["sql"] for query in many)


class TestCategory:
    def test_shows_its_goods_under_its_name(self, stall: Stall) -> None:
        response = stall.visitor().get("/c/cards/")

        assert response.status_code == 200
        assert "¥11.40" in words(response)

    def test_is_not_found_when_there_is_none(self, stall: Stall) -> None:
        assert stall.visitor().get("/c/nothing-here/").status_code == 404

    def test_is_not_found_when_the_owner_hides_it_and_its_goods_are_gone_from_the_front(self, stall: Stall) -> None:
        with in_substation(stall.shop):
            ListedCategory.objects.filter(slug="cards").update(hidden=True)

        assert stall.visitor().get("/c/cards/").status_code == 404
        assert "¥11.40" not in words(stall.visitor().get("/"))


class TestSearch:
    def test_finds_by_every_word_in_any_case(self, stall: Stall) -> None:
        number = stall.goods.code.removeprefix("SKU-")

        response = stall.visitor().get("/search/", {"q": f"CARD  {number.upper()}"})

        assert [card.url for card in response.context["cards"]] == [stall.path]

    def test_says_how_many_and_marks_no_category(self, stall: Stall) -> None:
        response = stall.visitor().get("/search/", {"q": stall.goods.code.removeprefix("SKU-")})

        assert "1 found" in words(response)
        assert [chip["label"] for chip in response.context["chips"] if chip["active"]] == []

    def test_has_words_when_nothing_is_found_and_repeats_the_query_harmlessly(self, stall: Stall) -> None:
        response = stall.visitor().get("/search/", {"q": HOSTILE})

        assert response.status_code == 200
        assert "Nothing found" in words(response)
        assert b"<script>alert(1)" not in response.content
        assert "7|add:7" in words(response)

    @pytest.mark.parametrize("query", ["%", "_", "\\", "\x00", "a" * 5000, "'; DROP TABLE x --"])
    def test_takes_any_text_as_text(self, stall: Stall, query: str) -> None:
        assert stall.visitor().get("/search/", {"q": query}).status_code == 200

    def test_is_not_for_search_engines(self, stall: Stall) -> None:
        assert stall.visitor().get("/search/", {"q": "x"})["X-Robots-Tag"] == "noindex, follow"


class TestHostileNames:
    def test_are_shown_as_text_on_every_page_of_goods(self, stall: Stall) -> None:
        with in_sync(stall.shop):
            ListedProduct.objects.filter(pk=stall.goods.product_id).update(own_name=HOSTILE[:120], summary_en=HOSTILE)
            Listing.objects.filter(pk=stall.goods.sku_id).update(name_en=HOSTILE)
            ListedCategory.objects.update(name_en=HOSTILE, name_zh=HOSTILE)

        for path in ("/", "/c/cards/", stall.path, "/search/?q=add"):
            page = stall.visitor().get(path).content
            assert b"<script>alert(1)" not in page, path
            assert b">14<" not in page, path


class TestWhiteLabel:
    def test_no_page_of_the_shop_names_the_main_station_or_tells_what_its_goods_cost(self, stall: Stall) -> None:
        placed = stall.place()
        stall.pay(placed)
        order = f"/o/{placed.number}/{placed.token}/"

        visitor = stall.visitor()
        paths = ["/", "/c/cards/", "/search/?q=zzz", stall.path, "/find/", "/about/", "/nothing/", order, "/robots.txt",
                 "/sitemap.xml", "/login/"]  # fmt: skip

        for path in paths:
            response = visitor.get(path)
            text = response.content.decode()
            assert "kameng" not in words(response).lower(), path
            assert "Kameng" not in text, path
            assert "9.50" not in text and "9.5000" not in text, path  # The supply price of the basic plan.
            assert "//localhost" not in text, path


class TestReading:
    def test_never_writes(self, stall: Stall) -> None:
        placed = stall.place()
        before = stall.counts()

        for path in ("/", stall.path, f"/o/{placed.number}/{placed.token}/", "/find/", "/about/"):
            with CaptureQueriesContext(connection) as queries:
                assert stall.visitor().get(path).status_code == 200
            own = [query["sql"] for query in queries if f'"{stall.shop.schema_name}"' in query["sql"]]
            assert all(sql.startswith("BEGIN READ ONLY") for sql in own), own
            assert not any(query["sql"].startswith(("INSERT", "UPDATE", "DELETE")) for query in queries)

        assert stall.counts() == before

    def test_of_one_shop_shows_nothing_of_another(self, stall: Stall, make_stall: Any) -> None:
        other = make_stall(name="Othershop")
        with in_sync(stall.shop):
            Listing.objects.filter(pk=other.goods.sku_id).delete()
            ListedProduct.objects.filter(pk=other.goods.product_id).delete()

        assert stall.visitor().get(other.path).status_code == 404
        assert "Othershop" not in words(stall.visitor().get("/"))
        with pointed_at(other.shop):
            assert "Othershop" in words(other.visitor().get("/"))
