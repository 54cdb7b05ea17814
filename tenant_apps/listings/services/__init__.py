"""Everything that a shop changes of its listings: prices, shelf, own texts."""

from tenant_apps.listings.services._editing import (
    ListingUnknown,
    ProductUnknown,
    TextInvalid,
    edit_product,
    fill_room,
    hide_category,
    set_on_shelf,
)
from tenant_apps.listings.services._many import MAX_AT_ONCE, preview_many, set_many
from tenant_apps.listings.services._rules import (
    RuleInvalid,
    RuleRefused,
    TargetUnknown,
    preview_rule,
    preview_without_rule,
    price_category,
    remove_rule,
    set_rule,
)
from tenant_apps.listings.services._terms import current_terms

__all__ = [
    "MAX_AT_ONCE",
    "ListingUnknown",
    "ProductUnknown",
    "RuleInvalid",
    "RuleRefused",
    "TargetUnknown",
    "TextInvalid",
    "current_terms",
    "edit_product",
    "fill_room",
    "hide_category",
    "preview_many",
    "preview_rule",
    "preview_without_rule",
    "price_category",
    "remove_rule",
    "set_many",
    "set_on_shelf",
    "set_rule",
]
