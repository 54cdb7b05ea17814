"""The measurements of `bench sync`, in a process whose Django is set up for the bench's own server."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from kameng.bench._common import say

TABLES = ("listings_listedcategory", "listings_listedproduct", "listings_listing")
BATCH = 2_000
# The bare statement reads the plan's prices alone: what looking for private ones costs is the sync's to bear.
_PLAN_ONLY = """public.library_sku k
    JOIN (SELECT sku_id, unit, false AS private FROM public.library_supplyprice WHERE level = %(level)s) sp
        ON sp.sku_id = k.id
    LEFT JOIN public.stock_stocklevel v ON v.sku_id = k.id"""

_FILL = """
INSERT INTO library_category (name_zh, name_en, slug, icon, sort, active)
SELECT '分类' || i, 'Category ' || i, 'category-' || i, '', i, true FROM generate_series(1, 40) i;
INSERT INTO library_brand (name_zh, name_en, slug, colour)
SELECT '品牌' || i, 'Brand ' || i, 'brand-' || i, '#123456' FROM generate_series(1, 200) i;
INSERT INTO library_product (name_zh, name_en, slug, category_id, brand_id, kind, delivery, summary_zh, summary_en,
    description_zh, description_en, usage_zh, usage_en, buyer_fields, picture, tags, sort, active, created_at, updated_at)
SELECT '商品' || i, 'Product ' || i, 'product-' || i, 1 + i %% 40, 1 + i %% 200, 'CARD_CODE', 'CODES', '自动发货',
    'Instant', repeat('说明', 60), repeat('words ', 30), '', '', '[]', '', '["热门", "new"]', i %% 100, true, now(), now()
FROM generate_series(1, %(products)s) i;
INSERT INTO library_sku (name_zh, name_en, code, product_id, face_value, currency, suggested, floor, ceiling,
    stock_policy, low_stock_at, sort, active, created_at, updated_at)
SELECT i || '元', '¥' || i, 'SKU-' || i, 1 + (i - 1) / 4, 100, 'CNY', 100, 85, 130, 'CODES', 10, i %% 4, true, now(),
    now()
FROM generate_series(1, %(skus)s) i;
INSERT INTO library_supplyprice (sku_id, level, unit)
SELECT k.id, l.level, 90 - l.place FROM library_sku k, unnest(ARRAY['BASIC', 'PRO', 'FLAGSHIP'])
    WITH ORDINALITY AS l (level, place);
INSERT INTO stock_stocklevel (sku_id, available, state, counted_at) SELECT id, 100, 'IN_STOCK', now() FROM library_sku;
DELETE FROM stock_stockmove;
ANALYZE;
"""


def _one(cursor: Any, sql: str) -> Any:
    """The one value of a query's one row."""
    cursor.execute(sql)
    return cursor.fetchone()[0]


class Bench:
    """Three shops of one library, each filled in its own way."""

    def __init__(self, superuser_url: str, skus: int) -> None:
        import psycopg2

        self.root = psycopg2.connect(superuser_url)
        self.root.autocommit = True
        with self.root.cursor() as cursor:
            cursor.execute(_FILL, {"skus": skus, "products": -(-skus // 4)})
        self.skus = skus
        self.shops = {way: _shop(way) for way in ("sync", "bare", "bulk_create")}

    def full(self) -> dict[str, float]:
        """Rows per second into empty tables."""
        for shop in self.shops.values():
            self._do(f"TRUNCATE {', '.join(f'{shop.schema_name}.{table}' for table in TABLES)}")
        return self._in_turn(sync=partial(self._sync, full=True), bare=self._bare, bulk_create=self._bulk)

    def changed(self) -> dict[str, float]:
        """Rows per second when 1 % of the SKUs changed since the last round."""
        ids = random.sample(range(1, self.skus + 1), self.skus // 100)
        with self.root.cursor() as cursor:
            self.since = _one(cursor, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text")
            cursor.execute("UPDATE library_sku SET name_zh = name_zh || '*' WHERE id = ANY (%s)", [ids])
            cursor.execute("UPDATE library_sku SET name_zh = rtrim(name_zh, '*') || '!' WHERE length(name_zh) > 60")
            schema = self.shops["bare"].schema_name
            cursor.execute(f"DELETE FROM {schema}.listings_listing WHERE id = ANY (%s)", [ids])
        self._do(f"VACUUM ANALYZE {schema}.listings_listing")
        return self._in_turn(
            sync=partial(self._sync, full=False), bare=self._bare_changed, bulk_create=self._bulk_changed
        )

    def _in_turn(self, **ways: Callable[[], int]) -> dict[str, float]:
        """Each way's rows per second, in an order drawn anew each time."""
        return {way: self._timed(ways[way]) for way in random.sample(list(ways), len(ways))}

    def _timed(self, work: Callable[[], int]) -> float:
        self._do("CHECKPOINT")
        began = time.perf_counter()
        rows = work()
        return rows / (time.perf_counter() - began)

    def _do(self, sql: str) -> None:
        with self.root.cursor() as cursor:
            cursor.execute(sql)

    # -- The three ways. Each answers how many rows it wrote.

    def _sync(self, full: bool) -> int:
        from tenant_apps.listings import sync

        return sync.sync_substation(self.shops["sync"], feeds=["LIBRARY"], full=full).rows["LIBRARY"]

    def _bare(self) -> int:
        from tenant_apps.listings import _sync_sql as sql

        return self._plain(sql.TABLES, changed=False)

    def _bare_changed(self) -> int:
        from tenant_apps.listings import _sync_sql as sql

        return self._plain([sql.LISTINGS], changed=True)

    def _plain(self, tables: Iterable[Any], changed: bool) -> int:
        from django.db import connection

        from kameng.db.context import in_sync
        from kameng.lib import clock
        from tenant_apps.listings import _sync_sql as sql

        written = 0
        with in_sync(self.shops["bare"]), connection.cursor() as cursor:
            for table in tables:
                source = _PLAN_ONLY if table is sql.LISTINGS else table.source
                rows = table.rows(source, changed=changed)
                cursor.execute(
                    f"{rows}INSERT INTO {table.name} ({table.names}) SELECT {table.values} FROM src",
                    {
                        "since": getattr(self, "since", "0"),
                        "level": "BASIC",
                        "substation": 0,
                        "at": clock.utc_now(),
                        "priced": "-infinity",
                    },
                )
                written += cursor.rowcount
        return written

    def _bulk(self) -> int:
        return self._bulk_rows(None)

    def _bulk_changed(self) -> int:
        return self._bulk_rows(self.since)

    def _bulk_rows(self, since: str | None) -> int:
        """What one would write with the ORM: read, make objects, bulk_create with update_conflicts."""
        from django.db.models.expressions import RawSQL

        from kameng.db.context import in_main, in_sync
        from shared_apps.library.models import Category, Product, Sku
        from tenant_apps.listings.models import ListedCategory, ListedProduct, Listing

        own = {"hidden", "own_name", "own_description", "own_sort", "seo_title", "seo_description", "on_shelf"}
        own |= {"waits_for_room"}

        def write(model: Any, rows: list[Any]) -> int:
            names = [f.name for f in model._meta.fields if f.name != "id" and f.name not in own]
            with in_sync(self.shops["bulk_create"]):
                model.objects.bulk_create(rows, BATCH, update_conflicts=True, unique_fields=["id"], update_fields=names)
            return len(rows)

        def changed(rows: Any) -> Any:
            return (
                rows
                if since is None
                else rows.filter(
                    pk__in=RawSQL(
                        f"SELECT id FROM {rows.model._meta.db_table} WHERE changed_xid >= %s::text::xid8", [since]
                    )
                )
            )

        with in_main():
            categories = [
                ListedCategory(**row)
                for row in changed(Category.objects.all()).values(
                    "id", "name_zh", "name_en", "slug", "parent_id", "icon", "sort", "active"
                )
            ]
            products = [
                _listed_product(ListedProduct, row)
                for row in changed(Product.objects.select_related("brand", "category"))
            ]
            skus = changed(
                Sku.objects.filter(supply_prices__level="BASIC").extra(select={"supply": "library_supplyprice.unit"})
            )
            listings = [_listing(Listing, row) for row in skus]
        return write(ListedCategory, categories) + write(ListedProduct, products) + write(Listing, listings)


def _listed_product(model: Any, row: Any) -> Any:
    brand = row.brand
    return model(
        id=row.pk, name_zh=row.name_zh, name_en=row.name_en, slug=row.slug, category_id=row.category_id,
        brand_zh=brand.name_zh, brand_en=brand.name_en, brand_colour=brand.colour, kind=row.kind, delivery=row.delivery,
        summary_zh=row.summary_zh, summary_en=row.summary_en, description_zh=row.description_zh,
        description_en=row.description_en, usage_zh=row.usage_zh, usage_en=row.usage_en, buyer_fields=row.buyer_fields,
        picture=row.picture, tags=row.tags, sort=row.sort, active=row.active and row.category.active,
        search_text=" ".join([row.name_zh, row.name_en, brand.name_zh, brand.name_en, *row.tags]).lower(),
    )  # fmt: skip


def _listing(model: Any, row: Any) -> Any:
    return model(
        id=row.pk, name_zh=row.name_zh, name_en=row.name_en, product_id=row.product_id, code=row.code,
        face_value=row.face_value, currency=row.currency, supply_unit=Decimal(row.supply), suggested=row.suggested,
        floor=row.floor, ceiling=row.ceiling, stock_policy=row.stock_policy, stock_state="IN_STOCK", stock_available=100,
        sort=row.sort, active=row.active,
    )  # fmt: skip


def _shop(slug: str) -> Any:
    from kameng.db.context import in_main
    from kameng.lib import clock
    from tenant_apps.listings import sync
    from tenants import provisioning
    from tenants.models import Plan, Substation

    slug = slug.replace("_", "-")
    with in_main():
        plan, _ = Plan.objects.get_or_create(
            code="basic", defaults={"name_zh": "基础", "name_en": "Basic", "supply_level": "BASIC"}
        )
        shop = Substation(slug=slug, name=slug, plan=plan, owner_email="bench@example.com")
        shop.schema_name = provisioning.schema_placeholder(shop.public_id)
        shop.save()
    provisioning.claim_schema(shop, None, clock.utc_now())
    sync.ensure_states(shop.pk)
    return shop


def measure(superuser_url: str, skus: int, rounds: int) -> dict[str, dict[str, list[float]]]:
    """Rows a second by amount ("full", "changed") and way, a value a round."""
    from tenants import prepare

    say(f"a library of {skus:,} SKUs, three shops")
    prepare.prepare(spare_count=3)
    bench = Bench(superuser_url, skus)
    rates: dict[str, dict[str, list[float]]] = {"full": {}, "changed": {}}
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        for amount, measured in (("full", bench.full()), ("changed", bench.changed())):
            for way, rate in measured.items():
                rates[amount].setdefault(way, []).append(rate)
    return rates
