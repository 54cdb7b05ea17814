"""The demonstration catalogue holds together."""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal
from importlib.resources import files
from typing import Any

import pytest

from kameng.lib import slugs
from kameng.lib.tabular import Column, cells, read_rows

DATA = files("kameng.demo") / "data"
LEVELS = ("supply_basic", "supply_pro", "supply_flagship")
PLATFORM_AND_CHANNEL_BPS = 160  # One percent for the platform, 0.6 for the channel: a sale at the floor must bear both.


def rows(name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((DATA / name).read_text("utf-8"), newline="")))


CATEGORIES, BRANDS, PRODUCTS, SKUS = map(rows, ("categories.csv", "brands.csv", "products.csv", "skus.csv"))
SHOPS: dict[str, Any] = json.loads((DATA / "shops.json").read_text("utf-8"))


def unique(values: list[str]) -> bool:
    return len(set(values)) == len(values)


class TestCategories:
    def test_stand_on_two_levels(self) -> None:
        tops = {row["slug"] for row in CATEGORIES if not row["parent"]}
        leaves = [row for row in CATEGORIES if row["parent"]]

        assert (len(tops), len(leaves)) == (10, 38)
        assert all(row["parent"] in tops for row in leaves)
        assert unique([row["slug"] for row in CATEGORIES])

    def test_every_leaf_has_products(self) -> None:
        assert {row["slug"] for row in CATEGORIES if row["parent"]} == {row["category"] for row in PRODUCTS}

    def test_have_icons_of_the_design_system(self) -> None:
        shapes = json.loads((files("kameng.ui") / "icon_shapes.json").read_text("utf-8"))

        assert {row["icon"] for row in CATEGORIES} <= set(shapes)


class TestBrands:
    def test_have_a_name_that_can_be_drawn_and_a_colour(self) -> None:
        assert len(BRANDS) >= 60
        assert unique([row["slug"] for row in BRANDS])
        assert all(row["name_en"].isascii() and re.fullmatch("#[0-9a-f]{6}", row["colour"]) for row in BRANDS)

    def test_each_has_products(self) -> None:
        assert {row["slug"] for row in BRANDS} == {row["brand"] for row in PRODUCTS}


class TestProducts:
    def test_are_many_and_of_every_kind(self) -> None:
        kinds = {"CARD_CODE", "TOP_UP", "MEMBERSHIP", "LICENCE", "SERVICE", "COURSE", "BUNDLE", "PHYSICAL"}

        assert len(PRODUCTS) >= 110
        assert unique([row["slug"] for row in PRODUCTS])
        assert {row["kind"] for row in PRODUCTS} == kinds
        assert {row["delivery"] for row in PRODUCTS} == {"CODES", "MANUAL"}

    @pytest.mark.parametrize("field", ["name", "summary", "description", "usage"])
    def test_say_everything_in_both_languages(self, field: str) -> None:
        for row in PRODUCTS:
            assert row[f"{field}_zh"], row["slug"]
            assert row[f"{field}_en"], row["slug"]
            assert not re.search("[\u4e00-\u9fff]", row["summary_en"]), row["slug"]

    def test_are_described_in_sentences_of_their_own(self) -> None:
        assert unique([row["description_zh"] for row in PRODUCTS])
        assert unique([row["description_en"] for row in PRODUCTS])
        assert all(row["description_zh"].count("。") >= 2 for row in PRODUCTS)

    def test_fit_the_columns(self) -> None:
        assert max(len(row["name_zh"]) for row in PRODUCTS) <= 120
        assert max(len(row["summary_en"]) for row in PRODUCTS) <= 240

    def test_ask_the_buyer_only_where_somebody_delivers_by_hand(self) -> None:
        for row in PRODUCTS:
            fields = json.loads(row["buyer_fields"])
            assert bool(fields) == (row["delivery"] == "MANUAL"), row["slug"]
            assert unique([field["key"] for field in fields]), row["slug"]
            for field in fields:
                assert set(field) - {"choices"} == {"key", "label_zh", "label_en", "kind", "required"}
                assert field["kind"] in {"text", "phone", "email", "choice"}
                assert bool(field.get("choices")) == (field["kind"] == "choice")


class TestSkus:
    def test_are_many_with_codes_of_their_own(self) -> None:
        codes = [row["code"] for row in SKUS]

        assert len(codes) >= 320
        assert unique(codes)
        assert "STEAM-CN-100" in codes
        assert all(re.fullmatch(r"[A-Z0-9][A-Z0-9-]*[A-Z0-9]", code) and len(code) <= 60 for code in codes)
        assert unique([row["name_zh"] for row in SKUS])

    def test_every_product_has_some_and_none_is_an_orphan(self) -> None:
        assert {row["product"] for row in SKUS} == {row["slug"] for row in PRODUCTS}

    def test_prices_stand_in_order(self) -> None:
        for row in SKUS:
            basic, pro, flagship = (Decimal(row[level]) for level in LEVELS)
            floor, suggested, ceiling = (Decimal(row[name]) for name in ("floor", "suggested", "ceiling"))
            assert 0 < flagship < pro < basic < floor <= suggested <= ceiling, row["code"]

    def test_a_sale_at_the_floor_bears_the_fees(self) -> None:
        for row in SKUS:
            floor = Decimal(row["floor"])
            assert Decimal(row["supply_basic"]) + floor * PLATFORM_AND_CHANNEL_BPS / 10_000 <= floor, row["code"]

    def test_some_cost_less_than_a_cent_s_worth_of_rounding(self) -> None:
        by_code = {row["code"]: row for row in SKUS}

        assert Decimal(by_code["SMS-1"]["supply_basic"]) == Decimal("0.0418")
        assert Decimal(by_code["DYB-1"]["supply_basic"]) == Decimal("0.0972")

    def test_stock_follows_the_delivery(self) -> None:
        delivery = {row["slug"]: row["delivery"] for row in PRODUCTS}
        for row in SKUS:
            assert (row["stock_policy"] == "CODES") == (delivery[row["product"]] == "CODES"), row["code"]
            assert (int(row["low_stock_at"]) > 0) == (row["stock_policy"] != "UNLIMITED"), row["code"]

    def test_can_be_read_by_the_importer(self) -> None:
        price, name = cells.unit_price(), cells.text(120)
        texts = [Column(key, name, required=True) for key in ("name_zh", "name_en", "face_zh", "face_en")]
        prices = [Column(key, price, required=True) for key in (*LEVELS, "suggested", "floor", "ceiling", "face_value")]
        others = [Column("code", cells.slug_code(60)), Column("product", cells.slug()), Column("currency")]
        numbers = [Column("sort", cells.integer()), Column("low_stock_at", cells.integer()), Column("stock_policy")]

        stream = io.BytesIO((DATA / "skus.csv").read_bytes())
        reader = read_rows(stream, "skus.csv", [*texts, *prices, *others, *numbers])
        count = sum(1 for _row in reader)

        assert reader.report.errors == []
        assert count == len(SKUS)


class TestShops:
    def test_are_three_of_different_plans_and_trades_at_valid_addresses(self) -> None:
        shops = SHOPS["shops"]

        assert [shop["plan"] for shop in shops] == ["pro", "basic", "flagship"]
        assert [shop["preset"] for shop in shops] == ["esports", "telecom", "education"]
        assert [slugs.validate(shop["slug"]) for shop in shops] == ["luckycard", "sunny-topup", "yunke-soft"]
        assert all(re.fullmatch("#[0-9a-f]{6}", shop["accent"]) for shop in shops)

    def test_their_rules_point_to_what_is_there(self) -> None:
        targets = {
            "SHOP": {""},
            "CATEGORY": {row["slug"] for row in CATEGORIES},
            "PRODUCT": {row["slug"] for row in PRODUCTS},
            "SKU": {row["code"] for row in SKUS},
        }
        for shop in SHOPS["shops"]:
            assert set(shop["off_shelf_categories"]) <= targets["CATEGORY"]
            for rule in shop["markup"]:
                assert rule["target"] in targets[rule["scope"]]
                assert rule["kind"] in {"PERCENT", "FIXED", "PRICE", "SUGGESTED"}
                assert rule["rounding"] in {"NONE", "TENTH", "WHOLE", "NINES"}

    def test_their_rules_give_prices_within_the_bounds(self) -> None:
        category = {row["slug"]: row["category"] for row in PRODUCTS}
        for shop in SHOPS["shops"]:
            for rule in shop["markup"]:
                for row in SKUS:
                    if rule["target"] not in {row["code"], row["product"], category[row["product"]]}:
                        continue
                    supply, value = Decimal(row[f"supply_{shop['plan']}"]), Decimal(rule["value"])
                    price = {"PERCENT": supply * (1 + value / 100), "FIXED": supply + value, "PRICE": value}[
                        rule["kind"]
                    ]
                    assert Decimal(row["floor"]) <= price <= Decimal(row["ceiling"]), (shop["slug"], row["code"])

    def test_buyers_are_twenty_and_reachable_nowhere(self) -> None:
        buyers = SHOPS["buyers"]

        assert len(buyers) == 20
        assert unique([buyer["email"] for buyer in buyers])
        assert all(buyer["email"].endswith(".example") for buyer in buyers)
        assert all(re.fullmatch("1[0-9]{10}", buyer["phone"]) for buyer in buyers)
