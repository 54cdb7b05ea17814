"""A price: supply, markup, rounding, bounds, retail."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils.translation import override

from shared_apps.splits.arithmetic import Shares
from tenant_apps.listings.pricing import (
    Earnings,
    Price,
    RuleBook,
    StoredRule,
    Terms,
    earnings,
    from_u4,
    stage_sentence,
    to_u4,
)

FOOD, DRINKS, TEA = 1, 2, 3
PARENTS = {FOOD: None, DRINKS: FOOD, TEA: DRINKS}


def listing(**changes: Any) -> Any:
    row = {
        "id": 11,
        "product_id": 5,
        "currency": "CNY",
        "supply_unit": Decimal("88.0000"),
        "suggested": Decimal("100.0000"),
        "floor": None,
        "ceiling": None,
        "private_terms": False,
    }
    return SimpleNamespace(**{**row, **changes})


def product(category_id: int = TEA) -> Any:
    return SimpleNamespace(category_id=category_id)


def rule(scope: str, target: int, kind: str, value: str = "0", rounding: str = "NONE") -> StoredRule:
    return StoredRule(scope, target, kind, Decimal(value), rounding)


def price(*rules: StoredRule, **changes: Any) -> Price:
    return RuleBook(rules, PARENTS).price(listing(**changes), product())


class TestWhichRule:
    def test_without_any_rule_the_suggested_price_stands(self) -> None:
        made = price()

        assert made.unit == Decimal("100.0000")
        assert [stage.code for stage in made.stages] == ["supply", "suggested", "retail"]

    def test_the_narrowest_scope_wins(self) -> None:
        ladder = [
            rule("SHOP", 0, "PERCENT", "1"),
            rule("CATEGORY", FOOD, "PERCENT", "2"),
            rule("CATEGORY", TEA, "PERCENT", "3"),
            rule("PRODUCT", 5, "PERCENT", "4"),
            rule("SKU", 11, "PERCENT", "5"),
        ]

        units = [price(*ladder[: n + 1]).unit for n in range(5)]

        assert units == [Decimal(text) for text in ("88.88", "89.76", "90.64", "91.52", "92.40")]

    def test_the_nearest_category_above_counts(self) -> None:
        made = price(rule("CATEGORY", FOOD, "PERCENT", "2"), rule("CATEGORY", DRINKS, "PERCENT", "10"))

        assert made.unit == Decimal("96.80")
        assert made.stages[1].detail == {"scope": "CATEGORY", "target_id": DRINKS, "value": "10.0000"}

    def test_a_rule_of_another_product_does_not_count(self) -> None:
        assert price(rule("PRODUCT", 6, "PERCENT", "50")).unit == Decimal("100")

    def test_a_loop_in_the_tree_ends(self) -> None:
        book = RuleBook([rule("SHOP", 0, "PERCENT", "1")], {1: 2, 2: 1})

        assert book.price(listing(), product(1)).unit == Decimal("88.88")

    def test_a_preview_leaves_the_book_as_it_is(self) -> None:
        book = RuleBook([rule("SHOP", 0, "PERCENT", "1")], PARENTS)

        other = book.with_rule(rule("CATEGORY", FOOD, "FIXED", "12"))

        assert other.price(listing(), product()).unit == Decimal("100")
        assert other.without_rule("CATEGORY", FOOD).price(listing(), product()).unit == Decimal("88.88")
        assert book.price(listing(), product()).unit == Decimal("88.88")


class TestArithmetic:
    @pytest.mark.parametrize(
        ("kind", "value", "rounding", "supply", "unit"),
        [
            ("PERCENT", "12", "NONE", "88.1234", "98.70"),  # 98.698208, up to the cent.
            ("PERCENT", "0", "NONE", "9.995", "10.00"),
            ("PERCENT", "12.5", "TENTH", "88", "99.0"),
            ("PERCENT", "10", "TENTH", "88.01", "96.9"),
            ("PERCENT", "10", "WHOLE", "88", "97"),
            ("PERCENT", "10", "NINES", "88", "99.9"),
            ("PERCENT", "10", "NINES", "90.9", "109.9"),  # 99.99 is above 99.9.
            ("PERCENT", "10", "NINES", "1", "9.9"),
            ("FIXED", "3.21", "NONE", "88", "91.21"),
            ("PRICE", "99.95", "NINES", "88", "99.95"),  # What is typed is not rounded.
            ("SUGGESTED", "0", "NINES", "88", "109.9"),
            ("PERCENT", "10", "NONE", "0.0085", "0.0094"),  # Less than a cent keeps four places.
        ],
    )
    def test_markup_and_rounding(self, kind: str, value: str, rounding: str, supply: str, unit: str) -> None:
        made = price(rule("SHOP", 0, kind, value, rounding), supply_unit=Decimal(supply))

        assert made.unit == Decimal(unit)

    def test_a_currency_without_a_fraction_is_rounded_to_the_whole(self) -> None:
        yen = {"currency": "JPY", "supply_unit": Decimal("101")}

        assert price(rule("SHOP", 0, "PERCENT", "5"), **yen).unit == Decimal("107")
        assert price(rule("SHOP", 0, "PERCENT", "5", "TENTH"), **yen).unit == Decimal("107")
        assert price(rule("SHOP", 0, "PERCENT", "5", "NINES"), **yen).unit == Decimal("109")

    def test_amounts_survive_the_way_through_integers(self) -> None:
        assert from_u4(to_u4(Decimal("1234.5678"))) == Decimal("1234.5678")


class TestBounds:
    def test_the_floor_raises_and_says_so(self) -> None:
        made = price(rule("SHOP", 0, "PERCENT", "5"), floor=Decimal("95"))

        assert made.unit == Decimal("95")
        assert made.clamped == "floor"
        assert made.stages[-2].detail == {"floor": "95", "asked": "92.4000"}

    def test_the_ceiling_lowers_and_says_so(self) -> None:
        made = price(rule("SHOP", 0, "PERCENT", "50"), ceiling=Decimal("110"))

        assert made.unit == Decimal("110")
        assert made.clamped == "ceiling"

    def test_rounding_does_not_lift_a_price_over_the_ceiling(self) -> None:
        assert price(rule("SHOP", 0, "PERCENT", "10", "NINES"), ceiling=Decimal("98")).unit == Decimal("98")

    def test_a_price_set_by_hand_is_held_too_when_the_library_moves_its_bounds(self) -> None:
        assert price(rule("SKU", 11, "PRICE", "90"), floor=Decimal("95")).unit == Decimal("95")

    def test_a_price_at_the_bound_is_not_clamped(self) -> None:
        assert price(rule("SKU", 11, "PRICE", "95"), floor=Decimal("95"), ceiling=Decimal("95")).clamped == ""


class TestTelling:
    def test_the_shop_sees_every_stage(self) -> None:
        with override("en"):
            told = price(rule("SHOP", 0, "PERCENT", "12"), supply_unit=Decimal("88.1234")).as_json()

        assert told["unit"] == "98.7000"
        assert [(stage["code"], stage["amount"]) for stage in told["stages"]] == [
            ("supply", "88.1234"),
            ("percent", "98.6983"),
            ("rounding", "98.7000"),
            ("retail", "98.7000"),
        ]

    def test_a_buyer_sees_nothing_of_what_it_costs(self) -> None:
        told = price(rule("SHOP", 0, "PERCENT", "12"), floor=Decimal("99")).public_json()

        assert [stage["code"] for stage in told["stages"]] == ["floor", "retail"]
        assert "88" not in str({**told, "stages": told["stages"][1:]})

    def test_a_stored_stage_is_told_in_the_readers_language(self) -> None:
        stage = {"code": "percent", "amount": "98.56", "detail": {"value": "12.5000"}}

        with override("en"):
            assert str(stage_sentence(stage, "CNY")) == "Markup in percent (12.5 %)"


class TestEarnings:
    TERMS = Terms(Shares(platform_bps=1000), 0, {"stripe": {"bps": 290, "fixed_minor": 0}, "testpay": {"bps": 60}})

    def test_what_the_owner_keeps(self) -> None:
        made = price(rule("SKU", 11, "PRICE", "100"))

        assert earnings(made, 2, self.TERMS, "testpay") == Earnings(
            gross_minor=20000, cost_minor=17600, platform_fee_minor=228, channel_fee_minor=120, net_minor=2052
        )

    def test_without_a_channel_the_dearest_counts(self) -> None:
        made = price(rule("SKU", 11, "PRICE", "100"))

        assert earnings(made, 1, self.TERMS).channel_fee_minor == 290

    def test_a_loss_is_a_negative_number(self) -> None:
        kept = earnings(price(rule("SKU", 11, "PRICE", "89")), 1, self.TERMS, "stripe")

        assert kept.net_minor == 8900 - 8800 - 258
        assert kept.at_a_loss
        assert kept.platform_fee_minor == 0


class TestTheWorkedExample:
    """The figures of docs/pricing.md."""

    TERMS = Terms(shares=Shares(platform_bps=200), channel_fees={"testpay": {"bps": 60, "fixed_minor": 0}})

    def priced(self, percent: str, rounding: str) -> Price:
        return price(
            rule("CATEGORY", TEA, "PERCENT", percent, rounding), supply_unit=Decimal("92.50"), suggested=Decimal(99),
            floor=Decimal(95), ceiling=Decimal(120),
        )  # fmt: skip

    def test_a_markup_rounded_up_within_the_bounds(self) -> None:
        made = self.priced("12.5", "NINES")

        assert [(stage.code, str(stage.amount)) for stage in made.stages] == [
            ("supply", "92.5000"), ("percent", "104.0625"), ("rounding", "109.9000"), ("retail", "109.9000"),
        ]  # fmt: skip
        assert earnings(made, 1, self.TERMS, "testpay") == Earnings(10990, 9250, 33, 66, 1641)

    def test_a_markup_below_the_floor(self) -> None:
        made = self.priced("2", "NONE")

        assert [(stage.code, str(stage.amount)) for stage in made.stages] == [
            ("supply", "92.5000"), ("percent", "94.3500"), ("floor", "95.0000"), ("retail", "95.0000"),
        ]  # fmt: skip
        assert earnings(made, 1, self.TERMS, "testpay").net_minor == 189
