"""What one shop's host has given to a browser is nothing on another's: forms, links, cookies, names of hosts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from kameng.accounts import recovery
from kameng.accounts.models import AuditRecord, Role, User
from kameng.db.context import in_substation, pointed_at
from tenant_apps.orders import identity
from tenants.views import ENTER_SALT

PASSWORD = "staff password 93"


@pytest.fixture(scope="module")
def pair(make_shop: Callable[..., Any]) -> tuple[Any, Any]:
    """Two shops with an owner of the same address, key and password each."""
    shops = make_shop(), make_shop()
    for shop in shops:
        with in_substation(shop):
            User.objects.all().delete()
            User.objects.create_user("owner@example.com", PASSWORD, role=Role.OWNER, pk=77)
    return shops


def records(shop: Any) -> int:
    with in_substation(shop):
        return int(AuditRecord.objects.count())


def hash_of(shop: Any) -> str:
    with in_substation(shop):
        return str(User.objects.get(pk=77).password)


class TestForms:
    def log_in(self, client: Client, shop: Any, token: str, **headers: str) -> int:
        values = {"email": "owner@example.com", "password": PASSWORD, "csrfmiddlewaretoken": token}
        return int(client.post("/login/", values, HTTP_HOST=shop.host, **headers).status_code)  # type: ignore[arg-type]

    def test_a_page_of_one_shop_posts_to_no_other(self, pair: tuple[Any, Any]) -> None:
        """A shop's page may set a cookie for the domain above it; the pair of cookie and token then fits, the origin
        does not."""
        one, other = pair
        client = Client(enforce_csrf_checks=True)
        client.get("/login/", HTTP_HOST=one.host)
        token = client.cookies["kameng_csrf"].value
        before = records(other)

        assert self.log_in(client, other, token, HTTP_ORIGIN=f"http://{one.host}") == 403
        assert self.log_in(client, other, token, HTTP_ORIGIN="http://localhost") == 403
        assert self.log_in(client, other, token, HTTP_ORIGIN="null") == 403
        assert records(other) == before
        assert self.log_in(client, other, token, HTTP_ORIGIN=f"http://{other.host}") == 302

    def test_the_cookies_are_the_hosts_own(self, pair: tuple[Any, Any]) -> None:
        one, _other = pair
        client = Client()
        client.post("/login/", {"email": "owner@example.com", "password": PASSWORD}, HTTP_HOST=one.host)

        for name in ("kameng_session", "kameng_csrf"):
            cookie = client.cookies.get(name)
            if cookie is not None:
                assert (cookie["domain"], cookie["samesite"]) == ("", "Lax"), name
        assert client.cookies["kameng_session"]["httponly"] is True


class TestLinks:
    def test_a_password_link_of_one_shop_sets_none_in_another(self, pair: tuple[Any, Any]) -> None:
        one, other = pair
        with in_substation(one):
            entry = recovery.make_pass(User.objects.get(pk=77))
        before = hash_of(one), hash_of(other)

        for host in (other.host, "localhost"):
            answer = Client().post(f"/password/set/{entry}/", {"password": "another password 11"}, HTTP_HOST=host)
            assert answer.status_code == 403, host
        assert (hash_of(one), hash_of(other)) == before

    @pytest.mark.parametrize("change", ["schema", "salt", "signature", "junk"])
    def test_a_pass_into_the_panel_opens_its_own_and_is_not_made_up(self, pair: tuple[Any, Any], change: str) -> None:
        one, other = pair
        claim = {"schema": one.schema_name, "email": "owner@example.com"}
        entry = signing.dumps(claim, salt=ENTER_SALT)
        forged = {
            "schema": entry,  # Good, and at another's door.
            "salt": signing.dumps({**claim, "schema": other.schema_name}, salt="kameng.accounts.recovery"),
            "signature": f"{entry[:-1]}{'A' if entry[-1] != 'A' else 'B'}",
            "junk": "x",
        }[change]
        before = records(other)
        client = Client()

        assert client.post("/enter/", {"pass": forged}, HTTP_HOST=other.host).status_code == 403
        assert client.get("/panel/", HTTP_HOST=other.host).status_code == 302  # To the log-in.
        assert records(other) == before

    def test_the_mailed_link_of_one_shops_order_opens_none_of_another(self, pair: tuple[Any, Any]) -> None:
        """An order number is no secret. A shop that writes another's number into an order of its own has the link to it
        mailed to whom it likes."""
        one, other = pair
        digest = identity.token_digest("T" * 32)
        with pointed_at(one):
            mailed = identity.mailed_token("KAAA")
            assert identity.opens(digest, "KAAA", mailed)

        with pointed_at(other):
            assert not identity.opens(digest, "KAAA", mailed)

    def test_a_pass_opens_once(self, pair: tuple[Any, Any]) -> None:
        one, _other = pair
        entry = signing.dumps({"schema": one.schema_name, "email": "owner@example.com"}, salt=ENTER_SALT)

        answers = [Client().post("/enter/", {"pass": entry}, HTTP_HOST=one.host).status_code for _ in range(2)]

        assert answers == [302, 403]


class TestNamesOfHosts:
    @pytest.mark.parametrize(
        "headers",
        [{"HTTP_X_FORWARDED_HOST": "{other}"}, {"HTTP_X_HOST": "{other}"}, {"HTTP_FORWARDED": "host={other}"},
         {"HTTP_X_ORIGINAL_HOST": "{other}"}],
    )  # fmt: skip
    def test_only_the_host_itself_names_the_shop(self, pair: tuple[Any, Any], headers: dict[str, str]) -> None:
        one, other = pair
        sent = {name: value.format(other=other.host) for name, value in headers.items()}

        page = Client().get("/", HTTP_HOST=one.host, **sent).content.decode()  # type: ignore[arg-type]

        assert one.name in page
        assert other.name not in page

    @pytest.mark.parametrize(
        "host", ["{one}@{other}", "{one},{other}", "{one}/{other}", "{one} {other}", "{one}%00.{other}", ".{one}"]
    )
    def test_two_names_in_one_are_none(self, pair: tuple[Any, Any], host: str) -> None:
        one, other = pair

        answer = Client().get("/", HTTP_HOST=host.format(one=one.host, other=other.host))

        assert answer.status_code in (400, 404)
        assert other.name not in answer.content.decode()

    def test_a_name_is_the_same_in_capitals_and_with_its_dot_and_port(self, pair: tuple[Any, Any]) -> None:
        one, _other = pair

        for host in (one.host.upper(), f"{one.host}.", f"{one.host}:8000"):
            assert Client().get("/", HTTP_HOST=host).status_code == 200, host
