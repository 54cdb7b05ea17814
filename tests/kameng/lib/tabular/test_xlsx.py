"""Reading workbooks: values, formulas, and files that are broken or hostile."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from decimal import Decimal
from typing import Any

import pytest
from openpyxl import Workbook

from kameng.lib.tabular import (
    Column,
    FileBroken,
    FileEmpty,
    FileEncrypted,
    FileTooLarge,
    Limits,
    cells,
    read_rows,
    write_xlsx,
)

from .files import COLUMNS, OneWay, csv_file, xlsx_file, zip_file

HEAD = ("sku", "name", "price")
ANY = (Column("a", cells.raw), Column("b", cells.raw))


def values(*row: Any) -> list[str]:
    reader = read_rows(xlsx_file([("a", "b"), row]), "x.xlsx", ANY)
    return [value for _number, found in reader for value in found.values()]


class TestValues:
    def test_rows_come_with_the_numbers_that_excel_shows(self) -> None:
        reader = read_rows(xlsx_file([HEAD, ("A-1", "a", 1.5), (), ("B-1", "b", "2")]), "list.xlsx", COLUMNS)

        assert list(reader) == [
            (2, {"sku": "A-1", "name": "a", "price": Decimal("1.5000"), "stock": 7}),
            (4, {"sku": "B-1", "name": "b", "price": Decimal("2.0000"), "stock": 7}),
        ]
        assert (reader.report.rows, reader.report.blank) == (2, 1)

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (5, "5"),
            (5.0, "5"),
            (0.1 + 0.2, "0.3"),
            (97.55, "97.55"),
            (True, "TRUE"),
            (dt.date(2026, 1, 2), "2026-01-02"),
            (dt.datetime(2026, 1, 2, 3, 4), "2026-01-02 03:04:00"),  # noqa: DTZ001 - spreadsheets know no zones.
            ("00123", "00123"),
            (999_999_999_999_999, "999999999999999"),
        ],
    )
    def test_are_what_a_person_would_type(self, value: object, text: str) -> None:
        assert values("x", value) == ["x", text]

    def test_the_content_counts_and_not_the_name(self) -> None:
        assert len(list(read_rows(xlsx_file([HEAD, ("A-1", "a", 1)]), "list.csv", COLUMNS))) == 1

    def test_a_stream_that_can_not_be_wound_back_is_read(self) -> None:
        content = xlsx_file([HEAD, ("A-1", "a", 1)]).getvalue()

        assert len(list(read_rows(OneWay(content), "-", COLUMNS))) == 1  # type: ignore[arg-type]

    def test_the_first_sheet_with_content_is_read_and_others_are_named(self) -> None:
        reader = read_rows(xlsx_file([], [HEAD, ("A-1", "a", 1)], [("notes",)]), "x.xlsx", COLUMNS)

        assert len(list(reader)) == 1
        assert [str(w) for w in reader.report.warnings] == ["Only the sheet “More1” was read; the workbook has others."]

    def test_hidden_sheets_are_passed_over(self) -> None:
        book = Workbook()
        book.create_sheet("shown").append(["a", "b"])
        book.worksheets[0].append(["secret", "sheet"])
        book.worksheets[0].sheet_state = "hidden"
        book.active = 1
        out = io.BytesIO()
        book.save(out)

        assert read_rows(out, "x.xlsx", ANY).present == {"a", "b"}


class TestFaultyCells:
    @pytest.mark.parametrize("formula", ["=1+1", '=HYPERLINK("http://x")', "=cmd|' /C calc'!A0"])
    def test_a_formula_is_refused_by_name_and_never_calculated(self, formula: str) -> None:
        reader = read_rows(xlsx_file([HEAD, ("A-1", "a", formula), ("B-1", "b", 1)]), "x.xlsx", COLUMNS)

        assert [number for number, _row in reader] == [3]
        assert [(e.row, e.column, e.value, e.code) for e in reader.report.errors] == [
            (2, "price", formula, "cell_formula")
        ]
        assert str(reader.report.errors[0].problem) == "Cell C2 is a formula; formulas are not calculated here."

    def test_an_error_of_the_spreadsheet_is_refused(self) -> None:
        reader = read_rows(xlsx_file([HEAD, ("A-1", "a", "#N/A")]), "x.xlsx", COLUMNS)

        assert list(reader) == []
        assert [(e.column, e.value, e.code) for e in reader.report.errors] == [("price", "#N/A", "cell_error")]

    @pytest.mark.parametrize("number", [1_000_000_000_000_000, 6_001_234_567_890_123, 1.5e16])
    def test_a_number_that_excel_has_rounded_is_refused(self, number: float) -> None:
        reader = read_rows(xlsx_file([("a", "b"), ("x", number)]), "x.xlsx", ANY)

        assert list(reader) == []
        assert [(e.column, e.code) for e in reader.report.errors] == [("b", "cell_rounded")]

    def test_a_row_of_too_many_characters_is_refused(self) -> None:
        reader = read_rows(xlsx_file([("a", "b"), ("x" * 32_000, "y" * 32_001)]), "x.xlsx", ANY)

        assert list(reader) == []
        assert [(e.row, e.code) for e in reader.report.errors] == [(2, "row_too_long")]


class TestHostileFiles:
    def test_a_name_without_a_workbook_is_refused(self) -> None:
        with pytest.raises(FileBroken, match="not a workbook"):
            read_rows(csv_file("sku,name,price\n"), "list.xlsx", COLUMNS)

    @pytest.mark.parametrize("keep", [10, 200, 0.5, 0.95])
    def test_a_cut_file_is_refused(self, keep: float) -> None:
        content = xlsx_file([HEAD, *[("A-1", "a", 1)] * 200]).getvalue()
        cut = content[: int(keep if keep >= 1 else len(content) * keep)]

        with pytest.raises(FileBroken, match="damaged"):
            list(read_rows(io.BytesIO(cut), "list.xlsx", COLUMNS))

    @pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/worksheets/sheet1.xml", "[Content_Types].xml"])
    def test_a_broken_part_is_refused(self, part: str) -> None:
        with zipfile.ZipFile(xlsx_file([HEAD, ("A-1", "a", 1)])) as container:
            parts = {name: container.read(name) for name in container.namelist()}
        parts[part] = parts[part][: len(parts[part]) // 2]

        with pytest.raises(FileBroken, match="damaged"):
            list(read_rows(zip_file(parts), "list.xlsx", COLUMNS))

    def test_another_kind_of_zip_is_refused(self) -> None:
        with pytest.raises(FileBroken, match="not a table"):
            read_rows(zip_file({"word/document.xml": b"<w/>", "[Content_Types].xml": b"<t/>"}), "list.xlsx", COLUMNS)

    @pytest.mark.parametrize("part", ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/media/picture.bin"])
    def test_a_zip_bomb_is_refused_before_it_is_unpacked(self, part: str) -> None:
        bomb = zip_file({"[Content_Types].xml": b"<t/>", "xl/workbook.xml": b"<w/>", part: b"0" * (17 * 1024 * 1024)})

        with pytest.raises(FileTooLarge, match="unpacks to more"):
            read_rows(bomb, "list.xlsx", COLUMNS)

    def test_entities_that_grow_are_refused(self) -> None:
        with zipfile.ZipFile(xlsx_file([HEAD])) as container:
            parts = {name: container.read(name) for name in container.namelist()}
        laughs = b'<?xml version="1.0"?><!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
        parts["xl/workbook.xml"] = laughs + parts["xl/workbook.xml"].removeprefix(b'<?xml version="1.0"?>')

        with pytest.raises(FileBroken):
            read_rows(zip_file(parts), "list.xlsx", COLUMNS)

    def test_a_password_is_refused_in_plain_words(self) -> None:
        content = (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(70_000) + "EncryptedPackage".encode("utf-16-le") + bytes(100)
        )

        with pytest.raises(FileEncrypted, match="protected with a password"):
            read_rows(io.BytesIO(content), "list.xlsx", COLUMNS)

    def test_an_old_workbook_is_refused_with_the_cure(self) -> None:
        with pytest.raises(FileBroken, match=r"old Excel file \(\.xls\).*save it as \.xlsx"):
            read_rows(io.BytesIO(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(5000)), "list.xls", COLUMNS)

    def test_an_empty_workbook_is_refused(self) -> None:
        with pytest.raises(FileEmpty):
            read_rows(xlsx_file([]), "list.xlsx", COLUMNS)

    def test_a_row_far_below_the_table_does_not_hold_the_reader_up(self) -> None:
        book = Workbook()
        book.worksheets[0].append(["a", "b"])
        book.worksheets[0]["A5000"] = "x"
        out = io.BytesIO()
        book.save(out)

        with pytest.raises(FileTooLarge, match="more than 1000 rows"):
            list(read_rows(out, "x.xlsx", ANY, limits=Limits(rows=1000)))


class TestSize:
    def test_five_thousand_rows_are_streamed_out_and_in(self) -> None:
        out = io.BytesIO()

        written = write_xlsx(HEAD, ((f"SKU-{number}", "商品", Decimal("12.34")) for number in range(5_000)), out)
        reader = read_rows(out, "list.xlsx", COLUMNS)

        assert written == 5_000
        assert sum(1 for _number, row in reader if row["price"] == Decimal("12.34")) == 5_000
        assert reader.report.ok
