"""What an import says about a file: counts, and for each bad row its number, column, value and cure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.utils.translation import gettext_lazy as _

from kameng.lib.words import Sentence, shorten, worded

LISTED_ERRORS = 10_000  # Beyond this a person mends the cause, not the rows; the rest is counted.
VALUE_CHARS = 60


@dataclass(frozen=True)
class RowError:
    """One thing wrong with one row. `problem` and `cure` are lazy sentences; `value` is shortened, masked if secret."""

    row: int
    column: str
    value: str
    problem: Sentence
    cure: Sentence
    code: str = "invalid"

    def as_dict(self) -> dict[str, Any]:
        """JSON-safe, in the language of now."""
        return {
            "row": self.row,
            "column": self.column,
            "value": self.value,
            "problem": str(self.problem),
            "cure": str(self.cure),
            "code": self.code,
        }


@dataclass
class Report:
    """Filled while reading, and by the importer for what only it can know (an unknown brand, a duplicate)."""

    filename: str = ""
    rows: int = 0  # Rows with something in them, without the heading.
    blank: int = 0
    errors: list[RowError] = field(default_factory=list)
    errors_total: int = 0
    warnings: list[Sentence] = field(default_factory=list)
    stopped_at_row: int | None = None  # From here on nothing was read, because it could not be trusted.
    listed: int = LISTED_ERRORS
    _bad_rows: set[int] = field(default_factory=set, repr=False)

    @property
    def bad(self) -> int:
        """Rows with at least one error."""
        return len(self._bad_rows)

    @property
    def good(self) -> int:
        """Rows without an error."""
        return self.rows - self.bad

    @property
    def ok(self) -> bool:
        """Every row was read and none is bad."""
        return self.errors_total == 0 and self.stopped_at_row is None

    def is_bad(self, row: int) -> bool:
        """True when something was found wrong with this row."""
        return row in self._bad_rows

    def add(self, error: RowError) -> None:
        """Record an error; listed up to `listed` of them, counted always."""
        self._bad_rows.add(error.row)
        self.errors_total += 1
        if len(self.errors) < self.listed:
            self.errors.append(error)

    def refuse(
        self, row: int, column: str, value: object, problem: Sentence, cure: Sentence, code: str = "invalid"
    ) -> RowError:
        """`add` for importers: shortens the value, returns the error."""
        error = RowError(row, column, shorten(value, VALUE_CHARS), problem, cure, code)
        self.add(error)
        return error

    def warn(self, message: Sentence) -> None:
        """A sentence about the file that stops nothing."""
        self.warnings.append(message)

    def to_csv(self) -> Iterator[bytes]:
        """The errors as a CSV file in chunks, in the language of now, with a last line when some are not listed."""
        from kameng.lib.tabular.writers import write_csv  # Here, for writers is a reader's sibling, not its base.

        headers = [str(_("Row")), str(_("Column")), str(_("Value")), str(_("Problem")), str(_("Cure"))]
        return write_csv(headers, self._lines())

    def _lines(self) -> Iterator[list[object]]:
        for error in self.errors:
            yield [error.row, error.column, error.value, str(error.problem), str(error.cure)]
        unlisted = self.errors_total - len(self.errors)
        if unlisted:
            yield ["", "", "", str(worded(_("Further errors, not listed: %(count)s"), count=unlisted)), ""]
        if self.stopped_at_row is not None:
            message = worded(
                _("Reading stopped at row %(row)s; the rows after it were not looked at."), row=self.stopped_at_row
            )
            yield [self.stopped_at_row, "", "", str(message), ""]

    def as_dict(self, errors: int = 100) -> dict[str, Any]:
        """JSON-safe, in the language of now, with the first `errors` errors."""
        return {
            "filename": self.filename,
            "rows": self.rows,
            "blank": self.blank,
            "good": self.good,
            "bad": self.bad,
            "errors_total": self.errors_total,
            "errors": [error.as_dict() for error in self.errors[:errors]],
            "warnings": [str(warning) for warning in self.warnings],
            "stopped_at_row": self.stopped_at_row,
        }
