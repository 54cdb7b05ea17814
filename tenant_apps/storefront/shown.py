"""View models: what the templates print, made once per page, so that a page of sixty cards computes nothing."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from kameng.lib import money
from kameng.lib.words import in_english
from tenant_apps.listings.types import CategoryTree, Offer, ProductDetail, ShelfProduct
from tenant_apps.orders.checkout import MAX_QUANTITY

CODES = "CODES"  # Delivered at once from the code stock; everything else by a person.
LIMITED = frozenset({"CODES", "COUNTED"})  # Stock policies that can run out.
# The columns of a product that its page shows, in either language.
PRODUCT_FACTS = (
    "own_name", "name_zh", "name_en", "own_description", "summary_zh", "summary_en", "description_zh", "description_en",
    "usage_zh", "usage_en", "picture", "delivery", "buyer_fields", "seo_title", "seo_description", "brand_zh", "brand_en",
)  # fmt: skip
FEW = 20  # From here on a card says how many are left.
SHORT_NAME = 10  # In Latin letters, a Chinese one counting two: what fits three times beside itself on a phone.


@dataclass(frozen=True, slots=True)
class Card:
    """One product in a list."""

    url: str
    name: str
    brand: str
    initial: str
    picture: str
    price: str
    before: str  # "from" stands before the price in one language and after it in another.
    after: str
    instant: bool
    stock: str  # OUT, LOW, IN_STOCK.


def cards(products: Sequence[ShelfProduct]) -> list[Card]:
    """Cards in the reader's language."""
    english = in_english()
    before, after = (part.strip() for part in _("from %(price)s").split("%(price)s"))
    made = []
    for row in products:
        ranges = row.from_u4 != row.to_u4  # SKUs of several prices.
        name = row.own_name or (english and row.name_en) or row.name_zh
        made.append(
            Card(
                url=f"/p/{row.slug}/",
                name=name,
                brand=(english and row.brand_en) or row.brand_zh,
                initial=name[:1],
                picture=picture_url(row.picture),
                price=money.format_unit(row.from_price, row.currency),
                before=before if ranges else "",
                after=after if ranges else "",
                instant=row.delivery == CODES,
                stock=row.stock_state,
            )
        )
    return made


def picture_url(name: str) -> str:
    """The address of a library picture, the same on every shop's host."""
    return f"/files/library/{name}" if name else ""


def category_chips(tree: CategoryTree, active: str = "", *, searched: bool = False) -> list[dict[str, Any]]:
    """The chips of the top; the one that `active` (a slug) is or stands below is marked. None when `searched`: what
    was found is not "all goods"."""
    found = tree.by_slug(active) if active else None
    above = {row.id for row in tree.trail(found.id)} if found else set()
    chips = [{"label": _("All goods"), "url": "/", "active": not active and not searched}]
    chips += [{"label": row.name, "url": f"/c/{row.slug}/", "active": row.id in above} for row in tree]
    return chips


def sub_chips(tree: CategoryTree, slug: str) -> list[dict[str, Any]]:
    """The chips below the top: the children of the category, or of the one above when it has none."""
    found = tree.by_slug(slug)
    if found is None:
        return []
    parent = found if tree.children(found.id) else tree.by_id.get(found.parent_id or 0)
    if parent is None:
        return []
    chips = [{"label": _("All"), "url": f"/c/{parent.slug}/", "active": parent.id == found.id}]
    chips += [
        {"label": row.name, "url": f"/c/{row.slug}/", "active": row.id == found.id} for row in tree.children(parent.id)
    ]
    return chips


@dataclass(frozen=True, slots=True)
class Face:
    """One choice of a product."""

    id: int
    name: str
    price: str
    note: str  # "sold out", "3 left", or empty.
    sold_out: bool
    chosen: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One step of "how this price is made"."""

    label: str
    value: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """The part of a product's page that follows the choice: price, saving, reasons, total."""

    sku_id: int
    quantity: int
    most: int
    currency: str
    unit: str
    was: str
    saving: str
    stages: tuple[Line, ...]
    total_minor: int
    total: str
    sold_out: bool
    note: str


def chosen_offer(detail: ProductDetail, sku_id: int | None) -> Offer:
    """The offer asked for; else the first that is not sold out; else the first."""
    by_id = {offer.listing.id: offer for offer in detail.offers}
    if sku_id is not None and sku_id in by_id:
        return by_id[sku_id]
    return next((offer for offer in detail.offers if not offer.listing.sold_out), detail.offers[0])


def faces(detail: ProductDetail, chosen: Offer) -> list[Face]:
    """The choices of a product as chips."""
    names = product_names(detail.product)
    return [
        Face(
            id=offer.listing.id,
            name=face_name(offer.listing.name, *names),
            price=offer.price_text,
            note=stock_note(offer),
            sold_out=offer.listing.sold_out,
            chosen=offer is chosen,
        )
        for offer in detail.offers
    ]


def are_short(choices: Sequence[Face]) -> bool:
    """Whether three of them fit beside each other on a phone."""
    return all(
        sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in face.name) <= SHORT_NAME
        for face in choices
    )


def product_name(product: Any) -> str:
    """The shop's own name for it, or the library's in the reader's language."""
    return str(product.own_name or product.name)


def product_names(product: Any) -> tuple[str, ...]:
    """What a SKU's name may begin with: the shop's own name for the product, the library's names for it."""
    return tuple(name for name in (product.own_name, product.name_en, product.name_zh) if name)


def face_name(sku: str, *products: str) -> str:
    """What tells a SKU from its sisters: its name without the product's in front."""
    before = next((name for name in products if sku.startswith(name)), "")
    return sku.removeprefix(before).strip(" ·-–—:：") or sku


def line_name(line: Any) -> str:
    """An order line's name as snapshot; where the SKU's part repeats the product's, it is said once."""
    name = str((in_english() and line.name_en) or line.name_zh)
    product, part, sku = name.partition(" · ")
    return sku if part and sku.startswith(product) else name


def stock_note(offer: Offer) -> str:
    """ "sold out", "3 left" or nothing."""
    listing = offer.listing
    if listing.sold_out:
        return _("sold out")
    if listing.stock_policy in LIMITED and 0 < listing.stock_available <= FEW:
        return _("%(count)s left") % {"count": listing.stock_available}
    return ""


def most_of(offer: Offer) -> int:
    """How many can be chosen: what is left as of the last sync. The truth is asked when the order is placed."""
    listing = offer.listing
    if listing.stock_policy in LIMITED and listing.stock_available > 0:
        return min(MAX_QUANTITY, listing.stock_available)
    return MAX_QUANTITY


def live(offer: Offer, quantity: int, instant: bool) -> Live:
    """Price, saving and total of a choice."""
    listing, unit, currency = offer.listing, offer.price.unit, offer.price.currency
    total = money.line_total_minor(unit, quantity, currency)
    usual, usual_label = _usual(offer)
    saved = usual - unit if usual is not None else Decimal(0)
    stages: list[Line] = []
    saving = ""
    if usual is not None and saved > 0:
        percent = (saved * 100 / usual).quantize(Decimal("0.1"), ROUND_HALF_UP).normalize()
        saving = _("saves %(amount)s") % {"amount": money.format_unit(saved, currency)}
        stages.append(Line(usual_label, money.format_unit(usual, currency)))
        stages.append(
            Line(_("You save"), money.MINUS + money.format_unit(saved, currency),
                 _("%(percent)s%% less than that") % {"percent": f"{percent:f}"})
        )  # fmt: skip
    stages.append(Line(_("Price of one"), money.format_unit(unit, currency)))
    if quantity > 1:
        stages.append(Line(_("Quantity"), f"× {quantity}"))
    stages.append(Line(_("To pay"), money.format_minor(total, currency)))
    pieces = f"{quantity} × {offer.price_text}"
    when = _("delivered at once") if instant else _("delivered by hand")
    return Live(
        sku_id=listing.id, quantity=quantity, most=most_of(offer), currency=currency, unit=offer.price_text,
        was=money.format_unit(usual, currency) if usual is not None and saved > 0 else "", saving=saving,
        stages=tuple(stages), total_minor=total, total=money.format_minor(total, currency),
        sold_out=listing.sold_out, note=f"{pieces} · {when}",
    )  # fmt: skip


def _usual(offer: Offer) -> tuple[Decimal | None, str]:
    """What the price is held against: the face value in the same currency, else the recommended retail price."""
    listing = offer.listing
    if listing.face_value is not None and listing.currency == offer.price.currency:
        return listing.face_value, _("Face value")
    return listing.suggested, _("Recommended price")


def text_of(product: Any, field: str) -> str:
    """`summary`, `description` or `usage` in the reader's language; the shop's own description goes first."""
    if field == "description" and product.own_description:
        return str(product.own_description)
    return str((in_english() and getattr(product, f"{field}_en")) or getattr(product, f"{field}_zh"))


def structured_data(request: HttpRequest, detail: ProductDetail, shop_name: str) -> dict[str, Any]:
    """schema.org/Product for search engines. Prices as decimal text, in the currency's places."""
    product = detail.product
    offers = [
        {
            "@type": "Offer",
            "name": offer.listing.name,
            "sku": offer.listing.code,
            "price": str(offer.price.unit.normalize().__format__("f")),
            "priceCurrency": offer.price.currency,
            "availability": f"https://schema.org/{'OutOfStock' if offer.listing.sold_out else 'InStock'}",
            "url": request.build_absolute_uri(f"/p/{product.slug}/?sku={offer.listing.id}"),
        }
        for offer in detail.offers
    ]
    data: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "Product",
        "name": product_name(product),
        "description": text_of(product, "summary") or text_of(product, "description"),
        "offers": {
            "@type": "AggregateOffer",
            "priceCurrency": offers[0]["priceCurrency"],
            "lowPrice": str(min(offer.price.unit for offer in detail.offers)),
            "highPrice": str(max(offer.price.unit for offer in detail.offers)),
            "offerCount": len(offers),
            "seller": {"@type": "Organization", "name": shop_name},
            "offers": offers,
        },
    }
    brand = (in_english() and product.brand_en) or product.brand_zh
    if brand:
        data["brand"] = {"@type": "Brand", "name": brand}
    if product.picture:
        data["image"] = request.build_absolute_uri(picture_url(product.picture))
    return data
