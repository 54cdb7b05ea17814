"""The demonstration library: categories, brands, products, SKUs and pictures, through the library's own services."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.demo.pictures import cover
from shared_apps.library import flat
from shared_apps.library import services as library
from shared_apps.library.models import Brand, Category
from shared_apps.library.types import LibraryImport

DATA = Path(__file__).parent / "data"
FILENAME = "demonstration.csv"
DRAWING_THREADS = 2  # Pillow and the WebP encoder let go of the interpreter.
Say = Callable[[str], None]


class CatalogueRefused(Exception):
    """The library's import does not take the demonstration's own file; the message names its first bad rows."""


def rows(name: str) -> Iterator[dict[str, str]]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def load(*, by: Actor, now: datetime, say: Say) -> None:
    """Everything that is not there yet; a run that was killed goes on where it stopped."""
    with in_main():
        _categories(by, now)
        _brands(by, now)
    say("categories and brands")
    pictures = _pictures(say)
    _import(pictures, by, now, say)
    say("products, SKUs and supply prices")


def _categories(by: Actor, now: datetime) -> None:
    for row in rows("categories"):
        if Category.objects.filter(slug=row["slug"]).exists():
            continue
        parent = Category.objects.get(slug=row["parent"]).pk if row["parent"] else None
        library.create_category(
            slug=row["slug"], parent_id=parent, name_zh=row["name_zh"], name_en=row["name_en"], icon=row["icon"],
            sort=int(row["sort"]), by=by, now=now,
        )  # fmt: skip


def _brands(by: Actor, now: datetime) -> None:
    for row in rows("brands"):
        if not Brand.objects.filter(slug=row["slug"]).exists():
            library.create_brand(
                slug=row["slug"], name_zh=row["name_zh"], name_en=row["name_en"], colour=row["colour"], by=by, now=now
            )


def _pictures(say: Say) -> dict[str, str]:
    """The file name of each product's cover. Products of a brand that say the same share one."""
    brands = {row["slug"]: row for row in rows("brands")}
    faces = _first_faces()
    wanted = {row["slug"]: (row["brand"], faces.get(row["slug"], "")) for row in rows("products")}
    motifs = sorted(set(wanted.values()))

    def draw(motif: tuple[str, str]) -> str:
        brand, label = brands[motif[0]], motif[1]
        return library.store_picture(io.BytesIO(cover(brand["name_en"] or brand["slug"], brand["colour"], label)))

    names: dict[tuple[str, str], str] = {}
    with ThreadPoolExecutor(DRAWING_THREADS) as pool:
        for motif, name in zip(motifs, pool.map(draw, motifs), strict=True):
            names[motif] = name
            if len(names) % 20 == 0:
                say(f"{len(names)} of {len(motifs)} pictures")
    return {slug: names[motif] for slug, motif in wanted.items()}


def _first_faces() -> dict[str, str]:
    """What a product's cover says: the English face value where it has but one SKU."""
    faces: dict[str, list[str]] = {}
    for row in rows("skus"):
        faces.setdefault(row["product"], []).append(row["face_en"])
    return {slug: values[0] for slug, values in faces.items() if len(values) == 1 and len(values[0]) <= 8}


def _import(pictures: dict[str, str], by: Actor, now: datetime, say: Say) -> None:
    """Products, SKUs and supply prices as one flat file, by the import that the console offers too."""

    def progress(_result: LibraryImport, fraction: float) -> None:
        say(f"products, SKUs and supply prices: {fraction:.0%}")

    result = library.import_library(
        stream=io.BytesIO(flat_file(pictures).encode()), filename=FILENAME, by=by, now=now, progress=progress
    )
    if not result.applied:
        bad = "\n".join(f"{e.row} {e.column}: {e.value} {e.problem}" for e in result.report.errors[:10])
        raise CatalogueRefused(bad)


def flat_file(pictures: dict[str, str]) -> str:
    """The demonstration's products and SKUs as the library's flat CSV file; `pictures` are file names by product."""
    parents = {row["slug"]: row["parent"] for row in rows("categories")}
    products = {row["slug"]: row for row in rows("products")}
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=_COLUMNS)
    writer.writeheader()
    for sku in rows("skus"):
        product = products[sku["product"]]
        category = product["category"]
        writer.writerow({
            **{name: sku[name] for name in _SAME_OF_SKU},
            **{name: product[name] for name in _SAME_OF_PRODUCT},
            "sku": sku["code"], "sku_zh": sku["face_zh"] or sku["name_zh"], "sku_en": sku["face_en"] or sku["name_en"],
            "sku_sort": sku["sort"], "product_zh": product["name_zh"], "product_en": product["name_en"],
            "product_sort": product["sort"], "picture": pictures.get(sku["product"], ""),
            "category": f"{parents[category]} {flat.PATH} {category}" if parents[category] else category,
        })  # fmt: skip
    return out.getvalue()


_SAME_OF_SKU = (
    "face_value", "currency", "suggested", "floor", "ceiling", "stock_policy", "low_stock_at", *flat.LEVELS, "product",
)  # fmt: skip
_SAME_OF_PRODUCT = (
    "kind", "delivery", "summary_zh", "summary_en", "description_zh", "description_en", "usage_zh", "usage_en",
    "buyer_fields", "tags", "brand",
)  # fmt: skip
_COLUMNS = (
    *_SAME_OF_SKU, *_SAME_OF_PRODUCT, "sku", "sku_zh", "sku_en", "sku_sort", "product_zh", "product_en",
    "product_sort", "picture", "category",
)  # fmt: skip
