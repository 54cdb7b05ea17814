"""What crosses the borders of the library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kameng.lib.tabular import Report


@dataclass
class LibraryImport:
    """How an import of the library's file went. `applied` False: a dry run, or refused for its bad rows."""

    report: Report
    applied: bool = False
    skus_made: int = 0
    skus_changed: int = 0
    products_made: int = 0
    products_changed: int = 0
    categories_made: int = 0
    brands_made: int = 0
    prices_changed: int = 0

    def as_json(self, errors: int = 100) -> dict[str, Any]:
        """JSON-safe, in the language of now."""
        return {
            "applied": self.applied,
            "skus_made": self.skus_made,
            "skus_changed": self.skus_changed,
            "products_made": self.products_made,
            "products_changed": self.products_changed,
            "categories_made": self.categories_made,
            "brands_made": self.brands_made,
            "prices_changed": self.prices_changed,
            **self.report.as_dict(errors),
        }


@dataclass(frozen=True)
class PrivateOutcome:
    """What a write of private prices did: rows written, and rows that they cut short."""

    written: int
    replaced: int
