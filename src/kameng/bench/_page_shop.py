"""A shop of one size for the page bench. Everything but the mass of rows is made by the real services."""

from __future__ import annotations

from datetime import UTC, datetime

from kameng.bench._common import say

SLUG = "bench"
HOT_PRODUCT = "product-1"  # The product page that is measured.
HOME = 60  # Listings on the home page; a SKU that nobody looks at needs no codes.
BATCH = 10_000

PRODUCTS = """INSERT INTO library_product (slug, category_id, kind, delivery, name_zh, name_en, summary_zh, summary_en,
    description_zh, description_en, usage_zh, usage_en, buyer_fields, picture, tags, sort, active, created_at, updated_at)
SELECT 'product-' || n, (SELECT id FROM library_category WHERE slug = 'kind-' || n %% 12), 'CARD_CODE', 'CODES',
    '充值卡 ' || n, 'Top-up card ' || n, '付款后自动发货', 'Delivered as soon as it is paid',
    repeat('适用于大陆区账号，请先确认区服。', 8), repeat('For accounts of this region. ', 8),
    repeat('打开客户端，输入卡密。', 4), repeat('Open the client and enter the code. ', 4),
    '[]', '', '["hot"]', n, true, now(), now()
FROM generate_series(%(first)s::int, %(last)s::int) n"""
SKUS = """INSERT INTO library_sku (code, product_id, name_zh, name_en, face_value, currency, suggested, floor, ceiling,
    stock_policy, low_stock_at, sort, active, created_at, updated_at)
SELECT 'SKU-' || p.sort, p.id, '100 元', '100 yuan', 100, 'CNY', 99, 90, 120, 'CODES', 5, 1, true, now(), now()
FROM library_product p WHERE p.sort BETWEEN %(first)s AND %(last)s"""
PRICES = """INSERT INTO library_supplyprice (sku_id, level, unit)
SELECT k.id, level, 92 FROM library_sku k JOIN library_product p ON p.id = k.product_id
CROSS JOIN unnest(ARRAY['BASIC', 'PRO', 'FLAGSHIP']) level WHERE p.sort BETWEEN %(first)s AND %(last)s"""
# Ciphertexts are as long as those of real codes; nobody opens them here.
CODES = """INSERT INTO stock_code (batch_id, sku_id, position, state, blob, key_version, blind_index)
SELECT 1, k.id, nextval('stock_code_position'), 'AVAILABLE', decode(repeat(md5(k.id || '-' || n), 3), 'hex'), 'k1',
    decode(md5('blind' || k.id || '-' || n), 'hex')
FROM library_sku k JOIN library_product p ON p.id = k.product_id
CROSS JOIN generate_series(1, %(codes)s) n WHERE p.sort = %(sort)s"""

# What takes each index of the codes away but the primary key's, and what brings it back.
INDEXES = """SELECT
    CASE WHEN n.oid IS NULL THEN 'DROP INDEX ' || i.indexrelid::regclass
         ELSE 'ALTER TABLE stock_code DROP CONSTRAINT ' || n.conname END,
    CASE WHEN n.oid IS NULL THEN pg_get_indexdef(i.indexrelid)
         ELSE 'ALTER TABLE stock_code ADD CONSTRAINT ' || n.conname || ' ' || pg_get_constraintdef(n.oid) END
FROM pg_index i LEFT JOIN pg_constraint n ON n.conindid = i.indexrelid
WHERE i.indrelid = 'stock_code'::regclass AND NOT i.indisprimary"""


def fill(listings: int, codes: int) -> None:
    """`listings` products of one SKU each on the shop's shelf; each of the home page's SKUs has `codes` codes."""
    from kameng.db.context import in_main
    from shared_apps.library.models import Sku
    from shared_apps.stock import services as stock
    from tenants import prepare, provisioning
    from tenants.models import Plan, Substation

    prepare.prepare(spare_count=0)
    write_library(listings)
    _fill_codes(codes)
    with in_main():
        shown = Sku.objects.filter(product__sort__lte=HOME).values_list("pk", flat=True)
        stock.count_now(sku_ids=list(shown), now=datetime.now(tz=UTC))
        plan = Plan.objects.create(
            code="basic", name_zh="基础版", name_en="Basic", supply_level="BASIC", platform_fee_bps=200, sort=1
        )
        substation = Substation(slug=SLUG, name="Bench", plan=plan, owner_email="bench@example.com", owner_name="Bench")
        substation.schema_name = provisioning.schema_placeholder(substation.public_id)
        substation.save()
    provisioning.run(substation)  # Its last steps fill the shelves.
    _analyse()


def write_library(products: int) -> None:
    """`products` products of one SKU each, in twelve categories, priced for every level."""
    from django.db import connection

    from kameng.db.context import in_main
    from shared_apps.library.models import Category

    with in_main():
        Category.objects.bulk_create(
            Category(slug=f"kind-{n}", name_zh=f"分类 {n}", name_en=f"Kind {n}", sort=n) for n in range(12)
        )
    for first in range(1, products + 1, BATCH):
        with in_main(), connection.cursor() as cursor:
            for statement in (PRODUCTS, SKUS, PRICES):
                cursor.execute(statement, {"first": first, "last": min(first + BATCH - 1, products)})


def _fill_codes(codes: int) -> None:
    """`codes` codes of each SKU of the home page. The indexes are made after the rows: for millions that is twice as
    quick, and comes to the same."""
    from tenants import template

    owner = template.owner()
    with owner.cursor() as cursor:
        cursor.execute(INDEXES)
        removals, additions = zip(*cursor.fetchall(), strict=True)
        cursor.execute(";".join(removals))
        for sort in range(1, HOME + 1):
            cursor.execute(CODES, {"sort": sort, "codes": codes})
            if sort % 20 == 0:
                say(f"codes of {sort} of {HOME} SKUs")
        cursor.execute(";".join(additions))
    owner.close()


def _analyse() -> None:
    """What autovacuum would do in its minute: statistics for the planner."""
    from tenants import template

    owner = template.owner()
    with owner.cursor() as cursor:
        cursor.execute("ANALYZE")
    owner.close()
