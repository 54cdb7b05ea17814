"""Reading CSV: encodings, delimiters, headings, faulty rows, limits."""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import InMemoryUploadedFile, TemporaryUploadedFile

from kameng.lib.tabular import (
    Column,
    EncodingUnknown,
    FileBroken,
    FileEmpty,
    FileTooLarge,
    HeaderRefused,
    Limits,
    Report,
    cells,
    read_rows,
)
from kameng.lib.tabular.reader import folded_heading

from .files import COLUMNS, OneWay, csv_file, xlsx_file

GOOD = "sku,name,price\nSTEAM-CN-100,充值卡,97.5\n"
ROW = {"sku": "STEAM-CN-100", "name": "充值卡", "price": Decimal("97.5000"), "stock": 7}


def read(text: str, encoding: str = "utf-8", **options: Any) -> tuple[list[tuple[int, dict[str, Any]]], Report]:
    reader = read_rows(csv_file(text, encoding), "list.csv", COLUMNS, **options)
    return list(reader), reader.report


def errors(text: str, **options: Any) -> list[tuple[int, str, str, str]]:
    _rows, report = read(text, **options)
    return [(error.row, error.column, error.value, error.code) for error in report.errors]


class Generated(io.RawIOBase):
    """A file that is made while it is read, so that it takes no memory of its own."""

    def __init__(self, count: int, name: str) -> None:
        self._lines: Iterator[bytes] = (f"SKU-{n},{name},{n % 900 + 1}.25\n".encode() for n in range(count))
        self._rest = b"sku,name,price\n"

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size and (line := next(self._lines, b"")):
            self._rest += line
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class TestEncodings:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
    def test_are_found_out(self, encoding: str) -> None:
        rows, report = read(GOOD, encoding)

        assert rows == [(2, ROW)]
        assert report.ok

    def test_is_found_out_when_the_first_chinese_word_comes_late(self) -> None:
        filler = "".join(f"A-{number},plain,1\n" for number in range(10_000))

        rows, report = read("sku,name,price\n" + filler + "STEAM-CN-100,充值卡,97.5\n", "gbk")

        assert rows[-1] == (10_002, ROW)
        assert report.ok

    def test_is_found_out_when_a_character_lies_across_two_chunks(self) -> None:
        for shift in range(4):
            text = "sku,name,price\nA-1," + "x" * shift + ",1\n" + "B,值值,1\n" * 6000
            reader = read_rows(csv_file(text, "utf-8"), "list.csv", COLUMNS)

            assert sum(1 for _ in reader) == (6001 if shift else 6000)

    def test_refuses_what_is_none_of_them(self) -> None:
        with pytest.raises(EncodingUnknown, match="CSV UTF-8"):
            read_rows(io.BytesIO(b"sku,name,price\nA,\xff\xff\xff,1\n"), "list.csv", COLUMNS)

    def test_names_the_row_that_breaks_with_the_rest_and_goes_on(self) -> None:
        head = "sku,name,price\n" + "".join(f"A-{number},值,1\n" for number in range(9000))
        content = head.encode() + "B-1,坏,1\n".encode("gbk") + b"C-1,ok,1\n"

        reader = read_rows(io.BytesIO(content), "list.csv", COLUMNS)
        rows = list(reader)

        assert [(error.row, error.code) for error in reader.report.errors] == [(9002, "row_undecodable")]
        assert rows[-1][0] == 9003
        assert (reader.report.rows, reader.report.good, reader.report.bad) == (9002, 9001, 1)

    def test_stops_where_utf_16_breaks_and_says_so(self) -> None:
        content = (GOOD + "B-1,b,1\n").encode("utf-16") + b"\x00\xd8\x41\x00" + "C-1,c,1\n".encode("utf-16-le")

        reader = read_rows(io.BytesIO(content), "list.csv", COLUMNS)

        assert [number for number, _row in reader] == [2, 3]
        assert [(error.row, error.code) for error in reader.report.errors] == [(4, "row_undecodable")]
        assert reader.report.stopped_at_row == 4
        assert not reader.report.ok

    def test_refuses_a_picture(self) -> None:
        with pytest.raises(FileBroken, match="not a table"):
            read_rows(io.BytesIO(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256))), "list.csv", COLUMNS)

    @pytest.mark.parametrize("kind", [TemporaryUploadedFile, InMemoryUploadedFile])
    @pytest.mark.parametrize("as_workbook", [False, True])
    def test_reads_what_django_hands_over(self, kind: type[object], as_workbook: bool) -> None:
        content = (
            xlsx_file([("sku", "name", "price"), ("STEAM-CN-100", "充值卡", 97.5)]).getvalue()
            if as_workbook
            else GOOD.encode()
        )
        upload = (
            TemporaryUploadedFile("list", "text/csv", len(content), None)
            if kind is TemporaryUploadedFile
            else InMemoryUploadedFile(io.BytesIO(), "file", "list", "text/csv", len(content), None)
        )
        with upload:
            upload.write(content)

            assert list(read_rows(upload, "list", COLUMNS)) == [(2, ROW)]  # type: ignore[arg-type]

    def test_reads_a_stream_that_can_not_be_wound_back(self) -> None:
        reader = read_rows(OneWay(GOOD.encode()), "-", COLUMNS)  # type: ignore[arg-type]

        assert list(reader) == [(2, ROW)]


class TestDelimitersAndLineEnds:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
    def test_are_found_out(self, delimiter: str, end: str) -> None:
        rows, _report = read(GOOD.replace(",", delimiter).replace("\n", end))

        assert rows == [(2, ROW)]

    def test_a_last_line_needs_no_end(self) -> None:
        assert read(GOOD.rstrip())[0] == [(2, ROW)]

    def test_the_delimiter_that_makes_known_headings_wins(self) -> None:
        rows, _report = read("sku;name;price (CNY, net, per piece)\nA-1;b;2\n")

        assert rows == [(2, {"sku": "A-1", "name": "b", "price": Decimal("2.0000"), "stock": 7})]

    def test_heeds_excels_own_line_about_it(self) -> None:
        assert read("sep=;\nsku;name;price\nSTEAM-CN-100;充值卡;97.5\n")[0] == [(2, ROW)]

    def test_keeps_delimiters_and_line_breaks_in_quotation_marks(self) -> None:
        columns = (Column("a", cells.text(99, multiline=True)), Column("b"))
        reader = read_rows(csv_file('a,b\n"x, ""y""\r\nz",1\n2,3\n'), "list.csv", columns)

        assert list(reader) == [(2, {"a": 'x, "y"\nz', "b": "1"}), (3, {"a": "2", "b": "3"})]


class TestHeading:
    @pytest.mark.parametrize(
        "heading",
        [
            "SKU编号,名称,售价",
            "编码,商品名称,价格（元）",
            " Sku ,NAME,Price*",
            "S-K-U,na_me,p r i c e",
            "\n,,\nsku,name,price",
        ],
    )
    def test_knows_aliases_in_both_languages(self, heading: str) -> None:
        rows, _report = read(f"{heading}\nSTEAM-CN-100,充值卡,97.5\n")

        assert [row for _number, row in rows] == [ROW]

    def test_says_which_columns_are_there(self) -> None:
        reader = read_rows(csv_file("价格,sku,name,创建时间\n"), "list.csv", COLUMNS)

        assert reader.present == {"sku", "name", "price", "created_at"}
        assert list(reader) == []

    def test_does_not_read_columns_that_are_only_exported(self) -> None:
        assert read("sku,name,price,created_at\nSTEAM-CN-100,充值卡,97.5,whenever\n")[0] == [(2, ROW)]

    def test_refuses_all_that_is_wrong_at_once_with_the_cure(self) -> None:
        with pytest.raises(HeaderRefused) as caught:
            read("sku,SKU编号,pirce,colour\nA,B,1,red\n")

        assert caught.value.details == {
            "missing": ["name", "price"],
            "unknown": ["pirce", "colour"],
            "duplicate": ["SKU编号"],
            "known": ["created_at", "name", "price", "sku", "stock"],
        }
        assert str(caught.value) == (
            "Missing columns: name, price. Unknown columns: pirce (→ price?), colour. "
            "Columns that are there twice: SKU编号. "
            "Correct the first row; the known columns are: created_at, name, price, sku, stock."
        )

    def test_may_pass_over_unknown_columns_with_a_warning(self) -> None:
        rows, report = read(GOOD.replace("price", "price,colour").replace("97.5", "97.5,red"), ignore_unknown=True)

        assert rows == [(2, ROW)]
        assert [str(warning) for warning in report.warnings] == ["Columns that were not read: colour."]

    @pytest.mark.parametrize("content", ["", "\n\n", " , \n", "\ufeff"])
    def test_refuses_an_empty_file(self, content: str) -> None:
        with pytest.raises(FileEmpty):
            read(content)

    def test_refuses_a_heading_that_is_a_formula(self) -> None:
        with pytest.raises(HeaderRefused, match=r"row 1 .* Cell A1 is a formula"):
            read("=1+1,name,price\n")

    def test_two_columns_can_not_share_an_alias(self) -> None:
        with pytest.raises(AssertionError, match="“Code” is an alias of both a and b"):
            read_rows(csv_file("a\n"), "x.csv", (Column("a", aliases=("code",)), Column("b", aliases=("Code",))))

    @pytest.mark.parametrize(
        "heading", ["Face Value (CNY)", "face_value", "FACE-VALUE", " face　value* ", "face value【元】"]
    )
    def test_is_compared_without_case_spaces_and_remarks(self, heading: str) -> None:
        assert folded_heading(heading) == "facevalue"


class TestFaultyRows:
    def test_are_reported_with_row_column_value_and_code_while_good_ones_come_through(self) -> None:
        text = "sku,name,price,stock\nA-1,a,1,1\n,b,-1,x\nC-1,c,1,1\nD 1,d,2000000,1\n"

        rows, report = read(text)

        assert [number for number, _row in rows] == [2, 4]
        assert [(e.row, e.column, e.value, e.code) for e in report.errors] == [
            (3, "sku", "", "cell_blank"),
            (3, "price", "-1", "price_negative"),
            (3, "stock", "x", "cell_not_a_number"),
            (5, "sku", "D 1", "cell_not_a_code"),
            (5, "price", "2000000", "price_absurd"),
        ]
        assert (report.rows, report.good, report.bad, report.errors_total) == (4, 2, 2, 5)

    def test_blank_rows_are_counted_and_keep_the_numbering(self) -> None:
        rows, report = read("sku,name,price\n\nA-1,a,1\n,,\n \u3000,\u200b,\nB-1,b,1\n")

        assert [number for number, _row in rows] == [3, 6]
        assert (report.rows, report.blank) == (2, 3)

    def test_a_row_that_is_too_short_lacks_its_required_cells(self) -> None:
        assert errors("sku,name,price\nA-1,a\n") == [(2, "price", "", "cell_blank")]

    def test_a_value_without_a_heading_is_refused(self) -> None:
        assert errors("sku,name,price\nA-1,a,1,234\nB-1,b,1,\n") == [(2, "D", "234", "cell_stray")]

    def test_a_formula_is_refused_by_the_name_of_its_cell(self) -> None:
        _rows, report = read('sku,name,price\nA-1,"=HYPERLINK(""http://x"")",1\n')

        assert [(e.row, e.column, e.value) for e in report.errors] == [(2, "name", '=HYPERLINK("http://x")')]
        assert str(report.errors[0].problem) == "Cell B2 is a formula; formulas are not calculated here."

    def test_text_written_as_a_formula_to_keep_its_zeros_is_text(self) -> None:
        assert read('sku,name,price\n"=""0012""",a,1\n')[0][0][1]["sku"] == "0012"

    def test_a_long_value_is_shortened_in_the_report(self) -> None:
        assert errors("sku,name,price\nA-1," + "n" * 100 + ",1\n") == [(2, "name", "n" * 59 + "…", "cell_too_long")]

    def test_a_secret_value_is_not_shown(self) -> None:
        columns = (Column("code", cells.text(3), secret=True),)
        reader = read_rows(csv_file("code\nSECRET\n=SECRET()\n"), "x.csv", columns)

        assert list(reader) == []
        assert [(e.row, e.value) for e in reader.report.errors] == [(2, ""), (3, "")]

    def test_quotation_marks_out_of_order_cost_only_their_row(self) -> None:
        assert errors('sku,name,price\nA-1,"a"b,1\nB-1,b,x\n') == [
            (2, "", "", "row_misquoted"),
            (3, "price", "x", "cell_not_a_number"),
        ]

    @pytest.mark.parametrize("rest", ["B-1,b,1\n", "B-1,b,1\n" * 20_000], ids=["to the end", "beyond the limit"])
    def test_an_open_quotation_mark_stops_the_reading(self, rest: str) -> None:
        rows, report = read('sku,name,price\nA-1,a,1\nA-2,"a,1\n' + rest)

        assert [number for number, _row in rows] == [2]
        assert [(e.row, e.code) for e in report.errors] == [(3, "row_open_quote")]
        assert report.stopped_at_row == 3


class TestLimits:
    @pytest.mark.parametrize("length", [64_001, 65_536, 1_000_000])
    def test_a_line_that_is_too_long_costs_only_its_row(self, length: int) -> None:
        assert errors("sku,name,price\n" + "x" * length + "\nB-1,b,1\n") == [(2, "", "", "row_too_long")]

    def test_a_cell_of_32_kb_is_refused_and_one_below_is_read(self) -> None:
        columns = (Column("a", cells.raw),)
        reader = read_rows(csv_file("a\n" + "x" * 32_000 + "\n" + "y" * 32_001 + "\n"), "x.csv", columns)

        assert [len(row["a"]) for _number, row in reader] == [32_000]
        assert [(e.row, e.code, e.value) for e in reader.report.errors] == [(3, "cell_too_long", "y" * 59 + "…")]

    def test_too_many_rows_refuse_the_file(self) -> None:
        with pytest.raises(FileTooLarge, match="more than 3 rows"):
            read("sku,name,price\nA,a,1\nB,b,1\nC,c,1\n", limits=Limits(rows=3))

    def test_too_many_columns_refuse_the_file(self) -> None:
        with pytest.raises(FileTooLarge, match="more than 200 columns"):
            read(",".join(f"c{number}" for number in range(201)) + "\n")

    def test_too_many_bytes_refuse_the_file_before_it_is_read(self) -> None:
        with pytest.raises(FileTooLarge, match="larger than 1 MB"):
            read("x" * 1_048_577, limits=Limits(file_bytes=1_048_576))

    def test_too_many_bytes_of_a_pipe_refuse_it_while_it_is_read(self) -> None:
        limits = Limits(file_bytes=100_000)
        reader = read_rows(OneWay((GOOD + "A,a,1\n" * 50_000).encode()), "-", COLUMNS, limits=limits)  # type: ignore[arg-type]

        with pytest.raises(FileTooLarge):
            list(reader)

    def test_two_hundred_thousand_rows_are_read(self) -> None:
        reader = read_rows(Generated(200_000, "商品"), "-", COLUMNS)  # type: ignore[arg-type]

        assert sum(1 for _ in reader) == 200_000
        assert reader.report.good == 200_000

    def test_thirty_megabytes_take_two_of_memory(self) -> None:
        columns = (Column("sku"), Column("name", cells.text(2000)), Column("price"))
        generated = Generated(20_000, "x" * 1500)

        tracemalloc.start()
        reader = read_rows(generated, "-", columns)  # type: ignore[arg-type]
        count = sum(1 for _ in reader)
        _now, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert count == 20_000
        assert peak < 2_000_000

    def test_progress_goes_from_nothing_to_all(self) -> None:
        reader = read_rows(csv_file(GOOD), "list.csv", COLUMNS)

        list(reader)

        assert reader.fraction() == 1.0


class TestReport:
    def test_importers_add_what_only_they_know(self) -> None:
        reader = read_rows(csv_file(GOOD + "B-1,b,1\n"), "/tmp/folder/list.csv", COLUMNS)
        report = reader.report
        for number, row in reader:
            if row["sku"] == "B-1":
                report.refuse(number, "sku", row["sku"], "No such brand.", "Make it first.", "brand_unknown")

        assert (report.filename, report.good, report.bad) == ("list.csv", 1, 1)
        assert report.is_bad(3)
        assert not report.is_bad(2)
        assert report.as_dict() == {
            "filename": "list.csv",
            "rows": 2,
            "blank": 0,
            "good": 1,
            "bad": 1,
            "errors_total": 1,
            "errors": [
                {
                    "row": 3,
                    "column": "sku",
                    "value": "B-1",
                    "problem": "No such brand.",
                    "cure": "Make it first.",
                    "code": "brand_unknown",
                }
            ],
            "warnings": [],
            "stopped_at_row": None,
        }

    def test_lists_a_bounded_number_of_errors_and_counts_all(self) -> None:
        _rows, report = read("sku,name,price\n" + "A-1,a,x\n" * 30, report=Report(listed=10))

        assert (len(report.errors), report.errors_total, report.bad) == (10, 30, 30)
        assert "Further errors, not listed: 20" in b"".join(report.to_csv()).decode()

    def test_becomes_a_csv_that_no_spreadsheet_calculates(self) -> None:
        _rows, report = read("sku,name,price\n@cmd,a,1\n")

        assert b"".join(report.to_csv()).decode("utf-8-sig") == (
            '"Row","Column","Value","Problem","Cure"\r\n'
            '2,"sku","\'@cmd","A code has letters A–Z, digits and hyphens only.","Write it like STEAM-CN-100."\r\n'
        )

    def test_says_in_the_csv_where_reading_stopped(self) -> None:
        _rows, report = read('sku,name,price\nA-1,"a,1\n')

        assert "Reading stopped at row 2" in b"".join(report.to_csv()).decode()
