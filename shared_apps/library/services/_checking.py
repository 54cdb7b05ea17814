"""What only the whole file and the library together can tell about a row: doubles, contradictions, missing parents."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from django.db import connection
from django.utils.translation import gettext_lazy as _

from kameng.lib.tabular import Report
from kameng.lib.words import Sentence, worded
from shared_apps.library import fields, flat

Values = dict[str, Any]


class Checker:
    """Remembers the file's rows as they come. One statement per table tells it what the library has."""

    def __init__(self, present: frozenset[str], report: Report) -> None:
        self._present = present
        self._report = report
        self._row_of_sku: dict[str, int] = {}
        # Product → the row that described it first, and a hash of each of its cells.
        self._products: dict[str, tuple[int, dict[str, int]]] = {}
        self._brands: dict[str, tuple[int, dict[str, int]]] = {}
        self._categories: dict[str, str | None] = {}
        self.supply_above_floor = 0
        with connection.cursor() as cursor:
            cursor.execute("SELECT code, floor, ceiling FROM library_sku")
            self._bounds = {code: (floor, ceiling) for code, floor, ceiling in cursor.fetchall()}
            cursor.execute("SELECT slug FROM library_product")
            self._known_products = {slug for (slug,) in cursor.fetchall()}
            cursor.execute("SELECT slug FROM library_brand")
            self._known_brands = {slug for (slug,) in cursor.fetchall()}
            cursor.execute(
                "SELECT c.slug, p.slug FROM library_category c LEFT JOIN library_category p ON p.id = c.parent_id"
            )
            self._known_categories: dict[str, str | None] = dict(cursor.fetchall())

    def check(self, row: int, values: Values) -> bool:
        """Report all that is wrong with a row; False when anything is."""
        before = self._report.errors_total
        self._check_sku(row, values)
        self._check_product(row, values)
        self._check_category(row, values)
        self._check_brand(row, values)
        return self._report.errors_total == before

    def _check_sku(self, row: int, values: Values) -> None:
        code = values["sku"]
        first = self._row_of_sku.setdefault(code, row)
        if first != row:
            problem = worded(_("Row %(row)s has the same SKU."), row=first)
            self._refuse(row, "sku", code, problem, _("Leave one of the two rows out."), "sku_repeated")
        if code not in self._bounds:
            self._need(row, values, flat.NEEDED_OF_NEW_SKU)
        floor, ceiling = self._bounds.get(code, (None, None))
        floor = values["floor"] if "floor" in self._present else floor
        ceiling = values["ceiling"] if "ceiling" in self._present else ceiling
        problem_found = fields.bounds_problem(floor, ceiling)
        if problem_found is not None:
            cure = _("Lower the floor, or raise the ceiling.")
            self._refuse(row, "floor", floor, problem_found[1], cure, "floor_above_ceiling")
        prices = [values[name] for name in flat.LEVELS if name in self._present and values[name] is not None]
        if floor is not None and any(price > floor for price in prices):
            self.supply_above_floor += 1

    def _check_product(self, row: int, values: Values) -> None:
        slug = values["product"]
        if slug not in self._known_products and slug not in self._products:
            self._need(row, values, flat.NEEDED_OF_NEW_PRODUCT)
        columns = [*flat.PRODUCT_FIELDS, "category", "brand"]
        self._same(row, slug, self._products, values, columns, _("the product"))

    def _check_brand(self, row: int, values: Values) -> None:
        slug = values.get("brand")
        if not slug:
            return
        if slug not in self._known_brands and slug not in self._brands:
            self._need(row, values, ("brand_zh",))
        self._same(row, slug, self._brands, values, ["brand_zh", "brand_en", "brand_colour"], _("the brand"))

    def _same(
        self, row: int, key: str, seen: dict[str, tuple[int, dict[str, int]]], values: Values, columns: list[str],
        what: Sentence,
    ) -> None:  # fmt: skip
        """Rows of one product (or brand) must say the same of it."""
        told = {name: hash(repr(values[name])) for name in columns if name in self._present}
        first, known = seen.setdefault(key, (row, told))
        if first == row:
            return
        for name, value in told.items():
            if known.get(name) != value:
                problem = worded(_("Row %(row)s says something else here of %(what)s."), row=first, what=what)
                cure = _("Write the same in all of its rows.")
                self._refuse(row, name, values[name], problem, cure, "rows_disagree")

    def _check_category(self, row: int, values: Values) -> None:
        path = values.get("category")
        if path is None:
            return
        parts: tuple[str, ...] = path.parts
        new = [slug for slug in parts if slug not in self._known_categories and slug not in self._categories]
        for parent, slug in zip((None, *parts), parts, strict=False):
            known = self._known_categories.get(slug, self._categories.get(slug, parent))
            # A category that is there may be named without those above it.
            if known != parent and not (parent is None and slug == parts[-1]):
                problem = worded(
                    _("The category %(slug)s stands below %(known)s."), slug=slug, known=known or _("none")
                )
                shown = f" {flat.PATH} ".join(parts)
                self._refuse(row, "category", shown, problem, _("Correct the path."), "category_elsewhere")
                return
            if slug in new:
                self._categories[slug] = parent
        names = values.get("category_zh")
        if new and (names is None or len(names.parts) != len(parts)):
            problem = worded(_("The category %(slug)s is new and has no name."), slug=new[0])
            cure = _("Give category_zh as many parts as category.")
            self._refuse(row, "category_zh", "", problem, cure, "category_unnamed")

    def _need(self, row: int, values: Values, columns: tuple[str, ...]) -> None:
        for name in columns:
            if values.get(name) in (None, ""):
                problem = _("It is new, and this cell is blank or its column is missing.")
                self._refuse(row, name, "", problem, _("Fill it in."), "cell_blank")

    def _refuse(self, row: int, column: str, value: object, problem: Sentence, cure: Sentence, code: str) -> None:
        shown = f"{value:f}" if isinstance(value, Decimal) else "" if isinstance(value, Mapping) else value
        self._report.refuse(row, column, shown, problem, cure, code)
