"""Files of card codes."""

from __future__ import annotations

import io
import tracemalloc
from typing import Any

import pytest

from kameng.lib.tabular import CodesReader, FileBroken, FileEmpty, HeaderRefused, RowError, read_codes

from .files import OneWay, csv_file, xlsx_file


def outcome(reader: CodesReader) -> list[tuple[int, str]]:
    """Codes as they are, errors by their code in angle brackets."""
    return [(one.row, f"<{one.code}>") if isinstance(one, RowError) else one for one in reader]


class TestLines:
    def test_a_code_is_a_line(self) -> None:
        reader = read_codes("AAAA-1\r\nBBBB-2\n\n  \nCCCC-3", "paste")

        assert outcome(reader) == [(1, "AAAA-1"), (2, "BBBB-2"), (5, "CCCC-3")]
        assert reader.blank == 2

    @pytest.mark.parametrize(
        "line",
        [
            "  AB-1  ",
            "\u00a0AB-1\u00a0",
            "\ufeffAB-1",
            "\u200bAB-1\u200b",
            "AB\u200b-1",
            "\u3000AB-1\t",
            "\u202aAB-1\u202c",
            "A\u00adB-1",
        ],
    )
    def test_odd_white_space_is_taken_off(self, line: str) -> None:
        assert outcome(read_codes(line)) == [(1, "AB-1")]

    def test_a_line_of_unseen_characters_is_blank(self) -> None:
        reader = read_codes("A\n\u200b\u00a0\n")

        assert outcome(reader) == [(1, "A")]
        assert reader.blank == 1

    def test_inner_space_is_kept_and_made_plain(self) -> None:
        assert outcome(read_codes("AB\u00a01 2")) == [(1, "AB 1 2")]

    @pytest.mark.parametrize("line", ["6001----pass", "6001\tpass", "6001 \t pass\t"])
    def test_a_card_and_its_password_are_one_code(self, line: str) -> None:
        assert outcome(read_codes(line)) == [(1, "6001----pass")]

    def test_commas_and_formulas_are_part_of_a_code(self) -> None:
        assert outcome(read_codes("A,1;2\n=B\n'C\n-D\n")) == [(1, "A,1;2"), (2, "=B"), (3, "'C"), (4, "-D")]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
    def test_encodings_are_found_out(self, encoding: str) -> None:
        assert outcome(read_codes(csv_file("甲-1\n乙-2\n", encoding), "codes.txt")) == [(1, "甲-1"), (2, "乙-2")]

    @pytest.mark.parametrize(
        ("line", "code"),
        [
            ("a\tb\tc", "code_parts"),
            ("A\x00B", "code_control_character"),
            ("A\x1bB", "code_control_character"),
            ("A\ufffdB", "code_control_character"),
            ("6.00123E+15", "code_rounded"),
            ("x" * 4097, "row_too_long"),
            ("值" * 1366, "row_too_long"),
            ("x" * 65_536, "row_too_long"),
            ("x" * 200_000, "row_too_long"),
        ],
    )
    def test_a_bad_line_is_refused_by_its_number_and_the_next_is_read(self, line: str, code: str) -> None:
        assert outcome(read_codes(f"FIRST\n{line}\nLAST\n")) == [(1, "FIRST"), (2, f"<{code}>"), (3, "LAST")]

    def test_the_limit_of_a_line_is_exact_and_can_be_set(self) -> None:
        assert outcome(read_codes("x" * 4096 + "\r\n"))[0] == (1, "x" * 4096)
        assert outcome(read_codes("12345\n123456\n", max_bytes=5)) == [(1, "12345"), (2, "<row_too_long>")]

    def test_half_a_character_of_a_paste_costs_only_its_line(self) -> None:
        assert outcome(read_codes("A\nB\ud800\nC")) == [(1, "A"), (2, "<row_undecodable>"), (3, "C")]

    def test_no_error_quotes_a_code(self) -> None:
        errors = [one for one in read_codes("SECRET-CODE-1234\x00\nPART1\tPART2\tPART3") if isinstance(one, RowError)]

        assert [error.value for error in errors] == ["••••234 ", "••••ART3"]

    def test_an_empty_paste_is_refused(self) -> None:
        with pytest.raises(FileEmpty):
            read_codes("")

    def test_a_picture_is_refused(self) -> None:
        with pytest.raises(FileBroken):
            read_codes(io.BytesIO(b"\x89PNG\r\n\x1a\n\x00\x00\x00"), "codes.txt")


class TestTables:
    @pytest.mark.parametrize("heading", ["code", "Code", "卡密", "激活码", "CDKEY"])
    def test_a_heading_makes_it_a_table(self, heading: str) -> None:
        assert outcome(read_codes(f"{heading}\nA-1\n\nB-2\n", "codes.txt")) == [(2, "A-1"), (4, "B-2")]

    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    def test_card_and_password_are_joined(self, delimiter: str) -> None:
        text = "卡号,密码\n111,aaa\n222,\n".replace(",", delimiter)

        assert outcome(read_codes(text, "codes.csv")) == [(2, "111----aaa"), (3, "222")]

    def test_other_columns_are_left_out_with_a_warning(self) -> None:
        reader = read_codes("序号,卡密,面值\n1,A-1,100\n", "codes.csv")

        assert outcome(reader) == [(2, "A-1")]

    def test_workbooks_are_read(self) -> None:
        rows: list[Any] = [("卡号", "密码"), ("00111", "aaa"), (222, None), ("=1+1", "x"), (6_001_234_567_890_123, "y")]

        assert outcome(read_codes(xlsx_file(rows), "codes.xlsx")) == [
            (2, "00111----aaa"),
            (3, "222"),
            (4, "<cell_formula>"),
            (5, "<cell_rounded>"),
        ]

    def test_a_password_without_its_card_is_refused(self) -> None:
        assert outcome(read_codes("code,password\n,aaa\nB,b\n", "x.csv")) == [(2, "<cell_blank>"), (3, "B----b")]

    def test_a_csv_of_several_columns_has_to_name_them(self) -> None:
        with pytest.raises(HeaderRefused, match="“code”"):
            read_codes("A-1,aaa\nB-2,bbb\n", "codes.csv")

    def test_a_csv_of_one_column_is_lines(self) -> None:
        assert outcome(read_codes("A-1\nB-2\n", "codes.csv")) == [(1, "A-1"), (2, "B-2")]

    def test_errors_come_in_the_order_of_the_rows(self) -> None:
        text = "code\n" + "x" * 70_000 + "\nB-2\nC\x00C\n" + '"D\n'
        reader = read_codes(text, "codes.csv")

        assert outcome(reader) == [
            (2, "<row_too_long>"),
            (3, "B-2"),
            (4, "<code_control_character>"),
            (5, "<row_open_quote>"),
        ]
        assert reader.stopped_at_row == 5


class TestSize:
    @pytest.mark.parametrize("heading", ["", "code\n"], ids=["lines", "table"])
    def test_many_codes_take_little_memory(self, heading: str) -> None:
        content = (heading + "".join(f"CODE-{number:060d}\n" for number in range(50_000))).encode()

        tracemalloc.start()
        reader = read_codes(OneWay(content), "codes.csv")  # type: ignore[arg-type]
        count = sum(1 for one in reader if not isinstance(one, RowError))
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert count == 50_000
        assert peak < 1_000_000

    def test_progress_goes_to_all(self) -> None:
        reader = read_codes(csv_file("A\nB\n"), "codes.txt")

        list(reader)

        assert reader.fraction() == 1.0
