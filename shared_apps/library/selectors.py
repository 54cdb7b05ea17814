"""What others read of the library. For the main station's scope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import connection
from django.db.models import Count, Min, Prefetch, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from kameng.lib import money
from kameng.lib.errors import Missing
from kameng.lib.words import Sentence, shorten, worded
from shared_apps.library.models import Brand, Category, ImportRun, Product, Sku, SupplyPrice
from shared_apps.library.types import difference


class SkuUnknown(Missing):
    """No such SKU."""

    code = "sku_unknown"


class ProductUnknown(Missing):
    """No such product."""

    code = "product_unknown"


@dataclass(frozen=True)
class CategoryNode:
    """A category in its place in the tree."""

    category: Category
    depth: int
    products: int


def sku_by_code(code: str) -> Sku:
    """A SKU by its code, typed in small letters or capitals. Raises: SkuUnknown."""
    typed = code.strip()
    sku = Sku.objects.select_related("product").filter(code__in={typed, typed.upper()}).first()
    if sku is None:
        raise SkuUnknown(worded(_("There is no SKU with the code %(code)s."), code=shorten(code)))
    return sku


def skus_by_id(ids: list[int]) -> dict[int, Sku]:
    """SKUs with their products, by id; what is not there is left out."""
    return {sku.pk: sku for sku in Sku.objects.select_related("product").filter(pk__in=ids)}


def supply_of(substation_id: int, level: str, sku_ids: Sequence[int], at: datetime) -> dict[int, tuple[Decimal, bool]]:
    """What a substation of this plan level pays for a unit of these SKUs, by id, and whether that is private terms.

    What it can't buy is left out. The rule itself is `public.supply_terms`, which sync and checkout ask as well.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sku_id, unit, private FROM public.supply_terms(%s, %s, %s) WHERE sku_id = ANY (%s)",
            [substation_id, level, at, list(sku_ids)],
        )
        return {sku: (unit, private) for sku, unit, private in cursor.fetchall()}


def product_with_skus(slug: str) -> Product:
    """A product with its category, brand, SKUs and their supply prices, in four statements. Raises: ProductUnknown."""
    skus = Sku.objects.prefetch_related(Prefetch("supply_prices", SupplyPrice.objects.order_by("level")))
    product = (
        Product.objects.select_related("category", "brand").prefetch_related(Prefetch("skus", skus)).filter(slug=slug)
    ).first()
    if product is None:
        raise ProductUnknown(_("There is no such product."))
    return product


def products(
    *, query: str = "", category_id: int | None = None, brand_id: int | None = None, active: bool | None = None
) -> QuerySet[Product]:
    """Products for the console's list, with the number of their SKUs as `sku_count`; filter, sort and slice it."""
    rows = Product.objects.select_related("category", "brand").annotate(sku_count=Count("skus"))
    for word in query.split():
        rows = rows.filter(
            Q(name_zh__icontains=word) | Q(name_en__icontains=word) | Q(slug__icontains=word)
            | Q(brand__name_zh__icontains=word) | Q(brand__name_en__icontains=word)
        )  # fmt: skip
    if category_id is not None:
        rows = rows.filter(category_id__in=[category_id, *descendants(category_id)])
    if brand_id is not None:
        rows = rows.filter(brand_id=brand_id)
    return rows if active is None else rows.filter(active=active)


def skus(*, query: str = "", product_id: int | None = None, active: bool | None = None) -> QuerySet[Sku]:
    """SKUs for lists and pickers, with their products and supply prices; filter, sort and slice it."""
    rows = Sku.objects.select_related("product", "product__brand", "product__category").prefetch_related(
        "supply_prices"
    )
    for word in query.split():
        rows = rows.filter(
            Q(code__icontains=word) | Q(name_zh__icontains=word) | Q(name_en__icontains=word)
            | Q(product__name_zh__icontains=word) | Q(product__name_en__icontains=word)
        )  # fmt: skip
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    return rows if active is None else rows.filter(active=active)


def brands() -> QuerySet[Brand]:
    """All brands with the number of their products as `product_count`."""
    return Brand.objects.annotate(product_count=Count("products"))


def category_tree() -> list[CategoryNode]:
    """All categories, each after its parent, with its depth. A loop's members (the services refuse one) come last."""
    rows = list(Category.objects.annotate(product_count=Count("products")).order_by("sort", "id"))
    children: dict[int | None, list[Category]] = {}
    for row in rows:
        children.setdefault(row.parent_id, []).append(row)
    out: list[CategoryNode] = []
    placed: set[int] = set()

    def place(parent: int | None, depth: int) -> None:
        for row in children.get(parent, []):
            placed.add(row.pk)
            out.append(CategoryNode(row, depth, row.product_count))  # type: ignore[attr-defined]
            place(row.pk, depth + 1)

    place(None, 0)
    out += [CategoryNode(row, 0, row.product_count) for row in rows if row.pk not in placed]
    return out


def descendants(category_id: int) -> list[int]:
    """Ids of all categories below one."""
    parents = dict(Category.objects.values_list("pk", "parent_id"))
    found: set[int] = {category_id}
    grown = True
    while grown:
        more = {pk for pk, parent in parents.items() if parent in found and pk not in found}
        grown = bool(more)
        found |= more
    return sorted(found - {category_id})


def import_runs(subject: str = "") -> QuerySet[ImportRun]:
    """Imports, the newest first."""
    return ImportRun.objects.filter(subject=subject) if subject else ImportRun.objects.all()


def price_warnings(sku: Sku) -> Iterator[Sentence]:
    """What is allowed and still looks wrong about a SKU's prices, in sentences for the editor's page."""
    if sku.floor is not None and sku.suggested < sku.floor:
        yield _("The suggested price lies below the floor; shops will sell at the floor.")
    if sku.ceiling is not None and sku.suggested > sku.ceiling:
        yield _("The suggested price lies above the ceiling; shops will sell at the ceiling.")
    prices = list(sku.supply_prices.all())
    if not prices:
        yield _("No plan has a supply price, so no shop can sell it.")
    for price in prices:
        level, unit = price.get_level_display(), money.format_unit(price.unit, sku.currency)
        if sku.ceiling is not None and price.unit > sku.ceiling:
            yield worded(_("%(level)s: the supply price %(unit)s is above the ceiling."), level=level, unit=unit)
        elif price.unit > sku.suggested:
            yield worded(_("%(level)s: the supply price %(unit)s is above the suggested one."), level=level, unit=unit)
        if sku.floor is not None and price.unit > sku.floor:
            yield worded(_("%(level)s: the supply price %(unit)s is above the floor."), level=level, unit=unit)
        if sku.face_value and price.unit > sku.face_value * Decimal(2):
            yield worded(_("%(level)s: the supply price %(unit)s is twice the face value."), level=level, unit=unit)


def cheapest_plan_prices(sku_ids: Sequence[int] | None = None) -> dict[int, Decimal]:
    """What the cheapest plan pays for a unit, by SKU id; all SKUs without `sku_ids`."""
    rows = SupplyPrice.objects.all() if sku_ids is None else SupplyPrice.objects.filter(sku_id__in=sku_ids)
    return dict(rows.order_by().values_list("sku_id").annotate(least=Min("unit")))


def private_price_warnings(
    sku: Sku, unit: Decimal, *, plan: Decimal | None, cheapest: Decimal | None
) -> Iterator[Sentence]:
    """What is allowed and still looks wrong about a private price. The library keeps no purchase price of the main
    station's; what its cheapest plan pays stands for the least that it takes."""

    def shown(amount: Decimal) -> str:
        return money.format_unit(amount, sku.currency)

    if cheapest is not None and unit < cheapest:
        percent = f"{-difference(unit, cheapest):f}"
        message = _("%(percent)s%% below what any plan pays; the cheapest pays %(unit)s.")
        yield worded(message, unit=shown(cheapest), percent=percent)
    if plan is not None and unit > plan:
        yield worded(_("Dearer than the shop's plan, which pays %(unit)s."), unit=shown(plan))
    if sku.ceiling is not None and unit > sku.ceiling:
        yield worded(_("Above the ceiling of %(unit)s: the shop can't sell it."), unit=shown(sku.ceiling))
    elif sku.floor is not None and unit > sku.floor:
        yield worded(
            _("Above the floor of %(unit)s: sold at the floor, it would be sold at a loss."), unit=shown(sku.floor)
        )
