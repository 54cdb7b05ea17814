"""Markup rules: previewed for every SKU that they govern, refused as a whole when one would be sold at a loss."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.lib import money
from kameng.lib.errors import Invalid, Missing, Refused
from kameng.lib.words import Sentence, worded
from tenant_apps.listings import selectors
from tenant_apps.listings.models import ListedCategory, ListedProduct, Listing, MarkupRule
from tenant_apps.listings.pricing import (
    FINE_BELOW_U4,
    PriceU4,
    Rule,
    RuleBook,
    StoredRule,
    Terms,
    earnings_u4,
    from_u4,
    price_u4,
)
from tenant_apps.listings.selectors import PricingLine
from tenant_apps.listings.services._terms import current_terms
from tenant_apps.listings.states import Rounding, RuleKind, RuleScope
from tenant_apps.listings.types import PreviewRow, RulePreview

MAX_PERCENT = Decimal(1000)
MAX_AMOUNT = Decimal(1_000_000)
CHUNK = 2_000
NAMED = 5  # How many SKUs a refusal names; its details list more.
LISTED = 100
# A cheap unit is worth less than a cent, and a line of one would be all rounding: it is judged by a hundred.
CHEAP_QUANTITY = 100


class RuleInvalid(Invalid):
    """Not a rule; `field` says what of it."""

    code = "rule_invalid"


class TargetUnknown(Missing):
    """What the rule should govern is not in this shop."""

    code = "rule_target_unknown"


class RuleRefused(Refused):
    """Some SKUs would be sold below cost and fees, or outside their bounds. Nothing was changed.

    `details["listings"]` has {id, code, problem, cure} of the first of them, `details["refused"]` their number.
    """

    code = "rule_refused"


def set_rule(
    *,
    scope: str,
    target_id: int = 0,
    kind: str,
    value: Decimal = Decimal(0),
    rounding: str = Rounding.NONE,
    by: Actor,
    now: datetime,
) -> RulePreview:
    """Set the rule of one scope and target in place of the one that was there; answers what it did to the prices.

    Percent, fixed and suggested prices that leave a SKU's bounds are held at the bound; a price set by hand is refused.
    Raises: RuleInvalid, TargetUnknown, RuleRefused.
    """
    rule = _checked_rule(scope, target_id, kind, value, rounding)
    with transaction.atomic():
        preview = _preview(rule, scope, target_id, now, LISTED)
        _refuse_losses(preview)
        before = MarkupRule.objects.filter(scope=scope, target_id=target_id).values("kind", "value", "rounding").first()
        MarkupRule.objects.update_or_create(
            scope=scope,
            target_id=target_id,
            defaults={"kind": kind, "value": rule.value, "rounding": rounding, "updated_by": by.label[:120]},
        )
        audit.record(
            action="listings.price.set", by=by, target=f"{scope}:{target_id}", at=now, kind=kind, value=str(rule.value),
            rounding=rounding, before=before and {**before, "value": str(before["value"])}, changed=preview.changed,
        )  # fmt: skip
    return preview


def price_category(
    *, category_id: int, percent: Decimal, rounding: str = Rounding.NONE, by: Actor, now: datetime
) -> RulePreview:
    """`set_rule` for a category, in percent. Raises: RuleInvalid, TargetUnknown, RuleRefused."""
    return set_rule(
        scope=RuleScope.CATEGORY, target_id=category_id, kind=RuleKind.PERCENT, value=percent, rounding=rounding, by=by,
        now=now,
    )  # fmt: skip


def remove_rule(*, scope: str, target_id: int = 0, by: Actor, now: datetime) -> RulePreview:
    """Take a rule away; the next wider one prices what it governed. Raises: TargetUnknown, RuleRefused."""
    with transaction.atomic():
        row = MarkupRule.objects.filter(scope=scope, target_id=target_id).first()
        if row is None:
            raise TargetUnknown(_("There is no such rule."))
        preview = _preview(None, scope, target_id, now, LISTED)
        _refuse_losses(preview)
        row.delete()
        audit.record(
            action="listings.price.unset", by=by, target=f"{scope}:{target_id}", at=now, changed=preview.changed
        )
    return preview


def preview_rule(
    *,
    scope: str,
    target_id: int = 0,
    kind: str,
    value: Decimal = Decimal(0),
    rounding: str = Rounding.NONE,
    now: datetime,
    limit: int = LISTED,
) -> RulePreview:
    """What `set_rule` would do, without doing it; counts over all SKUs, the first `limit` rows.

    Raises: RuleInvalid, TargetUnknown.
    """
    return _preview(_checked_rule(scope, target_id, kind, value, rounding), scope, target_id, now, limit)


def preview_without_rule(*, scope: str, target_id: int = 0, now: datetime, limit: int = LISTED) -> RulePreview:
    """What `remove_rule` would do."""
    return _preview(None, scope, target_id, now, limit)


# -- What is a rule.


def _checked_rule(scope: str, target_id: int, kind: str, value: Decimal, rounding: str) -> StoredRule:
    if scope not in RuleScope.values:
        raise RuleInvalid(_("There is no such scope."), field="scope")
    if kind not in RuleKind.values:
        raise RuleInvalid(_("There is no such kind of rule."), field="kind")
    if rounding not in Rounding.values:
        raise RuleInvalid(_("There is no such rounding."), field="rounding")
    if kind == RuleKind.PRICE and scope not in (RuleScope.SKU, RuleScope.PRODUCT):
        raise RuleInvalid(_("A price is set for one SKU or one product, not for a whole category."), field="kind")
    _check_target(scope, target_id)
    return StoredRule(scope, target_id, kind, _checked_value(kind, value), rounding)


def _check_target(scope: str, target_id: int) -> None:
    if scope == RuleScope.SHOP:
        if target_id != 0:
            raise RuleInvalid(_("A rule for the whole shop has no target."), field="target_id")
        return
    rows: dict[str, Any] = {
        RuleScope.CATEGORY: ListedCategory.objects,
        RuleScope.PRODUCT: ListedProduct.objects,
        RuleScope.SKU: Listing.objects,
    }
    if not rows[scope].filter(pk=target_id).exists():
        raise TargetUnknown(_("What this rule should price is not in this shop."), field="target_id")


def _checked_value(kind: str, value: Decimal) -> Decimal:
    if kind == RuleKind.SUGGESTED:
        return Decimal(0)
    try:
        amount = money.parse_unit(str(value))
    except ValueError:
        raise RuleInvalid(_("Write a number with at most four places after the point."), field="value") from None
    if kind == RuleKind.PERCENT and not 0 <= amount <= MAX_PERCENT:
        raise RuleInvalid(_("A markup lies between 0 and 1,000 percent."), field="value")
    if kind == RuleKind.FIXED and not 0 <= amount <= MAX_AMOUNT:
        raise RuleInvalid(_("A markup lies between 0 and 1,000,000."), field="value")
    if kind == RuleKind.PRICE and not 0 < amount <= MAX_AMOUNT:
        raise RuleInvalid(_("A price lies above 0 and at most at 1,000,000."), field="value")
    return amount


# -- What it does.


def _preview(rule: StoredRule | None, scope: str, target_id: int, now: datetime, limit: int) -> RulePreview:
    """The prices under the rules of now and under those with (or, for None, without) the rule, for all it governs."""
    tree = selectors.categories_for_home()
    targets = _below(tree.parents, target_id) if scope == RuleScope.CATEGORY else [target_id]
    terms = current_terms(now=now)
    tally = _Tally(limit)
    for lines in _lines(scope, targets):
        before = selectors.rule_book(
            product_ids=[line.product_id for line in lines], sku_ids=[line.id for line in lines], parents=tree.parents
        )
        after = before.with_rule(rule) if rule is not None else before.without_rule(scope, target_id)
        for line in lines:
            tally.take(line, before, after, terms, (scope, target_id))
    return tally.result()


def _below(parents: dict[int, int | None], category_id: int) -> list[int]:
    """All categories below one, hidden ones too: their SKUs have prices all the same."""
    found = [category_id]
    for at in found:  # Grows while it is walked.
        found += [child for child, parent in parents.items() if parent == at and child not in found]
    return found


def _lines(scope: str, targets: list[int]) -> Iterator[list[PricingLine]]:
    after = 0
    while lines := selectors.pricing_lines(after=after, limit=CHUNK, scope=scope, targets=targets):
        yield lines
        after = lines[-1].id


class _Tally:
    """Counts over all SKUs, and the first rows; those that are refused first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bad: list[PreviewRow] = []
        self._good: list[PreviewRow] = []
        self._affected = self._changed = self._clamped = self._refused = self._unsellable = 0

    def take(
        self, line: PricingLine, before: RuleBook, after: RuleBook, terms: Terms, governs: tuple[str, int]
    ) -> None:
        was, will = (book.rule_for(line.id, line.product_id, line.category_id) for book in (before, after))
        if governs not in ((was.scope, was.target_id), (will.scope, will.target_id)):
            return  # A narrower rule prices this one, before and after.
        old, new = _price(was, line), _price(will, line)
        self._affected += 1
        self._changed += old.retail != new.retail
        clamped = "floor" if new.retail > new.rounded else "ceiling" if new.retail < new.rounded else ""
        self._clamped += bool(clamped)
        quantity = CHEAP_QUANTITY if new.retail < FINE_BELOW_U4 else 1
        net = earnings_u4(new.retail, line.supply, line.currency, quantity, terms).net_minor
        problem = _problem(will, new, clamped, net)
        self._refused += bool(problem)
        self._unsellable += net < 0 and not problem
        kept = self._bad if problem else self._good
        if len(kept) < self._limit:
            cure = _cure(problem, line, terms) if problem else ""
            kept.append(
                PreviewRow(
                    line.id, line.code, line.name_zh, line.name_en, line.currency, from_u4(line.supply),
                    from_u4(old.retail), from_u4(new.rounded), from_u4(new.retail), clamped, quantity, net, problem,
                    cure,
                )
            )  # fmt: skip

    def result(self) -> RulePreview:
        rows = (*self._bad, *self._good)[: self._limit]
        return RulePreview(rows, self._affected, self._changed, self._clamped, self._refused, self._unsellable)


def _price(rule: Rule, line: PricingLine) -> PriceU4:
    return price_u4(rule, line.currency, line.supply, line.suggested, line.floor, line.ceiling)


def _problem(rule: Rule, new: PriceU4, clamped: str, net_minor: int) -> str:
    """Why a price may not be set. A bound that holds a percentage is no reason; the price at the bound is the best
    that can be asked, and if it brings a loss, the checkout refuses it until the library moves the bound."""
    if rule.kind == RuleKind.PRICE and clamped:
        return "below_floor" if clamped == "floor" else "above_ceiling"
    return "below_cost" if net_minor < 0 and not clamped else ""


def _cure(problem: str, line: PricingLine, terms: Terms) -> Sentence:
    if problem == "below_floor":
        return worded(_("Set at least %(price)s."), price=_shown(line.floor or 0, line))
    if problem == "above_ceiling":
        return worded(_("Set at most %(price)s."), price=_shown(line.ceiling or 0, line))
    least = _break_even(line, terms)
    if least is None or (line.ceiling is not None and least > line.ceiling):
        return _("No price within its bounds covers cost and fees; take it off the shelf.")
    return worded(_("Set at least %(price)s."), price=_shown(least, line))


def _break_even(line: PricingLine, terms: Terms) -> int | None:
    """The lowest price, to the cent (or to four places for a cheap unit), that covers cost and fees.

    None: fees eat it all.
    """
    step = 1 if line.supply < FINE_BELOW_U4 else 100
    quantity = CHEAP_QUANTITY if line.supply < FINE_BELOW_U4 else 1

    def covers(steps: int) -> bool:
        return earnings_u4(steps * step, line.supply, line.currency, quantity, terms).net_minor >= 0

    low, high = line.supply // step - 1, line.supply // step
    while not covers(high):
        low, high = high, high * 2 + 1
        if high * step > int(MAX_AMOUNT) * 10_000:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if covers(middle) else (middle, high)
    return high * step


def _shown(amount: int, line: PricingLine) -> str:
    return money.format_unit(from_u4(amount), line.currency)


def _refuse_losses(preview: RulePreview) -> None:
    if not preview.refused:
        return
    bad = [row for row in preview.rows if row.problem]
    if preview.refused == 1:
        message = worded(
            _("%(sku)s would be sold at %(price)s, which is %(problem)s. %(cure)s Nothing was changed."),
            sku=bad[0].code,
            price=money.format_unit(bad[0].asked, bad[0].currency),
            problem=PROBLEMS[bad[0].problem],
            cure=bad[0].cure,
        )
    else:
        message = worded(
            _("%(count)s SKUs would be sold below cost and fees or outside their bounds, among them %(skus)s. "
              "Raise the markup, or price them apart. Nothing was changed."),
            count=preview.refused, skus=", ".join(row.code for row in bad[:NAMED]),
        )  # fmt: skip
    listings = [{"id": row.listing_id, "code": row.code, "problem": row.problem, "cure": str(row.cure)} for row in bad]
    raise RuleRefused(message, field="value", details={"refused": preview.refused, "listings": listings})


PROBLEMS: dict[str, Sentence] = {
    "below_cost": _("below cost and fees"),
    "below_floor": _("below the lowest price allowed"),
    "above_ceiling": _("above the highest price allowed"),
}
