"""What acts were about, by name: a record keeps an id or a code, and people know things by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from kameng.accounts.models import AuditRecord
from tenant_apps.listings import selectors as listings
from tenant_apps.listings.models import ListedProduct
from tenant_apps.listings.states import RuleScope
from tenant_apps.panel.selectors import goods


@dataclass(frozen=True, slots=True)
class About:
    """What an act was about, and the page that shows it, or an empty address."""

    name: str
    url: str = ""


def about(records: Sequence[AuditRecord]) -> list[About]:
    """For each record in its order; three statements at most, whatever the number of records."""
    names = _Names(records)
    return [names.of(record) for record in records]


class _Names:
    def __init__(self, records: Sequence[AuditRecord]) -> None:
        rules = [_rule(record.target) for record in records if record.action.startswith("listings.price.")]
        wide = any(scope == RuleScope.CATEGORY for scope, _pk in rules)
        if wide or any(record.action == "listings.category.hide" for record in records):
            self.categories = {row.id: row.name for row in listings.categories_for_home().rows}
        else:
            self.categories = {}
        self.skus = goods.titles([pk for scope, pk in rules if scope == RuleScope.SKU])
        ids = [pk for scope, pk in rules if scope == RuleScope.PRODUCT]
        slugs = [record.target for record in records if record.action == "listings.product.edit"]
        products = list(ListedProduct.objects.filter(pk__in=ids)) if ids else []
        edited = list(ListedProduct.objects.filter(slug__in=slugs)) if slugs else []
        self.products = {row.pk: row for row in products}
        self.edited = {row.slug: row for row in edited}

    def of(self, record: AuditRecord) -> About:
        action, target = record.action, record.target
        if action.startswith("listings.price.") and target:
            return self._of_rule(target)
        if action == "listings.category.hide":
            return About(self.categories.get(_number(target), target), reverse("panel:customise"))
        if action == "listings.product.edit" and target in self.edited:
            product = self.edited[target]
            return About(goods.product_name(product), reverse("panel:product", args=[product.pk]))
        if action.startswith("support."):
            return About("")  # Who came and why stands beside it.
        if action.startswith("shop."):
            return About("" if target == "shop" else target, reverse("panel:settings"))
        if action.startswith(("orders.", "panel.order")) and target:
            return About(target, _order_url(target))
        return About(target)

    def _of_rule(self, target: str) -> About:
        scope, pk = _rule(target)
        names: dict[RuleScope | None, dict[int, str]] = {
            RuleScope.CATEGORY: self.categories,
            RuleScope.PRODUCT: {key: goods.product_name(row) for key, row in self.products.items()},
            RuleScope.SKU: self.skus,
        }
        name = _("The whole shop") if scope == RuleScope.SHOP else names.get(scope, {}).get(pk, "")
        if not name:  # Not in the shop any more.
            return About(target)
        return About(name, f"{reverse('panel:rule')}?scope={scope}&target={pk}")


def _rule(target: str) -> tuple[RuleScope | None, int]:
    scope, _colon, pk = target.partition(":")
    return (RuleScope(scope), _number(pk)) if scope in RuleScope.values else (None, -1)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1


def _order_url(number: str) -> str:
    try:
        return reverse("panel:order", args=[number])
    except NoReverseMatch:  # A number that no address can hold, from another time.
        return ""
