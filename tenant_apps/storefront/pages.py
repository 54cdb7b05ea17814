"""What the shop's views share: rendering in the shop's zone, the closed shop, the headers of private pages."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Hashable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone

from kameng.lib.errors import Missing
from kameng.web.errors import wants_json
from tenant_apps.shop.selectors import ShopAway, open_shop, shop_settings
from tenant_apps.shop.types import ShopInfo
from tenant_apps.storefront.memory import remembered

RETRY_AFTER_S = 3600
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def page(
    request: HttpRequest, template: str, context: Mapping[str, Any], *, shop: ShopInfo | None = None, status: int = 200
) -> HttpResponse:
    """Render with the shop's face and times in the shop's zone. `shop` saves the second look into the cache."""
    return HttpResponse(_html(request, template, context, shop or shop_settings()), status=status)


def goods_page(
    request: HttpRequest, template: str, facts: Hashable, context: Callable[[], Mapping[str, Any]], *, shop: ShopInfo
) -> HttpResponse:
    """A page that all visitors see alike, made of `facts` (tenant_apps.storefront.memory); `context` is called only
    when they were not rendered before."""
    html = remembered(
        request, (template, facts, shop), lambda more: _html(request, template, {**context(), **more}, shop)
    )
    return HttpResponse(html)


def _html(request: HttpRequest, template: str, context: Mapping[str, Any], shop: ShopInfo) -> str:
    with timezone.override(zoneinfo.ZoneInfo(shop.time_zone)):
        return render_to_string(template, {"shop": shop, **context}, request)


def closed_page(request: HttpRequest, away: ShopAway) -> HttpResponse:
    """The shop's own words instead of its goods: 503, so that no search engine takes it for the shop."""
    response = page(request, "storefront/closed.html", {"away": away}, status=away.status)
    response["Retry-After"] = str(RETRY_AFTER_S)
    return response


def selling(view: Callable[Concatenate[HttpRequest, ShopInfo, P], HttpResponse]) -> View[P]:
    """A view of an open shop: it is handed the shop's settings; a closed shop answers 503 instead."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            tenant: Any = request.tenant  # type: ignore[attr-defined]
            shop = open_shop(allowed=tenant.sells, state=tenant.state)
        except ShopAway as away:
            if wants_json(request):
                raise
            return closed_page(request, away)
        try:
            return view(request, shop, *args, **kwargs)
        except Missing as missing:
            return _missing(request, missing)

    return guarded


def private(view: View[P]) -> View[P]:
    """A page that a secret opens: kept by no cache, told to no other site, found by no search engine."""

    @wraps(view)
    def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            return sealed(view(request, *args, **kwargs))
        except Missing as missing:
            return sealed(_missing(request, missing))

    return guarded


def _missing(request: HttpRequest, missing: Missing) -> HttpResponse:
    """The shop's own page for what is not there or not yours; a program gets its JSON."""
    if wants_json(request):
        raise missing
    return missing_page(request, str(missing))


def missing_page(request: HttpRequest, words: str) -> HttpResponse:
    """404, with the shop's search and the ways on."""
    return page(request, "storefront/not_found.html", {"words": words}, status=Missing.status)


def sealed(response: HttpResponse) -> HttpResponse:
    """Put the headers of a private page on.

    "same-origin" tells other sites as little as "no-referrer" does; under the latter browsers send the page's own forms
    with `Origin: null`, and the form token's check refuses them.
    """
    response["Cache-Control"] = "no-store, private"
    response["Referrer-Policy"] = "same-origin"
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response
