"""Files of card codes: a code per line, or CSV/XLSX with a column for codes and perhaps one for passwords.

A card number and its password become one code with `----` between, as the trade writes it; where they stand in two
columns, or on one line with a tab between (a paste from a spreadsheet), they are joined so.
No code is ever quoted in an error: `value` is masked.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from typing import BinaryIO

from django.utils.translation import gettext_lazy as _

from kameng.lib.crypto import CARD_PASSWORD_SEPARATOR, mask
from kameng.lib.tabular import cells
from kameng.lib.tabular._bytes import ByteSource, Lines, Overlong, Undecodable
from kameng.lib.tabular._csv import ENCODING_NAMES, best_delimiter, overlong
from kameng.lib.tabular._types import Limits
from kameng.lib.tabular._xlsx import OLE_MARK, ZIP_MARK
from kameng.lib.tabular.errors import FileEmpty, HeaderRefused
from kameng.lib.tabular.reader import Column, TabularReader, folded_heading, open_source
from kameng.lib.tabular.report import Report, RowError
from kameng.lib.words import Sentence, shorten, worded

CODE_BYTES = 4 * 1024
CODE_LIMITS = Limits(file_bytes=1024 * 1024 * 1024, rows=5_000_000)
CODE_HEADINGS = (
    "code",
    "card",
    "card no",
    "card number",
    "key",
    "cdkey",
    "redeem code",
    "卡密",
    "卡号",
    "激活码",
    "兑换码",
    "卡券码",
    "序列号",
    "密钥",
)
PASSWORD_HEADINGS = ("password", "pin", "pwd", "secret", "密码", "卡密码", "提取码")
_BY_EXCEL = re.compile(r"[0-9](?:\.[0-9]+)?E\+[0-9]{2,3}", re.ASCII)
# Copied from a web page or a chat, these come along unseen.
_INVISIBLE = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_ODD_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")

CodeOrError = tuple[int, str] | RowError

_COLUMNS = (
    Column("code", cells.raw, CODE_HEADINGS, required=True, secret=True),
    Column("password", cells.raw, PASSWORD_HEADINGS, default="", secret=True),
)


def read_codes(
    stream: BinaryIO | str, filename: str = "", *, max_bytes: int = CODE_BYTES, limits: Limits = CODE_LIMITS
) -> CodesReader:
    """Open a file, or a pasted text, of codes. Iterate for `(line_number, code)` or RowError.

    A first line that names a column (code, 卡密, …) makes it a table; without one, each line is a code as it stands.
    Raises: the FileRefused family, here or while iterating.
    """
    if isinstance(stream, str):
        # A broken character of a paste stays broken, to be refused by its line.
        source = ByteSource(io.BytesIO(stream.encode("utf-8", "surrogatepass")), limits, encoding="utf-8")
    else:
        source = ByteSource(stream, limits)
    return CodesReader(source, filename, max_bytes)


class CodesReader:
    """Iterates once, in constant memory. `blank` counts blank lines; `stopped_at_row` says where it had to stop."""

    def __init__(self, source: ByteSource, filename: str, max_bytes: int) -> None:
        self.blank = 0
        self.stopped_at_row: int | None = None
        self.warnings: list[Sentence] = []
        self._source = source
        self._max_bytes = max_bytes
        self._table = self._as_table(filename)
        self._lines = Lines(source) if self._table is None else None

    def fraction(self) -> float:
        """How much has been read, 0–1."""
        return self._source.fraction() if self._table is None else self._table.fraction()

    def __iter__(self) -> Iterator[CodeOrError]:
        if self._table is not None:
            return self._from_table(self._table)
        assert self._lines is not None
        return self._from_lines(self._lines)

    def _as_table(self, filename: str) -> TabularReader | None:
        """None for lines. Raises HeaderRefused for a .csv of several columns that do not say what they are."""
        if not self._source.head:
            raise FileEmpty(_("The file is empty."))
        is_workbook = self._source.head.startswith((ZIP_MARK, OLE_MARK)) or filename.lower().endswith((".xlsx", ".xls"))
        if not is_workbook:
            first = next(iter(Lines(self._source).first_lines), "")
            headings = next(csv.reader([first], delimiter=best_delimiter(first, _recognised)), [])
            if not _recognised(headings):
                if filename.lower().endswith(".csv") and len(headings) > 1:
                    message = _("The first row has to name the columns: “code”, and “password” if there is one.")
                    raise HeaderRefused(message, details={"missing": ["code"], "unknown": [], "duplicate": []})
                return None
        table = open_source(self._source, filename, _recognised)
        return TabularReader(table, _COLUMNS, self._source.limits, Report(), ignore_unknown=True)

    def _from_lines(self, lines: Lines) -> Iterator[CodeOrError]:
        limit = self._max_bytes + 1  # For the carriage return of a Windows line end.
        for number, line in enumerate(lines, start=1):
            if isinstance(line, Undecodable):
                self.stopped_at_row = number
                yield _undecodable(number, lines)
                return
            if isinstance(line, Overlong) or len(line) > limit:
                fault = overlong(self._max_bytes)
                yield RowError(number, "code", "", fault.problem, fault.cure, fault.code)
                continue
            try:
                text = line.decode(lines.encoding)
            except UnicodeDecodeError:
                yield _undecodable(number, lines)
                continue
            outcome = self._cleaned(number, "code", text)
            if outcome == "":
                self.blank += 1
            else:
                yield (number, outcome) if isinstance(outcome, str) else outcome

    def _from_table(self, table: TabularReader) -> Iterator[CodeOrError]:
        report = table.report
        for number, values in table.outcomes():
            yield from report.errors
            report.errors.clear()  # Handed on; the report would otherwise grow with the file.
            if values is None:
                continue
            code = self._cleaned(number, "code", values["code"])
            password = self._cleaned(number, "password", values["password"])
            if isinstance(code, RowError):
                yield code
            elif isinstance(password, RowError):
                yield password
            else:
                yield number, f"{code}{CARD_PASSWORD_SEPARATOR}{password}" if password else code
        self.blank, self.stopped_at_row, self.warnings = report.blank, report.stopped_at_row, report.warnings

    def _cleaned(self, number: int, column: str, text: str) -> str | RowError:
        """The code without what copying has added; "" for a blank."""
        code = text.strip()
        if not (code.isascii() and code.isprintable()):
            code = _ODD_SPACE.sub(" ", _INVISIBLE.sub("", code)).strip()
            if "\t" in code:
                parts = [part.strip() for part in code.split("\t") if part.strip()]
                if len(parts) > 2:
                    problem = _("The line has more than two parts with tabs between.")
                    return _refused(
                        number, column, code, problem, _("Keep the code, or the code and its password."), "code_parts"
                    )
                code = CARD_PASSWORD_SEPARATOR.join(parts)
            if "\ufffd" in code or not code.isprintable():
                problem = _("The code has a broken or invisible control character.")
                return _refused(
                    number, column, code, problem, _("Get the code from its source again."), "code_control_character"
                )
        if len(code) > self._max_bytes or (not code.isascii() and len(code.encode()) > self._max_bytes):
            fault = overlong(self._max_bytes)
            return RowError(number, column, "", fault.problem, fault.cure, fault.code)
        if "E+" in code and _BY_EXCEL.fullmatch(code):
            problem = _("A spreadsheet has shortened this code; its last digits are lost.")
            cure = _("Format the column as text, then paste the codes from their source again.")
            return _refused(number, column, code, problem, cure, "code_rounded")
        return code


def _recognised(headings: list[str]) -> int:
    return sum(folded_heading(heading) in _HEADINGS for heading in headings)


_HEADINGS = frozenset(folded_heading(heading) for heading in (*CODE_HEADINGS, *PASSWORD_HEADINGS))


def _refused(number: int, column: str, code: str, problem: Sentence, cure: Sentence, error_code: str) -> RowError:
    return RowError(number, column, shorten(mask(code)), problem, cure, error_code)


def _undecodable(number: int, lines: Lines) -> RowError:
    problem = worded(
        _("This row has characters that are not %(encoding)s, as the rest of the file is."),
        encoding=ENCODING_NAMES[lines.original_encoding],
    )
    return RowError(
        number, "code", "", problem, _("Save the file as “CSV UTF-8”, or type this row again."), "row_undecodable"
    )
