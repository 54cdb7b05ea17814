"""One function makes every price: supply → markup rule → rounding → bounds → retail, with its stages and reasons.

Pure: it reads no database. Inside, amounts are integers in ten-thousandths of a unit ("u4"), because a page of the
shop prices some hundred SKUs and integers are exact and many times faster than Decimal. See docs/pricing.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from django.utils.translation import gettext_lazy as _

from kameng.lib import money
from kameng.lib.words import Sentence, worded
from shared_apps.splits import arithmetic
from tenant_apps.listings.states import Rounding, RuleKind, RuleScope

U4 = 10_000  # Unit prices have four places.
PERCENT_U4 = 100 * U4  # A percentage has four places as well: 12.5 % is 125,000 of these.
# Below one whole unit of the currency a price keeps its four places: a QQ coin at 0.0085 is not sold at 0.01.
FINE_BELOW_U4 = U4

STAGE_LABELS: dict[str, Sentence] = {
    "supply": _("Supply price of your plan"),
    "private": _("Supply price agreed for your shop alone"),
    "suggested": _("Suggested price"),
    "percent": _("Markup in percent"),
    "fixed": _("Markup as an amount"),
    "price": _("Price set by hand"),
    "rounding": _("Rounding"),
    "floor": _("Raised to the lowest price allowed"),
    "ceiling": _("Lowered to the highest price allowed"),
    "retail": _("Retail price"),
}
_MARKUP_STAGE = {
    RuleKind.PERCENT: "percent",
    RuleKind.FIXED: "fixed",
    RuleKind.PRICE: "price",
    RuleKind.SUGGESTED: "suggested",
}


class PricedListing(Protocol):
    """What a price is made of; a `Listing` row or anything with the same columns."""

    @property
    def id(self) -> int: ...
    @property
    def product_id(self) -> int: ...
    @property
    def currency(self) -> str: ...
    @property
    def supply_unit(self) -> Decimal: ...
    @property
    def suggested(self) -> Decimal: ...
    @property
    def floor(self) -> Decimal | None: ...
    @property
    def ceiling(self) -> Decimal | None: ...
    @property
    def private_terms(self) -> bool: ...


class PricedProduct(Protocol):
    """The product of a listing, for the rules of its category."""

    @property
    def category_id(self) -> int: ...


class RuleRow(Protocol):
    """A markup rule as stored. `value` is percent points or money per unit."""

    @property
    def scope(self) -> str: ...
    @property
    def target_id(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def value(self) -> Decimal: ...
    @property
    def rounding(self) -> str: ...


@dataclass(frozen=True)
class Stage:
    """One step of a price. `amount` is the unit price after it; `detail` is JSON-safe."""

    code: str
    label: Sentence
    amount: Decimal
    detail: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """JSON-safe, in the language of now; `code` names the stage in any language (`STAGE_LABELS`)."""
        return {"code": self.code, "label": str(self.label), "amount": str(self.amount), "detail": self.detail}


@dataclass(frozen=True)
class Price:
    """The retail price of one unit and how it came about. All amounts per unit, four places."""

    unit: Decimal
    stages: tuple[Stage, ...]
    supply: Decimal
    currency: str

    @property
    def clamped(self) -> str:
        """`floor`, `ceiling`, or empty when the rule's own price stands."""
        return next((stage.code for stage in self.stages if stage.code in ("floor", "ceiling")), "")

    @property
    def covers_supply(self) -> bool:
        """False when a unit costs more than it brings, before any fee."""
        return self.unit >= self.supply

    def as_json(self) -> dict[str, Any]:
        """All of it, for the shop and its order lines. Not for buyers: it tells the supply price."""
        return {
            "unit": str(self.unit),
            "supply": str(self.supply),
            "currency": self.currency,
            "stages": [stage.as_json() for stage in self.stages],
        }

    def public_json(self) -> dict[str, Any]:
        """What a buyer may see: the price and whether a bound moved it, nothing that tells what it costs the shop."""
        shown = [stage.as_json() for stage in self.stages if stage.code in ("floor", "ceiling", "retail")]
        return {"unit": str(self.unit), "currency": self.currency, "stages": shown}


NO_SHARES = arithmetic.Shares(platform_bps=0)


@dataclass(frozen=True)
class Terms:
    """What a sale pays besides its cost: the part of the split rule in force that touches the shop's earnings.

    `channel_fees`: {"stripe": {"bps": 290, "fixed_minor": 200}, …} of the gross amount, for the channels that the shop
    offers.
    """

    shares: arithmetic.Shares = NO_SHARES
    tax_bps: int = 0
    channel_fees: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Earnings:
    """What a shop keeps of one line. Minor units."""

    gross_minor: int
    cost_minor: int
    platform_fee_minor: int
    channel_fee_minor: int
    net_minor: int
    other_minor: int = 0  # Tax, partners, outlet, agent.

    @property
    def at_a_loss(self) -> bool:
        return self.net_minor < 0

    def as_json(self) -> dict[str, int]:
        return dict(vars(self))


def earnings(price: Price, quantity: int, terms: Terms, channel: str = "") -> Earnings:
    """What the owner keeps of `quantity` units at `price`; without a `channel`, through the dearest one."""
    return earnings_u4(to_u4(price.unit), to_u4(price.supply), price.currency, quantity, terms, channel)


def earnings_u4(unit: int, supply: int, currency: str, quantity: int, terms: Terms, channel: str = "") -> Earnings:
    """`earnings` for amounts in ten-thousandths; the split itself is shared_apps.splits'."""
    gross = money.line_total_minor(from_u4(unit), quantity, currency)
    named = [terms.channel_fees.get(channel, {})] if channel else terms.channel_fees.values()
    split = arithmetic.split_sale(
        gross_minor=gross,
        supply_minor=money.line_cost_minor(from_u4(supply), quantity, currency),
        tax_minor=money.share_bps_minor(gross, terms.tax_bps),
        channel_fee_minor=max((arithmetic.channel_fee_minor(gross, fee) for fee in named), default=0),
        shares=terms.shares,
        subsidized=True,  # Not granted: asked for, so that a loss is a number instead of a refusal.
    )
    others = split.tax + split.partner + split.outlet + split.agent
    return Earnings(gross, split.supply, split.platform_fee, split.channel_fee, split.rest - split.subsidy, others)


class PriceU4(NamedTuple):
    """The price after each step, as integers in ten-thousandths of a unit."""

    marked: int
    rounded: int
    retail: int


class Rule(NamedTuple):
    """A rule ready for arithmetic."""

    scope: str
    target_id: int
    kind: str
    value_u4: int
    rounding: str


NO_RULE = Rule("", 0, RuleKind.SUGGESTED, 0, Rounding.NONE)


def to_u4(amount: Decimal) -> int:
    """Decimal("12.5") → 125000."""
    return int(amount.scaleb(4))


def from_u4(amount: int) -> Decimal:
    """125000 → Decimal("12.5000")."""
    return Decimal(amount).scaleb(-4)


def price_u4(rule: Rule, currency: str, supply: int, suggested: int, floor: int | None, ceiling: int | None) -> PriceU4:
    """The arithmetic of a price, and the only place that has it."""
    kind = rule.kind
    if kind == RuleKind.PERCENT:  # Rounded up to four places: a markup never falls short of what was asked.
        marked = -(-supply * (PERCENT_U4 + rule.value_u4) // PERCENT_U4)
    elif kind == RuleKind.FIXED:
        marked = supply + rule.value_u4
    elif kind == RuleKind.PRICE:
        marked = rule.value_u4
    else:
        marked = suggested
    rounded = marked if kind == RuleKind.PRICE or rule is NO_RULE else _rounded_up(marked, rule.rounding, currency)
    retail = rounded
    # The floor goes last: were the library to hold a ceiling below it, the network's minimum stands.
    if ceiling is not None and retail > ceiling:
        retail = ceiling
    if floor is not None and retail < floor:
        retail = floor
    return PriceU4(marked, rounded, retail)


def _rounded_up(amount: int, rounding: str, currency: str) -> int:
    minor: int = U4 // 10 ** money.exponent(currency)
    if rounding == Rounding.NONE:
        return amount if amount < FINE_BELOW_U4 else -(-amount // minor) * minor
    if rounding == Rounding.TENTH:
        step = max(U4 // 10, minor)
        return -(-amount // step) * step
    if rounding == Rounding.WHOLE:
        return -(-amount // U4) * U4
    nines = 10 * U4 - max(U4 // 10, minor)  # 9.9, or 9 in a currency without a fraction.
    return max(-(-(amount - nines) // (10 * U4)), 0) * 10 * U4 + nines


class RuleBook:
    """All rules of one shop, ready to price; built once per request.

    Args:
        rules: MarkupRule rows.
        parents: Category id → parent's id, for the rules of a category above.
    """

    def __init__(self, rules: Iterable[RuleRow], parents: Mapping[int, int | None] | None = None) -> None:
        self._by_scope: dict[str, dict[int, Rule]] = {scope: {} for scope in RuleScope.values}
        for row in rules:
            self._by_scope[row.scope][row.target_id] = as_rule(row)
        self._parents = parents or {}
        self._sku_rules = self._by_scope[RuleScope.SKU]
        self._product_rules = self._by_scope[RuleScope.PRODUCT]
        self._by_category: dict[int, Rule] = {}

    def with_rule(self, row: RuleRow) -> RuleBook:
        """A copy in which `row` replaces the rule of the same scope and target: for previews."""
        return self._copy({**self._by_scope[row.scope], row.target_id: as_rule(row)}, row.scope)

    def with_rules(self, scope: str, rows: Iterable[RuleRow]) -> RuleBook:
        """A copy in which `rows`, all of one scope, replace the rules of their targets."""
        return self._copy({**self._by_scope[scope], **{row.target_id: as_rule(row) for row in rows}}, scope)

    def without_rule(self, scope: str, target_id: int) -> RuleBook:
        """A copy without one rule."""
        rest = {target: rule for target, rule in self._by_scope[scope].items() if target != target_id}
        return self._copy(rest, scope)

    def _copy(self, rules: dict[int, Rule], scope: str) -> RuleBook:
        book = RuleBook((), self._parents)
        book._by_scope = {**self._by_scope, scope: rules}
        book._sku_rules = book._by_scope[RuleScope.SKU]
        book._product_rules = book._by_scope[RuleScope.PRODUCT]
        return book

    def rule_for(self, sku_id: int, product_id: int, category_id: int) -> Rule:
        """The narrowest rule: SKU, product, category or the nearest above it, shop; else NO_RULE."""
        return (
            self._sku_rules.get(sku_id)
            or self._product_rules.get(product_id)
            or self._by_category.get(category_id)
            or self._category_rule(category_id)
        )

    def _category_rule(self, category_id: int) -> Rule:
        rules = self._by_scope[RuleScope.CATEGORY]
        seen: set[int] = set()
        at: int | None = category_id
        found = None
        while at is not None and at not in seen and found is None:  # `seen`: a loop in the tree must not hang a page.
            seen.add(at)
            found = rules.get(at)
            at = self._parents.get(at)
        rule = found or self._by_scope[RuleScope.SHOP].get(0) or NO_RULE
        self._by_category[category_id] = rule
        return rule

    def unit_u4(
        self,
        sku_id: int,
        product_id: int,
        category_id: int,
        currency: str,
        supply: int,
        suggested: int,
        floor: int | None,
        ceiling: int | None,
    ) -> int:
        """The retail price alone, in ten-thousandths: for lists, where nobody reads the stages."""
        rule = self.rule_for(sku_id, product_id, category_id)
        return price_u4(rule, currency, supply, suggested, floor, ceiling).retail

    def price(self, listing: PricedListing, product: PricedProduct) -> Price:
        """The price of one unit of `listing`, with its stages."""
        rule = self.rule_for(listing.id, listing.product_id, product.category_id)
        return explained(rule, listing)


class StoredRule(NamedTuple):
    """A markup rule's columns, without its model."""

    scope: str
    target_id: int
    kind: str
    value: Decimal
    rounding: str


def as_rule(row: RuleRow) -> Rule:
    """A stored rule, ready for arithmetic."""
    return Rule(row.scope, row.target_id, row.kind, to_u4(row.value), row.rounding)


def explained(rule: Rule, listing: PricedListing) -> Price:
    """The price of `listing` under `rule`, stage by stage. A stage that changes nothing is left out."""
    supply = to_u4(listing.supply_unit)
    floor = None if listing.floor is None else to_u4(listing.floor)
    ceiling = None if listing.ceiling is None else to_u4(listing.ceiling)
    made = price_u4(rule, listing.currency, supply, to_u4(listing.suggested), floor, ceiling)
    cost = "private" if listing.private_terms else "supply"
    stages = [_stage(cost, supply), _markup_stage(rule, made.marked)]
    if made.rounded != made.marked:
        stages.append(_stage("rounding", made.rounded, rounding=str(rule.rounding)))
    if made.retail > made.rounded:
        stages.append(_stage("floor", made.retail, floor=str(listing.floor), asked=str(from_u4(made.rounded))))
    elif made.retail < made.rounded:
        stages.append(_stage("ceiling", made.retail, ceiling=str(listing.ceiling), asked=str(from_u4(made.rounded))))
    stages.append(_stage("retail", made.retail))
    return Price(from_u4(made.retail), tuple(stages), from_u4(supply), listing.currency)


def _stage(code: str, amount: int, **detail: Any) -> Stage:
    return Stage(code, STAGE_LABELS[code], from_u4(amount), detail)


def _markup_stage(rule: Rule, marked: int) -> Stage:
    if rule is NO_RULE:
        return _stage("suggested", marked)
    detail = {"scope": str(rule.scope), "target_id": rule.target_id}
    if rule.kind != RuleKind.SUGGESTED:
        detail["value"] = str(from_u4(rule.value_u4))
    return _stage(_MARKUP_STAGE[RuleKind(rule.kind)], marked, **detail)


def stage_sentence(stage: Mapping[str, Any], currency: str) -> Sentence:
    """A stored stage in the reader's language: "Markup in percent (12.5 %)"."""
    label = STAGE_LABELS[stage["code"]]
    value = stage.get("detail", {}).get("value")
    if value is None:
        return label
    if stage["code"] == "percent":
        shown = f"{Decimal(value).normalize():f} %"
    else:
        shown = money.format_unit(Decimal(value), currency)
    return worded(_("%(stage)s (%(value)s)"), stage=label, value=shown)
