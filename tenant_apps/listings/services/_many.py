"""One markup for many chosen SKUs: previewed and refused as a whole, like the rule of a category."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.lib.errors import Invalid
from kameng.lib.words import worded
from tenant_apps.listings import selectors
from tenant_apps.listings.models import Listing, MarkupRule
from tenant_apps.listings.pricing import StoredRule
from tenant_apps.listings.services import _rules
from tenant_apps.listings.services._editing import ListingUnknown
from tenant_apps.listings.services._terms import current_terms
from tenant_apps.listings.states import Rounding, RuleScope
from tenant_apps.listings.types import RulePreview

MAX_AT_ONCE = 1_000  # A rule per SKU; what is wider than this is better priced by category.


def preview_many(
    *,
    sku_ids: Collection[int],
    kind: str,
    value: Decimal = Decimal(0),
    rounding: str = Rounding.NONE,
    now: datetime,
    limit: int = _rules.LISTED,
) -> RulePreview:
    """What `set_many` would do, without doing it. Raises: RuleInvalid, ListingUnknown, Invalid (too many)."""
    return _preview(_checked(sku_ids, kind, value, rounding), now, limit)


def set_many(
    *,
    sku_ids: Collection[int],
    kind: str,
    value: Decimal = Decimal(0),
    rounding: str = Rounding.NONE,
    by: Actor,
    now: datetime,
) -> RulePreview:
    """Give each of these SKUs the same rule of its own, all or none. Raises: as `preview_many`, and RuleRefused."""
    rules = _checked(sku_ids, kind, value, rounding)
    with transaction.atomic():
        preview = _preview(rules, now, _rules.LISTED)
        _rules._refuse_losses(preview)
        MarkupRule.objects.bulk_create(
            [MarkupRule(**rule._asdict(), updated_at=now, updated_by=by.label[:120]) for rule in rules],
            update_conflicts=True,
            unique_fields=("scope", "target_id"),
            update_fields=("kind", "value", "rounding", "updated_at", "updated_by"),
        )
        audit.record(
            action="listings.price.set_many", by=by, at=now, kind=kind, value=str(rules[0].value), rounding=rounding,
            skus=len(rules), changed=preview.changed, first=[rule.target_id for rule in rules[:100]],
        )  # fmt: skip
    return preview


def _checked(sku_ids: Collection[int], kind: str, value: Decimal, rounding: str) -> list[StoredRule]:
    wanted = sorted(set(sku_ids))
    if not wanted:
        raise Invalid(_("Choose at least one SKU."), code="nothing_chosen")
    if len(wanted) > MAX_AT_ONCE:
        message = _("At most %(max)s SKUs are priced at once. Set the rule of a category for more.")
        raise Invalid(worded(message, max=f"{MAX_AT_ONCE:,}"), code="too_many_chosen")
    first = _rules._checked_rule(RuleScope.SKU, wanted[0], kind, value, rounding)
    if Listing.objects.filter(pk__in=wanted).count() != len(wanted):
        raise ListingUnknown(_("Some of these SKUs are not in this shop. Nothing was changed."))
    return [first._replace(target_id=sku_id) for sku_id in wanted]


def _preview(rules: list[StoredRule], now: datetime, limit: int) -> RulePreview:
    terms = current_terms(now=now)
    parents = selectors.categories_for_home().parents
    tally = _rules._Tally(limit)
    for lines in _rules._lines(RuleScope.SKU, [rule.target_id for rule in rules]):
        before = selectors.rule_book(
            product_ids=[line.product_id for line in lines], sku_ids=[line.id for line in lines], parents=parents
        )
        after = before.with_rules(RuleScope.SKU, rules)
        for line in lines:
            tally.take(line, before, after, terms, (RuleScope.SKU, line.id))
    return tally.result()
