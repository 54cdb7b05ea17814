"""The frame of every screen: menu, crumbs, and how a refusal comes back into a form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from kameng.accounts import catalogue, support
from kameng.accounts.access import may, permission_words
from kameng.accounts.views import local_address
from kameng.db.context import MAIN, pointed_at
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.words import Sentence
from shared_apps.regions import selectors as regions
from tenant_apps.panel.access import is_closed, may_change, sees_money
from tenant_apps.panel.selectors import orders
from tenant_apps.shop import selectors as shops

FRAME = "ui/console.html"
Crumb = tuple[Sentence, str]
Item = dict[str, Any]


def page(
    request: HttpRequest,
    template: str,
    *,
    here: str,
    heading: Sentence,
    crumbs: tuple[Crumb, ...] = (),
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """Render a screen. `here` names the menu's entry that it belongs to; crumbs are (label, address) pairs."""
    frame = _frame(request)
    trail = [{"label": label, "url": url} for label, url in crumbs]
    shown = {
        "nav": _nav(request, here, waiting=orders.waiting_count(), offers=_offers(request)) if frame == FRAME else [],
        "nav_home": reverse("panel:overview"),
        "search_url": reverse("panel:search"),
        "brand_sub": _("Shop panel"),
        "shop": shops.shop_settings(),
        "crumbs": [*trail, {"label": heading, "url": ""}] if trail else [],
        "heading": heading,
        "here": here,
        "frame": frame,
        "sees_money": sees_money(request),
        "may": permission_words(request),
        "support_visit": getattr(request.user, "visit", None),
        "support_present": support.present(clock.utc_now())
        if frame == FRAME and may(request, catalogue.SUPPORT_VISITS)
        else [],
        "may_change": may_change(request),
        # What a buyer has paid for is delivered, whatever the shop owes. A closed one has nothing left to deliver.
        "may_deliver": may(request, catalogue.ORDERS_DELIVER) and not is_closed(request),
        **context,
    }
    response = render(request, template, shown, status=status)
    # One address, two answers: a page kept by the browser must not be answered with a fragment.
    patch_vary_headers(response, ["HX-Request"])
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def _offers(request: HttpRequest) -> int:
    """People of the shop's region who wait for the reader's answer."""
    if not may(request, catalogue.REGION_ANSWER):
        return 0
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    with pointed_at(MAIN):  # In the page's own transaction: a savepoint would be two statements more for each page.
        return regions.offer_count(tenant.id, at=clock.utc_now())


def _frame(request: HttpRequest) -> str:
    """The frame that the template extends: none of it for a part that htmx swaps in."""
    htmx: Any = getattr(request, "htmx", None)
    return "panel/_fragment.html" if htmx and not htmx.history_restore_request else FRAME


def refuse(form: forms.BaseForm, error: DomainError, **renamed: str) -> None:
    """Put a service's refusal at the field that it names. `renamed`: the service's name of a field → the form's."""
    field = renamed.get(error.field, error.field)
    form.add_error(field if field in form.fields else None, str(error))


def say(request: HttpRequest, words: Sentence) -> None:
    """A toast on the next page."""
    messages.success(request, str(words))


def back_to(request: HttpRequest, fallback: str) -> str:
    """Where the form that was sent wants to return to (`next`), when it is an address of this shop."""
    return local_address(request, request.POST.get("next") or request.GET.get("next") or "", fallback)


def pages_named(request: HttpRequest, query: str) -> list[Item]:
    """The panel's own pages that the reader may open and whose name has `query` in it, as `nav` items."""
    word = query.strip().lower()
    items = [item for group in _nav(request, "", waiting=0, offers=0) for item in group["items"]] if word else []
    return [item for item in items if word in str(item["label"]).lower()]


def _nav(request: HttpRequest, here: str, *, waiting: int, offers: int) -> list[dict[str, Any]]:
    """The menu: what the reader may open, and no group without an entry."""
    money = sees_money(request)

    def item(name: str, label: str, icon: str, wanted: str, *, bar: bool = False, badge: int = 0) -> list[Item]:
        if not may(request, wanted):
            return []
        return [{
            "label": label, "url": reverse(f"panel:{name}"), "icon": icon, "active": name == here, "bar": bar,
            "badge": str(badge) if badge else "",
        }]  # fmt: skip

    groups = [
        ("", item("overview", _("Overview"), "home", catalogue.OWN, bar=True)),
        (
            pgettext("menu", "Goods"),
            item("listings", pgettext("menu", "Listings"), "package", catalogue.GOODS_LOOK, bar=True)
            + item("pricing", _("Prices"), "percent", catalogue.GOODS_LOOK)
            + item("customise", _("Categories and texts"), "edit", catalogue.GOODS_LOOK),
        ),
        (
            _("Orders"),
            item("orders", _("All orders"), "receipt", catalogue.ORDERS_LOOK, bar=True)
            + item("queue", _("To do"), "inbox", catalogue.ORDERS_LOOK, badge=waiting, bar=not money),
        ),
        (
            _("Money"),
            item("statement", _("Statement"), "wallet", catalogue.MONEY_LOOK, bar=True)
            + item("billing", _("Plan and billing"), "card", catalogue.BILLING_MANAGE),
        ),
        (
            pgettext("menu", "Shop"),
            item("settings", _("Shop settings"), "shop", catalogue.SETTINGS_LOOK)
            + item("domains", pgettext("menu", "Domains"), "globe", catalogue.DOMAINS_MANAGE)
            + item("region", pgettext("menu", "My region"), "pin", catalogue.REGION_ANSWER, badge=offers)
            + item("staff", pgettext("menu", "Staff"), "users", catalogue.PEOPLE_MANAGE)
            + item("roles", _("Roles"), "shield", catalogue.PEOPLE_MANAGE)
            + item("tokens", _("API tokens"), "key", catalogue.TOKENS_MANAGE)
            + item("archives", pgettext("menu", "Archives"), "download", catalogue.ARCHIVE_MAKE)
            + item("support", pgettext("menu", "Support visits"), "eye", catalogue.SUPPORT_VISITS),
        ),
        ("", item("audit", _("Activity"), "history", catalogue.ACTIVITY_LOOK)),
    ]
    return [{"label": label, "items": items} for label, items in groups if items]
