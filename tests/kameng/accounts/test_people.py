"""The people of both places are one piece: what differs is what each place calls it."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

import pytest
from django.test import Client

from kameng.accounts import catalogue, factors, people, roles, sessions
from kameng.accounts.catalogue import Place
from kameng.accounts.models import Role, User
from kameng.accounts.types import SYSTEM, Actor, ActorKind
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from kameng.lib.ids import public_id
from tests.tenant_apps.panel.conftest import make_office, office  # noqa: F401  # Fixtures.
from tests.tenant_apps.panel.office import PASSWORD, Office
from tests.tenant_apps.racing import Runner

NOW = clock.utc_now()


@pytest.mark.parametrize(
    ("where", "pages"), [(Place.SHOP, "tenant_apps.panel.words"), (Place.MAIN, "shared_apps.console.words")]
)
def test_every_act_has_words_on_the_places_pages(where: Place, pages: str) -> None:
    recorded = {f"{people.NAMES[where].acts}.{act}" for act in people.ACTS}

    assert recorded - set(import_module(pages).ACTIONS) == set()


def test_a_refusal_bears_the_places_own_code_and_words(office: Office) -> None:
    def refused() -> list[tuple[str, str, str]]:
        found = []
        for role, user_id in (("x", None), ("VIEWER", 0)):
            with pytest.raises((people.PersonInvalid, people.PersonUnknown)) as caught:
                if user_id is None:
                    people.invite(email="a@b.example", name="", role=role, mail=lambda _user: None, by=SYSTEM, now=NOW)
                else:
                    people.set_role(user_id=user_id, role=role, by=SYSTEM, now=NOW)
            found.append((caught.value.code, str(caught.value), caught.value.field))
        return found

    with in_main():
        of_the_station = refused()
    with in_substation(office.shop):
        of_the_shop = refused()

    assert of_the_station == [
        ("person_invalid", "There is no such role.", "role"), ("person_unknown", "There is no such person here.", ""),
    ]  # fmt: skip
    assert of_the_shop == [
        ("staff_invalid", "There is no such role.", "role"),
        ("staff_unknown", "There is no such person in this shop.", ""),
    ]


def test_the_page_spares_the_only_owner_who_can_log_in_and_nobody_else(office: Office) -> None:
    """One who was only invited can't stand in for the last one, and may be given another role meanwhile."""
    with in_substation(office.shop):
        invited = User.objects.create_user("invited@example.com", None, role=Role.OWNER).pk

    page = office.owner.get("/panel/staff/")

    assert page.context["last_owner"] == office.users["OWNER"]
    assert f'action="/panel/staff/{invited}/role/"' in page.content.decode()
    assert f'action="/panel/staff/{office.users["OWNER"]}/role/"' not in page.content.decode()


def test_of_two_who_can_log_in_none_is_the_last(office: Office) -> None:
    with in_substation(office.shop):
        User.objects.create_user("second@example.com", PASSWORD, role=Role.OWNER)

        assert people.last_able() is None


class TestLockingOut:
    HOMES: ClassVar[dict[Place, str]] = {Place.SHOP: "/panel/", Place.MAIN: "/console/"}

    def log_in(self, host: str, email: str) -> Client:
        browser = Client(HTTP_HOST=host)
        assert browser.post("/login/", {"email": email, "password": PASSWORD}).status_code == 302
        return browser

    def again(self, browser: Client, host: str) -> Client:
        """The same cookie in a browser of its own: from its first one an answer may have taken it."""
        copy = Client(HTTP_HOST=host)
        copy.cookies["kameng_session"] = browser.cookies["kameng_session"].value
        return copy

    @pytest.mark.parametrize("where", list(Place))
    def test_ends_the_sessions_for_good(self, office: Office, where: Place) -> None:
        """Whoever is let in again logs in again: an old cookie, which somebody else may have, opens nothing."""
        host, home = office.shop.host if where is Place.SHOP else "localhost", self.HOMES[where]
        email = f"{public_id('x')[2:12].lower()}@example.com"

        def scope() -> Any:
            return in_substation(office.shop) if where is Place.SHOP else in_main()

        with scope():
            user = User.objects.create_user(email, PASSWORD, role=Role.VIEWER)
        asks, rests = self.log_in(host, email), self.log_in(host, email)
        keys = [self.again(browser, host) for browser in (asks, rests)]
        assert [browser.get(home).status_code for browser in (asks, rests)] == [200, 200]

        with scope():
            people.set_active(user_id=user.pk, active=False, by=SYSTEM, now=NOW)
            listed = sessions.of(user, now=clock.utc_now())
        assert asks.get(home).status_code == 302
        with scope():
            people.set_active(user_id=user.pk, active=True, by=SYSTEM, now=NOW)

        assert [browser.get(home).status_code for browser in (*keys, asks, rests)] == [302] * 4
        assert listed == []
        assert self.log_in(host, email).get(home).status_code == 200

    def test_ends_a_session_that_began_at_that_moment(self, office: Office) -> None:
        """Race: the password was found right before the lock-out, and the session began after it."""
        with in_substation(office.shop):
            people.set_active(user_id=office.users["STAFF"], active=False, by=SYSTEM, now=NOW)
        late = office.staff
        with in_substation(office.shop):
            people.set_active(user_id=office.users["STAFF"], active=True, by=SYSTEM, now=NOW)

        assert late.get("/panel/").status_code == 302


@pytest.mark.parametrize(
    "deed",
    [
        lambda pk, by: people.set_role(user_id=pk, role="VIEWER", by=by, now=NOW),
        lambda pk, by: people.set_active(user_id=pk, active=False, by=by, now=NOW),
        lambda pk, by: people.withdraw(user_id=pk, by=by, now=NOW),
        lambda pk, by: factors.reset(user_id=pk, by=by, now=NOW),
    ],
)
def test_what_somebody_is_given_at_this_moment_counts(office: Office, deed: Callable[[int, Actor], Any]) -> None:
    """Race: an owner gives them a role beyond the other's. Who waits for the row judges by what they have then."""
    held = catalogue.of_role(Place.SHOP, Role.VIEWER) | {catalogue.PEOPLE_MANAGE, catalogue.OWN}
    clerk = Actor(ActorKind.USER, "Pia", 1, permissions=held)
    with in_substation(office.shop):
        small, large = (
            roles.save(name=name, permissions=[code], by=SYSTEM, now=NOW)
            for name, code in (("Small", catalogue.GOODS_LOOK), ("Large", catalogue.CODES_REVEAL))
        )
        user = User.objects.create_user("x@example.com", None, role=Role.VIEWER, own_role=small)

    def late() -> Any:
        with in_substation(office.shop):
            return deed(user.pk, clerk)

    with in_substation(office.shop):
        people.set_role(user_id=user.pk, role=f"own:{large.pk}", by=SYSTEM, now=NOW)
        other = Runner(late)
        other.wait_until_blocked()

    with pytest.raises((roles.MoreThanYours, factors.FactorRefused), match="more than you"):
        other.result()
    now = office.read(User, pk=user.pk)
    assert (now.own_role_id, now.is_active) == (large.pk, True)
