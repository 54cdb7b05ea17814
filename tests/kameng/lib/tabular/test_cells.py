"""Typed cells."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kameng.lib.tabular import cells
from kameng.lib.tabular.cells import CellParser, CellRefused

KIND = cells.choice({"CODES": ("card codes", "卡密"), "MANUAL": ("by hand", "人工")})


def refusal(parse: CellParser, cell: str) -> str:
    with pytest.raises(CellRefused) as caught:
        parse(cell)
    assert str(caught.value.problem)
    assert str(caught.value.cure)
    return caught.value.code


class TestText:
    @pytest.mark.parametrize("cell", ["  充值卡 ", "\u00a0充值卡\u3000", "\ufeff充值卡\u200b", "\t充值卡\r\n"])
    def test_is_trimmed_of_white_space_seen_and_unseen(self, cell: str) -> None:
        assert cells.text(3)(cell) == "充值卡"

    def test_keeps_line_breaks_where_they_are_welcome(self) -> None:
        assert cells.text(9, multiline=True)("a\r\nb\rc") == "a\nb\nc"

    @pytest.mark.parametrize(
        ("cell", "code"),
        [
            ("1234", "cell_too_long"),
            ("a\nb", "cell_line_break"),
            ("a\x00b", "cell_control_character"),
            ("a\x1bb", "cell_control_character"),
            ("a\ud800", "cell_control_character"),
        ],
    )
    def test_refuses(self, cell: str, code: str) -> None:
        assert refusal(cells.text(3), cell) == code


class TestUnitPrice:
    @pytest.mark.parametrize(
        ("cell", "value"),
        [
            ("12", "12"),
            (" ¥1,234.50 ", "1234.5"),
            ("￥９７．５０", "97.5"),
            ("12.5元", "12.5"),
            ("0.0085", "0.0085"),
            ("1e3", "1000"),
            ("1000000", "1000000"),
        ],
    )
    def test_reads_what_people_type(self, cell: str, value: str) -> None:
        assert cells.unit_price()(cell) == Decimal(value)

    @pytest.mark.parametrize(
        ("cell", "code"),
        [
            ("-1", "price_negative"),
            ("0", "price_zero"),
            ("1000000.01", "price_absurd"),
            ("1e9", "price_absurd"),
            ("1e999", "price_too_fine"),
            ("0.00001", "price_too_fine"),
            ("12,50", "cell_not_a_number"),
            ("1.234,50", "cell_not_a_number"),
            ("free", "cell_not_a_number"),
            ("NaN", "cell_not_a_number"),
            ("Infinity", "cell_not_a_number"),
            ("1_000", "cell_not_a_number"),
            ("٣", "cell_not_a_number"),
        ],
    )
    def test_refuses(self, cell: str, code: str) -> None:
        assert refusal(cells.unit_price(), cell) == code

    def test_may_be_zero_or_bounded_otherwise(self) -> None:
        assert cells.unit_price(zero=True)("0") == 0
        assert refusal(cells.unit_price(maximum=Decimal(5)), "5.01") == "price_absurd"


class TestInteger:
    @pytest.mark.parametrize(
        ("cell", "value"), [("12", 12), ("12.0", 12), ("1,000", 1000), ("1e3", 1000), ("１２", 12)]
    )
    def test_reads_whole_numbers(self, cell: str, value: int) -> None:
        assert cells.integer()(cell) == value

    @pytest.mark.parametrize(
        ("cell", "code"),
        [
            ("-1", "cell_out_of_bounds"),
            ("1e10", "cell_out_of_bounds"),
            ("1.5", "cell_not_whole"),
            ("1e999", "cell_not_whole"),
            ("x", "cell_not_a_number"),
        ],
    )
    def test_refuses(self, cell: str, code: str) -> None:
        assert refusal(cells.integer(), cell) == code


class TestChoice:
    @pytest.mark.parametrize(
        ("cell", "value"), [("CODES", "CODES"), ("codes", "CODES"), (" 卡密 ", "CODES"), ("By Hand", "MANUAL")]
    )
    def test_knows_values_and_aliases(self, cell: str, value: str) -> None:
        assert KIND(cell) == value

    def test_refuses_another_by_naming_the_known_ones(self) -> None:
        with pytest.raises(CellRefused) as caught:
            KIND("AUTO")

        assert (caught.value.code, str(caught.value.cure)) == ("cell_unknown_value", "Use one of: CODES, MANUAL.")


class TestBoolean:
    @pytest.mark.parametrize("cell", ["是", "yes", "YES", "1", "true", "TRUE", "√"])
    def test_yes(self, cell: str) -> None:
        assert cells.boolean(cell) is True

    @pytest.mark.parametrize("cell", ["否", "no", "0", "False", "×"])
    def test_no(self, cell: str) -> None:
        assert cells.boolean(cell) is False

    def test_refuses_maybe(self) -> None:
        assert refusal(cells.boolean, "2") == "cell_not_boolean"


class TestList:
    @pytest.mark.parametrize("cell", ["a;b", "a；b；", " a 、b", "a|b", "a\nb\n"])
    def test_is_parted_as_people_do(self, cell: str) -> None:
        assert cells.list_of(cells.text(9))(cell) == ["a", "b"]

    def test_refuses_by_its_entries_and_their_number(self) -> None:
        assert refusal(cells.list_of(cells.text(1)), "a;bb") == "cell_too_long"
        assert refusal(cells.list_of(cells.text(1), max_items=2), "a;b;c") == "cell_too_many"


class TestMapping:
    @pytest.mark.parametrize(
        ("cell", "value"),
        [('{"a": [1, null]}', {"a": [1, None]}), ("a=1; b = x=y", {"a": "1", "b": "x=y"}), ("", {})],
    )
    def test_reads_json_and_pairs(self, cell: str, value: dict[str, Any]) -> None:
        assert cells.mapping(cell) == value

    @pytest.mark.parametrize(
        ("cell", "code"),
        [
            ("a", "cell_not_a_mapping"),
            ("=1", "cell_not_a_mapping"),
            ('{"a"', "cell_not_json"),
            ('{"a": NaN}', "cell_not_json"),
            ('{"a":' * 5000, "cell_not_json"),
        ],
    )
    def test_refuses(self, cell: str, code: str) -> None:
        assert refusal(cells.mapping, cell) == code


class TestCodes:
    @pytest.mark.parametrize(
        ("cell", "value"), [("steam-cn-100", "STEAM-CN-100"), ("ＱＱ－１０", "QQ-10"), ("A", "A"), ("a.b_c", "A.B_C")]
    )
    def test_become_capitals(self, cell: str, value: str) -> None:
        assert cells.slug_code()(cell) == value

    @pytest.mark.parametrize("cell", ["-a", "a-", "a b", "充值", "a/b", "..", "a\n"[:1] + "$"])
    def test_refuse_what_is_none(self, cell: str) -> None:
        assert refusal(cells.slug_code(), cell) == "cell_not_a_code"

    def test_have_a_length(self) -> None:
        assert refusal(cells.slug_code(3), "ABCD") == "cell_too_long"

    def test_slugs_are_small(self) -> None:
        assert cells.slug()("Steam-Wallet") == "steam-wallet"
