"""The frame of every screen: menu, crumbs, and how a refusal comes back into a form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from kameng.accounts import support
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.words import Sentence
from shared_apps.regions import selectors as regions
from tenant_apps.panel.access import is_owner
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
    owner = is_owner(request)
    works_here = bool(getattr(request.user, "may_change", False))
    unpaid = bool(getattr(getattr(request, "tenant", None), "read_only", False))
    frame = _frame(request)
    trail = [{"label": label, "url": url} for label, url in crumbs]
    shown = {
        "nav": _nav(here, owner=owner, waiting=orders.waiting_count(), offers=_offers(request) if owner else 0)
        if frame == FRAME
        else [],
        "nav_home": reverse("panel:overview"),
        "search_url": reverse("panel:search"),
        "brand_sub": _("Shop panel"),
        "shop": shops.shop_settings(),
        "crumbs": [*trail, {"label": heading, "url": ""}] if trail else [],
        "heading": heading,
        "here": here,
        "frame": frame,
        "is_owner": owner,
        "support_visit": getattr(request.user, "visit", None),
        "support_present": support.present(clock.utc_now()) if owner and frame == FRAME else [],
        "may_change": works_here and not unpaid,
        "may_deliver": works_here,  # What a buyer has paid for is delivered, whatever the shop owes.
        **context,
    }
    response = render(request, template, shown, status=status)
    # One address, two answers: a page kept by the browser must not be answered with a fragment.
    patch_vary_headers(response, ["HX-Request"])
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def _offers(request: HttpRequest) -> int:
    """People of the shop's region who wait for its answer."""
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    with in_main():
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
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else fallback


def pages_named(query: str, *, owner: bool) -> list[Item]:
    """The panel's own pages whose name has `query` in it, as `nav` items."""
    word = query.strip().lower()
    items = [item for group in _nav("", owner=owner, waiting=0, offers=0) for item in group["items"]] if word else []
    return [item for item in items if word in str(item["label"]).lower()]


def _nav(here: str, *, owner: bool, waiting: int, offers: int) -> list[dict[str, Any]]:

    def item(name: str, label: str, icon: str, *, bar: bool = False, badge: int = 0) -> Item:
        return {
            "label": label, "url": reverse(f"panel:{name}"), "icon": icon, "active": name == here, "bar": bar,
            "badge": str(badge) if badge else "",
        }  # fmt: skip

    groups = [
        {"label": "", "items": [item("overview", _("Overview"), "home", bar=True)]},
        {
            "label": pgettext("menu", "Goods"),
            "items": [
                item("listings", pgettext("menu", "Listings"), "package", bar=True),
                item("pricing", _("Prices"), "percent"),
                item("customise", _("Categories and texts"), "edit"),
            ],
        },
        {
            "label": _("Orders"),
            "items": [
                item("orders", _("All orders"), "receipt", bar=True),
                item("queue", _("To do"), "inbox", badge=waiting, bar=not owner),
            ],
        },
    ]
    if owner:
        money = [item("statement", _("Statement"), "wallet", bar=True), item("billing", _("Plan and billing"), "card")]
        groups.append({"label": _("Money"), "items": money})
    shop = [item("settings", _("Shop settings"), "shop")]
    if owner:
        shop += [
            item("domains", pgettext("menu", "Domains"), "globe"),
            item("region", pgettext("menu", "My region"), "pin", badge=offers),
            item("staff", pgettext("menu", "Staff"), "users"),
            item("tokens", _("API tokens"), "key"),
            item("archives", pgettext("menu", "Archives"), "download"),
        ]
        shop += [item("support", pgettext("menu", "Support visits"), "eye")]
    groups.append({"label": pgettext("menu", "Shop"), "items": shop})
    groups.append({"label": "", "items": [item("audit", _("Activity"), "history")]})
    return groups
