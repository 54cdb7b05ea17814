"""All prices of a shop at once: for sorting by price and margin, and for finding what sells at a bound or at a loss.

A price is made by rules and is no column, so a list in the order of prices needs every price once. It is computed in
integers, kept in the cache for a minute, and made anew at once when a rule changes.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.core.cache import cache
from django.db.models import Count, Max

from tenant_apps.listings import selectors as listings
from tenant_apps.listings import services
from tenant_apps.listings.models import MarkupRule
from tenant_apps.listings.pricing import FINE_BELOW_U4, RuleBook, Terms, earnings_u4, price_u4

CACHE_SECONDS = 60
CHUNK = 5_000
CHEAP_QUANTITY = 100  # A unit worth less than a cent is judged by a hundred of them.
FREE, FLOOR, CEILING, LOSS = 0, 1, 2, 4  # Bits of a listing's state.


@dataclass(frozen=True, slots=True)
class Pricelist:
    """Parallel arrays by listing: id, price and margin in ten-thousandths, state bits."""

    ids: array[int]
    retail_u4: array[int]
    margin_u4: array[int]
    supply_u4: array[int]
    state: array[int]

    def ids_with(self, bits: int) -> list[int]:
        """Listings whose state has one of these bits."""
        return [pk for pk, state in zip(self.ids, self.state, strict=True) if state & bits]

    def ordered(self, key: str, *, descending: bool, within: Iterable[int]) -> list[int]:
        """`within` by "price", "supply" or "margin" (percent of the supply price); unknown ids are left out."""
        if key == "margin":
            value = {
                pk: margin * 1_000_000 // max(supply, 1)
                for pk, margin, supply in zip(self.ids, self.margin_u4, self.supply_u4, strict=True)
            }
        else:
            value = dict(zip(self.ids, self.retail_u4 if key == "price" else self.supply_u4, strict=True))
        known = [pk for pk in within if pk in value]
        return sorted(known, key=lambda pk: (value[pk], pk), reverse=descending)


def pricelist(now: datetime) -> Pricelist:
    """The shop's prices, at most a minute old where the library changed, never older than its rules."""
    rules = MarkupRule.objects.aggregate(n=Count("pk"), at=Max("updated_at"))
    terms = services.current_terms(now=now)
    version = hashlib.sha256(f"{rules['n']}:{rules['at']}:{terms}".encode()).hexdigest()[:16]
    key = f"panel:pricelist:{version}"
    found: Pricelist | None = cache.get(key)
    if found is None:
        found = _made(terms)
        cache.set(key, found, CACHE_SECONDS)
    return found


def _made(terms: Terms) -> Pricelist:
    book = RuleBook(MarkupRule.objects.all(), listings.categories_for_home().parents)
    made = Pricelist(array("q"), array("q"), array("q"), array("q"), array("B"))
    after = 0
    while lines := listings.pricing_lines(after=after, limit=CHUNK):
        for line in lines:
            rule = book.rule_for(line.id, line.product_id, line.category_id)
            price = price_u4(rule, line.currency, line.supply, line.suggested, line.floor, line.ceiling)
            bits = FLOOR if price.retail > price.rounded else CEILING if price.retail < price.rounded else FREE
            if line.floor is not None and price.retail == line.floor:
                bits |= FLOOR
            quantity = CHEAP_QUANTITY if price.retail < FINE_BELOW_U4 else 1
            if earnings_u4(price.retail, line.supply, line.currency, quantity, terms).net_minor < 0:
                bits |= LOSS
            made.ids.append(line.id)
            made.retail_u4.append(price.retail)
            made.margin_u4.append(price.retail - line.supply)
            made.supply_u4.append(line.supply)
            made.state.append(bits)
        after = lines[-1].id
    return made
