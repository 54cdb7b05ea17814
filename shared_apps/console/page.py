"""The frame of every console page: menu, crumbs, badges, and how a refusal comes back into a form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from kameng.accounts import catalogue
from kameng.accounts.access import may, may_change
from kameng.lib.errors import DomainError
from shared_apps.console.lists import Filters
from shared_apps.console.selectors import overview

Crumb = tuple[str, str]
Item = dict[str, Any]


def page(
    request: HttpRequest,
    template: str,
    *,
    here: str,
    heading: str,
    crumbs: tuple[Crumb, ...] = (),
    status: int = 200,
    **context: Any,
) -> HttpResponse:
    """Render a console page. `here` names the menu's entry that it belongs to; crumbs are (label, address) pairs."""
    user: Any = request.user
    if not may_change(request):
        _close(context)
    trail = [{"label": label, "url": url} for label, url in crumbs]
    shown = {
        "nav": _nav(request, here),
        "nav_home": reverse("console:overview"),
        "search_url": reverse("console:search"),
        "brand_sub": _("Main station"),
        "crumbs": [*trail, {"label": heading, "url": ""}] if trail else [],
        "heading": heading,
        "may_change": may_change(request),
        "may": {code.replace(".", "_"): True for code in user.permissions},
        **context,
    }
    return render(request, template, shown, status=status)


def posted(request: HttpRequest) -> QueryDict | None:
    """What a form is bound to: what was sent, also when that is nothing; None where the page is only looked at."""
    return request.POST if request.method == "POST" else None


def refuse(form: forms.BaseForm, error: DomainError, **renamed: str) -> None:
    """Put a service's refusal at the field that it names. `renamed`: the service's name of a field → the form's."""
    field = renamed.get(error.field, error.field)
    form.add_error(field if field in form.fields else None, str(error))


def _close(context: dict[str, Any]) -> None:
    """Forms are shown to somebody who may only look, and can't be filled; what filters a list stays open."""
    for value in context.values():
        for form in value if isinstance(value, (list, forms.BaseFormSet)) else [value]:
            if isinstance(form, forms.BaseForm) and not isinstance(form, Filters):
                for field in form.fields.values():
                    field.disabled = True


# What each entry of the menu needs; the overview and the search are everybody's.
_NEEDS = {
    "overview": catalogue.OWN, "orders": catalogue.SALES_LOOK, "substations": catalogue.NETWORK_LOOK,
    "plans": catalogue.PLANS_LOOK, "sync": catalogue.SYSTEM_LOOK, "products": catalogue.LIBRARY_LOOK,
    "categories": catalogue.LIBRARY_LOOK, "brands": catalogue.LIBRARY_LOOK, "imports": catalogue.LIBRARY_LOOK,
    "levels": catalogue.STOCK_LOOK, "batches": catalogue.STOCK_LOOK, "code_import": catalogue.STOCK_LOOK,
    "reveals": catalogue.STOCK_LOOK, "keys": catalogue.STOCK_LOOK, "accounts": catalogue.LEDGER_LOOK,
    "cases": catalogue.CASES_LOOK, "inbox": catalogue.CASES_LOOK, "merchants": catalogue.MERCHANTS_LOOK,
    "rules": catalogue.SPLITS_LOOK, "invoices": catalogue.INVOICES_LOOK, "unpaid": catalogue.INVOICES_LOOK,
    "regions": catalogue.REGIONS_LOOK, "people": catalogue.STATION_PEOPLE_LOOK, "roles": catalogue.STATION_PEOPLE_LOOK,
    "audit": catalogue.AUDIT_LOOK, "jobs": catalogue.SYSTEM_LOOK, "tokens": catalogue.STATION_TOKENS_LOOK,
}  # fmt: skip


def _nav(request: HttpRequest, here: str) -> list[dict[str, Any]]:
    """The menu: what the reader may open, and no group without an entry."""
    groups = _groups(here)
    for group in groups:
        group["items"] = [item for item in group["items"] if may(request, _NEEDS[item["name"]])]
    return [group for group in groups if group["items"]]


def _groups(here: str) -> list[dict[str, Any]]:
    waiting = overview.waiting()

    def item(name: str, label: str, icon: str, *, bar: str = "", badge: int = 0) -> Item:
        return {
            "name": name,
            "label": label, "url": reverse(f"console:{name}"), "icon": icon, "active": name == here, "bar": bar,
            "badge": str(badge) if badge else "",
        }  # fmt: skip

    return [
        {
            "label": "",
            "items": [
                item("overview", _("Overview"), "home", bar=_("Overview")),
                item("orders", _("Orders"), "receipt", bar=_("Orders")),
            ],
        },
        {
            "label": _("Substations"),
            "items": [
                item("substations", _("Substations"), "shop", bar=_("Substations")),
                item("plans", _("Plans"), "layers"),
                item("regions", _("Regions"), "pin", badge=waiting["leads"]),
                item("sync", _("Sync"), "sync", badge=waiting["sync_errors"]),
            ],
        },
        {
            "label": _("Products"),
            "items": [
                item("products", _("Products"), "package"),
                item("categories", _("Categories"), "grid"),
                item("brands", _("Brands"), "tag"),
                item("imports", _("Import and export"), "upload"),
            ],
        },
        {
            "label": _("Stock"),
            "items": [
                item("levels", _("Stock levels"), "box"),
                item("batches", _("Code batches"), "key"),
                item("code_import", _("Import codes"), "upload"),
                item("reveals", _("Codes seen"), "eye"),
                item("keys", _("Encryption keys"), "shield"),
            ],
        },
        {
            "label": _("Money"),
            "items": [
                item("accounts", _("Ledger"), "ledger"),
                item("invoices", _("Invoices"), "file"),
                item("unpaid", _("Unpaid"), "bell", badge=waiting["unpaid"]),
                item("cases", _("Payment cases"), "scale", bar=_("Cases"), badge=waiting["cases"]),
                item("inbox", _("Webhook inbox"), "webhook", badge=waiting["events"]),
                item("merchants", _("Merchant accounts"), "card"),
                item("rules", _("Split rules"), "percent"),
            ],
        },
        {
            "label": _("System"),
            "items": [
                item("people", _("People"), "users"),
                item("roles", _("Roles"), "shield"),
                item("audit", _("Audit trail"), "history"),
                item("jobs", _("Background jobs"), "clock", badge=waiting["jobs"]),
                item("tokens", _("API tokens"), "lock"),
            ],
        },
    ]
