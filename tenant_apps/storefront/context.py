"""What every page on a shop's host knows, its log-in and its error pages too: the shop's own face."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from tenant_apps.shop.selectors import shop_settings


def shop_face(request: HttpRequest) -> dict[str, Any]:
    """`shop` and the addresses of the layout, on a shop's host. Read when a template first asks, not before."""
    if getattr(request, "tenant", None) is None:
        return {}
    return {
        "shop": SimpleLazyObject(shop_settings),
        "home_url": "/",
        "search_url": "/search/",
        "lookup_url": "/find/",
        "about_url": "/about/",
    }
