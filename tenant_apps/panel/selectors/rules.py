"""Markup rules with the names of what they price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Q, QuerySet

from tenant_apps.listings import selectors as listings
from tenant_apps.listings.models import ListedProduct, Listing, MarkupRule
from tenant_apps.listings.states import RuleScope
from tenant_apps.listings.types import CategoryTree
from tenant_apps.panel.selectors import goods

NARROW = (RuleScope.PRODUCT, RuleScope.SKU)


@dataclass(frozen=True, slots=True)
class NamedRule:
    """A rule and what it prices: a name, for a SKU its code, and the product whose page shows it (or None)."""

    rule: MarkupRule
    name: str
    code: str = ""
    product_id: int | None = None


def narrow(query: str = "") -> QuerySet[MarkupRule]:
    """Rules of single products and SKUs, the newest first; of those whose goods `query` finds."""
    rows = MarkupRule.objects.filter(scope__in=NARROW)
    if query.strip():
        found = listings.panel_listings(query=query, active=None)
        rows = rows.filter(
            Q(scope=RuleScope.SKU, target_id__in=found.values("id"))
            | Q(scope=RuleScope.PRODUCT, target_id__in=found.values("product_id"))
        )
    return rows.order_by("-updated_at", "-pk")


def named(rules: Iterable[MarkupRule]) -> list[NamedRule]:
    """Rules of products and SKUs, named, in their order; what is gone from the shop is called by its number."""
    found = list(rules)
    products = ListedProduct.objects.in_bulk([rule.target_id for rule in found if rule.scope == RuleScope.PRODUCT])
    skus = Listing.objects.in_bulk([rule.target_id for rule in found if rule.scope == RuleScope.SKU])
    titles = goods.titles(skus)
    rows = []
    for rule in found:
        if rule.scope == RuleScope.SKU and rule.target_id in skus:
            sku = skus[rule.target_id]
            rows.append(NamedRule(rule, titles[sku.pk], sku.code, sku.product_id))
        elif rule.scope == RuleScope.PRODUCT and rule.target_id in products:
            product = products[rule.target_id]
            rows.append(NamedRule(rule, goods.product_name(product), product_id=product.pk))
        else:
            rows.append(NamedRule(rule, f"#{rule.target_id}"))
    return rows


def exported(wide: Iterable[MarkupRule], narrow_rules: Iterable[MarkupRule], tree: CategoryTree) -> list[NamedRule]:
    """All of them for a file, the widest first."""
    names = {row.id: row.name for row in tree.rows}
    rows = [NamedRule(rule, names.get(rule.target_id, "")) for rule in wide]
    rows.sort(key=lambda row: (row.rule.scope != RuleScope.SHOP, row.name))
    return rows + named(narrow_rules)
