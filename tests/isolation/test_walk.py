"""Every address of both hosts, tried with one shop's ids by everybody whose they are not. See `tests/isolation/walk`.

A leak is an answer with one of that shop's marks in it, a row of its schema or about it that changed, an entry of its
cache, a file, a mail to somebody else, or an error of ours. An address that nobody told how to fill fails by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core import mail
from django.http import HttpRequest, HttpResponse

from kameng.accounts import catalogue
from kameng.db.context import MAIN, in_main, in_substation, pointed_at
from kameng.web import counting
from tests.isolation.walk import routes, scene, visits, watch
from tests.isolation.walk.routes import Route

# What a stranger may do at a shop's own door: buy. The tables that it changes, and a read of the row it wrote.
BUYING = {"orders_order", "orders_orderline", "orders_orderstep", "payments_payment", "accounts_idempotencyrecord"}
OPEN_DOORS = {
    "shop:p/<slug:slug>/": BUYING,
    "shop:api/v1/orders/": BUYING,
    "shop:login/": {"accounts_auditrecord"},  # A wrong password stands in the history of the log-in that was tried.
}
KEPT_ABOUT_BUYING = {
    "public.stock_hold",
    "public.receipts_networkorder",
    "public.receipts_announced",
    "public.jobs_job",
}


@pytest.fixture(scope="module")
def cast(make_shop: Callable[..., Any]) -> scene.Scene:
    return scene.set_up(make_shop)


@pytest.fixture(autouse=True)
def _calm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limits stand out of the way: a refusal for haste would hide what is behind it. No worker is woken."""
    from tenant_apps.storefront import limits
    from tenants import admission

    throttles = dict.fromkeys(("anon", "token", "signup", "signup_code"), "1000000/min")
    monkeypatch.setattr("rest_framework.throttling.SimpleRateThrottle.THROTTLE_RATES", throttles)
    monkeypatch.setattr(admission, "SIGNUPS_PER_HOUR", 1_000_000)
    monkeypatch.setattr(admission, "check_proof", lambda **_: None)
    for name in ("PER_ADDRESS", "PER_ADDRESS_AND_NUMBER", "PER_NUMBER"):
        monkeypatch.setattr(limits, name, 1_000_000)
    monkeypatch.setattr("kameng.accounts.views_passwords.PER_ADDRESS", 1_000_000)
    monkeypatch.setattr(settings, "AXES_FAILURE_LIMIT", 1_000_000)
    monkeypatch.setattr("kameng.jobs.services._wake", lambda job_id: None)
    yield
    with pointed_at(MAIN):
        counting.forget("signup:127.0.0.1")  # Tests elsewhere have the product's limit, and the same address.


def walk(route: Route, cast: scene.Scene) -> tuple[int, list[str]]:
    """Visit one address as everybody; answers the number of visits and what is wrong, in words."""
    visits.mend(cast.alice)
    found, count = [], 0
    mail.outbox = []
    visitors = visits.neighbours(route, cast)
    files, before, keys = watch.data_files(), watch.state_of(cast), watch.cache_keys()
    for visitor in visitors:
        at_home = visitor.host == cast.bob.host
        for visit in visits.visits(route, visitor, cast):
            count += 1
            found += [f"{visit}: {what}" for what in _judge(visit, cast, at_home)]
        after, keys_after = watch.state_of(cast), watch.cache_keys()
        wrong = [f"{what} changed" for what in watch.changes(before, after) if not _is_open(route, cast, at_home, what)]
        wrong += watch.strange_keys(keys_after - keys, _schema_at(visitor.host, cast))
        found += [f"{visitor.name} at {visitor.host}: {what}" for what in wrong]
        before, keys = after, keys_after
    found += watch.strange_files(watch.data_files() - files, cast.alice.shop.schema_name)
    found += [f"a mail to {message.to}: {name}" for message, name in _mailed(cast)]
    return count, found


def _judge(visit: visits.Visit, cast: scene.Scene, at_home: bool) -> list[str]:
    response = visit.ask()
    if response.status_code >= 500:
        return [f"answers {response.status_code}"]
    if response.status_code == 429:
        return ["answers 429, which proves nothing"]
    if visit.visitor.may_look:
        return []
    return [f"gives away the {name}" for name in watch.given_away(cast.bob, visit.sent, response, at_home=at_home)]


def _is_open(route: Route, cast: scene.Scene, at_home: bool, what: str) -> bool:
    """Whether that is what a stranger may change at this shop's own door."""
    if not at_home:
        return False
    if what.startswith("cache "):  # His own host counts tries and keeps a page's settings.
        return True
    allowed = {f"{cast.bob.shop.schema_name}.{table}" for table in OPEN_DOORS.get(route.label, ())}
    return what.removeprefix("table ") in allowed | (KEPT_ABOUT_BUYING if allowed else set())


def _schema_at(host: str, cast: scene.Scene) -> str:
    shops = {cast.alice.host: cast.alice.shop.schema_name, cast.bob.host: cast.bob.shop.schema_name}
    return shops.get(host, "public")


def _mailed(cast: scene.Scene) -> Iterator[tuple[Any, str]]:
    """Bob's marks in mails to anybody but his own people and buyers."""
    marks = watch.marks_of(cast.bob)
    for message in mail.outbox:
        if not set(message.to) <= set(marks.values()):
            yield from ((message, name) for name, mark in marks.items() if mark in f"{message.subject} {message.body}")


class TestEveryAddress:
    @pytest.mark.parametrize("route", routes.every_route(), ids=lambda route: route.label)
    def test_keeps_one_shop_from_another(
        self, cast: scene.Scene, route: Route, record_property: Callable[[str, object], None]
    ) -> None:
        count, found = walk(route, cast)

        record_property("hostile_visits", count)
        assert found == []
        assert count >= len(visits.neighbours(route, cast))


class TestTheWalkItself:
    """A walk that sees nothing finds nothing: its ids lead somewhere, its marks are seen, a leak is named."""

    def test_every_way_leads_to_something_and_every_mark_is_read_by_those_whose_it_is(self, cast: scene.Scene) -> None:
        seen: set[str] = set()
        astray = []
        for route in routes.every_route():
            for visit in visits.rightful(route, cast):
                response = visit.ask()
                if route.parameters and response.status_code not in (200, 286, 302, 405):
                    astray.append(f"{visit}: {response.status_code}")
                seen |= set(watch.given_away(cast.bob, "", response, at_home=False))

        codes = visits.Visit(
            visits.Visitor("its buyer", cast.bob.host, scene.browser(cast.bob.host), cast.bob), "post",
            f"/o/{cast.bob.orders['paid'].number}/{cast.bob.orders['paid'].token}/codes/", {},
        )  # fmt: skip
        seen |= set(watch.given_away(cast.bob, "", codes.ask(), at_home=False))
        assert [one for one in astray if not _leads_nowhere(one)] == []
        assert {*watch.marks_of(cast.bob), *cast.bob.public_marks} - seen == {
            "key of its programs"
        }  # Shown once, never again.

    def test_a_new_address_with_parameters_fails_by_its_name(self, cast: scene.Scene) -> None:
        from tests.isolation.walk import ways

        unknown = Route("shop", "panel/coupons/<int:pk>/", "panel:coupon", ("get",))

        with pytest.raises(ways.NoWay, match=r"shop:panel/coupons/<int:pk>/ has parameters"):
            walk(unknown, cast)

    @pytest.mark.parametrize("fault", ["reads", "writes", "breaks"])
    def test_finds_a_leak_that_is_planted(self, cast: scene.Scene, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
        """A view that takes the shop from the reader's own word."""
        from kameng.web.transactions import own_transactions
        from tenant_apps.orders.models import Order
        from tenant_apps.storefront import views

        bob = cast.bob.shop

        @own_transactions
        def leaky(request: HttpRequest) -> HttpResponse:
            if fault == "breaks":
                raise ZeroDivisionError
            with in_substation(bob):
                if fault == "writes":
                    Order.objects.update(ip="127.0.0.9")
                return HttpResponse(
                    Order.objects.get(number=cast.bob.orders["paid"].number).contact if fault == "reads" else ""
                )

        about = next(route for route in routes.routes("shop") if route.name == "storefront:about")
        monkeypatch.setattr(_pattern_of(views.about), "callback", leaky)

        _count, found = walk(about, cast)

        said = {"reads": "gives away the buyer", "writes": "orders_order changed", "breaks": "answers 500"}[fault]
        assert [one for one in found if said in one]

    @pytest.mark.parametrize("to_whom", ["a shop's people", "the station's people"])
    @pytest.mark.parametrize("fault", ["reads", "writes"])
    def test_finds_a_leak_that_shows_to_small_members_alone(
        self, cast: scene.Scene, monkeypatch: pytest.MonkeyPatch, to_whom: str, fault: str
    ) -> None:
        """A page with a branch for those who may not see the money, which no owner and no stranger ever comes into."""
        from kameng.web.transactions import own_transactions
        from shared_apps.console.views import front as console
        from tenant_apps.orders.models import Order
        from tenant_apps.panel.views import overview as panel

        bob, number = cast.bob.shop, cast.bob.orders["paid"].number
        view, host, name, whole = {
            "a shop's people": (panel.index, "shop", "panel:overview", catalogue.MONEY_LOOK),
            "the station's people": (console.home, "main", "console:overview", catalogue.SYSTEM_MANAGE),
        }[to_whom]

        @own_transactions
        def leaky(request: HttpRequest) -> HttpResponse:
            user: Any = request.user
            with in_substation(cast.alice.shop) if host == "shop" else in_main():
                spared = not user.is_authenticated or user.may(whole)
            if spared:
                return HttpResponse()
            with in_substation(bob):
                if fault == "writes":
                    Order.objects.filter(number=number).update(ip="127.0.0.9")
                return HttpResponse(Order.objects.get(number=number).contact if fault == "reads" else "")

        route = next(route for route in routes.routes(host) if route.name == name)
        monkeypatch.setattr(_pattern_of(view, host), "callback", leaky)

        _count, found = walk(route, cast)

        said = {"reads": "gives away the buyer", "writes": "orders_order changed"}[fault]
        assert [one for one in found if said in one]

    def test_sees_what_is_packed_in_a_spreadsheet(self, cast: scene.Scene) -> None:
        bob = cast.bob
        owner = visits.Visitor("its owner", bob.host, scene.browser(bob.host, bob.users["OWNER"], bob.shop), bob)

        response = visits.Visit(owner, "get", "/panel/orders/?export=xlsx").ask()

        assert response.headers["Content-Disposition"].endswith('.xlsx"')
        assert "buyer" in watch.given_away(bob, "", response, at_home=True)


def _leads_nowhere(told: str) -> bool:
    """Reads that find nothing for their owner as well: a file by another folder than its own, a shop's password link at the
    main station."""
    return ("/files/" in told and told.endswith("404")) or (
        " at localhost: GET /password/set/" in told and told.endswith("403")
    )


def _pattern_of(view: Any, host: str = "shop") -> Any:
    """The entry of the host's URL map that leads to `view`."""
    from django.urls import URLPattern, get_resolver

    def search(patterns: Any) -> Any:
        for pattern in patterns:
            if isinstance(pattern, URLPattern):
                if pattern.callback is view:
                    return pattern
            elif (found := search(pattern.url_patterns)) is not None:
                return found
        return None

    return search(get_resolver(routes.HOSTS[host]).url_patterns)
