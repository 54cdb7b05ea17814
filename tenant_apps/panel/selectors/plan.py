"""What the shop's plan has room for, as the screens show it before it bites."""

from __future__ import annotations

from tenant_apps.listings import selectors as listings
from tenant_apps.panel.selectors import people
from tenants import limits
from tenants.limits import Countable, Limit


def shelf() -> Limit:
    """SKUs for sale on the shelf."""
    return limits.limit(Countable.LISTINGS, used=listings.for_sale_count())


def staff() -> Limit:
    """People who may log in."""
    return limits.limit(Countable.STAFF, used=people.may_log_in())


def has_api() -> bool:
    """Whether programs may work in the shop."""
    return limits.allows(limits.Switch.API)


def has_own_domain() -> bool:
    """Whether the shop may have domains of its own."""
    return limits.allows(limits.Switch.OWN_DOMAIN)
