"""What the readers of the two formats hand to the common part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kameng.lib.words import Sentence

KIB = 1024


@dataclass(frozen=True)
class Limits:
    """Bounds of one file. Characters for cells and spreadsheet rows, bytes for lines of text."""

    file_bytes: int = 256 * KIB * KIB
    rows: int = 1_000_000  # With the heading; what Excel itself can hold, rounded.
    columns: int = 200
    cell_chars: int = 32 * 1000  # Below Excel's own 32,767.
    line_bytes: int = 64 * 1000


class Fault(NamedTuple):
    """Something wrong with a row as it lies in the file. `position` counts columns from 0; None is the whole row."""

    position: int | None
    value: str
    problem: Sentence
    cure: Sentence
    code: str


class RawRow(NamedTuple):
    """A row before its columns are named. `number` is the one that Excel shows.

    `last`: nothing after it can be trusted.
    """

    number: int
    cells: list[str]
    faults: tuple[Fault, ...] = ()
    last: bool = False


class Source(Protocol):
    """A file opened as rows of text."""

    warnings: list[Sentence]

    def rows(self) -> Iterator[RawRow]:
        """Each row once, blank ones too."""

    def fraction(self) -> float:
        """How much has been read, 0–1; an estimate for progress bars."""


def column_letters(index: int) -> str:
    """0 → A, 26 → AA: as spreadsheets name columns."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters
