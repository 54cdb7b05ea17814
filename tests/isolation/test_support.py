"""The main station's support in a shop's panel: asked for, seen, bounded in time and deeds, written down on both sides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.test import Client

from kameng.accounts import catalogue, support
from kameng.accounts.models import AuditRecord, Role, StaffRole, User
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from tests.isolation.walk import fields, routes, scene, visits, watch, ways
from tests.isolation.walk.visits import MAIN

REASON = "Case 4711: the buyer can't find the code"


@pytest.fixture(scope="module")
def cast(make_shop: Callable[..., Any]) -> scene.Scene:
    return scene.set_up(make_shop)


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kameng.jobs.services._wake", lambda job_id: None)


def asks(cast: scene.Scene, reason: str = REASON, user: Any = None) -> Any:
    """The operator's form on the shop's page of the console."""
    operator = scene.browser(MAIN, user or cast.operator)
    return operator.post(f"/console/substations/{cast.bob.shop.public_id}/support/", {"reason": reason})


def a_pass(cast: scene.Scene, user: Any = None) -> str:
    address = urlsplit(asks(cast, user=user).headers["Location"])
    assert (address.hostname, address.path) == (cast.bob.host, "/panel/support/enter/")
    return parse_qs(address.query)["support_pass"][0]


def enters(host: str, entry: str) -> tuple[Client, Any]:
    browser = scene.browser(host)
    return browser, browser.post("/panel/support/enter/", {"support_pass": entry})


def visitor(cast: scene.Scene, user: Any = None) -> Client:
    browser, answer = enters(cast.bob.host, a_pass(cast, user))
    assert (answer.status_code, answer.headers["Location"]) == (302, "/panel/")
    return browser


def owner(cast: scene.Scene) -> Client:
    return scene.browser(cast.bob.host, cast.bob.users["OWNER"], cast.bob.shop)


def said(browser: Client, path: str) -> str:
    """The page's own text."""
    return unescape(browser.get(path).content.decode())


def trail(cast: scene.Scene, *, shop: bool) -> list[tuple[str, str, str, str]]:
    """Action, kind and name of who did it, reason: of visits, oldest first."""
    with in_substation(cast.bob.shop) if shop else in_main():
        target = support.TARGET if shop else cast.bob.shop.public_id
        rows = AuditRecord.objects.filter(action__startswith="support.", target=target).order_by("pk")
        return [(row.action, row.actor_kind, row.actor_label, row.details.get("reason", "")) for row in rows]


class TestTheWayIn:
    def test_is_a_visit_that_both_sides_have_in_writing_under_the_persons_name(self, cast: scene.Scene) -> None:
        here, there = trail(cast, shop=False), trail(cast, shop=True)

        browser = visitor(cast)
        browser.post("/panel/support/leave/")

        who = str(cast.operator)
        assert trail(cast, shop=False)[len(here) :] == [
            ("support.asked", "USER", who, REASON), ("support.entered", "USER", who, REASON),
            ("support.left", "USER", who, REASON),
        ]  # fmt: skip
        assert trail(cast, shop=True)[len(there) :] == [
            ("support.entered", "SUPPORT", who, REASON), ("support.left", "SUPPORT", who, REASON)
        ]  # fmt: skip

    @pytest.mark.parametrize("reason", ["", "  ", "abc"])
    def test_wants_a_reason(self, cast: scene.Scene, reason: str) -> None:
        before = trail(cast, shop=False)

        answer = asks(cast, reason)

        assert answer.status_code == 422
        assert trail(cast, shop=False) == before

    def test_is_not_a_viewers(self, cast: scene.Scene) -> None:
        with in_main():
            viewer = User.objects.create_user(f"looks-{cast.bob.mark}@station.example", None, role=Role.VIEWER)
        before = trail(cast, shop=False)

        assert asks(cast, user=viewer).status_code == 403
        assert trail(cast, shop=False) == before

    def test_is_walked_once(self, cast: scene.Scene) -> None:
        entry = a_pass(cast)

        assert [enters(cast.bob.host, entry)[1].status_code for _ in range(2)] == [302, 403]

    def test_is_only_looked_at_by_a_get(self, cast: scene.Scene) -> None:
        entry = a_pass(cast)

        page = scene.browser(cast.bob.host).get("/panel/support/enter/", {"support_pass": entry})

        assert page.status_code == 200
        assert "kameng_session" not in page.cookies
        assert enters(cast.bob.host, entry)[1].status_code == 302

    def test_leads_into_no_other_shop(self, cast: scene.Scene) -> None:
        before = trail(cast, shop=True)

        assert enters(cast.alice.host, a_pass(cast))[1].status_code == 403
        assert enters(MAIN, a_pass(cast))[1].status_code == 404
        assert trail(cast, shop=True) == before

    def test_is_closed_after_a_minute(self, cast: scene.Scene) -> None:
        entry = a_pass(cast)

        with time_machine.travel(clock.utc_now() + timedelta(seconds=62)):
            assert enters(cast.bob.host, entry)[1].status_code == 403

    @pytest.mark.parametrize("fault", ["x", "", "salt", "signature"])
    def test_is_not_made_up(self, cast: scene.Scene, fault: str) -> None:
        entry = a_pass(cast)
        signed = f"{entry[:-1]}{'A' if entry[-1] != 'A' else 'B'}"
        forged = {"salt": fields.BOBS["pass"](cast, cast.bob), "signature": signed}.get(fault, fault)

        assert enters(cast.bob.host, forged)[1].status_code == 403


class TestTheStay:
    def test_ends_when_the_main_station_locks_its_person_out(self, cast: scene.Scene) -> None:
        with in_main():
            person = User.objects.create_user(f"leaves-{cast.bob.mark}@station.example", None, role=Role.OPERATOR)
        browser = visitor(cast, user=person)
        assert browser.get("/panel/").status_code == 200

        with in_main():
            User.objects.filter(pk=person.pk).update(is_active=False)

        assert browser.get("/panel/").status_code == 302

    def test_ends_when_the_visits_are_taken_from_the_persons_role(self, cast: scene.Scene) -> None:
        with in_main():
            role = StaffRole.objects.create(name=f"Visits {cast.bob.mark}", permissions=[catalogue.SUPPORT_VISIT])
            person = User.objects.create_user(
                f"visits-{cast.bob.mark}@station.example", None, role=Role.VIEWER, own_role=role
            )
        browser = visitor(cast, user=person)
        assert browser.get("/panel/").status_code == 200

        with in_main():
            StaffRole.objects.filter(pk=role.pk).update(permissions=[catalogue.NETWORK_LOOK])

        assert browser.get("/panel/").status_code == 302

    @pytest.fixture(autouse=True)
    def _nobody_else(self, cast: scene.Scene) -> None:
        """Other tests' visits are over."""
        owner(cast).post("/panel/support/show-out/")

    def test_is_shown_to_the_owner_while_it_lasts_and_afterwards(self, cast: scene.Scene) -> None:
        browser = visitor(cast)
        during = said(owner(cast), "/panel/")
        browser.post("/panel/support/leave/")
        after = said(owner(cast), "/panel/")
        listed = said(owner(cast), "/panel/support/")

        words = f"The main station's support is in your panel: {cast.operator}"
        assert (words in during, words in after) == (True, False)
        assert (str(cast.operator) in listed, "Case 4711" in listed) == (True, True)

    def test_says_to_the_visitor_whose_panel_it_is_and_until_when(self, cast: scene.Scene) -> None:
        page = said(visitor(cast), "/panel/")

        assert "as the main station's support" in page
        assert "Case 4711" in page

    def test_ends_by_itself_after_half_an_hour(self, cast: scene.Scene) -> None:
        browser = visitor(cast)
        assert browser.get("/panel/").status_code == 200

        with time_machine.travel(clock.utc_now() + support.STAY + timedelta(seconds=1)):
            assert browser.get("/panel/").status_code == 302
            assert "is in your panel" not in said(owner(cast), "/panel/")

    def test_ends_when_the_owner_shows_them_out(self, cast: scene.Scene) -> None:
        browser = visitor(cast)

        assert owner(cast).post("/panel/support/show-out/").status_code == 302
        assert browser.get("/panel/").status_code == 302
        assert "is in your panel" not in said(owner(cast), "/panel/")

    def test_ends_with_a_log_out_and_with_a_log_in(self, cast: scene.Scene) -> None:
        leaves, changes = visitor(cast), visitor(cast)

        assert leaves.post("/logout/").status_code == 302
        assert leaves.get("/panel/").status_code == 302
        changes.post("/login/", {"email": cast.bob.secret_marks["staff"], "password": scene.PASSWORD})
        assert "as the main station's support" not in said(changes, "/panel/")
        owner(cast).post("/panel/support/show-out/")

    def test_is_nothing_on_another_host(self, cast: scene.Scene) -> None:
        key = visitor(cast).cookies["kameng_session"].value

        for host, home in ((cast.alice.host, "/panel/"), (MAIN, "/console/")):
            browser = scene.browser(host)
            browser.cookies["kameng_session"] = key
            assert browser.get(home).status_code == 302, host


class TestWhatSupportMayDo:
    def test_looks_at_the_panel_as_a_viewer_does(self, cast: scene.Scene) -> None:
        browser = visitor(cast)

        assert [browser.get(f"/panel/{path}").status_code for path in ("", "orders/", "listings/", "settings/")] == [
            200
        ] * 4

    @pytest.mark.parametrize("path", ["statement/", "staff/", "tokens/", "support/"])
    def test_sees_no_money_no_people_and_no_keys(self, cast: scene.Scene, path: str) -> None:
        assert visitor(cast).get(f"/panel/{path}").status_code == 403

    def test_has_no_password_here(self, cast: scene.Scene) -> None:
        browser = visitor(cast)

        assert browser.get("/password/").status_code == 403
        assert browser.post("/password/", {"present": "x" * 12, "password": "y" * 12}).status_code == 403
        assert browser.post("/password/elsewhere/").status_code == 403

    @pytest.mark.parametrize(
        "route",
        [one for one in routes.routes("shop") if one.text.startswith(("panel/", "api/v1/panel/"))
         and one.name not in ("panel:support_enter", "panel:support_leave") and one.methods != ("get",)],
        ids=lambda route: route.label,
    )  # fmt: skip
    def test_changes_nothing_at_any_address_of_the_panel(self, cast: scene.Scene, route: routes.Route) -> None:
        """With the shop's own ids, which are right here: what refuses is that it is support that asks."""
        browser = visitor(cast)
        before = watch.state_of(cast)
        for values in ways.fill(route, cast, full=True):
            for method in set(route.methods) - {"get"}:
                data = fields.body(route, method, cast, cast.bob) if route.is_api else fields.sink(cast, cast.bob)
                caller = visits.Visitor("support", cast.bob.host, browser, cast.bob)
                answer = visits.Visit(caller, method, route.path(values), data, as_json=route.is_api).ask()
                assert answer.status_code in (403, 405), f"{method} {route.label}: {answer.status_code}"
        changed = [what for what in watch.changes(before, watch.state_of(cast)) if not what.startswith("cache ")]
        assert changed == []


class TestLoggingOutElsewhere:
    def test_ends_every_other_browser_and_keeps_this_one(self, cast: scene.Scene) -> None:
        here, there, other = owner(cast), owner(cast), scene.browser(
            cast.bob.host, cast.bob.users["STAFF"], cast.bob.shop
        )  # fmt: skip

        assert here.post("/password/elsewhere/").status_code == 302

        assert [one.get("/panel/").status_code for one in (here, there, other)] == [200, 302, 200]
        assert owner(cast).get("/panel/").status_code == 200

    def test_works_at_the_main_station_too(self, cast: scene.Scene) -> None:
        here, there = (scene.browser(MAIN, cast.operator) for _ in range(2))

        here.post("/password/elsewhere/")

        assert [one.get("/console/").status_code for one in (here, there)] == [200, 302]
