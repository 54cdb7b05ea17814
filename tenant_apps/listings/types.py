"""What crosses the borders of the listings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from kameng.lib import money
from kameng.lib.words import Sentence, in_english

if TYPE_CHECKING:
    from tenant_apps.listings.pricing import Price


@dataclass(frozen=True, slots=True)
class ShelfCategory:
    """A category as the shop has it."""

    id: int
    slug: str
    name_zh: str
    name_en: str
    parent_id: int | None
    icon: str
    visible: bool  # Neither closed by the library nor hidden by the shop.

    @property
    def name(self) -> str:
        return (in_english() and self.name_en) or self.name_zh


class CategoryTree:
    """All categories of the shop, read once per request. Iterating gives the visible ones of the top."""

    def __init__(self, rows: list[ShelfCategory]) -> None:
        self.rows = rows
        self.by_id = {row.id: row for row in rows}
        self.parents: dict[int, int | None] = {row.id: row.parent_id for row in rows}
        # One that stands below a hidden one is hidden with it.
        self.hidden = [row.id for row in rows if not all(above.visible for above in self.trail(row.id))]
        self._hidden = frozenset(self.hidden)

    def __iter__(self) -> Iterator[ShelfCategory]:
        return iter(self.children(None))

    def children(self, parent_id: int | None) -> list[ShelfCategory]:
        """Visible categories right below one."""
        return [row for row in self.rows if row.parent_id == parent_id and row.id not in self._hidden]

    def trail(self, category_id: int) -> list[ShelfCategory]:
        """From the top down to the category itself; empty when it is not there."""
        trail: list[ShelfCategory] = []
        at: int | None = category_id
        while at is not None and at in self.by_id and self.by_id[at] not in trail:
            trail.append(self.by_id[at])
            at = self.by_id[at].parent_id
        return trail[::-1]

    def by_slug(self, slug: str) -> ShelfCategory | None:
        """A visible category, or None."""
        return next((row for row in self.rows if row.slug == slug and row.id not in self._hidden), None)

    def below(self, category_id: int) -> list[int]:
        """The category's id and those of all visible ones below it."""
        found = [category_id]
        for at in found:  # Grows while it is walked.
            found += [row.id for row in self.children(at) if row.id not in found]
        return found

    def whole_below(self, category_id: int) -> list[int]:
        """The same with the hidden ones, whose goods the owner's lists still show."""
        found = [category_id]
        for at in found:  # Grows while it is walked.
            found += [child for child, parent in self.parents.items() if parent == at and child not in found]
        return found


@dataclass(frozen=True, slots=True)
class ShelfProduct:
    """A product as a card of a page shows it."""

    id: int
    slug: str
    category_id: int
    name_zh: str
    name_en: str
    own_name: str
    brand_zh: str
    brand_en: str
    brand_colour: str
    kind: str
    delivery: str
    summary_zh: str
    summary_en: str
    picture: str
    cursor: str
    from_u4: int  # The lowest price of its SKUs, in ten-thousandths of a unit.
    to_u4: int
    currency: str
    sku_count: int
    stock_state: str  # The best of its SKUs.

    @property
    def name(self) -> str:
        return self.own_name or (in_english() and self.name_en) or self.name_zh

    @property
    def brand(self) -> str:
        return (in_english() and self.brand_en) or self.brand_zh

    @property
    def summary(self) -> str:
        return (in_english() and self.summary_en) or self.summary_zh

    @property
    def from_price(self) -> Decimal:
        return Decimal(self.from_u4).scaleb(-4)

    @property
    def to_price(self) -> Decimal:
        return Decimal(self.to_u4).scaleb(-4)

    @property
    def from_price_text(self) -> str:
        return money.format_unit(self.from_price, self.currency)

    @property
    def sold_out(self) -> bool:
        return self.stock_state == "OUT"


@dataclass(frozen=True, slots=True)
class ProductPage:
    """Cards of one page; `next_cursor` is empty on the last."""

    products: list[ShelfProduct]
    next_cursor: str


@dataclass(frozen=True, slots=True)
class ListingRow:
    """A SKU as the shop has it, with what its price is made of."""

    id: int
    product_id: int
    code: str
    name_zh: str
    name_en: str
    face_value: Decimal | None
    currency: str
    supply_unit: Decimal
    suggested: Decimal
    floor: Decimal | None
    ceiling: Decimal | None
    stock_policy: str
    stock_state: str
    stock_available: int
    active: bool
    on_shelf: bool
    private_terms: bool

    @property
    def name(self) -> str:
        return (in_english() and self.name_en) or self.name_zh

    @property
    def for_sale(self) -> bool:
        return self.active and self.on_shelf

    @property
    def sold_out(self) -> bool:
        return self.stock_state == "OUT"


@dataclass(frozen=True, slots=True)
class Offer:
    """A listing and its price."""

    listing: ListingRow
    price: Price

    @property
    def price_text(self) -> str:
        return money.format_unit(self.price.unit, self.price.currency)


@dataclass(frozen=True)
class ProductDetail:
    """A product's page: its texts, its SKUs with prices, where it stands."""

    product: Any  # A ListedProduct row.
    offers: tuple[Offer, ...]
    trail: tuple[ShelfCategory, ...]


@dataclass(frozen=True, slots=True)
class PanelRow:
    """A listing in the owner's list."""

    listing: Any  # A Listing row.
    product: Any  # Its ListedProduct row.
    price: Price

    @property
    def margin(self) -> Decimal:
        """What a unit brings above its supply price, before fees."""
        return self.price.unit - self.price.supply

    @property
    def margin_percent(self) -> Decimal:
        """The same in percent of the supply price, one place."""
        return (self.margin * 100 / self.price.supply).quantize(Decimal("0.1"))


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """What a rule would do to one listing. Amounts per unit; `net_minor` is what the owner keeps of `quantity`."""

    listing_id: int
    code: str
    name_zh: str
    name_en: str
    currency: str
    supply: Decimal
    old: Decimal
    asked: Decimal  # What the rule makes, before the bounds.
    new: Decimal
    clamped: str  # floor, ceiling or empty.
    quantity: int
    net_minor: int
    problem: str  # below_cost, below_floor, above_ceiling or empty.
    cure: Sentence = ""

    @property
    def name(self) -> str:
        return (in_english() and self.name_en) or self.name_zh


@dataclass(frozen=True, slots=True)
class RulePreview:
    """What a rule would do to all that it governs. `rows` are the first, the refused ones before the others."""

    rows: tuple[PreviewRow, ...]
    affected: int
    changed: int
    clamped: int
    refused: int
    unsellable: int  # Held at a ceiling below cost and fees: nothing that a rule could mend.
