"""The tree of regions from `data/regions.csv` into its table: one statement, safe to repeat."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

CSV = Path(__file__).parent / "data" / "regions.csv"

# What is there is changed where the file says otherwise; what the file has no more stays, for grants refer to it, and can
# not be held any longer. Parents by a second statement: both rows are there then.
_ROWS = """
INSERT INTO public.regions_region (code, level, holdable, name_zh, name_en, search)
SELECT * FROM unnest(%s::text[], %s::text[], %s::boolean[], %s::text[], %s::text[], %s::text[])
ON CONFLICT (code) DO UPDATE SET
    level = excluded.level, holdable = excluded.holdable, name_zh = excluded.name_zh, name_en = excluded.name_en,
    search = excluded.search
"""
_PARENTS = """
UPDATE public.regions_region child SET parent_id = parent.id
FROM unnest(%s::text[], %s::text[]) AS told(code, parent) LEFT JOIN public.regions_region parent ON parent.code = told.parent
WHERE child.code = told.code AND child.parent_id IS DISTINCT FROM parent.id
"""
_GONE = "UPDATE public.regions_region SET holdable = false WHERE holdable AND NOT code = ANY(%s)"


def load(cursor: Any) -> int:
    """Bring the table to what the file says, on the owner's cursor; answers how many regions the file has."""
    with CSV.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    codes = [row["code"] for row in rows]
    names = [[row[key] for row in rows] for key in ("name_zh", "name_en", "search")]
    cursor.execute(_ROWS, [codes, [row["level"] for row in rows], [row["holdable"] == "1" for row in rows], *names])
    cursor.execute(_PARENTS, [codes, [row["parent"] or None for row in rows]])
    cursor.execute(_GONE, [codes])
    return len(rows)
