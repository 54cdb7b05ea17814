"""The demonstration library: categories, brands, products, SKUs and pictures, through the library's own services."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from django.db import transaction

from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.demo.pictures import cover
from shared_apps.library import services as library
from shared_apps.library.models import Brand, Category, Product, Sku

DATA = Path(__file__).parent / "data"
LEVELS = {"BASIC": "supply_basic", "PRO": "supply_pro", "FLAGSHIP": "supply_flagship"}
Say = Callable[[str], None]


def rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def load(*, by: Actor, now: datetime, say: Say) -> None:
    """Everything that is not there yet; a run that was killed goes on where it stopped."""
    with in_main():
        _categories(by, now)
        brands = _brands(by, now)
    say("categories and brands")
    with in_main():
        _products(brands, by, now)
    say("products and pictures")
    with in_main():
        _skus(by, now)
    say("SKUs and supply prices")


def _categories(by: Actor, now: datetime) -> None:
    for row in rows("categories"):
        if Category.objects.filter(slug=row["slug"]).exists():
            continue
        parent = Category.objects.get(slug=row["parent"]).pk if row["parent"] else None
        library.create_category(
            slug=row["slug"], parent_id=parent, name_zh=row["name_zh"], name_en=row["name_en"], icon=row["icon"],
            sort=int(row["sort"]), by=by, now=now,
        )  # fmt: skip


def _brands(by: Actor, now: datetime) -> dict[str, Brand]:
    for row in rows("brands"):
        if not Brand.objects.filter(slug=row["slug"]).exists():
            library.create_brand(
                slug=row["slug"], name_zh=row["name_zh"], name_en=row["name_en"], colour=row["colour"], by=by, now=now
            )
    return {brand.slug: brand for brand in Brand.objects.all()}


def _products(brands: dict[str, Brand], by: Actor, now: datetime) -> None:
    categories = dict(Category.objects.values_list("slug", "pk"))
    faces = _first_faces()
    for row in rows("products"):
        if Product.objects.filter(slug=row["slug"]).exists():
            continue
        brand = brands[row["brand"]]
        picture = cover(brand.name_en or brand.slug, brand.colour, faces.get(row["slug"], ""))
        texts: dict[str, Any] = {
            field: row[field] for field in (
                "name_zh", "name_en", "summary_zh", "summary_en", "description_zh", "description_en", "usage_zh",
                "usage_en", "kind", "delivery",
            )
        }  # fmt: skip
        with transaction.atomic():
            product = library.create_product(
                slug=row["slug"], category_id=categories[row["category"]], brand_id=brand.pk,
                buyer_fields=json.loads(row["buyer_fields"] or "[]"), sort=int(row["sort"]),
                tags=[tag for tag in row["tags"].split(";") if tag], by=by, now=now, **texts,
            )  # fmt: skip
            library.set_picture(product_id=product.pk, stream=io.BytesIO(picture), by=by, now=now)


def _first_faces() -> dict[str, str]:
    """What a product's cover says: the English face value where it has but one SKU."""
    faces: dict[str, list[str]] = {}
    for row in rows("skus"):
        faces.setdefault(row["product"], []).append(row["face_en"])
    return {slug: values[0] for slug, values in faces.items() if len(values) == 1 and len(values[0]) <= 8}


def _skus(by: Actor, now: datetime) -> None:
    products = dict(Product.objects.values_list("slug", "pk"))
    there = set(Sku.objects.values_list("code", flat=True))
    for row in rows("skus"):
        if row["code"] in there:
            continue
        library.create_sku(
            code=row["code"], product_id=products[row["product"]], name_zh=row["face_zh"] or row["name_zh"],
            name_en=row["face_en"] or row["name_en"], face_value=_price(row["face_value"]),
            suggested=_price(row["suggested"]), floor=_price(row["floor"]), ceiling=_price(row["ceiling"]),
            stock_policy=row["stock_policy"], low_stock_at=int(row["low_stock_at"]), sort=int(row["sort"]),
            currency=row["currency"], supply={level: Decimal(row[column]) for level, column in LEVELS.items()},
            by=by, now=now,
        )  # fmt: skip


def _price(text: str) -> Decimal | None:
    return Decimal(text) if text else None
