"""Money to the cent."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kameng.lib import money


class TestParseUnit:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("12", "12.0000"),
            (" ¥1,234.50 ", "1234.5000"),
            ("￥0.0085", "0.0085"),
            ("$3", "3.0000"),
            ("-2.5", "-2.5000"),
            ("1e2", "100.0000"),
            ("0.10000", "0.1000"),
        ],
    )
    def test_reads_what_people_type(self, text: str, value: str) -> None:
        assert money.parse_unit(text) == Decimal(value)
        assert money.parse_unit(text).as_tuple().exponent == -4

    @pytest.mark.parametrize("text", ["", "free", "1.23456", "NaN", "Infinity", "1e30", "1 2", "12元", "0x10", "1..2"])
    def test_refuses_what_is_no_price(self, text: str) -> None:
        with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
            money.parse_unit(text)


class TestLineTotals:
    @pytest.mark.parametrize(
        ("unit", "quantity", "currency", "total", "cost"),
        [
            ("12.3400", 1, "CNY", 1234, 1234),
            ("0.0085", 1, "CNY", 1, 1),
            ("0.0085", 100, "CNY", 85, 85),
            ("0.0049", 1, "CNY", 0, 1),
            ("0.0050", 1, "CNY", 1, 1),
            ("10.1250", 1, "CNY", 1013, 1013),
            ("10.1220", 1, "CNY", 1012, 1013),
            ("99.5", 3, "JPY", 299, 299),
            ("99.4", 1, "JPY", 99, 100),
            ("0", 7, "CNY", 0, 0),
        ],
    )
    def test_round_once_at_the_line(self, unit: str, quantity: int, currency: str, total: int, cost: int) -> None:
        assert money.line_total_minor(Decimal(unit), quantity, currency) == total
        assert money.line_cost_minor(Decimal(unit), quantity, currency) == cost

    @given(st.integers(0, 10**10), st.integers(1, 10**4))
    def test_cost_is_never_below_the_exact_amount_nor_a_cent_above(self, ten_thousandths: int, quantity: int) -> None:
        exact = Decimal(ten_thousandths).scaleb(-2) * quantity

        cost = money.line_cost_minor(Decimal(ten_thousandths).scaleb(-4), quantity)

        assert exact <= cost < exact + 1


class TestShareBps:
    @pytest.mark.parametrize(
        ("amount", "bps", "share"),
        [(10_000, 60, 60), (99, 50, 0), (100, 50, 1), (33, 3333, 11), (1, 10_000, 1), (0, 500, 0)],
    )
    def test_rounds_half_up_in_integers(self, amount: int, bps: int, share: int) -> None:
        assert money.share_bps_minor(amount, bps) == share


class TestMinorUnits:
    @pytest.mark.parametrize(
        ("minor", "currency", "value"), [(1234, "CNY", "12.34"), (-5, "USD", "-0.05"), (120, "JPY", "120")]
    )
    def test_go_to_decimal_and_back(self, minor: int, currency: str, value: str) -> None:
        assert money.minor_to_decimal(minor, currency) == Decimal(value)
        assert money.decimal_to_minor(Decimal(value), currency) == minor

    def test_refuse_a_fraction_of_a_cent(self) -> None:
        with pytest.raises(ValueError, match=r"12\.345 has more places than CNY"):
            money.decimal_to_minor(Decimal("12.345"))

    def test_refuse_a_currency_that_is_not_sold_in(self) -> None:
        with pytest.raises(KeyError):
            money.exponent("XAU")


class TestFormat:
    @pytest.mark.parametrize(
        ("minor", "currency", "text"),
        [
            (123456, "CNY", "¥1,234.56"),
            (-50, "CNY", "\u2212¥0.50"),
            (0, "USD", "$0.00"),
            (1200, "JPY", "JP¥1,200"),
            (5, "HKD", "HK$0.05"),
        ],
    )
    def test_settled_amounts(self, minor: int, currency: str, text: str) -> None:
        assert money.format_minor(minor, currency) == text

    @pytest.mark.parametrize(
        ("unit", "currency", "text"),
        [
            ("12.5", "CNY", "¥12.50"),
            ("0.0085", "CNY", "¥0.0085"),
            ("1234", "CNY", "¥1,234.00"),
            ("-0.1", "CNY", "\u2212¥0.10"),
            ("90", "JPY", "JP¥90"),
        ],
    )
    def test_unit_prices(self, unit: str, currency: str, text: str) -> None:
        assert money.format_unit(Decimal(unit), currency) == text
