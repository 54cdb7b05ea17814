"""Every door of the staff's has a permission of the catalogue, found by reflection: a new one can't be forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import URLPattern, get_resolver

from kameng.accounts import catalogue, roles
from kameng.accounts.catalogue import Place
from kameng.accounts.models import Role
from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES
from kameng.web.api import needed

URLS = {Place.SHOP: "kameng.urls_tenant", Place.MAIN: "kameng.urls_main"}
# Prefixes of what is the staff's. All else of a host is a buyer's, a stranger's or a program's own door.
STAFFS = {Place.SHOP: ("panel/", "security/"), Place.MAIN: ("console/", "security/")}
# Doors into the panel that are no person's of the shop: a signed pass opens the first, its session the second.
SUPPORTS = {"panel/support/enter/", "panel/support/leave/"}
API_METHODS = ("get", "post", "put", "patch", "delete")


def addresses(place: Place) -> list[tuple[str, Any]]:
    """Every address of a host with its view."""
    found: list[tuple[str, Any]] = []

    def walk(patterns: Any, before: str) -> None:
        for pattern in patterns:
            text = before + str(getattr(pattern.pattern, "_route", ""))
            if isinstance(pattern, URLPattern):
                found.append((text, pattern.callback))
            else:
                walk(pattern.url_patterns, text)

    walk(get_resolver(URLS[place]).url_patterns, "")
    return found


def staff_addresses(place: Place) -> list[tuple[str, Any]]:
    return [(text, view) for text, view in addresses(place) if text.startswith(STAFFS[place]) and text not in SUPPORTS]


def unnamed(place: Place) -> list[str]:
    """Staff addresses that name no permission, or one that the place's catalogue has not."""
    known = {catalogue.OWN, *catalogue.CATALOGUES[place]}
    wrong = []
    for text, view in staff_addresses(place):
        named = getattr(view, "permissions", None)
        if not named or not set(named) <= known:
            wrong.append(f"{place}: {text} names {named}")
    return wrong


def operations(place: Place) -> list[tuple[str, str, str | None, Any]]:
    """Every operation of a host's API: address, method, scope, view."""
    found = []
    for text, view in addresses(place):
        kind = getattr(view, "cls", None) or getattr(view, "view_class", None)
        if not text.startswith("api/v1/") or kind is None:
            continue
        for method in API_METHODS:
            if hasattr(kind, method):
                found.append((text, method.upper(), getattr(kind, "scopes", {}).get(method.upper(), ""), kind))
    return found


class TestEveryDoor:
    @pytest.mark.parametrize("place", Place)
    def test_names_a_permission_of_the_catalogue(self, place: Place) -> None:
        assert unnamed(place) == []

    @pytest.mark.parametrize(("place", "least"), [(Place.SHOP, 40), (Place.MAIN, 80)])
    def test_is_found(self, place: Place, least: int) -> None:
        """The walk sees what there is: it would say nothing of a map that it can't read."""
        assert len(staff_addresses(place)) >= least

    def test_is_told_by_its_name_when_it_names_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from tenant_apps.panel import urls

        planted = next(pattern for pattern in urls.urlpatterns if pattern.name == "pricing")
        monkeypatch.delattr(planted.callback, "permissions")

        assert unnamed(Place.SHOP) == ["SHOP: panel/pricing/ names None"]

    @pytest.mark.parametrize("place", Place)
    def test_of_the_api_stands_for_a_permission_that_asks_no_proof(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A program can't confirm that it is you: what wants a second factor has no operation."""
        monkeypatch.setattr("kameng.web.api.place", lambda: place)
        named = {
            (text, method): needed(kind, method, scope)
            for text, method, scope, kind in operations(place)
            if scope  # None: open to everybody; "": shut.
        }

        assert len(named) >= 7
        assert {key for key, code in named.items() if code not in catalogue.CATALOGUES[place]} == set()
        assert {key for key, code in named.items() if catalogue.CATALOGUES[place][code].proof} == set()

    @pytest.mark.parametrize("place", Place)
    def test_of_the_api_that_writes_stands_for_a_permission_that_changes(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kameng.web.api.place", lambda: place)
        asking = {("api/v1/panel/prices/preview/", "POST")}  # Answers what a price would do; nothing is written.
        writing = {
            (text, method): catalogue.CATALOGUES[place][needed(kind, method, scope)].changes
            for text, method, scope, kind in operations(place)
            if scope and method != "GET" and (text, method) not in asking
        }

        assert [key for key, changes in writing.items() if not changes] == []


class TestCatalogue:
    @pytest.mark.parametrize("place", Place)
    def test_every_permission_opens_some_door(self, place: Place) -> None:
        """One that opens nothing promises what is not there. Those that a view asks for by its row or form are named."""
        opened = {code for _text, view in staff_addresses(place) for code in getattr(view, "permissions", ())}
        demanded = {
            catalogue.LIBRARY_LOOK, catalogue.LIBRARY_CHANGE, catalogue.STOCK_LOOK, catalogue.STOCK_CHANGE,
            catalogue.ARCHIVE_CODES,
        }  # fmt: skip

        assert set(catalogue.CATALOGUES[place]) - opened - demanded == set()

    @pytest.mark.parametrize("place", Place)
    def test_roles_hold_what_there_is_and_the_first_holds_all(self, place: Place) -> None:
        everything = set(catalogue.CATALOGUES[place])
        first, *others = roles.BUILT_IN[place]

        assert catalogue.of_role(place, first) == everything
        assert all(catalogue.of_role(place, role) < everything for role in others)

    @pytest.mark.parametrize("place", Place)
    def test_who_only_reads_changes_nothing(self, place: Place) -> None:
        held = catalogue.of_role(place, Role.VIEWER)

        assert [code for code in held if catalogue.CATALOGUES[place][code].changes] == []

    def test_staff_of_before_may_do_what_a_manager_may(self) -> None:
        assert catalogue.of_role(Place.SHOP, "STAFF") == catalogue.of_role(Place.SHOP, "MANAGER")

    @pytest.mark.parametrize(("place", "role"), [(Place.SHOP, "OPERATOR"), (Place.MAIN, "OWNER"), (Place.MAIN, "x")])
    def test_a_role_of_elsewhere_may_do_nothing(self, place: Place, role: str) -> None:
        assert catalogue.of_role(place, role) == frozenset()

    def test_every_scope_stands_for_one(self) -> None:
        assert set(catalogue.SCOPE_NEEDS[Place.SHOP]) == set(SHOP_SCOPES)
        assert set(catalogue.SCOPE_NEEDS[Place.MAIN]) == set(MAIN_SCOPES)

    def test_money_and_codes_ask_for_proof(self) -> None:
        asking = {
            place: {code for code, one in catalogue.CATALOGUES[place].items() if one.proof} for place in Place
        }  # fmt: skip

        assert asking == {
            Place.SHOP: {"orders.refund", "codes.reveal", "people.manage", "tokens.manage", "archive.codes", "shop.close"},
            Place.MAIN: {"network.end", "plans.manage", "stock.codes", "cases.settle", "merchants.manage", "splits.manage",
                         "invoices.manage", "people.manage", "tokens.manage"},
        }  # fmt: skip
