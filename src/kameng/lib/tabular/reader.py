"""The reader: a CSV or XLSX file as a stream of rows with named, parsed cells, and a report of the others."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from django.utils.translation import gettext_lazy as _

from kameng.lib.tabular import cells as parsers
from kameng.lib.tabular._bytes import ByteSource
from kameng.lib.tabular._csv import CsvSource
from kameng.lib.tabular._escaping import ESCAPED
from kameng.lib.tabular._types import Limits, RawRow, Source, column_letters
from kameng.lib.tabular._xlsx import OLE_MARK, ZIP_MARK, XlsxSource, refuse_ole
from kameng.lib.tabular.errors import FileBroken, FileEmpty, FileTooLarge, HeaderRefused
from kameng.lib.tabular.report import VALUE_CHARS, Report, RowError
from kameng.lib.words import Sentence, shorten, worded

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Column:
    """A column that the importer knows.

    `name` is the key in the row and the heading of exports; `aliases` are other headings, in any language, compared
    without regard to case, spaces, and remarks in brackets. `required`: the column must be there and its cells not
    blank; otherwise a blank or absent cell is `default`. `ignored` columns may be there (exports have them) and are
    not read. `secret` values do not show in reports.
    """

    name: str
    parse: parsers.CellParser = field(default_factory=lambda: parsers.text(255))
    aliases: tuple[str, ...] = ()
    required: bool = False
    default: Any = None
    ignored: bool = False
    secret: bool = False


def folded_heading(heading: str) -> str:
    """`Face Value (CNY)`, `face_value` and `FACE-VALUE` are the same heading."""
    plain = unicodedata.normalize("NFKC", heading).casefold()
    plain = re.sub(r"\([^)]*\)|\[[^]]*\]|【[^】]*】", "", plain)
    return re.sub(r"[\s_\-*:/.\u200b\ufeff]", "", plain)


def read_rows(
    stream: BinaryIO,
    filename: str,
    columns: Sequence[Column],
    *,
    limits: Limits = DEFAULT_LIMITS,
    report: Report | None = None,
    ignore_unknown: bool = False,
) -> TabularReader:
    """Open a file and check its heading. Iterate over the reader for `(row_number, {name: value})` of the good rows.

    Unknown columns refuse the file, or are named in a warning and left out when `ignore_unknown`.
    Raises: the FileRefused family, here or (a workbook damaged further down, too many rows) while iterating.
    """
    index = _aliases(columns)

    def recognised(headings: list[str]) -> int:
        return sum(folded_heading(heading) in index for heading in headings)

    source = open_source(ByteSource(stream, limits), filename, recognised)
    report = report or Report(filename=os.path.basename(filename))
    return TabularReader(source, columns, limits, report, ignore_unknown=ignore_unknown)


def open_source(source: ByteSource, filename: str, recognised: Callable[[list[str]], int]) -> Source:
    """By what the file is, not by its name. `recognised` counts the known headings of a list. Raises: FileRefused."""
    if not source.head:
        raise FileEmpty(_("The file is empty."))
    if source.head.startswith(OLE_MARK):
        refuse_ole(source)
    if source.head.startswith(ZIP_MARK):
        return XlsxSource(source)
    if filename.lower().endswith((".xlsx", ".xlsm", ".xls")):
        raise FileBroken(
            _("The name says Excel, but the content is not a workbook. Save it again as .xlsx or as CSV UTF-8.")
        )
    return CsvSource(source, recognised)


class TabularReader:
    """Iterates once, in constant memory. `report` fills meanwhile; `present` names the columns that the file has."""

    def __init__(
        self, source: Source, columns: Sequence[Column], limits: Limits, report: Report, *, ignore_unknown: bool
    ) -> None:
        self.report = report
        self._source = source
        self._limits = limits
        self._columns = columns
        self._rows = source.rows()
        self._unknown: dict[int, str] = {}
        self._by_index = self._read_heading(ignore_unknown)
        self.present = frozenset(column.name for column in self._by_index.values())
        self._headings = {index: column.name for index, column in self._by_index.items()}
        self._defaults = {column.name: column.default for column in columns if not column.ignored}

    def fraction(self) -> float:
        """How much has been read, 0–1, for a progress bar."""
        return self._source.fraction()

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, values in self.outcomes():
            if values is not None:
                yield number, values

    def outcomes(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Every row that is not blank: its values, or None after its errors went to the report."""
        for row in self._rows:
            if row.number > self._limits.rows:
                message = _("The file has more than %(max)s rows. Split it and import the parts one after the other.")
                raise FileTooLarge(worded(message, max=self._limits.rows))
            if not row.faults and not any(map(parsers.trimmed, row.cells)):
                self.report.blank += 1
                continue
            self.report.rows += 1
            yield row.number, self._parse(row)
            if row.last:
                self.report.stopped_at_row = row.number
                break
        for warning in self._source.warnings:
            self.report.warn(warning)

    def _read_heading(self, ignore_unknown: bool) -> dict[int, Column]:
        for row in self._rows:
            if row.faults:
                fault = row.faults[0]
                raise HeaderRefused(
                    worded(
                        _("The heading in row %(row)s can't be read. %(problem)s"),
                        row=row.number,
                        problem=fault.problem,
                    )
                )
            if any(map(parsers.trimmed, row.cells)):
                headings = [parsers.trimmed(cell) for cell in row.cells]
                found, self._unknown = match_heading(
                    headings, self._columns, self._limits, ignore_unknown=ignore_unknown
                )
                if self._unknown:
                    self.report.warn(
                        worded(_("Columns that were not read: %(names)s."), names=", ".join(self._unknown.values()))
                    )
                return found
        raise FileEmpty(_("The file is empty."))

    def _parse(self, row: RawRow) -> dict[str, Any] | None:
        """The row's values, or None when something was reported."""
        before = self.report.errors_total
        for fault in row.faults:
            name = self._column_name(fault.position)
            value = "" if self._is_secret(fault.position) else shorten(fault.value, VALUE_CHARS)
            self.report.add(RowError(row.number, name, value, fault.problem, fault.cure, fault.code))
        if before != self.report.errors_total and not row.cells:
            return None
        if self._is_too_long(row):
            return None
        faulty = {fault.position for fault in row.faults}
        values = dict(self._defaults)
        for index, cell in enumerate(row.cells):
            column_at = self._by_index.get(index)
            if column_at is None:
                if index not in self._unknown and parsers.trimmed(cell):
                    self._refuse_stray(row.number, index, cell)
            elif not column_at.ignored and index not in faulty:
                self._parse_cell(row.number, column_at, cell, values)
        for index, column in self._by_index.items():
            if column.required and index >= len(row.cells):
                self._refuse_blank(row.number, column)
        return values if self.report.errors_total == before else None

    def _parse_cell(self, number: int, column: Column, cell: str, values: dict[str, Any]) -> None:
        if cell[:1] == "'" and ESCAPED.match(cell):
            cell = cell[1:]
        if not parsers.trimmed(cell):
            if column.required:
                self._refuse_blank(number, column)
            elif column.parse is parsers.raw:
                values[column.name] = cell
            return
        if len(cell) > self._limits.cell_chars:
            problem = worded(
                _("The text has %(length)s characters; the most is %(max)s."),
                length=len(cell),
                max=self._limits.cell_chars,
            )
            self.report.add(
                RowError(number, column.name, self._shown(column, cell), problem, _("Shorten it."), "cell_too_long")
            )
            return
        try:
            values[column.name] = column.parse(cell)
        except parsers.CellRefused as refusal:
            shown = self._shown(column, cell)
            self.report.add(RowError(number, column.name, shown, refusal.problem, refusal.cure, refusal.code))

    def _is_too_long(self, row: RawRow) -> bool:
        """A line of text is measured while it is read; a spreadsheet's row can only be measured here."""
        if sum(map(len, row.cells)) <= self._limits.line_bytes:
            return False
        problem = worded(_("The row has more than %(max)s characters."), max=self._limits.line_bytes)
        self.report.add(RowError(row.number, "", "", problem, _("Shorten its texts."), "row_too_long"))
        return True

    def _refuse_blank(self, number: int, column: Column) -> None:
        self.report.add(
            RowError(
                number, column.name, "", _("The cell is blank."), _("Fill it in, for it is required."), "cell_blank"
            )
        )

    def _refuse_stray(self, number: int, index: int, cell: str) -> None:
        problem = worded(_("Column %(column)s has no heading."), column=column_letters(index))
        cure = _("Remove the value, or put text that holds the delimiter in quotation marks.")
        self.report.add(
            RowError(number, column_letters(index), shorten(cell, VALUE_CHARS), problem, cure, "cell_stray")
        )

    def _column_name(self, index: int | None) -> str:
        return "" if index is None else self._headings.get(index, column_letters(index))

    def _is_secret(self, index: int | None) -> bool:
        column = None if index is None else self._by_index.get(index)
        return column is not None and column.secret

    @staticmethod
    def _shown(column: Column, cell: str) -> str:
        return "" if column.secret else shorten(cell, VALUE_CHARS)


def match_heading(
    headings: Sequence[str], columns: Sequence[Column], limits: Limits, *, ignore_unknown: bool
) -> tuple[dict[int, Column], dict[int, str]]:
    """Which known column stands where, and which unknown ones.

    Raises: HeaderRefused with all that is wrong at once, FileTooLarge for too many columns.
    """
    if len(headings) > limits.columns:
        raise FileTooLarge(
            worded(_("The file has more than %(max)s columns. Delete those that are not needed."), max=limits.columns)
        )
    index = _aliases(columns)
    found: dict[int, Column] = {}
    unknown: dict[int, str] = {}
    duplicate: list[str] = []
    for position, heading in enumerate(headings):
        if not heading:
            continue  # Cells under it are refused one by one; an empty column at the edge does no harm.
        column = index.get(folded_heading(heading))
        if column is None:
            unknown[position] = shorten(heading, 40)
        elif column in found.values():
            duplicate.append(shorten(heading, 40))
        else:
            found[position] = column
    missing = [column.name for column in columns if column.required and column not in found.values()]
    if missing or duplicate or (unknown and not ignore_unknown):
        names = sorted(column.name for column in columns)
        raise _header_refused(missing, [] if ignore_unknown else list(unknown.values()), duplicate, names)
    return found, unknown


def _header_refused(missing: list[str], unknown: list[str], duplicate: list[str], names: list[str]) -> HeaderRefused:
    parts: list[Sentence] = []
    if missing:
        parts.append(worded(_("Missing columns: %(names)s."), names=", ".join(missing)))
    if unknown:
        parts.append(worded(_("Unknown columns: %(names)s."), names=", ".join(map(_with_guess(names), unknown[:20]))))
    if duplicate:
        parts.append(worded(_("Columns that are there twice: %(names)s."), names=", ".join(duplicate[:20])))
    cure = worded(_("Correct the first row; the known columns are: %(names)s."), names=", ".join(names))
    details = {"missing": missing, "unknown": unknown[:50], "duplicate": duplicate[:50], "known": names}
    return HeaderRefused(_Joined([*parts, cure]), details=details)


class _Joined:
    """Lazy sentences one after the other, rendered when read."""

    def __init__(self, parts: list[Sentence]) -> None:
        self._parts = parts

    def __str__(self) -> str:
        return " ".join(str(part) for part in self._parts)


def _with_guess(names: list[str]) -> Any:
    def described(heading: str) -> str:
        close = difflib.get_close_matches(heading.casefold(), names, n=1)
        return f"{heading} (→ {close[0]}?)" if close else heading

    return described


def _aliases(columns: Sequence[Column]) -> dict[str, Column]:
    index: dict[str, Column] = {}
    for column in columns:
        for alias in (column.name, *column.aliases):
            taken = index.setdefault(folded_heading(alias), column)
            assert taken is column, f"“{alias}” is an alias of both {taken.name} and {column.name}"
    return index
