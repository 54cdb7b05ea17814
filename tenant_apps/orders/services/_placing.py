"""Placing an order: what the buyer wants, priced and held, in one transaction of two statements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from kameng.accounts.types import Actor
from kameng.lib import money
from tenant_apps.listings.pricing import Price, RuleBook
from tenant_apps.orders import checkout, identity
from tenant_apps.orders.services import _sql
from tenant_apps.orders.services._errors import (
    ChannelTooDear,
    CurrenciesMixed,
    LinesInvalid,
    OffShelf,
    OrderInvalid,
    PriceMoved,
    PriceOutOfBounds,
    QuantityInvalid,
    ShopClosed,
    SkuMissing,
    SoldOut,
)
from tenant_apps.orders.services._splitting import expected_margin
from tenant_apps.orders.states import OrderState
from tenant_apps.orders.types import PlacedOrder, WantedLine

SOURCES = ("WEB", "API")


class Shelf(NamedTuple):
    """One listing with its product: a row of READ_FOR_CHECKOUT, and what `RuleBook.price` wants to see."""

    id: int
    product_id: int
    code: str
    name_zh: str
    name_en: str
    currency: str
    supply_unit: Decimal
    suggested: Decimal
    floor: Decimal | None
    ceiling: Decimal | None
    for_sale: bool
    category_id: int
    slug: str
    kind: str
    delivery: str
    product_zh: str
    product_en: str
    buyer_fields: Any
    private_terms: bool

    @property
    def full_name_zh(self) -> str:
        return _joined(self.product_zh, self.name_zh)

    @property
    def full_name_en(self) -> str:
        english = self.name_en or self.name_zh
        return _joined(self.product_en or self.product_zh, english) if self.product_en or self.name_en else ""


class _RuleRow(NamedTuple):
    scope: str
    target_id: int
    kind: str
    value: Decimal
    rounding: str


class Terms(NamedTuple):
    """The split rule in force, and the channels that are open to this shop, by the id of their account."""

    rule: Mapping[str, Any]
    channels: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order that is checked and priced, and not written yet: what PLACE wants, and what it is made of."""

    order: PlacedOrder
    params: Mapping[str, Any]
    shelves: Mapping[int, Shelf]
    priced: Sequence[WantedLine]
    terms: Terms


def place_order(
    *,
    lines: Sequence[tuple[int, int]],
    contact: str,
    buyer_fields: Mapping[str, Any],
    expected_total_minor: int | None,
    language: str,
    ip: str,
    source: str,
    by: Actor,
    now: datetime,
    lookup_secret: str | None = None,
) -> PlacedOrder:
    """Place an order in the current shop: all lines or none, stock held until `settings.ORDER_EXPIRY_MINUTES` and a
    grace are over. Two statements.

    Args:
        lines: (sku_id, quantity); a SKU named twice is added up.
        expected_total_minor: The total that the buyer saw; None skips the comparison (a program that just asks).
        source: WEB or API.
        lookup_secret: The query password of the buyer's choice; None makes one.

    Raises: OrderInvalid, QuantityInvalid, SkuMissing, OffShelf, SoldOut, PriceMoved, PriceOutOfBounds, ShopClosed.
    Nothing is written then.
    """
    with transaction.atomic():
        prepared = prepare_order(
            lines=lines, contact=contact, buyer_fields=buyer_fields, expected_total_minor=expected_total_minor,
            language=language, ip=ip, source=source, by=by, now=now, lookup_secret=lookup_secret,
        )  # fmt: skip
        return write_order(prepared, _sql.PLACE)[0]


def prepare_order(
    *, lines: Sequence[tuple[int, int]], contact: str, buyer_fields: Mapping[str, Any], expected_total_minor: int | None,
    language: str, ip: str, source: str, by: Actor, now: datetime, lookup_secret: str | None = None,
) -> Prepared:  # fmt: skip
    """Check and price what a buyer wants; one statement that reads. Arguments and refusals are `place_order`'s."""
    assert source in SOURCES, source
    wanted = _checked_lines(lines)
    try:
        kept_contact = checkout.clean_contact(contact)
        secret = checkout.clean_lookup_secret(lookup_secret) if lookup_secret else identity.new_lookup_secret()
    except checkout.FieldProblem as problem:
        raise OrderInvalid(problem.message, field=problem.field) from None
    shelves, book, terms = read_shelves(list(wanted), now=now)
    for sku_id in wanted:
        if sku_id not in shelves:
            raise SkuMissing(sku_id)
    priced = [_priced(shelves[sku_id], quantity, book) for sku_id, quantity in wanted.items()]
    total, currency = _total(priced, shelves, expected_total_minor)
    fields = _buyer_fields(shelves.values(), buyer_fields)
    number, token = identity.new_number(), identity.new_token()
    pay_by = now + timedelta(minutes=settings.ORDER_EXPIRY_MINUTES)
    params = {
        "number": number, "token_digest": identity.token_digest(token),
        "lookup_digest": identity.lookup_digest(number, secret), "contact": kept_contact,
        "state": str(OrderState.PENDING_PAYMENT), "currency": currency, "total": total,
        "buyer_fields": json.dumps(fields), "language": language[:10], "ip": ip[:45], "source": source, "now": now,
        "pay_by": pay_by, "hold_until": pay_by + timedelta(minutes=settings.HOLD_GRACE_MINUTES),
        "hint": identity.contact_hint(kept_contact), "by_kind": str(by.kind), "by_label": by.label[:120],
        "gate_lines": json.dumps([line.for_gate() for line in priced]),
        "lines": json.dumps([_as_row(line) for line in priced]),
    }  # fmt: skip
    order = PlacedOrder(
        id=0, number=number, token=token, lookup_secret=secret, total_minor=total, currency=currency, pay_by=pay_by
    )
    return Prepared(order, params, shelves, priced, terms)


def write_order(prepared: Prepared, statement: str, **more: Any) -> tuple[PlacedOrder, int]:
    """Write a prepared order by `statement`: PLACE, or one that does more and answers the same columns first. In the
    caller's transaction, which can't go on after a refusal but by rolling back. Answers the order and what it costs the
    shop, in minor units. Refusals are `place_order`'s."""
    try:
        with _sql.through_the_gate(), connection.cursor() as cursor:
            cursor.execute(statement, {**prepared.params, **more})
            rows = cursor.fetchall()
    except _sql.GateRefused as refusal:
        if refusal.code == "KG029":
            raise _too_dear(prepared, cost=int(refusal.detail)) from None
        raise _named(refusal, prepared.shelves) from None
    return replace(prepared.order, id=int(rows[0][0])), _refuse_loss(rows, prepared)


def read_shelves(sku_ids: list[int], *, now: datetime) -> tuple[dict[int, Shelf], RuleBook, Terms]:
    """The listings of these SKUs, the rules that price them and the shop's terms, in one statement. Raises: ShopClosed."""
    with connection.cursor() as cursor:
        cursor.execute(_sql.READ_FOR_CHECKOUT, {"skus": sku_ids, "now": now})
        found = json.loads(cursor.fetchone()[0])
    if found["open"] is False:
        raise ShopClosed()
    book = RuleBook(
        [_RuleRow(scope, target, kind, Decimal(value), rounding) for scope, target, kind, value, rounding in
         found["rules"] or ()],
        dict(found["parents"] or ()),
    )  # fmt: skip
    private = frozenset(found.get("private") or ())
    shelves = {row[0]: _shelf(row, private_terms=row[0] in private) for row in found["rows"] or ()}
    return shelves, book, Terms(found["terms"] or {}, dict(found["channels"] or ()))


def _shelf(row: Sequence[Any], *, private_terms: bool) -> Shelf:
    """A row as it travelled, with its prices as numbers again (columns 6 to 9: supply, suggested, floor, ceiling)."""
    prices = (None if price is None else Decimal(price) for price in row[6:10])
    return Shelf(*row[:6], *prices, *row[10:], private_terms)  # type: ignore[call-arg]  # mypy counts a star as one.


def _checked_lines(lines: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Quantities by SKU id, each within bounds. Raises: OrderInvalid, QuantityInvalid, SkuMissing."""
    if not lines or len(lines) > checkout.MAX_LINES:
        raise LinesInvalid(checkout.MAX_LINES)
    for sku_id, quantity in lines:
        if isinstance(quantity, bool) or not isinstance(quantity, int) or not 1 <= quantity <= checkout.MAX_QUANTITY:
            raise QuantityInvalid(sku_id=sku_id, limit=checkout.MAX_QUANTITY)
        if isinstance(sku_id, bool) or not isinstance(sku_id, int) or not 0 < sku_id < 2**63:
            raise SkuMissing(0)
    wanted = checkout.merged_quantities(lines)
    for sku_id, quantity in wanted.items():
        if quantity > checkout.MAX_QUANTITY:
            raise QuantityInvalid(sku_id=sku_id, limit=checkout.MAX_QUANTITY)
    return wanted


def _priced(shelf: Shelf, quantity: int, book: RuleBook) -> WantedLine:
    if not shelf.for_sale:
        raise OffShelf(sku_id=shelf.id, name=shelf.full_name_zh)
    price: Price = book.price(shelf, shelf)
    total = money.line_total_minor(price.unit, quantity, shelf.currency)
    if price.unit <= 0 or total <= 0:  # Worth less than a cent: nothing that a channel could collect.
        raise PriceOutOfBounds(sku_id=shelf.id, name=shelf.full_name_zh)
    return WantedLine(
        sku_id=shelf.id, quantity=quantity, sku_code=shelf.code, product_slug=shelf.slug, name_zh=shelf.full_name_zh,
        name_en=shelf.full_name_en, kind=shelf.kind, delivery=shelf.delivery, unit=price.unit, total_minor=total,
        # Without its label: the code names a stage in any language.
        stages=[{"code": s.code, "amount": str(s.amount), "detail": s.detail} for s in price.stages],
    )  # fmt: skip


def _total(priced: Sequence[WantedLine], shelves: Mapping[int, Shelf], expected: int | None) -> tuple[int, str]:
    currencies = {shelves[line.sku_id].currency for line in priced}
    if len(currencies) != 1:
        raise CurrenciesMixed()
    total, currency = sum(line.total_minor for line in priced), currencies.pop()
    if expected is not None and total != expected:
        raise PriceMoved(total_minor=total, expected_minor=expected, currency=currency)
    return total, currency


def _buyer_fields(shelves: Any, given: Mapping[str, Any]) -> dict[str, str]:
    wanted: dict[str, Mapping[str, Any]] = {}
    for shelf in shelves:
        for field in shelf.buyer_fields or ():
            wanted[field["key"]] = field
    if not wanted:
        return {}
    try:
        return checkout.clean_buyer_fields(list(wanted.values()), given)
    except checkout.FieldProblem as problem:
        raise OrderInvalid(problem.message, field=problem.field) from None


def _named(refusal: _sql.GateRefused, shelves: Mapping[int, Shelf]) -> Exception:
    """The gate's refusal by its name."""
    shelf = shelves.get(refusal.sku_id)
    name = shelf.full_name_zh if shelf else ""
    if refusal.code == "KG010":
        return SoldOut(sku_id=refusal.sku_id, name=name)
    if refusal.code == "KG011":
        return OffShelf(sku_id=refusal.sku_id, name=name)
    if refusal.code == "KG013":
        return PriceOutOfBounds(sku_id=refusal.sku_id, name=name)
    return ShopClosed() if refusal.code == "KG002" else refusal


def _refuse_loss(rows: Sequence[Any], prepared: Prepared) -> int:
    """The listing's cost may be older than the library's: check each line, and the order with tax and the fee of its
    cheapest channel, against the cost of this moment. Answers the order's cost. Raises: PriceOutOfBounds."""
    costs = {row[1]: row[2] for row in rows}
    worst = min(prepared.priced, key=lambda line: line.total_minor - costs[line.sku_id])
    cost: int = sum(costs.values())
    margin = expected_margin(
        total_minor=prepared.order.total_minor, cost_minor=cost, terms=prepared.terms.rule,
        channels=prepared.terms.channels.values(),
    )  # fmt: skip
    if worst.total_minor < costs[worst.sku_id] or margin < 0:
        raise PriceOutOfBounds(sku_id=worst.sku_id, name=prepared.shelves[worst.sku_id].full_name_zh)
    return cost


def _too_dear(prepared: Prepared, *, cost: int) -> Exception:
    """The chosen channel can't carry the order; can any?"""
    margin = expected_margin(
        total_minor=prepared.order.total_minor, cost_minor=cost, terms=prepared.terms.rule,
        channels=prepared.terms.channels.values(),
    )  # fmt: skip
    if margin >= 0:
        return ChannelTooDear()
    dearest = max(prepared.priced, key=lambda line: line.total_minor)
    return PriceOutOfBounds(sku_id=dearest.sku_id, name=prepared.shelves[dearest.sku_id].full_name_zh)


def _as_row(line: WantedLine) -> dict[str, Any]:
    return {
        "sku_id": line.sku_id, "sku_code": line.sku_code, "product_slug": line.product_slug, "name_zh": line.name_zh,
        "name_en": line.name_en, "kind": line.kind, "delivery": line.delivery, "quantity": line.quantity,
        "unit": str(line.unit), "total_minor": line.total_minor, "stages": list(line.stages),
    }  # fmt: skip


def _joined(product: str, sku: str) -> str:
    """ "Steam 充值卡 · 100 元", or one of the two where they say the same. At most 250 characters."""
    return product if sku in ("", product) else f"{product} · {sku}"
