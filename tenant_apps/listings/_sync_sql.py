"""The statements of the sync: one MERGE per synced table, made from the lists of columns below.

They run as the sync role with the substation's schema as search_path; library tables are named with `public.`.
`%(since)s` is the watermark, `%(substation)s` whose sync it is, `%(level)s` its supply level, `%(at)s` the moment of the
sync and `%(priced)s` that of the one before. The shop's own columns are given a value when
a row is new and never appear in a SET list.

MERGE and not INSERT … ON CONFLICT: it joins instead of probing for a conflict row by row, leaves alone what is the same
(the other locks it, which is a write), and sees in the same pass what is gone. It is not safe against a second writer of
new rows; there is none, because both feeds' rows are locked first (LOCK).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

CATEGORY_COLUMNS = {
    "name_zh": "c.name_zh",
    "name_en": "c.name_en",
    "slug": "c.slug",
    "parent_id": "c.parent_id",
    "icon": "c.icon",
    "sort": "c.sort",
    "active": "c.active",
}
CATEGORY_OWN = {"hidden": "false"}

_BRANDED = ("coalesce(b.name_zh, '')", "coalesce(b.name_en, '')")
PRODUCT_COLUMNS = {
    "name_zh": "p.name_zh",
    "name_en": "p.name_en",
    "slug": "p.slug",
    "category_id": "p.category_id",
    "brand_zh": _BRANDED[0],
    "brand_en": _BRANDED[1],
    "brand_colour": "coalesce(b.colour, '')",
    "kind": "p.kind",
    "delivery": "p.delivery",
    "summary_zh": "p.summary_zh",
    "summary_en": "p.summary_en",
    "description_zh": "p.description_zh",
    "description_en": "p.description_en",
    "usage_zh": "p.usage_zh",
    "usage_en": "p.usage_en",
    "buyer_fields": "p.buyer_fields",
    "picture": "p.picture",
    "tags": "p.tags",
    # Brackets, quotes and commas of the JSON list are left out; a word with one of them in it is found without it.
    "search_text": "lower(concat_ws(' ', p.name_zh, p.name_en, b.name_zh, b.name_en, "
    "translate(p.tags::text, '[]\",', '')))",
    "sort": "p.sort",
    "active": "p.active AND c.active",
}
PRODUCT_OWN = {"own_name": "''", "own_description": "''", "own_sort": "0", "seo_title": "''", "seo_description": "''"}

STOCK_STATE = "CASE WHEN k.stock_policy = 'UNLIMITED' THEN 'IN_STOCK' ELSE coalesce(v.state, 'OUT') END"
STOCK_AVAILABLE = "CASE WHEN k.stock_policy = 'UNLIMITED' THEN 0 ELSE coalesce(v.available, 0) END"
LISTING_COLUMNS = {
    "name_zh": "k.name_zh",
    "name_en": "k.name_en",
    "product_id": "k.product_id",
    "code": "k.code",
    "face_value": "k.face_value",
    "currency": "k.currency",
    "supply_unit": "sp.unit",
    "private_terms": "sp.private",
    "suggested": "k.suggested",
    "floor": "k.floor",
    "ceiling": "k.ceiling",
    "stock_policy": "k.stock_policy",
    # A new or changed SKU brings its stock along: its level may have been counted long before, and the stock feed
    # has read past it.
    "stock_state": STOCK_STATE,
    "stock_available": STOCK_AVAILABLE,
    "sort": "k.sort",
    "active": "k.active",
}
LISTING_OWN = {"on_shelf": "true"}

SINCE = "%(since)s::text::xid8"


@dataclass(frozen=True)
class Table:
    """One synced table and what it is filled from.

    `changed` names the rows to look at, by id. `source_of_changed`, which begins with `changed ch`, stands where a row that
    has changed may have gone: then `here` says whether it has not.
    """

    name: str
    id_column: str
    columns: Mapping[str, str]
    own: Mapping[str, str]
    source: str
    changed: str
    source_of_changed: str = ""
    here: str = "true"

    @property
    def names(self) -> str:
        """The columns of a new row."""
        return ", ".join(["id", *self.columns, *self.own])

    @property
    def values(self) -> str:
        """What a new row gets, from `src`."""
        return ", ".join(["src.id", *(f"src.{name}" for name in self.columns), *self.own.values()])

    def rows(self, source: str, *, changed: bool, here: str = "true") -> str:
        """`WITH … src AS (…)`: the rows of `source`, all or those that changed."""
        head = "WITH "
        key = self.id_column
        if changed:
            head = f"WITH changed AS MATERIALIZED ({self.changed}),\n"
            key = "ch.id"
            if not source.startswith("changed ch"):
                first, _, rest = source.partition("\n")
                source = f"changed ch JOIN {first} ON {self.id_column} = ch.id\n{rest}"
        columns = ", ".join(f"{value} AS {name}" for name, value in self.columns.items())
        return f"{head}src AS (SELECT {key} AS id, {here} AS here, {columns}\nFROM {source})\n"

    def merge(self, *, changed: bool) -> str:
        """Bring the table to what the library says: of the rows that changed, or of all."""
        source = self.source_of_changed if changed and self.source_of_changed else self.source
        theirs = ", ".join(f"src.{name}" for name in self.columns)
        mine = ", ".join(f"mine.{name}" for name in self.columns)
        gone = "MATCHED AND NOT src.here" if changed else "NOT MATCHED BY SOURCE"
        return (
            f"{self.rows(source, changed=changed, here=self.here if changed else 'true')}"
            f"MERGE INTO {self.name} AS mine USING src ON mine.id = src.id\n"
            f"WHEN MATCHED AND src.here AND ({mine}) IS DISTINCT FROM ({theirs})\n"
            f"    THEN UPDATE SET ({', '.join(self.columns)}) = ROW({theirs})\n"
            f"WHEN {gone} AND mine.active THEN UPDATE SET active = false\n"
            f"WHEN NOT MATCHED AND src.here THEN INSERT ({self.names}) VALUES ({self.values})"
        )


CATEGORIES = Table(
    "listings_listedcategory",
    "c.id",
    CATEGORY_COLUMNS,
    CATEGORY_OWN,
    "public.library_category c",
    f"SELECT id FROM public.library_category WHERE changed_xid >= {SINCE}",
)
PRODUCTS = Table(
    "listings_listedproduct",
    "p.id",
    PRODUCT_COLUMNS,
    PRODUCT_OWN,
    """public.library_product p
    JOIN public.library_category c ON c.id = p.category_id
    LEFT JOIN public.library_brand b ON b.id = p.brand_id""",
    # A product's row is made of its brand's and its category's as well.
    f"""
    SELECT id FROM public.library_product WHERE changed_xid >= {SINCE}
    UNION SELECT p.id FROM public.library_brand b JOIN public.library_product p ON p.brand_id = b.id
          WHERE b.changed_xid >= {SINCE}
    UNION SELECT p.id FROM public.library_category c JOIN public.library_product p ON p.category_id = c.id
          WHERE c.changed_xid >= {SINCE}""",
)
# What this shop pays is said by one function, for the checkout as for the sync (20_supply_terms.sql).
_TERMS = "public.supply_terms(%(substation)s, %(level)s, %(at)s) sp"
# The SKU's row comes with its price: a second reading of the library would be a tenth of the whole time.
_SKU_AND_STOCK = """CROSS JOIN LATERAL (SELECT (sp.sku).*) k
    LEFT JOIN public.stock_stocklevel v ON v.sku_id = k.id"""
LISTINGS = Table(
    "listings_listing",
    "k.id",
    LISTING_COLUMNS,
    LISTING_OWN,
    # Without a supply price, of the shop's level or its own, there is no listing.
    f"{_TERMS}\n    {_SKU_AND_STOCK}",
    f"""
    SELECT id FROM public.library_sku WHERE changed_xid >= {SINCE}
    UNION SELECT sku_id FROM public.library_supplyprice WHERE changed_xid >= {SINCE} AND level = %(level)s
    UNION SELECT sku_id FROM public.library_privateprice
          WHERE substation_id = %(substation)s AND changed_xid >= {SINCE}
    -- The clock changes a price without anybody's writing it.
    UNION SELECT sku_id FROM public.library_privateprice
          WHERE substation_id = %(substation)s AND starts_at > %(priced)s AND starts_at <= %(at)s
    UNION SELECT sku_id FROM public.library_privateprice
          WHERE substation_id = %(substation)s AND ends_at > %(priced)s AND ends_at <= %(at)s""",
    source_of_changed=f"changed ch\n    LEFT JOIN {_TERMS} ON sp.sku_id = ch.id\n    {_SKU_AND_STOCK}",
    here="sp.unit IS NOT NULL",
)

# Where the plan counts what is on the shelf, new goods wait beside it until the room is known (`services.fill_room`).
LISTINGS_BOUNDED = replace(LISTINGS, own={"on_shelf": "false", "waits_for_room": "true"})

STOCK = """UPDATE listings_listing mine SET stock_state = v.state, stock_available = v.available
FROM public.stock_stocklevel v
WHERE mine.id = v.sku_id AND mine.stock_policy <> 'UNLIMITED'
  AND (mine.stock_state, mine.stock_available) IS DISTINCT FROM (v.state, v.available)"""
STOCK_CHANGED = f"{STOCK}\n  AND v.changed_xid >= {SINCE}"

# In the order in which they run: a listing's product is there before it.
TABLES = (CATEGORIES, PRODUCTS, LISTINGS)
LIBRARY_FULL = tuple(table.merge(changed=False) for table in TABLES)
LIBRARY_CHANGED = tuple(table.merge(changed=True) for table in TABLES)
BOUNDED_FULL = (*LIBRARY_FULL[:-1], LISTINGS_BOUNDED.merge(changed=False))
BOUNDED_CHANGED = (*LIBRARY_CHANGED[:-1], LISTINGS_BOUNDED.merge(changed=True))

# Both feeds' rows are locked by whoever syncs either of them. The library's feed carries stock levels too, so two
# runners side by side could put an older one over a newer.
LOCK = """SELECT y.feed, y.watermark, y.prices_at FROM public.tenants_syncstate y
JOIN public.tenants_substation s ON s.id = y.substation_id
WHERE s.schema_name = %(schema)s AND y.feed IN ('LIBRARY', 'STOCK')
ORDER BY y.feed FOR UPDATE OF y"""
# A statement of its own, after the lock: one that waited for the lock would read the plan as it was before.
# The horizon is this snapshot's; what later statements see beyond it is read again next time. The last column is the newest
# stamp of what categories and products are made of: where it is older than the watermark, their statements are left out.
# Whoever commits one after this snapshot has a stamp at or above the horizon, and the next sync finds it.
LEVEL = """SELECT s.id, pl.supply_level, pl.max_listings, pg_snapshot_xmin(pg_current_snapshot())::text::bigint, greatest(
    (SELECT changed_xid FROM public.library_category ORDER BY changed_xid DESC LIMIT 1),
    (SELECT changed_xid FROM public.library_brand ORDER BY changed_xid DESC LIMIT 1),
    (SELECT changed_xid FROM public.library_product ORDER BY changed_xid DESC LIMIT 1))::text::bigint
FROM public.tenants_substation s JOIN public.tenants_plan pl ON pl.id = s.plan_id
WHERE s.schema_name = %(schema)s"""
FINISH = """UPDATE public.tenants_syncstate y
SET watermark = %(horizon)s, ran_at = %(now)s,
    prices_at = CASE WHEN y.feed = 'LIBRARY' THEN %(at)s ELSE y.prices_at END,
    changed_at = CASE WHEN %(rows)s > 0 THEN %(now)s ELSE y.changed_at END,
    rows_changed = %(rows)s, duration_ms = %(duration_ms)s, error = ''
FROM public.tenants_substation s
WHERE s.id = y.substation_id AND s.schema_name = %(schema)s AND y.feed = %(feed)s"""

# One query for all substations. Per feed the newest stamp is one probe of an index per table. Private prices are asked for
# shop by shop, three probes each: those of one make nobody else due, and the clock alone can make one due.
# A transaction that stays open holds the horizon back, and then the same rows would be due at every tick: they are
# read again only when the horizon has moved, or after a while (there may be newer ones among them).
_WORTH_A_LOOK = """(y.ran_at IS NULL OR %(nudged)s OR y.ran_at < %(patience)s OR y.error <> ''
       OR y.watermark < pg_snapshot_xmin(pg_current_snapshot())::text::bigint)"""
DUE = f"""WITH newest (feed, stamp) AS (
    SELECT 'LIBRARY', greatest(
        (SELECT changed_xid FROM public.library_category ORDER BY changed_xid DESC LIMIT 1),
        (SELECT changed_xid FROM public.library_brand ORDER BY changed_xid DESC LIMIT 1),
        (SELECT changed_xid FROM public.library_product ORDER BY changed_xid DESC LIMIT 1),
        (SELECT changed_xid FROM public.library_sku ORDER BY changed_xid DESC LIMIT 1),
        (SELECT changed_xid FROM public.library_supplyprice ORDER BY changed_xid DESC LIMIT 1))::text::bigint
    UNION ALL
    SELECT 'STOCK', (SELECT changed_xid FROM public.stock_stocklevel ORDER BY changed_xid DESC LIMIT 1)::text::bigint
), found (substation_id, feed) AS (
    SELECT s.id, n.feed
    FROM newest n
    CROSS JOIN public.tenants_substation s
    LEFT JOIN public.tenants_syncstate y ON y.substation_id = s.id AND y.feed = n.feed
    WHERE n.stamp >= coalesce(y.watermark, 0) AND {_WORTH_A_LOOK}
    UNION
    SELECT y.substation_id, y.feed FROM public.tenants_syncstate y
    WHERE y.feed = 'LIBRARY' AND (
        EXISTS (SELECT 1 FROM public.library_privateprice p WHERE p.substation_id = y.substation_id
                AND p.starts_at > coalesce(y.prices_at, '-infinity') AND p.starts_at <= %(at)s)
        OR EXISTS (SELECT 1 FROM public.library_privateprice p WHERE p.substation_id = y.substation_id
                   AND p.ends_at > coalesce(y.prices_at, '-infinity') AND p.ends_at <= %(at)s)
        OR (EXISTS (SELECT 1 FROM public.library_privateprice p WHERE p.substation_id = y.substation_id
                    AND p.changed_xid >= y.watermark::text::xid8) AND {_WORTH_A_LOOK}))
)
SELECT s.id, s.schema_name, array_agg(f.feed ORDER BY f.feed)
FROM found f
JOIN public.tenants_substation s ON s.id = f.substation_id
WHERE s.state = ANY (%(states)s)
GROUP BY s.id, s.schema_name
ORDER BY s.id"""
