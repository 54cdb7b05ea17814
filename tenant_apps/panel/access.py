"""Who may open a screen of the panel, and in whose time zone it is drawn."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kameng.accounts.access import owner_required, staff_required
from kameng.accounts.models import Role
from kameng.lib.errors import Forbidden
from tenant_apps.shop import selectors as shops

View = Callable[..., HttpResponseBase]


class ShopClosed(Forbidden):
    """A closed shop's panel is read and exported from, and changes nothing."""

    code = "shop_closed"


def open_when_closed(view: View) -> View:
    """Mark a screen whose deeds an owner needs of a closed shop, too."""
    view.open_when_closed = True  # type: ignore[attr-defined]
    return view


def screen(view: View) -> View:
    """Everybody with a log-in to this shop; a viewer may look and not change."""
    return staff_required(_in_shop_zone(view))


def owner_screen(view: View) -> View:
    """Money, staff and tokens: the owner's alone."""
    return owner_required(_in_shop_zone(view))


def is_owner(request: HttpRequest) -> bool:
    """Whether the reader may see what the shop earns."""
    return getattr(request.user, "role", "") == Role.OWNER


def _in_shop_zone(view: View) -> View:
    @wraps(view)
    def zoned(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        tenant: Any = getattr(request, "tenant", None)
        closed = tenant is not None and tenant.state == "CLOSED" and not getattr(view, "open_when_closed", False)
        if closed and request.method not in ("GET", "HEAD"):
            raise ShopClosed(_("Your shop is closed for good: it can be read and exported, not changed."))
        with timezone.override(zoneinfo.ZoneInfo(shops.shop_settings().time_zone)):
            return view(request, *args, **kwargs)

    return zoned
