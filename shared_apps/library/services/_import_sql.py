"""The upserts of an import, for the columns that its file has. `%(rows)s` is a JSON list of rows."""

from __future__ import annotations

from shared_apps.library import flat

# What a new row gets where the file says nothing.
_SKU_DEFAULTS = {
    "name_zh": "''",
    "name_en": "''",
    "face_value": "NULL",
    "currency": "'CNY'",
    "suggested": "NULL",
    "floor": "NULL",
    "ceiling": "NULL",
    "stock_policy": "NULL",
    "low_stock_at": "10",
    "sort": "0",
    "active": "true",
}
_PRODUCT_DEFAULTS = {
    "name_zh": "''",
    "name_en": "''",
    "kind": "NULL",
    "delivery": "NULL",
    "summary_zh": "''",
    "summary_en": "''",
    "description_zh": "''",
    "description_en": "''",
    "usage_zh": "''",
    "usage_en": "''",
    "buyer_fields": "'[]'::jsonb",
    "picture": "''",
    "tags": "'[]'::jsonb",
    "sort": "0",
    "active": "true",
}
_TYPES = {
    "face_value": "numeric",
    "suggested": "numeric",
    "floor": "numeric",
    "ceiling": "numeric",
    "low_stock_at": "integer",
    "sku_sort": "integer",
    "product_sort": "integer",
    "active": "boolean",
    "product_active": "boolean",
    "buyer_fields": "jsonb",
    "tags": "jsonb",
    "category": "jsonb",
    "supply_basic": "numeric",
    "supply_pro": "numeric",
    "supply_flagship": "numeric",
}

CATEGORY = """INSERT INTO library_category (slug, name_zh, name_en, parent_id, icon, sort, active)
SELECT %s, %s, %s, (SELECT id FROM library_category WHERE slug = %s), '', 0, true
ON CONFLICT (slug) DO NOTHING"""


def _recordset(columns: list[str]) -> str:
    typed = ", ".join(f"{name} {_TYPES.get(name, 'text')}" for name in columns)
    return f"jsonb_to_recordset(%(rows)s::jsonb) AS f ({typed})"


class Statements:
    """The statements for one file, by the columns that it has."""

    def __init__(self, present: frozenset[str]) -> None:
        self._present = present
        self.brands = self._brands()
        self.products = self._products()
        self.skus = self._skus()
        self.prices = [
            pair for name, level in flat.LEVELS.items() if name in present for pair in self._price(name, level)
        ]

    def _values(self, fields: dict[str, str], defaults: dict[str, str]) -> tuple[dict[str, str], list[str]]:
        """Table column → value of a new row; and the columns that an existing row takes from it."""
        values = dict(defaults)
        given = []
        for name, column in fields.items():
            if name not in self._present:
                continue
            given.append(column)
            keeps = name in flat.KEEP_WHEN_BLANK
            old = f"old.{column}" if keeps else ""
            blank = f"nullif(f.{name}, '')" if keeps and name not in _TYPES else f"f.{name}"
            if keeps:
                values[column] = f"coalesce({blank}, {old}, {defaults[column]})"
            elif defaults[column] != "NULL":
                values[column] = f"coalesce({blank}, {defaults[column]})"
            else:
                values[column] = blank
        return values, given

    def _skus(self) -> str:
        values, given = self._values(flat.SKU_FIELDS, _SKU_DEFAULTS)
        # NOT NULL is checked before ON CONFLICT: what the file does not say of a row that is there comes from it.
        for column in ("suggested", "stock_policy"):
            if column not in given:
                values[column] = f"old.{column}"
        values["product_id"] = "p.id"
        fields = [name for name in flat.SKU_FIELDS if name in self._present]
        source = (
            f"{_recordset(['sku', 'product', *fields])} JOIN library_product p ON p.slug = f.product "
            "LEFT JOIN library_sku old ON old.code = f.sku"
        )
        return _upsert("library_sku", "code", "f.sku", values, [*given, "product_id"], source, stamped=True)

    def _products(self) -> str:
        values, given = self._values(flat.PRODUCT_FIELDS, _PRODUCT_DEFAULTS)
        for column in ("kind", "delivery"):
            if column not in given:
                values[column] = f"old.{column}"
        values["category_id"], values["brand_id"] = "old.category_id", "old.brand_id"
        fields = ["product", *(name for name in flat.PRODUCT_FIELDS if name in self._present)]
        source = "LEFT JOIN library_product old ON old.slug = f.product"
        if "category" in self._present:
            # A path arrives as [["games", "steam"]]; its last part is the category.
            fields.append("category")
            source += " LEFT JOIN library_category c ON c.slug = f.category -> 0 ->> -1"
            values["category_id"] = "coalesce(c.id, old.category_id)"
            given.append("category_id")
        if "brand" in self._present:
            fields.append("brand")
            source += " LEFT JOIN library_brand b ON b.slug = f.brand"
            values["brand_id"] = "b.id"
            given.append("brand_id")
        source = f"{_recordset(fields)} {source}"
        return _upsert("library_product", "slug", "f.product", values, given, source, stamped=True)

    def _brands(self) -> str:
        columns = {"name_zh": "brand_zh", "name_en": "brand_en", "colour": "brand_colour"}
        values = dict.fromkeys(columns, "''")
        given = []
        for column, name in columns.items():
            if name in self._present:
                values[column] = f"coalesce(f.{name}, '')"
                given.append(column)
        if "name_zh" in given:  # A blank name keeps the brand's own.
            values["name_zh"] = "coalesce(nullif(f.brand_zh, ''), old.name_zh)"
        source = (
            f"{_recordset(['brand', *(name for name in columns.values() if name in self._present)])} "
            "LEFT JOIN library_brand old ON old.slug = f.brand"
        )
        return _upsert("library_brand", "slug", "f.brand", values, given, source, stamped=False)

    @staticmethod
    def _price(name: str, level: str) -> list[tuple[str, str]]:
        records = _recordset(["sku", name])
        write = f"""INSERT INTO library_supplyprice AS old (sku_id, level, unit)
SELECT k.id, %(level)s, f.{name} FROM {records} JOIN library_sku k ON k.code = f.sku WHERE f.{name} IS NOT NULL
ON CONFLICT (sku_id, level) DO UPDATE SET unit = excluded.unit WHERE old.unit <> excluded.unit"""
        remove = f"""DELETE FROM library_supplyprice old USING {records} JOIN library_sku k ON k.code = f.sku
WHERE old.sku_id = k.id AND old.level = %(level)s AND f.{name} IS NULL"""
        return [(write, level), (remove, level)]


def _upsert(
    table: str, key: str, key_value: str, values: dict[str, str], given: list[str], source: str, *, stamped: bool
) -> str:
    """An upsert that answers, for each row that it wrote, whether it is new."""
    times = {"created_at": "%(now)s", "updated_at": "%(now)s"} if stamped else {}
    columns = ", ".join([key, *values, *times])
    chosen = ", ".join([key_value, *values.values(), *times.values()])
    mine = ", ".join(f"mine.{column}" for column in given)
    theirs = ", ".join(f"excluded.{column}" for column in given)
    updates = ", ".join(
        [*(f"{column} = excluded.{column}" for column in given), *(["updated_at = %(now)s"] if stamped else [])]
    )
    action = f"DO UPDATE SET {updates} WHERE ({mine}) IS DISTINCT FROM ({theirs})" if given else "DO NOTHING"
    return (
        f"INSERT INTO {table} AS mine ({columns}) SELECT {chosen} FROM {source} "
        f"ON CONFLICT ({key}) {action} RETURNING xmax = 0"
    )
