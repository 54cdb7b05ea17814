"""What crosses the borders of the library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kameng.lib.tabular import Report
from shared_apps.library.names import localized


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


@dataclass
class PrivateImport:
    """How an import of private prices went. `applied` False: a dry run, or refused for its bad rows."""

    report: Report
    applied: bool = False
    prices_set: int = 0
    prices_replaced: int = 0

    def as_json(self, errors: int = 100) -> dict[str, Any]:
        """JSON-safe, in the language of now."""
        return {
            "applied": self.applied,
            "prices_set": self.prices_set,
            "prices_replaced": self.prices_replaced,
            **self.report.as_dict(errors),
        }


def difference(unit: Decimal, other: Decimal) -> Decimal:
    """By how many percent `unit` is above `other` (below: negative), one place."""
    return ((unit - other) * 100 / other).quantize(Decimal("0.1"))


@dataclass(frozen=True, slots=True)
class ShareOffRow:
    """What a share off would make of one SKU. Amounts per unit."""

    sku_id: int
    code: str
    name_zh: str
    name_en: str
    product_zh: str
    product_en: str
    currency: str
    suggested: Decimal
    floor: Decimal | None
    plan: Decimal
    present: Decimal  # What the shop pays when it begins, without it.
    private: bool  # Whether that is a private price, which it ends.
    cheapest: Decimal  # Of all plans.
    new: Decimal

    @property
    def name(self) -> str:
        return localized(self, "name")

    @property
    def product_name(self) -> str:
        return localized(self, "product")

    @property
    def against_cheapest(self) -> Decimal:
        return difference(self.new, self.cheapest)

    @property
    def markup_at_suggested(self) -> Decimal:
        """What the suggested price leaves the shop, in percent of its cost."""
        return difference(self.suggested, self.new)


@dataclass(frozen=True)
class ShareOffPreview:
    """What a share off would write. `rows`: those that go furthest below the cheapest plan, at most twenty."""

    prices: Mapping[int, Decimal]
    digest: str
    rows: tuple[ShareOffRow, ...]
    changed: int
    replaced: int
    below_all: int
    above_floor: int
    lowest_markup: Decimal | None
    lowest_against_cheapest: Decimal | None

    @property
    def count(self) -> int:
        return len(self.prices)
