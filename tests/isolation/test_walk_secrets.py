"""Every signed link and every secret, carried to each host that it was not made for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kameng.db.context import in_main, in_substation, pointed_at
from kameng.lib import clock
from tenants import hosts
from tenants.models import Domain
from tests.isolation.walk import fields, scene, secrets, watch
from tests.isolation.walk.visits import MAIN, Visit, Visitor


@pytest.fixture(scope="module")
def cast(make_shop: Callable[..., Any]) -> scene.Scene:
    return scene.set_up(make_shop)


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kameng.jobs.services._wake", lambda job_id: None)


def at(cast: scene.Scene, host: str, **headers: str) -> Visitor:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return Visitor("a carrier", host, scene.browser(host), cast.bob, sent)


def password_link(cast: scene.Scene, host: str) -> Iterator[Visit]:
    path = f"/password/set/{cast.bob.entry()}/"
    yield Visit(at(cast, host), "get", path)
    yield Visit(at(cast, host), "post", path, {"password": "a neighbour's choice 11"})


def entry_pass(cast: scene.Scene, host: str) -> Iterator[Visit]:
    entry = fields.BOBS["pass"](cast, cast.bob)
    yield Visit(at(cast, host), "post", "/enter/", {"pass": entry})


def support_pass(cast: scene.Scene, host: str) -> Iterator[Visit]:
    entry = fields.support_pass(cast.bob)
    yield Visit(at(cast, host), "post", "/panel/support/enter/", {"support_pass": entry})


def api_token(cast: scene.Scene, host: str) -> Iterator[Visit]:
    for path in ("panel/orders/", "panel/statement/", "substations/", "library/skus/"):
        yield Visit(at(cast, host, Authorization=f"Bearer {cast.bob.secret}"), "get", f"/api/v1/{path}")


def archive_link(cast: scene.Scene, host: str) -> Iterator[Visit]:
    """With the log-in of that host's own people: the link alone opens nothing anywhere."""
    shop, user = (None, cast.operator) if host == MAIN else (cast.alice.shop, cast.alice.users["OWNER"])
    reader = Visitor("a reader", host, scene.browser(host, user, shop), cast.bob)
    yield Visit(reader, "get", f"/panel/archives/fetch/{cast.bob.archive_link(for_owner=True)}/")
    path = f"/console/substations/{cast.bob.shop.public_id}/export/{cast.bob.archive_link(for_owner=True)}/"
    yield Visit(reader, "get", path)


def signup_token(cast: scene.Scene, host: str) -> Iterator[Visit]:
    public_id = cast.bob.signup.signup.public_id
    token = cast.bob.signup.token if host != MAIN else cast.alice.signup.token
    yield Visit(at(cast, host, X_Signup_Token=token), "get", f"/api/v1/signups/{public_id}/")
    yield Visit(at(cast, host), "get", f"/signup/{public_id}/")


def order_link(cast: scene.Scene, host: str) -> Iterator[Visit]:
    for placed in cast.bob.orders.values():
        for token in (placed.token, cast.bob.mailed(placed.number)):
            for deed in ("", "pay/", "codes/", "codes.txt"):
                method = "post" if deed.startswith("codes") else "get"
                yield Visit(at(cast, host), method, f"/o/{placed.number}/{token}/{deed}", {})
            yield Visit(at(cast, host, X_Order_Token=token), "get", f"/api/v1/orders/{placed.number}/")


def order_password(cast: scene.Scene, host: str) -> Iterator[Visit]:
    placed = cast.bob.orders["paid"]
    yield Visit(at(cast, host), "post", "/find/", {"number": placed.number, "secret": placed.lookup_secret})


CARRIERS = {
    function.__name__: function
    for function in (
        password_link,
        entry_pass,
        support_pass,
        api_token,
        archive_link,
        signup_token,
        order_link,
        order_password,
    )
}


class TestEverySecret:
    @pytest.mark.parametrize(
        "source",
        [
            "from django.core.signing import dumps\ndef planted(): return dumps(1)",
            "from django.core import signing as s\ndef planted(): return s.TimestampSigner().sign('x')",
            "import os\ndef planted(): return os.urandom(8)",
            "import secrets as lots\ndef planted(): return lots.choice('ab')",
            "from secrets import token_hex as drawn\ndef planted(): return drawn()",
            "import uuid\ndef planted(): return uuid.uuid4().hex",
            "from uuid import uuid4\nasync def planted(): return uuid4()",
            "from django.contrib.auth.tokens import default_token_generator as t\ndef planted(u): return t.make_token(u)",
            "def planted(response): response.set_signed_cookie('a', 'b')",
        ],
    )
    def test_are_found_whatever_they_were_imported_as(self, source: str) -> None:
        assert secrets.makers_in(source, "planted") == {"planted"}

    def test_are_not_what_only_sounds_like_them(self) -> None:
        source = "import json\nfrom x import new\ndef fine(a): return json.dumps(a), new(), a.digest()"

        assert secrets.makers_in(source, "fine") == set()

    def test_is_carried_or_says_why_there_is_nothing_to_carry(self) -> None:
        known = {**secrets.CARRIED, **secrets.STAYS}

        assert secrets.places() - known.keys() == set()
        assert known.keys() - secrets.places() == set()

    def test_has_somebody_who_carries_it(self) -> None:
        assert set(secrets.CARRIED.values()) == set(CARRIERS)

    @pytest.mark.parametrize("name", sorted(CARRIERS))
    @pytest.mark.parametrize("where", ["another shop", "the main station"])
    def test_opens_nothing_where_it_was_not_made_for(self, cast: scene.Scene, name: str, where: str) -> None:
        host = cast.alice.host if where == "another shop" else MAIN
        visits = list(CARRIERS[name](cast, host))  # Whoever carries has logged in by now.
        before = watch.state_of(cast)

        for visit in visits:
            response = visit.ask()

            assert response.status_code in (401, 403, 404, 405, 422), f"{visit}: {response.status_code}"
            assert watch.given_away(cast.bob, visit.sent, response, at_home=False) == [], str(visit)
            assert "kameng_session" not in response.cookies, str(visit)
        assert watch.changes(before, watch.state_of(cast)) == []

    def test_opens_what_it_was_made_for(self, cast: scene.Scene) -> None:
        """Or the refusals above would say nothing."""
        opened = {
            name: [visit.ask().status_code for visit in CARRIERS[name](cast, cast.bob.host)]
            for name in ("password_link", "entry_pass", "support_pass", "order_password")
        }

        assert opened == {
            "password_link": [200, 302],
            "entry_pass": [302],
            "support_pass": [302],
            "order_password": [302],
        }


class TestSessions:
    def test_of_one_host_are_nothing_on_another_in_each_direction(self, cast: scene.Scene) -> None:
        alice, bob = cast.alice, cast.bob
        doors = {
            alice.host: (scene.browser(alice.host, alice.users["OWNER"], alice.shop), "/panel/"),
            bob.host: (scene.browser(bob.host, bob.users["OWNER"], bob.shop), "/panel/"),
            MAIN: (scene.browser(MAIN, cast.operator), "/console/"),
        }
        opened = {}
        for made_at, (client, _home) in doors.items():
            key = client.cookies["kameng_session"].value
            for host, (_client, home) in doors.items():
                visitor = scene.browser(host)  # Of its own: a key that opens nothing is taken from a browser.
                visitor.cookies["kameng_session"] = key
                opened[made_at, host] = visitor.get(home).status_code

        assert opened == {(made, host): 200 if made == host else 302 for made in doors for host in doors}

    @pytest.mark.parametrize("begun_at", ["the subdomain", "the own domain"])
    def test_of_a_shops_one_host_are_nothing_on_its_other(self, cast: scene.Scene, begun_at: str) -> None:
        """The same schema, the same people, and still two hosts: no browser carries a cookie from one to the other."""
        own = f"{cast.alice.mark}.example"
        with in_main():
            Domain.objects.create(domain=own, tenant=cast.alice.shop, verified_at=clock.utc_now(), is_primary=False)
        hosts.forget(cast.alice.shop)
        here, there = (cast.alice.host, own) if begun_at == "the subdomain" else (own, cast.alice.host)
        client = scene.browser(here)
        values = {"email": cast.alice.secret_marks["owner"], "password": scene.PASSWORD}
        assert client.post("/login/", values).status_code == 302
        key = client.cookies["kameng_session"].value

        opened = {}
        for host in (here, there, f"{here.upper()}", f"{here}:8000"):
            visitor = scene.browser(host)
            visitor.cookies["kameng_session"] = key
            opened[host] = visitor.get("/panel/").status_code
        with in_main():
            Domain.objects.filter(domain=own).delete()
        hosts.forget(cast.alice.shop)

        assert opened == {here: 200, there: 302, here.upper(): 200, f"{here}:8000": 200}

    def test_a_key_of_another_schema_is_not_taken_over_by_a_log_in(self, cast: scene.Scene) -> None:
        """Fixation: a browser that comes with a key of somebody's choosing leaves with another."""
        client = scene.browser(cast.alice.host)
        client.cookies["kameng_session"] = "a" * 32
        values = {"email": cast.alice.secret_marks["owner"], "password": scene.PASSWORD}

        answer = client.post("/login/", values)

        assert answer.status_code == 302
        assert client.cookies["kameng_session"].value != "a" * 32
        with pointed_at(cast.alice.shop):
            from django.core.cache import cache

            assert cache.get(f"django.contrib.sessions.cache:{cast.alice.host}:{'a' * 32}") is None
            assert cache.get(
                f"django.contrib.sessions.cache:{cast.alice.host}:{client.cookies['kameng_session'].value}"
            )

    def test_a_changed_password_ends_the_others_and_keeps_the_one_that_changed_it(self, cast: scene.Scene) -> None:
        shop, user = cast.alice.shop, cast.alice.users["STAFF"]
        here, there = (scene.browser(cast.alice.host, user, shop) for _ in range(2))
        assert [client.get("/panel/").status_code for client in (here, there)] == [200, 200]

        changed = here.post("/password/", {"present": scene.PASSWORD, "password": "another long password 7"})

        assert changed.status_code == 302
        assert [client.get("/panel/").status_code for client in (here, there)] == [200, 302]
        with in_substation(shop):
            user.save(update_fields=["password"])  # As it was, for the others.
