"""What an audit record says beside who, when and what: its details in the reader's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from kameng.accounts import catalogue
from kameng.accounts.models import Role
from kameng.lib import money
from kameng.lib.words import shorten
from tenant_apps.listings.states import Rounding, RuleKind
from tenant_apps.panel.forms.listings import ProductTexts
from tenant_apps.panel.forms.people import SCOPES
from tenant_apps.panel.forms.shop import ShopForm
from tenant_apps.panel.words import plain

LONGEST = 200
Details = Mapping[str, Any]


def details_words(action: str, details: Details) -> str:
    """In one line: "+12% · Up to 0.1 · before: +8% · 38 prices changed". Empty when there is nothing to say."""
    teller = _TELLERS.get(action, _plainly)
    return shorten(" · ".join(part for part in teller(details) if part), LONGEST)


def _rule(details: Details) -> str:
    kind, value = str(details.get("kind", "")), Decimal(str(details.get("value") or 0))
    shown = {
        RuleKind.PERCENT: f"+{plain(value)}%",
        RuleKind.FIXED: f"+{money.format_unit(value, settings.CURRENCY)}",
        RuleKind.PRICE: money.format_unit(value, settings.CURRENCY),
        RuleKind.SUGGESTED: _("Suggested price"),
    }
    return shown[RuleKind(kind)] if kind in RuleKind.values else ""


def _rounding(details: Details) -> str:
    stored = str(details.get("rounding", ""))
    useful = details.get("kind") in (RuleKind.PERCENT, RuleKind.FIXED) and stored not in ("", Rounding.NONE)
    return str(Rounding(stored).label) if useful and stored in Rounding.values else ""


def _changed_prices(details: Details) -> str:
    count = int(details.get("changed") or 0)
    return ngettext("%(n)s price changed", "%(n)s prices changed", count) % {"n": f"{count:,}"}


def _price_set(details: Details) -> list[str]:
    before = details.get("before")
    was = _("before: %(rule)s") % {"rule": _rule(before)} if before else ""
    return [_rule(details), _rounding(details), was, _changed_prices(details)]


def _price_set_many(details: Details) -> list[str]:
    count = int(details.get("skus") or 0)
    skus = ngettext("%(n)s SKU", "%(n)s SKUs", count) % {"n": f"{count:,}"}
    return [skus, _rule(details), _rounding(details), _changed_prices(details)]


def _shelf(details: Details) -> list[str]:
    count = int(details.get("changed") or 0)
    told = (
        ngettext("%(n)s SKU put on the shelf", "%(n)s SKUs put on the shelf", count)
        if details.get("on")
        else ngettext("%(n)s SKU taken off the shelf", "%(n)s SKUs taken off the shelf", count)
    )
    return [told % {"n": f"{count:,}"}]


def _names(form: Any, changed: Any) -> list[str]:
    fields = form.base_fields
    named = [str(fields[name].label or name) if name in fields else str(name) for name in changed or ()]
    return [", ".join(named)]


def _settings(details: Details) -> list[str]:
    changed = [name for name in details.get("changed") or () if name != "accent"]
    colour = [str(ShopForm.base_fields["accent_choice"].label)] if "accent" in (details.get("changed") or ()) else []
    return [", ".join([part for part in [*_names(ShopForm, changed), *colour] if part])]


def _role(value: Any) -> str:
    return str(Role(value).label) if value in Role.values else str(value or "")


def _role_change(details: Details) -> list[str]:
    return [f"{_role(details.get('before'))} → {_role(details.get('role'))}"]


def _invited(details: Details) -> list[str]:
    return [_role(details.get("role")), _("mailed again") if details.get("again") else ""]


def _revealed(details: Details) -> list[str]:
    count = int(details.get("codes") or 0)
    return [ngettext("%(n)s code", "%(n)s codes", count) % {"n": count}, str(details.get("reason", ""))]


def _token(details: Details) -> list[str]:
    return [", ".join(str(SCOPES.get(scope, scope)) for scope in details.get("scopes") or ())]


def _role_made(details: Details) -> list[str]:
    """What a role of the shop's own was given, and what it lost."""
    parts = []
    for key, sign in (("given", "+"), ("taken", "−")):
        named = [str(catalogue.label(catalogue.Place.SHOP, code)) for code in details.get(key) or ()]
        parts.append(f"{sign} {', '.join(named)}" if named else "")
    return parts


def _hidden(details: Details) -> list[str]:
    return [pgettext("category", "hidden") if details.get("hidden") else pgettext("category", "shown")]


def _plainly(details: Details) -> list[str]:
    """Of what has no words of its own: the texts that people wrote, nothing that only programs understand."""
    return [str(details[key]) for key in ("note", "reason", "sku") if details.get(key)]


def _nothing(_details: Details) -> list[str]:
    return []


_TELLERS: dict[str, Callable[[Details], list[str]]] = {
    "accounts.role.changed": _role_made,
    "accounts.role.made": _role_made,
    "accounts.token.created": _token,
    "listings.category.hide": _hidden,
    "listings.price.set": _price_set,
    "listings.price.set_many": _price_set_many,
    "listings.price.unset": lambda details: [_changed_prices(details)],
    "listings.product.edit": lambda details: _names(ProductTexts, details.get("changed")),
    "listings.shelf.set": _shelf,
    "orders.codes.revealed": _revealed,
    "panel.staff.invited": _invited,
    "panel.staff.role": _role_change,
    "shop.first_step.done": _nothing,
    "shop.logo.set": _nothing,
    "shop.settings.updated": _settings,
}
