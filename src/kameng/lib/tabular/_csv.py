"""CSV as rows: the delimiter is found from the heading, quotes and line ends are held to, each fault has its row."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator

from django.utils.translation import gettext_lazy as _

from kameng.lib.tabular._bytes import ByteSource, Lines, Overlong, Undecodable
from kameng.lib.tabular._types import Fault, Limits, RawRow, column_letters
from kameng.lib.words import Sentence, worded

DELIMITERS = (",", ";", "\t")
ENCODING_NAMES = {"utf-8": "UTF-8", "gb18030": "GBK", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}


class _LineFault(Exception):
    """A line that csv must not see. `continued`: it was in the middle of a quoted cell."""

    def __init__(self, fault: Fault, *, continued: bool, last: bool = False) -> None:
        super().__init__(fault.code)
        self.fault = fault
        self.last = last or continued


class _Feed:
    """Hands lines to csv.reader. An object and not a generator, for a generator ends with its first exception."""

    def __init__(self, lines: Lines, limits: Limits) -> None:
        self._lines = iter(lines)
        self._encoding = lines.encoding
        self._name = ENCODING_NAMES[lines.original_encoding]
        self._limit = limits.line_bytes
        self._taken = 0  # Bytes of the present record so far.

    def begin_record(self) -> None:
        self._taken = 0

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        continued = self._taken > 0
        if isinstance(line, Undecodable):
            raise _LineFault(self._undecodable(), continued=continued, last=True)
        if isinstance(line, Overlong):
            raise _LineFault(overlong(self._limit), continued=continued)
        self._taken += len(line) + 1
        if self._taken > self._limit + 2:
            raise _LineFault(_open_quote(), continued=True)
        try:
            return line.decode(self._encoding) + "\n"
        except UnicodeDecodeError:
            raise _LineFault(self._undecodable(), continued=continued) from None

    def _undecodable(self) -> Fault:
        problem = worded(
            _("This row has characters that are not %(encoding)s, as the rest of the file is."), encoding=self._name
        )
        cure = _("Save the file as “CSV UTF-8”, or type this row again.")
        return Fault(None, "", problem, cure, "row_undecodable")


def overlong(limit: int) -> Fault:
    """The fault of a line over the limit."""
    problem = worded(_("This line is longer than %(max)s bytes."), max=limit)
    cure = _("Shorten it; often a line end or a closing quotation mark is missing.")
    return Fault(None, "", problem, cure, "row_too_long")


def _open_quote() -> Fault:
    problem = _("A quotation mark opens here and does not close, so the end of this row can't be found.")
    cure = _('Close it, or write "" for a quotation mark inside a cell.')
    return Fault(None, "", problem, cure, "row_open_quote")


class CsvSource:
    """`recognised` counts how many headings of a list are known; the delimiter that makes the most of them wins."""

    def __init__(self, source: ByteSource, recognised: Callable[[list[str]], int]) -> None:
        self.warnings: list[Sentence] = []
        self._source = source
        self._limits = source.limits
        self._lines = Lines(source)
        self.encoding = self._lines.original_encoding
        first = self._lines.first_lines[0] if self._lines.first_lines else ""
        self._has_sep_line = first[:4].lower() == "sep=" and len(first.strip("\r\n")) == 5
        self.delimiter = first[4] if self._has_sep_line else best_delimiter(first, recognised)

    def fraction(self) -> float:
        """Bytes read of bytes present."""
        return self._source.fraction()

    def rows(self) -> Iterator[RawRow]:
        """Faulty rows come as rows without cells."""
        feed = _Feed(self._lines, self._limits)
        reader = csv.reader(feed, delimiter=self.delimiter, strict=True)
        number = 0
        while True:
            number += 1
            feed.begin_record()
            try:
                cells = next(reader)
            except StopIteration:
                return
            except _LineFault as fault:
                yield RawRow(number, [], (fault.fault,), last=fault.last)
                if fault.last:
                    return
                continue
            except csv.Error as error:
                yield self._misquoted(number, str(error))
                continue
            if self._has_sep_line:  # Excel's own line about the delimiter; Excel does not count it either.
                self._has_sep_line = False
                number -= 1
                continue
            yield RawRow(number, cells, tuple(self._cell_faults(number, cells)))

    def _cell_faults(self, number: int, cells: list[str]) -> Iterator[Fault]:
        for index, cell in enumerate(cells):
            if cell.startswith("="):
                text = excel_text_constant(cell)
                if text is None:
                    yield formula(number, index, cell)
                else:
                    cells[index] = text

    def _misquoted(self, number: int, error: str) -> RawRow:
        if "unexpected end of data" in error:
            return RawRow(number, [], (_open_quote(),), last=True)
        problem = _("The quotation marks or line ends of this row are out of order.")
        cure = _('A cell with quotation marks stands in quotation marks as a whole, with "" for each one inside.')
        return RawRow(number, [], (Fault(None, "", problem, cure, "row_misquoted"),))


def best_delimiter(line: str, recognised: Callable[[list[str]], int]) -> str:
    """Of comma, semicolon and tab the one that makes the most known headings of the line, then the most cells."""

    def score(delimiter: str) -> tuple[int, int]:
        cells = next(csv.reader([line], delimiter=delimiter), [])
        return recognised(cells), len(cells)

    return max(DELIMITERS, key=score)


def excel_text_constant(cell: str) -> str | None:
    """`="00123"`, by which exporters keep leading zeros from Excel, is text and no calculation: 00123. Else None."""
    inner = cell[2:-1]
    return inner if cell.startswith('="') and cell.endswith('"') and len(cell) > 2 and '"' not in inner else None


def formula(number: int, index: int, value: str) -> Fault:
    """The fault of a cell that would be calculated."""
    problem = worded(
        _("Cell %(cell)s is a formula; formulas are not calculated here."), cell=f"{column_letters(index)}{number}"
    )
    cure = _("Replace it by its value (copy, then paste as values). If it is text, put an apostrophe in front.")
    return Fault(index, value, problem, cure, "cell_formula")
