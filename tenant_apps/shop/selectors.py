"""The shop's settings, read at every page: from the cache, whose keys begin with the tenant."""

from __future__ import annotations

from dataclasses import fields

from django.core.cache import cache
from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.db.context import require_tenant
from kameng.lib.errors import Unavailable
from kameng.lib.words import worded
from tenant_apps.shop.models import ShopSettings
from tenant_apps.shop.types import ShopInfo

CACHE_KEY = "shop:settings"
# Saving drops the entry; the limit bounds what a reader can bring back who read just before the save committed.
CACHE_SECONDS = 60


def shop_settings() -> ShopInfo:
    """The current shop's settings, at most a minute old and fresh after a save. Raises: NoTenant.

    On a miss it reads in a transaction of its own, so that error pages outside a request's transaction may ask.
    """
    require_tenant()
    found: ShopInfo | None = cache.get(CACHE_KEY)
    if found is None:
        with transaction.atomic():
            found = read_settings()
        cache.set(CACHE_KEY, found, CACHE_SECONDS)
    return found


def read_settings() -> ShopInfo:
    """The row itself, past the cache; for forms that edit it. In the caller's transaction."""
    row = ShopSettings.objects.get(pk=1)
    return ShopInfo(**{item.name: getattr(row, item.name) for item in fields(ShopInfo)})


class ShopAway(Unavailable):
    """The shop sells nothing now: its owner closed it, or the main station suspended or closed it."""

    code = "shop_away"


# Why a shop sells nothing, where its state in the network says more than that it does not.
_AWAY = {
    "CLOSING": _("%(shop)s is closing and takes no new orders."),
    "CLOSED": _("%(shop)s has closed for good."),
}


def open_shop(*, allowed: bool, state: str = "") -> ShopInfo:
    """The settings of a shop that sells now; `allowed`: `TenantInfo.sells`, `state`: its state, for the words.

    For pages and API alike; what buyers have bought is shown by pages that don't ask this. Raises: ShopAway.
    """
    shop = shop_settings()
    if not allowed:
        raise ShopAway(worded(_AWAY.get(state, _("%(shop)s is closed at the moment.")), shop=shop.name))
    if not shop.open:
        raise ShopAway(worded(_("%(shop)s is taking a break and sells nothing right now."), shop=shop.name))
    return shop
