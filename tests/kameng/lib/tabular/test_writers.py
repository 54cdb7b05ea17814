"""Writing tables that no spreadsheet calculates and that come back as they were."""

from __future__ import annotations

import csv
import datetime as dt
import io
import tempfile
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from kameng.lib.tabular import CellTooLong, Column, cells, plain, read_rows, safe_text, write_csv, write_xlsx

TWO = (Column("a", cells.raw, default=""), Column("b", cells.raw, default=""))
# A line break of its own kind is not told apart by CSV readers; control characters can't stand in XML.
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)
NASTY = st.builds(
    "".join, st.lists(st.sampled_from(["'", "=", "+", "-", "@", '"', ",", ";", "\t", "\n", " ", "a", "＝", "值"]))
)
ROWS = st.lists(st.tuples(NASTY | TEXTS, NASTY | TEXTS), max_size=8)


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    return b"".join(write_csv(["a", "b"], rows)).decode("utf-8-sig")


def back(content: bytes, name: str) -> list[tuple[str, str]]:
    return [(row["a"], row["b"]) for _number, row in read_rows(io.BytesIO(content), name, TWO)]


def not_blank(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [row for row in rows if any(map(cells.trimmed, row))]


class TestPlain:
    @pytest.mark.parametrize(
        ("value", "cell"),
        [
            (None, ""),
            (True, "yes"),
            (False, "no"),
            (5, 5),
            (Decimal("12.5000"), Decimal("12.5000")),
            (["account", "server"], "account;server"),
            ({"a": "值"}, '{"a": "值"}'),
            (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02 03:04:05+00:00"),
            (dt.date(2026, 1, 2), "2026-01-02"),
        ],
    )
    def test_is_what_the_reader_takes_back(self, value: object, cell: object) -> None:
        assert plain(value) == cell


class TestCsv:
    def test_is_utf_8_with_a_mark_and_windows_line_ends(self) -> None:
        content = b"".join(write_csv(["a", "b"], [["充值卡", 5], [None, Decimal("1.50")]]))

        assert content == '\ufeff"a","b"\r\n"充值卡",5\r\n"",1.50\r\n'.encode()

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "'"])
    def test_puts_an_apostrophe_before_what_would_be_calculated(self, start: str) -> None:
        assert safe_text(f"{start}1") == f"'{start}1"

    @pytest.mark.parametrize("text", ["", "a=b", "1-1", " =1", "值"])
    def test_leaves_other_text_alone(self, text: str) -> None:
        assert safe_text(text) == text

    def test_leaves_negative_numbers_numbers(self) -> None:
        assert csv_text([[-5, Decimal("-1.5")]]) == '"a","b"\r\n-5,-1.5\r\n'

    def test_streams_in_chunks(self) -> None:
        taken: list[int] = []

        def rows() -> Iterable[list[int]]:
            for number in range(1200):
                taken.append(number)
                yield [number, number]

        chunks = write_csv(["a", "b"], rows())
        next(chunks)

        assert len(taken) == 500
        assert sum(1 for _ in chunks) == 2

    def test_a_table_without_rows_has_its_heading(self) -> None:
        assert csv_text([]) == '"a","b"\r\n'

    @given(ROWS)
    def test_comes_back_as_it_was(self, rows: list[tuple[str, str]]) -> None:
        assert not_blank(back(b"".join(write_csv(["a", "b"], rows)), "x.csv")) == not_blank(rows)

    @given(ROWS)
    def test_has_no_cell_that_is_calculated(self, rows: list[tuple[str, str]]) -> None:
        for row in csv.reader(io.StringIO(csv_text(rows), newline="")):
            assert all(cell[:1] not in tuple("=+-@\t\r＝") or not cell for cell in row)


class TestXlsx:
    def test_text_that_looks_like_a_formula_stays_text(self) -> None:
        out = io.BytesIO()

        count = write_xlsx(["a", "b"], [["=1+1", "@x"], [Decimal("1.5"), -2]], out)

        sheet = load_workbook(out).worksheets[0]
        assert count == 2
        assert [(cell.value, cell.data_type) for cell in sheet[2]] == [("=1+1", "s"), ("@x", "s")]
        assert [(cell.value, cell.data_type) for cell in sheet[3]] == [(1.5, "n"), (-2, "n")]

    def test_refuses_a_text_that_no_cell_can_hold(self) -> None:
        with pytest.raises(CellTooLong, match="Row 2"):
            write_xlsx(["a"], [["x" * 32_768]], io.BytesIO())

    def test_leaves_no_temporary_file_when_a_row_can_not_be_had(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        def rows() -> Iterable[list[str]]:
            yield ["a"]
            raise LookupError

        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        out = io.BytesIO()

        with pytest.raises(LookupError):
            write_xlsx(["a"], rows(), out)

        assert list(tmp_path.iterdir()) == []
        assert out.getvalue() == b""

    def test_leaves_out_characters_that_xml_can_not_hold(self) -> None:
        out = io.BytesIO()
        write_xlsx(["a", "b"], [["a\x00b\x1bc", ""]], out)

        assert back(out.getvalue(), "x.xlsx") == [("abc", "")]

    @given(ROWS)
    def test_comes_back_as_it_was(self, rows: list[tuple[str, str]]) -> None:
        out = io.BytesIO()
        write_xlsx(["a", "b"], rows, out)

        assert back(out.getvalue(), "x.xlsx") == not_blank(rows)
