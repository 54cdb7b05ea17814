"""The library's flat file out: complete, and read back by the import without a difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from django.db import connection

from kameng.db.context import in_main
from kameng.lib.tabular import write_csv, write_xlsx
from shared_apps.library import flat

PAGE = 2_000

_TREE = """WITH RECURSIVE tree (id, slugs, zh, en) AS (
    SELECT id, ARRAY[slug::text], ARRAY[name_zh::text], ARRAY[name_en::text]
    FROM library_category WHERE parent_id IS NULL
    UNION ALL
    SELECT c.id, t.slugs || c.slug::text, t.zh || c.name_zh::text, t.en || c.name_en::text
    FROM library_category c JOIN tree t ON c.parent_id = t.id
) SELECT id, slugs, zh, en FROM tree"""
_SKU = ", ".join(f"k.{column}" for column in flat.SKU_FIELDS.values())
_PRODUCT = ", ".join(f"p.{column}" for column in flat.PRODUCT_FIELDS.values())
_JSON_AT = frozenset(flat.HEADERS.index(name) + 1 for name in ("buyer_fields", "tags"))  # After the id.
_SUPPLY = ", ".join(
    f"(SELECT sp.unit FROM library_supplyprice sp WHERE sp.sku_id = k.id AND sp.level = '{level}')"
    for level in flat.LEVELS.values()
)
# A page at a time, by key: a cursor would keep one transaction open as long as the slowest download.
_ROWS = f"""SELECT k.id, k.code, {_SKU}, {_SUPPLY}, p.slug, {_PRODUCT}, p.category_id,
    b.slug, b.name_zh, b.name_en, b.colour
FROM library_sku k JOIN library_product p ON p.id = k.product_id LEFT JOIN library_brand b ON b.id = p.brand_id
WHERE k.id > %s ORDER BY k.id LIMIT {PAGE}"""
_CATEGORY_AT = 3 + len(flat.SKU_FIELDS) + len(flat.LEVELS) + len(flat.PRODUCT_FIELDS)


def export_csv() -> Iterator[bytes]:
    """The whole library as CSV in chunks. Opens its own transactions."""
    return write_csv(flat.HEADERS, export_rows())


def export_xlsx(out: BinaryIO) -> int:
    """The whole library as a workbook; answers how many SKUs. Opens its own transactions. Raises: CellTooLong."""
    return write_xlsx(flat.HEADERS, export_rows(), out, title="Library")


def export_rows() -> Iterator[list[Any]]:
    """A row per SKU, in the order of `flat.HEADERS`."""
    with in_main(), connection.cursor() as cursor:
        cursor.execute(_TREE)
        paths = {
            pk: [f" {flat.PATH} ".join(slugs), f" {flat.PATH} ".join(zh), f" {flat.PATH} ".join(en) if all(en) else ""]
            for pk, slugs, zh, en in cursor.fetchall()
        }
    after = 0
    while True:
        with in_main(), connection.cursor() as cursor:
            cursor.execute(_ROWS, [after])
            rows = cursor.fetchall()
        for row in rows:
            after = row[0]
            read = [json.loads(value) if at in _JSON_AT else value for at, value in enumerate(row)]  # Raw SQL: text.
            values = (*read[1:_CATEGORY_AT], *paths[row[_CATEGORY_AT]], *read[_CATEGORY_AT + 1 :])
            yield [flat.cell(value) for value in values]
        if len(rows) < PAGE:
            return
