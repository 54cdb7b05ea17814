"""The permission catalogue: everything that people may be allowed or not, as data, and the roles made of it.

One list per place: a shop's panel, the main station's console. A screen or an API operation names one of these codes
(`kameng.accounts.access.allowed`, `SCOPE_NEEDS`); a role, built in or a shop's own, is a set of them. Nothing else in
the project decides by a role's name, but the rule that an owner stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.lib.words import Sentence


class Place(StrEnum):
    SHOP = "SHOP"  # A substation's panel and API.
    MAIN = "MAIN"  # The billing console and the main station's API.


@dataclass(frozen=True)
class Permission:
    """One thing to be allowed. `changes`: it writes. `proof`: of money or codes, so the deed wants a second factor."""

    code: str
    group: Sentence
    label: Sentence
    changes: bool = False
    proof: bool = False


# Held by everybody who is logged in: the overview, the search, their own account.
OWN = "own.account"

# -- The shop's.

GOODS_LOOK = "goods.look"
GOODS_CHANGE = "goods.change"
PRICES_CHANGE = "prices.change"
ORDERS_LOOK = "orders.look"
ORDERS_DELIVER = "orders.deliver"
ORDERS_CANCEL = "orders.cancel"
ORDERS_REFUND = "orders.refund"
CODES_REVEAL = "codes.reveal"
MONEY_LOOK = "money.look"
BILLING_MANAGE = "billing.manage"
SETTINGS_LOOK = "settings.look"
SETTINGS_CHANGE = "settings.change"
DOMAINS_MANAGE = "domains.manage"
REGION_ANSWER = "region.answer"
SUPPORT_VISITS = "support.visits"
PEOPLE_MANAGE = "people.manage"
TOKENS_MANAGE = "tokens.manage"
ACTIVITY_LOOK = "activity.look"
ARCHIVE_MAKE = "archive.make"
ARCHIVE_CODES = "archive.codes"
SHOP_CLOSE = "shop.close"

# -- The main station's.

NETWORK_LOOK = "network.look"
NETWORK_MANAGE = "network.manage"
NETWORK_END = "network.end"
SUPPORT_VISIT = "network.visit"
REGIONS_LOOK = "regions.look"
REGIONS_MANAGE = "regions.manage"
LEADS_LOOK = "leads.look"
LEADS_HANDLE = "leads.handle"
TERMS_LOOK = "terms.look"
TERMS_MANAGE = "terms.manage"
PLANS_LOOK = "plans.look"
PLANS_MANAGE = "plans.manage"
LIBRARY_LOOK = "library.look"
LIBRARY_CHANGE = "library.change"
STOCK_LOOK = "stock.look"
STOCK_CHANGE = "stock.change"
STOCK_CODES = "stock.codes"
KEYS_ROTATE = "keys.rotate"
SALES_LOOK = "sales.look"
LEDGER_LOOK = "ledger.look"
CASES_LOOK = "cases.look"
CASES_NOTE = "cases.note"
CASES_SETTLE = "cases.settle"
INBOX_REPLAY = "inbox.replay"
MERCHANTS_LOOK = "merchants.look"
MERCHANTS_MANAGE = "merchants.manage"
SPLITS_LOOK = "splits.look"
SPLITS_MANAGE = "splits.manage"
INVOICES_LOOK = "invoices.look"
INVOICES_MANAGE = "invoices.manage"
STATION_PEOPLE_LOOK = "people.look"
STATION_PEOPLE = "people.manage"
STATION_TOKENS_LOOK = "tokens.look"
STATION_TOKENS = "tokens.manage"
AUDIT_LOOK = "audit.look"
SYSTEM_LOOK = "system.look"
SYSTEM_MANAGE = "system.manage"

_GOODS, _ORDERS, _MONEY = pgettext_lazy("menu", "Goods"), _("Orders"), _("Money")
_SHOP, _PEOPLE, _WHOLE = pgettext_lazy("menu", "Shop"), _("People and programs"), _("The shop as a whole")

SHOP_CATALOGUE: tuple[Permission, ...] = (
    Permission(GOODS_LOOK, _GOODS, _("Look at goods and prices")),
    Permission(GOODS_CHANGE, _GOODS, _("Put goods on the shelf and write their texts"), changes=True),
    Permission(PRICES_CHANGE, _GOODS, _("Change prices"), changes=True),
    Permission(ORDERS_LOOK, _ORDERS, _("Look at orders and their buyers")),
    Permission(ORDERS_DELIVER, _ORDERS, _("Deliver by hand"), changes=True),
    Permission(ORDERS_CANCEL, _ORDERS, _("Cancel unpaid orders"), changes=True),
    Permission(ORDERS_REFUND, _ORDERS, _("Give money back to buyers"), changes=True, proof=True),
    Permission(CODES_REVEAL, _ORDERS, _("See codes that were sold"), changes=True, proof=True),
    Permission(MONEY_LOOK, _MONEY, _("See what the shop earns, and its statement")),
    Permission(BILLING_MANAGE, _MONEY, _("See and pay the plan and its invoices, change the plan"), changes=True),
    Permission(SETTINGS_LOOK, _SHOP, _("Look at the shop's settings")),
    Permission(SETTINGS_CHANGE, _SHOP, _("Change the shop's settings"), changes=True),
    Permission(DOMAINS_MANAGE, _SHOP, _("Connect domains of its own"), changes=True),
    Permission(REGION_ANSWER, _SHOP, _("See who of the shop's city waits, answer them, and see how to reach them"), changes=True),
    Permission(SUPPORT_VISITS, _SHOP, _("See the main station's visits, and show a visitor out"), changes=True),
    Permission(PEOPLE_MANAGE, _PEOPLE, _("Invite people, give and make roles, lock people out"), changes=True, proof=True),
    Permission(TOKENS_MANAGE, _PEOPLE, _("Make and revoke API tokens"), changes=True, proof=True),
    Permission(ACTIVITY_LOOK, _PEOPLE, _("Read who did what")),
    Permission(ARCHIVE_MAKE, _WHOLE, _("Export everything that the shop owns"), changes=True),
    Permission(ARCHIVE_CODES, _WHOLE, _("Export it with its codes"), changes=True, proof=True),
    Permission(SHOP_CLOSE, _WHOLE, _("Close the shop for good"), changes=True, proof=True),
)  # fmt: skip

_NETWORK, _LIBRARY, _STOCK, _SYSTEM = _("Substations"), _("Products"), _("Stock"), _("System")

MAIN_CATALOGUE: tuple[Permission, ...] = (
    Permission(NETWORK_LOOK, _NETWORK, _("Look at substations")),
    Permission(NETWORK_MANAGE, _NETWORK, _("Suspend and resume substations, move them to another plan"), changes=True),
    Permission(NETWORK_END, _NETWORK, _("Close and erase substations, take archives of them"), changes=True, proof=True),
    Permission(SUPPORT_VISIT, _NETWORK, _("Look into a shop's panel as support, with a reason"), changes=True),
    Permission(REGIONS_LOOK, _NETWORK, _("Look at regions and at who holds them")),
    Permission(REGIONS_MANAGE, _NETWORK, _("Give a city to a shop, and take it back"), changes=True),
    Permission(LEADS_LOOK, _NETWORK, _("See who asked about a city, and how to reach them")),
    Permission(LEADS_HANDLE, _NETWORK, _("Offer leads to who holds the city, settle them, forget them"), changes=True),
    Permission(TERMS_LOOK, _NETWORK, _("Look at supply prices agreed with one shop alone")),
    Permission(TERMS_MANAGE, _NETWORK, _("Set and end supply prices for one shop alone"), changes=True),
    Permission(PLANS_LOOK, _NETWORK, _("Look at plans")),
    Permission(PLANS_MANAGE, _NETWORK, _("Make and change plans and their prices"), changes=True, proof=True),
    Permission(LIBRARY_LOOK, _LIBRARY, _("Look at the master library")),
    Permission(LIBRARY_CHANGE, _LIBRARY, _("Change and import products, SKUs and supply prices"), changes=True),
    Permission(STOCK_LOOK, _STOCK, _("Look at stock and batches, codes masked")),
    Permission(STOCK_CHANGE, _STOCK, _("Import and withdraw codes, set counts"), changes=True),
    Permission(STOCK_CODES, _STOCK, _("See and export codes in the clear"), changes=True, proof=True),
    Permission(KEYS_ROTATE, _STOCK, _("Have secrets encrypted under a new key"), changes=True),
    Permission(SALES_LOOK, _MONEY, _("Look at the network's orders")),
    Permission(LEDGER_LOOK, _MONEY, _("Read the ledger and its proof")),
    Permission(CASES_LOOK, _MONEY, _("Look at payment cases and the webhook inbox")),
    Permission(CASES_NOTE, _MONEY, _("Write notes on payment cases"), changes=True),
    Permission(CASES_SETTLE, _MONEY, _("Settle payment cases, also by a refund"), changes=True, proof=True),
    Permission(INBOX_REPLAY, _MONEY, _("Have a webhook handled again"), changes=True),
    Permission(MERCHANTS_LOOK, _MONEY, _("Look at merchant accounts")),
    Permission(MERCHANTS_MANAGE, _MONEY, _("Add and switch merchant accounts, enter their secrets"), changes=True, proof=True),
    Permission(SPLITS_LOOK, _MONEY, _("Look at split rules")),
    Permission(SPLITS_MANAGE, _MONEY, _("Write split rules"), changes=True, proof=True),
    Permission(INVOICES_LOOK, _MONEY, _("Look at invoices and what is unpaid")),
    Permission(INVOICES_MANAGE, _MONEY, _("Void invoices, pay deposits back"), changes=True, proof=True),
    Permission(STATION_PEOPLE_LOOK, _PEOPLE, _("See who has a log-in")),
    Permission(STATION_PEOPLE, _PEOPLE, _("Invite people, give and make roles, lock people out"), changes=True, proof=True),
    Permission(STATION_TOKENS_LOOK, _PEOPLE, _("See which API tokens there are")),
    Permission(STATION_TOKENS, _PEOPLE, _("Make and revoke API tokens"), changes=True, proof=True),
    Permission(AUDIT_LOOK, _PEOPLE, _("Read who did what")),
    Permission(SYSTEM_LOOK, _SYSTEM, _("Look at sync and background jobs")),
    Permission(SYSTEM_MANAGE, _SYSTEM, _("Repeat a sync, set a failed job going again"), changes=True),
)  # fmt: skip

CATALOGUES: dict[Place, dict[str, Permission]] = {
    Place.SHOP: {permission.code: permission for permission in SHOP_CATALOGUE},
    Place.MAIN: {permission.code: permission for permission in MAIN_CATALOGUE},
}


# -- The roles that every place has.


def _looking(place: Place, *but: str) -> frozenset[str]:
    return frozenset(code for code, one in CATALOGUES[place].items() if not one.changes and code not in but)


_SHOP_LOOK = _looking(Place.SHOP, MONEY_LOOK)
_MAIN_LOOK = _looking(Place.MAIN)

# Of `accounts.models.Role`, by value. "STAFF" is what a manager was called until migration 0003.
_SHOP_MANAGER = _SHOP_LOOK | {
    GOODS_CHANGE, PRICES_CHANGE, ORDERS_DELIVER, ORDERS_CANCEL, CODES_REVEAL, SETTINGS_CHANGE,
}  # fmt: skip
BUILT_IN: dict[Place, dict[str, frozenset[str]]] = {
    Place.SHOP: {
        "OWNER": frozenset(CATALOGUES[Place.SHOP]),
        "MANAGER": _SHOP_MANAGER,
        "STAFF": _SHOP_MANAGER,
        "SUPPORT": frozenset({GOODS_LOOK, ORDERS_LOOK, ORDERS_DELIVER, ORDERS_CANCEL, CODES_REVEAL, ACTIVITY_LOOK}),
        "FINANCE": _SHOP_LOOK | {MONEY_LOOK, ORDERS_REFUND, BILLING_MANAGE},
        "VIEWER": _SHOP_LOOK,
    },
    Place.MAIN: {
        "OPERATOR": frozenset(CATALOGUES[Place.MAIN]),
        "MANAGER": _MAIN_LOOK
        | {
            NETWORK_MANAGE,
            SUPPORT_VISIT,
            REGIONS_MANAGE,
            LEADS_HANDLE,
            TERMS_MANAGE,
            LIBRARY_CHANGE,
            STOCK_CHANGE,
            CASES_NOTE,
            INBOX_REPLAY,
            SYSTEM_MANAGE,
        },
        "SUPPORT": _MAIN_LOOK | {SUPPORT_VISIT, LEADS_HANDLE, STOCK_CODES, CASES_NOTE, SYSTEM_MANAGE},
        "FINANCE": _MAIN_LOOK
        | {PLANS_MANAGE, CASES_NOTE, CASES_SETTLE, INBOX_REPLAY, MERCHANTS_MANAGE, SPLITS_MANAGE, INVOICES_MANAGE},
        "VIEWER": _MAIN_LOOK,
    },
}

# What an API scope stands for: a program may do no more than its person may.
SCOPE_NEEDS: dict[Place, dict[str, str]] = {
    Place.SHOP: {
        "listings:read": GOODS_LOOK,
        "listings:write": GOODS_CHANGE,
        "orders:read": ORDERS_LOOK,
        "orders:write": ORDERS_DELIVER,
        "statement:read": MONEY_LOOK,
    },
    Place.MAIN: {
        "library:read": LIBRARY_LOOK,
        "library:write": LIBRARY_CHANGE,
        "stock:read": STOCK_LOOK,
        "stock:write": STOCK_CHANGE,
        "substations:read": NETWORK_LOOK,
        "regions:read": REGIONS_LOOK,
        "regions:write": REGIONS_MANAGE,
        "leads:read": LEADS_LOOK,
        "terms:read": TERMS_LOOK,
        "terms:write": TERMS_MANAGE,
        "sync:read": SYSTEM_LOOK,
        "sync:write": SYSTEM_MANAGE,
        "cases:read": CASES_LOOK,
        "billing:read": INVOICES_LOOK,
    },
}


def known(place: Place, codes: Iterable[str]) -> frozenset[str]:
    """Those of `codes` that the place's catalogue has: a role may keep one that a later release dropped."""
    return frozenset(code for code in codes if code in CATALOGUES[place])


def of_role(place: Place, role: str) -> frozenset[str]:
    """What a built-in role may do here; a role that this place has not may do nothing."""
    return BUILT_IN[place].get(role, frozenset())


def words(place: Place, codes: Iterable[str]) -> list[tuple[Sentence, list[Permission]]]:
    """Permissions in plain words, by group, in the catalogue's order."""
    held = set(codes)
    groups: dict[str, tuple[Sentence, list[Permission]]] = {}
    for permission in CATALOGUES[place].values():
        if permission.code in held:
            groups.setdefault(str(permission.group), (permission.group, []))[1].append(permission)
    return list(groups.values())


def label(place: Place, code: str) -> Sentence:
    return CATALOGUES[place][code].label if code in CATALOGUES[place] else code
