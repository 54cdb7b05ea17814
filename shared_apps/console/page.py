"""The frame of every console page: menu, crumbs, badges, and how a refusal comes back into a form."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from kameng.accounts import catalogue
from kameng.accounts.access import may, may_change, permission_words
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
        "may": permission_words(request),
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


def _nav(request: HttpRequest, here: str) -> list[dict[str, Any]]:
    """The menu: what the reader may open, and no group without an entry."""
    waiting = overview.waiting()

    def item(name: str, label: str, icon: str, wanted: str, *, bar: str = "", badge: int = 0) -> list[Item]:
        if not may(request, wanted):
            return []
        return [{
            "label": label, "url": reverse(f"console:{name}"), "icon": icon, "active": name == here, "bar": bar,
            "badge": str(badge) if badge else "",
        }]  # fmt: skip

    groups = [
        (
            "",
            item("overview", _("Overview"), "home", catalogue.OWN, bar=_("Overview"))
            + item("orders", _("Orders"), "receipt", catalogue.SALES_LOOK, bar=_("Orders")),
        ),
        (
            _("Substations"),
            item("substations", _("Substations"), "shop", catalogue.NETWORK_LOOK, bar=_("Substations"))
            + item("plans", _("Plans"), "layers", catalogue.PLANS_LOOK)
            + item("regions", _("Regions"), "pin", catalogue.REGIONS_LOOK, badge=waiting["leads"])
            + item("sync", _("Sync"), "sync", catalogue.SYSTEM_LOOK, badge=waiting["sync_errors"]),
        ),
        (
            _("Products"),
            item("products", _("Products"), "package", catalogue.LIBRARY_LOOK)
            + item("categories", _("Categories"), "grid", catalogue.LIBRARY_LOOK)
            + item("brands", _("Brands"), "tag", catalogue.LIBRARY_LOOK)
            + item("imports", _("Import and export"), "upload", catalogue.LIBRARY_LOOK),
        ),
        (
            _("Stock"),
            item("levels", _("Stock levels"), "box", catalogue.STOCK_LOOK)
            + item("batches", _("Code batches"), "key", catalogue.STOCK_LOOK)
            + item("code_import", _("Import codes"), "upload", catalogue.STOCK_LOOK)
            + item("reveals", _("Codes seen"), "eye", catalogue.STOCK_LOOK)
            + item("keys", _("Encryption keys"), "shield", catalogue.STOCK_LOOK),
        ),
        (
            _("Money"),
            item("accounts", _("Ledger"), "ledger", catalogue.LEDGER_LOOK)
            + item("invoices", _("Invoices"), "file", catalogue.INVOICES_LOOK)
            + item("unpaid", _("Unpaid"), "bell", catalogue.INVOICES_LOOK, badge=waiting["unpaid"])
            + item("cases", _("Payment cases"), "scale", catalogue.CASES_LOOK, bar=_("Cases"), badge=waiting["cases"])
            + item("inbox", _("Webhook inbox"), "webhook", catalogue.CASES_LOOK, badge=waiting["events"])
            + item("merchants", _("Merchant accounts"), "card", catalogue.MERCHANTS_LOOK)
            + item("rules", _("Split rules"), "percent", catalogue.SPLITS_LOOK),
        ),
        (
            _("System"),
            item("people", _("People"), "users", catalogue.STATION_PEOPLE_LOOK)
            + item("roles", _("Roles"), "shield", catalogue.STATION_PEOPLE_LOOK)
            + item("audit", _("Audit trail"), "history", catalogue.AUDIT_LOOK)
            + item("jobs", _("Background jobs"), "clock", catalogue.SYSTEM_LOOK, badge=waiting["jobs"])
            + item("tokens", _("API tokens"), "lock", catalogue.STATION_TOKENS_LOOK),
        ),
    ]
    return [{"label": label, "items": items} for label, items in groups if items]
