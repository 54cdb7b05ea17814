"""What crosses the borders of the stock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from kameng.lib.tabular import RowError


class SkuRef(Protocol):
    """The little that the stock needs to know of a SKU; a row of the library has it."""

    @property
    def id(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def stock_policy(self) -> str: ...


@dataclass
class CodeImport:
    """How an import of codes stands, or ended. Every line is in exactly one of the four counts."""

    batch: str = ""  # Public id of the batch; empty in a dry run.
    imported: int = 0  # In a dry run: would be.
    repeated_in_file: int = 0
    in_stock_already: int = 0
    rejected: int = 0
    blank: int = 0
    stopped_at_row: int | None = None
    fraction: float = 0.0
    problems: list[RowError] = field(default_factory=list)  # The first of them; `problems_total` counts all.
    problems_total: int = 0

    @property
    def duplicates(self) -> int:
        return self.repeated_in_file + self.in_stock_already

    @property
    def lines(self) -> int:
        """Lines with something in them, so far."""
        return self.imported + self.duplicates + self.rejected

    def as_json(self, problems: int = 100) -> dict[str, Any]:
        """JSON-safe, in the language of now. Holds no code: values are masked."""
        return {
            "batch": self.batch,
            "lines": self.lines,
            "imported": self.imported,
            "repeated_in_file": self.repeated_in_file,
            "in_stock_already": self.in_stock_already,
            "rejected": self.rejected,
            "blank": self.blank,
            "stopped_at_row": self.stopped_at_row,
            "problems_total": self.problems_total,
            "problems": [error.as_dict() for error in self.problems[:problems]],
        }


@dataclass(frozen=True)
class VoidedCodes:
    """What withdrawing a batch did, and what it could not touch."""

    voided: int
    held: int
    delivered: int


@dataclass(frozen=True)
class Rotation:
    """How far the codes are under the current key."""

    current: str
    rotated: int
    remaining: int
