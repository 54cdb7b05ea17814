"""Tables out: CSV in chunks and XLSX, both streamed, neither with a cell that a spreadsheet would calculate."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO

from django.utils.translation import gettext_lazy as _
from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

from kameng.lib.errors import Invalid
from kameng.lib.tabular._escaping import ESCAPED
from kameng.lib.words import worded

ROWS_PER_CHUNK = 500
XLSX_CELL_CHARS = 32_767  # Excel's own limit; openpyxl would cut silently.
# What makes a spreadsheet calculate a cell of a CSV file (OWASP), in full width too; the apostrophe, to be undone.
_DANGEROUS = frozenset("=+-@\t\r\n'＝＋－＠")


class CellTooLong(Invalid):
    """A text that no spreadsheet cell can hold; CSV can."""

    code = "export_cell_too_long"


def plain(value: object) -> str | int | float | Decimal:
    """A value as it stands in a cell and is read back by the parsers of `cells`; numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float | Decimal):
        return value
    if isinstance(value, dt.datetime):
        return value.isoformat(" ", timespec="seconds")
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple | set | frozenset):
        return ";".join(str(plain(item)) for item in value)
    return str(value)  # Lazy translations and dates among them.


def safe_text(text: str) -> str:
    """`text` with an apostrophe in front when a spreadsheet would take it for a formula; the reader takes it off."""
    return f"'{text}" if text[:1] in _DANGEROUS and text else text


def write_csv(headers: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[bytes]:
    """UTF-8 with a byte order mark (without it, Excel takes Chinese for Latin), CRLF, text quoted, 500 rows a chunk."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    buffer.write("\ufeff")
    writer.writerow(headers)
    for number, row in enumerate(rows, start=1):
        writer.writerow([_csv_cell(value) for value in row])
        if number % ROWS_PER_CHUNK == 0:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    if buffer.tell():
        yield buffer.getvalue().encode()


def write_xlsx(headers: Sequence[str], rows: Iterable[Iterable[object]], out: BinaryIO, title: str = "Sheet1") -> int:
    """Write a workbook to `out`; returns the number of rows without the heading. Raises: CellTooLong."""
    book = Workbook(write_only=True)
    sheet: Any = book.create_sheet(title[:31])
    sheet.freeze_panes = "A2"
    sheet.append([_xlsx_text(sheet, header) for header in headers])
    count = 0
    try:
        for count, row in enumerate(rows, start=1):
            sheet.append([_xlsx_cell(sheet, value, count + 1) for value in row])
    except BaseException:
        # openpyxl writes to a temporary file, which it only takes away when the workbook is saved.
        sheet.close()
        sheet._writer.cleanup()
        raise
    book.save(out)
    return count


def _csv_cell(value: object) -> str | int | float | Decimal:
    cell = plain(value)
    return safe_text(cell) if isinstance(cell, str) else cell


def _xlsx_cell(sheet: Any, value: object, row: int) -> Any:
    cell = plain(value)
    if not isinstance(cell, str):
        return cell
    if len(cell) > XLSX_CELL_CHARS:
        message = _("Row %(row)s has a text that is too long for a spreadsheet. Export as CSV instead.")
        raise CellTooLong(worded(message, row=row), details={"row": row})
    return _xlsx_text(sheet, cell)


def _xlsx_text(sheet: Any, text: str) -> Any:
    """A text cell that stays text when it begins with `=`.

    No apostrophe is needed, for the type says what it is; one that was there is doubled, for the reader takes one off.
    """
    made = WriteOnlyCell(sheet, "")
    made.value = ILLEGAL_CHARACTERS_RE.sub("", f"'{text}" if ESCAPED.match(text) else text)
    made.data_type = "s"
    return made
