"""What the shop's pages and the panel read. In a substation's scope; few statements each, none that counts stock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Missing
from tenant_apps.listings.models import ListedProduct, Listing, MarkupRule
from tenant_apps.listings.pricing import RuleBook, StoredRule
from tenant_apps.listings.states import RuleScope, StockState
from tenant_apps.listings.types import (
    CategoryTree,
    ListingRow,
    Offer,
    PanelRow,
    ProductDetail,
    ProductPage,
    ShelfCategory,
    ShelfProduct,
)

PAGE = 60
MAX_WORDS = 6
_STOCK_RANK = {StockState.OUT: 0, StockState.LOW: 1, StockState.IN_STOCK: 2}


class ProductGone(Missing):
    """Not in this shop, or off its shelf."""

    code = "product_gone"


class CategoryGone(Missing):
    """Not in this shop, or hidden."""

    code = "category_gone"


# -- Categories and rules.

_CATEGORIES = """SELECT id, slug, name_zh, name_en, parent_id, icon, active AND NOT hidden
FROM listings_listedcategory ORDER BY sort, id"""
_RULES = """SELECT scope, target_id, kind, value, rounding FROM listings_markuprule
WHERE scope IN ('SHOP', 'CATEGORY') OR (scope = 'PRODUCT' AND target_id = ANY (%s))
   OR (scope = 'SKU' AND target_id = ANY (%s))"""


def categories_for_home() -> CategoryTree:
    """All categories of the shop, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(_CATEGORIES)
        return CategoryTree([ShelfCategory(*row) for row in cursor.fetchall()])


def rule_book(
    *, product_ids: Sequence[int], sku_ids: Sequence[int], parents: dict[int, int | None] | None = None
) -> RuleBook:
    """The rules that can matter to these SKUs, in one statement; categories are read when `parents` is None."""
    with connection.cursor() as cursor:
        cursor.execute(_RULES, [list(product_ids), list(sku_ids)])
        rules = [StoredRule(*row) for row in cursor.fetchall()]
    if parents is None:
        needed = any(rule.scope == RuleScope.CATEGORY for rule in rules)
        parents = categories_for_home().parents if needed else {}
    return RuleBook(rules, parents)


# -- The shop's lists.

_CARD = """p.id, p.slug, p.category_id, p.name_zh, p.name_en, p.own_name, p.brand_zh, p.brand_en, p.brand_colour,
    p.kind, p.delivery, p.summary_zh, p.summary_en, p.picture, p.own_sort, p.sort"""
# Ten-thousandths as bigint: hundreds of numerics would be hundreds of Decimals.
_CARD_LISTINGS = """SELECT product_id, id, currency, (supply_unit * 10000)::bigint, (suggested * 10000)::bigint,
    (floor * 10000)::bigint, (ceiling * 10000)::bigint, stock_state
FROM listings_listing WHERE product_id = ANY (%s) AND active AND on_shelf"""


def products_page(
    *,
    category: str | None = None,
    query: str = "",
    after: str = "",
    limit: int = PAGE,
    categories: CategoryTree | None = None,
) -> ProductPage:
    """Cards of products that have something for sale, in the shop's order; three statements.

    `category` is a slug and takes in all below it; `query` is words that must all occur; `after` is the cursor of the
    last card seen. Raises: CategoryGone.
    """
    tree = categories if categories is not None else categories_for_home()
    conditions, values = _page_conditions(tree, category, query, after)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_CARD} FROM listings_listedproduct p WHERE {' AND '.join(conditions)} "
            "ORDER BY p.own_sort, p.sort, p.id LIMIT %s",
            [*values, limit + 1],
        )
        rows = cursor.fetchall()
        cursor.execute(_CARD_LISTINGS, [[row[0] for row in rows[:limit]]])
        listings = cursor.fetchall()
    book = rule_book(
        product_ids=[row[0] for row in rows[:limit]], sku_ids=[row[1] for row in listings], parents=tree.parents
    )
    cards = list(_cards(rows[:limit], listings, book))
    return ProductPage(cards, cards[-1].cursor if len(rows) > limit and cards else "")


def _page_conditions(tree: CategoryTree, category: str | None, query: str, after: str) -> tuple[list[str], list[Any]]:
    conditions = [
        "p.active",
        "EXISTS (SELECT 1 FROM listings_listing l WHERE l.product_id = p.id AND l.active AND l.on_shelf)",
    ]
    values: list[Any] = []
    if category is not None:
        found = tree.by_slug(category)
        if found is None:
            raise CategoryGone(_("There is no such category in this shop."))
        conditions.append("p.category_id = ANY (%s)")
        values.append(tree.below(found.id))
    elif tree.hidden:
        conditions.append("p.category_id <> ALL (%s)")
        values.append(tree.hidden)
    for word in query.lower().split()[:MAX_WORDS]:
        conditions.append("(p.search_text LIKE %s OR lower(p.own_name) LIKE %s)")
        values += [_contains(word)] * 2
    place = _place(after)
    if place is not None:
        conditions.append("(p.own_sort, p.sort, p.id) > (%s, %s, %s)")
        values += place
    return conditions, values


def _contains(word: str) -> str:
    escaped = word[:60].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_").replace("\x00", "")
    return f"%{escaped}%"


def _place(cursor: str) -> list[int] | None:
    """A card's cursor as numbers; one that is none begins at the first page."""
    parts = cursor.split(".")
    try:
        numbers = [int(part) for part in parts]
    except ValueError:
        return None
    fits = len(numbers) == 3 and all(abs(number) < 2**31 for number in numbers[:2]) and 0 <= numbers[2] < 2**63
    return numbers if fits else None


def _cards(rows: list[Any], listings: list[Any], book: RuleBook) -> Iterator[ShelfProduct]:
    by_product: dict[int, list[Any]] = {}
    for listing in listings:
        by_product.setdefault(listing[0], []).append(listing)
    for *card, own_sort, sort in rows:
        offers = by_product.get(card[0])
        if not offers:  # Taken off the shelf between the two statements.
            continue
        prices = [book.unit_u4(sku, card[0], card[2], *amounts) for _product, sku, *amounts, _state in offers]
        best = max((offer[-1] for offer in offers), key=_STOCK_RANK.__getitem__)
        cursor = f"{own_sort}.{sort}.{card[0]}"
        yield ShelfProduct(*card, cursor, min(prices), max(prices), offers[0][2], len(offers), best)  # type: ignore[call-arg]  # mypy counts the star as one.


# -- One product, some SKUs.

_LISTING = """id, product_id, code, name_zh, name_en, face_value, currency, supply_unit, suggested, floor, ceiling,
    stock_policy, stock_state, stock_available, active, on_shelf, private_terms"""


def product_by_slug(slug: str) -> ProductDetail:
    """A product with its SKUs for sale and their prices; four statements. Raises: ProductGone."""
    product = _product(slug)
    tree = categories_for_home()
    if product is None or product.category_id in tree.hidden:
        raise ProductGone(_("This product is not in the shop any more."))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {_LISTING} FROM listings_listing WHERE product_id = %s AND active AND on_shelf ORDER BY sort, id",
            [product.id],
        )
        rows = [ListingRow(*row) for row in cursor.fetchall()]
    if not rows:
        raise ProductGone(_("This product is not in the shop any more."))
    book = rule_book(product_ids=[product.id], sku_ids=[row.id for row in rows], parents=tree.parents)
    offers = tuple(Offer(row, book.price(row, product)) for row in rows)
    return ProductDetail(product, offers, tuple(tree.trail(product.category_id)))


_COLUMNS = [field.attname for field in ListedProduct._meta.concrete_fields]
_PRODUCT = f"SELECT {', '.join(_COLUMNS)} FROM listings_listedproduct WHERE slug = %s AND active ORDER BY id LIMIT 1"


def _product(slug: str) -> ListedProduct | None:
    """The row, past the query builder, which takes longer than all the rest of a product's statements together."""
    with connection.cursor() as cursor:
        cursor.execute(_PRODUCT, [slug])
        row = cursor.fetchone()
    if row is None:
        return None
    product = ListedProduct.from_db(connection.alias, _COLUMNS, row)
    product.buyer_fields, product.tags = json.loads(product.buyer_fields), json.loads(product.tags)
    return product


class _InCategory(NamedTuple):
    category_id: int


def listing_for_checkout(sku_ids: Sequence[int]) -> dict[int, Offer]:
    """What these SKUs cost now, by id, in two or three statements; those that are not for sale are left out."""
    with connection.cursor() as cursor:
        columns = ", ".join(f"l.{name.strip()}" for name in _LISTING.split(","))
        cursor.execute(
            f"SELECT p.category_id, {columns} FROM listings_listing l "
            "JOIN listings_listedproduct p ON p.id = l.product_id AND p.active "
            "WHERE l.id = ANY (%s) AND l.active AND l.on_shelf",
            [list(sku_ids)],
        )
        found = [(_InCategory(category), ListingRow(*row)) for category, *row in cursor.fetchall()]
    book = rule_book(
        product_ids=[listing.product_id for _category, listing in found], sku_ids=[listing.id for _c, listing in found]
    )
    return {listing.id: Offer(listing, book.price(listing, category)) for category, listing in found}


# -- The panel.


def panel_listings(
    *,
    query: str = "",
    category_id: int | None = None,
    product_id: int | None = None,
    on_shelf: bool | None = None,
    active: bool | None = True,
    stock_state: str = "",
    private: bool | None = None,
) -> QuerySet[Listing]:
    """Listings for the owner's list; sort and slice it, then give the page to `priced`."""
    rows = Listing.objects.all()
    products = ListedProduct.objects.all()
    if category_id is not None:
        products = products.filter(category_id__in=categories_for_home().whole_below(category_id))
    for word in query.split()[:MAX_WORDS]:
        named = ListedProduct.objects.filter(Q(search_text__contains=word.lower()) | Q(own_name__icontains=word))
        rows = rows.filter(
            Q(code__icontains=word) | Q(name_zh__icontains=word) | Q(name_en__icontains=word)
            | Q(product_id__in=named.values("id"))
        )  # fmt: skip
    if category_id is not None:
        rows = rows.filter(product_id__in=products.values("id"))
    if product_id is not None:
        rows = rows.filter(product_id=product_id)
    if on_shelf is not None:
        rows = rows.filter(on_shelf=on_shelf)
    if active is not None:
        rows = rows.filter(active=active)
    if private is not None:
        rows = rows.filter(private_terms=private)
    return rows.filter(stock_state=stock_state) if stock_state else rows


def for_sale_count() -> int:
    """SKUs on the shelf that the library still has: what a plan counts."""
    return Listing.objects.filter(on_shelf=True, active=True).count()


def priced(listings: Iterable[Listing]) -> list[PanelRow]:
    """A page of listings with their products and prices, in three statements."""
    rows = list(listings)
    products = ListedProduct.objects.in_bulk({row.product_id for row in rows})
    # A product that is not there yet comes with the next sync.
    known = [row for row in rows if row.product_id in products]
    book = rule_book(product_ids=list(products), sku_ids=[row.id for row in known])
    return [PanelRow(row, products[row.product_id], book.price(row, products[row.product_id])) for row in known]


def rules() -> list[tuple[MarkupRule, str]]:
    """All rules with the name of what each governs, the widest first."""
    found = list(MarkupRule.objects.order_by("scope", "target_id"))
    names: dict[str, dict[int, str]] = {scope: {} for scope in RuleScope.values}
    targets = {scope: [rule.target_id for rule in found if rule.scope == scope] for scope in RuleScope.values}
    if targets[RuleScope.CATEGORY]:
        names[RuleScope.CATEGORY] = {pk: row.name for pk, row in categories_for_home().by_id.items()}
    if targets[RuleScope.PRODUCT]:
        products = ListedProduct.objects.in_bulk(targets[RuleScope.PRODUCT])
        names[RuleScope.PRODUCT] = {pk: row.own_name or row.name for pk, row in products.items()}
    if targets[RuleScope.SKU]:
        names[RuleScope.SKU] = {
            pk: f"{row.code} {row.name}" for pk, row in Listing.objects.in_bulk(targets[RuleScope.SKU]).items()
        }
    order = list(RuleScope.values)
    named = [(rule, names[rule.scope].get(rule.target_id, "")) for rule in found]
    return sorted(named, key=lambda pair: (order.index(pair[0].scope), pair[1]))


class PricingLine(NamedTuple):
    """What the price of a listing is made of; amounts in ten-thousandths of a unit."""

    id: int
    product_id: int
    category_id: int
    code: str
    name_zh: str
    name_en: str
    currency: str
    supply: int
    suggested: int
    floor: int | None
    ceiling: int | None


def pricing_lines(
    *, after: int = 0, limit: int = 2_000, scope: str = RuleScope.SHOP, targets: Sequence[int] = ()
) -> list[PricingLine]:
    """Active listings by id after `after`, with what prices are made of as integers: for previews of whole shops.

    `targets`: category ids, product ids or SKU ids, by `scope`.
    """
    column = {RuleScope.CATEGORY: "p.category_id", RuleScope.PRODUCT: "l.product_id", RuleScope.SKU: "l.id"}.get(
        RuleScope(scope)
    )
    condition = f"AND {column} = ANY (%s)" if column else ""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.id, l.product_id, p.category_id, l.code, l.name_zh, l.name_en, l.currency, "
            "(l.supply_unit * 10000)::bigint, (l.suggested * 10000)::bigint, (l.floor * 10000)::bigint, "
            "(l.ceiling * 10000)::bigint FROM listings_listing l JOIN listings_listedproduct p ON p.id = l.product_id "
            f"WHERE l.active AND l.id > %s {condition} ORDER BY l.id LIMIT %s",
            [after, *([list(targets)] if column else []), limit],
        )
        return [PricingLine(*row) for row in cursor.fetchall()]
