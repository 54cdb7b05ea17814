"""XLSX as rows of text, streamed. The container is checked before the XML in it is opened."""

from __future__ import annotations

import datetime as dt
import itertools
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

from django.utils.translation import gettext_lazy as _
from openpyxl import load_workbook
from openpyxl.utils.exceptions import InvalidFileException

from kameng.lib.tabular._bytes import CHUNK, ByteSource, not_a_table
from kameng.lib.tabular._csv import formula
from kameng.lib.tabular._types import KIB, Fault, RawRow, column_letters
from kameng.lib.tabular.errors import FileBroken, FileEncrypted, FileTooLarge
from kameng.lib.words import Sentence, worded

ZIP_MARK = b"PK\x03\x04"
OLE_MARK = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # Old .xls, and any Office file with a password.
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")  # MS-OFFCRYPTO 2.3.4.4.
MAX_PARTS = 2_000
MAX_UNPACKED = 1024 * KIB * KIB
MAX_SHARED_STRINGS = 128 * KIB * KIB  # openpyxl holds this part in memory; the sheets are streamed.
MAX_RATIO, RATIO_FROM = 300, 16 * KIB * KIB  # Repetitive sheets reach 100; deflate's own bound, the bomb's, is 1032.
EXCEL_ROWS = 1_048_576
EXACT_INTEGERS = 10**15  # Excel keeps 15 digits; the sixteenth of a card number has become a zero.
# What openpyxl, zipfile and expat raise for a damaged file: they check as they read, each in its own way.
_BROKEN = (
    zipfile.BadZipFile, InvalidFileException, zlib.error, struct.error, EOFError, OSError, KeyError,
    ValueError, TypeError, IndexError, AttributeError, SyntaxError, OverflowError, NotImplementedError, RuntimeError,
    AssertionError,
)  # fmt: skip


class XlsxSource:
    """The first visible sheet with something in it. Raises: FileBroken, FileEncrypted, FileTooLarge."""

    def __init__(self, source: ByteSource) -> None:
        self.warnings: list[Sentence] = []
        self._row = 0
        self._spool = None if source.seekable else _spooled(source)
        stream = self._spool or source.stream
        stream.seek(0)
        _check_container(stream)
        stream.seek(0)
        try:
            # Not data_only: that would hand out the result that another program stored for a formula.
            self._book = load_workbook(stream, read_only=True, data_only=False, keep_links=False)
            sheets = [sheet for sheet in self._book.worksheets if sheet.sheet_state == "visible"]
            self._estimate = max((sheet.max_row or 1 for sheet in sheets[:1]), default=1)
            for sheet in sheets:
                sheet.reset_dimensions()  # The stated size is often wrong; rows are read as they come.
        except _BROKEN as error:
            raise _broken() from error
        if not sheets:
            raise FileBroken(_("The workbook has no visible sheet. Put the table on the first sheet."))
        self._sheets = sheets

    def fraction(self) -> float:
        """Rows read of the rows that the sheet says it has."""
        return min(1.0, self._row / self._estimate)

    def rows(self) -> Iterator[RawRow]:
        """Raises FileBroken when the damage shows only here."""
        chosen: Any = None
        try:
            for sheet in self._sheets:
                if chosen is not None:
                    if any(any(raw.cells) for raw in itertools.islice(self._sheet_rows(sheet), 20)):
                        message = _("Only the sheet “%(sheet)s” was read; the workbook has others.")
                        self.warnings.append(worded(message, sheet=chosen.title))
                    break
                for raw in self._sheet_rows(sheet):
                    chosen = sheet if raw.faults or any(raw.cells) else chosen
                    if chosen is not None:
                        yield raw
        except _BROKEN as error:
            raise _broken() from error
        finally:
            self._book.close()
            if self._spool is not None:
                self._spool.close()

    def _sheet_rows(self, sheet: Any) -> Iterator[RawRow]:
        for number, row in enumerate(sheet.iter_rows(), start=1):
            if number > EXCEL_ROWS:
                raise FileTooLarge(
                    _("The sheet has more rows than a spreadsheet can have. Delete the empty ones below the table.")
                )
            self._row = number
            cells: list[str] = []
            faults: list[Fault] = []
            for index, cell in enumerate(row):
                fault = _cell_fault(number, index, cell)
                if fault is None:
                    cells.append(as_text(cell.value))
                else:
                    faults.append(fault)
                    cells.append("")
            yield RawRow(number, cells, tuple(faults))


def as_text(value: object) -> str:
    """A cell's value as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float):
        return f"{value:.15g}"  # As Excel shows it: 0.1 + 0.2 is 0.3 there.
    if isinstance(value, dt.datetime):
        return value.isoformat(" ") if value.time() != dt.time() else value.date().isoformat()
    return str(value)


def _cell_fault(number: int, index: int, cell: Any) -> Fault | None:
    if cell.data_type == "f":
        return formula(number, index, cell.value if isinstance(cell.value, str) else "=…")
    name = f"{column_letters(index)}{number}"
    if cell.data_type == "e":
        problem = worded(_("Cell %(cell)s holds an error of the spreadsheet."), cell=name)
        return Fault(index, str(cell.value), problem, _("Type the value that belongs there."), "cell_error")
    value = cell.value
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= EXACT_INTEGERS:
        problem = worded(
            _("Cell %(cell)s is a number of more than 15 digits, and the spreadsheet has rounded it."), cell=name
        )
        cure = _("Format the column as text first, then paste the original again.")
        return Fault(index, as_text(value), problem, cure, "cell_rounded")
    return None


def _check_container(stream: BinaryIO) -> None:
    """Sizes as the directory states them; zipfile reads no part beyond its stated size."""
    try:
        with zipfile.ZipFile(stream) as container:
            parts = container.infolist()
            names = container.namelist()
            if "[Content_Types].xml" not in names or not any(name.startswith("xl/") for name in names):
                raise not_a_table()
            if any(part.flag_bits & 1 for part in parts):
                raise _encrypted()
            if (
                len(parts) > MAX_PARTS
                or sum(part.file_size for part in parts) > MAX_UNPACKED
                or any(map(_is_bomb, parts))
            ):
                message = _(
                    "The workbook unpacks to more than can be read. Save the table alone in a new workbook, or as CSV."
                )
                raise FileTooLarge(message)
            for part in parts:
                if part.filename.endswith((".xml", ".rels")):
                    with container.open(part) as opened:
                        _refuse_document_type(opened.read(KIB))
    except _BROKEN as error:
        raise _broken() from error


def _is_bomb(part: zipfile.ZipInfo) -> bool:
    if part.filename == "xl/sharedStrings.xml" and part.file_size > MAX_SHARED_STRINGS:
        return True
    return part.file_size > RATIO_FROM and part.file_size > MAX_RATIO * max(1, part.compress_size)


def _refuse_document_type(start: bytes) -> None:
    """No spreadsheet program writes one; it is how XML is made to define entities that grow."""
    if b"<!DOCTYPE" in start.replace(b"\x00", b"").upper():
        raise _broken()


def refuse_ole(source: ByteSource) -> None:
    """For a file in the old container: always raises, FileEncrypted or FileBroken."""
    carry = b""
    for chunk in source.chunks():
        if _ENCRYPTED_STREAM in carry + chunk:
            raise _encrypted()
        carry = chunk[-len(_ENCRYPTED_STREAM) :]
    raise FileBroken(_("This is an old Excel file (.xls). Open it and save it as .xlsx or as CSV UTF-8."))


def _spooled(source: ByteSource) -> BinaryIO:
    """A zip archive is read from its end: what can't be wound back goes to a temporary file first."""
    spool: Any = tempfile.SpooledTemporaryFile(max_size=64 * CHUNK)  # noqa: SIM115 - lives as long as the reader.
    for chunk in source.chunks():
        spool.write(chunk)
    return spool  # type: ignore[no-any-return]


def _encrypted() -> FileEncrypted:
    return FileEncrypted(_("The workbook is protected with a password. Save it without one and try again."))


def _broken() -> FileBroken:
    return FileBroken(
        _("The workbook is damaged and can't be read. Open it, save it as a new .xlsx or as CSV UTF-8, and try again.")
    )
