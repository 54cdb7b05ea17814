"""Who may open a screen of the panel, and in whose time zone it is drawn."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

from kameng.accounts import catalogue
from kameng.accounts.access import allowed, may
from tenant_apps.shop import selectors as shops

View = Callable[..., HttpResponseBase]


def screen(look: str, *, change: str = "") -> Callable[[View], View]:
    """A screen for those whose role has the permission; the other one is needed to change (`accounts.access.allowed`)."""
    door = allowed(look, change=change)

    def decorated(view: View) -> View:
        return door(_in_shop_zone(view))

    return decorated


def sees_money(request: HttpRequest) -> bool:
    """Whether the reader may see what the shop earns."""
    return may(request, catalogue.MONEY_LOOK)


def _in_shop_zone(view: View) -> View:
    @wraps(view)
    def zoned(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with timezone.override(zoneinfo.ZoneInfo(shops.shop_settings().time_zone)):
            return view(request, *args, **kwargs)

    return zoned
