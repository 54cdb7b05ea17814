"""Who visits an address, where, with what: the plan of the walk, and its steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from kameng.accounts.models import User
from kameng.db.context import in_main, in_substation, pointed_at
from tenant_apps.shop.models import ShopSettings
from tenants import hosts
from tenants.models import Substation
from tenants.states import Standing, SubstationState
from tests.isolation.walk import fields, ways
from tests.isolation.walk.routes import Route
from tests.isolation.walk.scene import Scene, Side, browser

MAIN = "localhost"
# Of a shop's people, beside its owner. A page may show to one of them what it shows to nobody who may do more.
MEMBERS = {"STAFF": "staff", "VIEWER": "viewer", "OWN": "member with a role of its own"}


@dataclass
class Visitor:
    """One who asks at one host. `holds`: whose secrets he has, which are sent along where an address takes any.

    `once`: he takes each of an address's methods once, and not in every way there is: one of many members. `may_look`: it
    is his work to read what is Bob's, and no leak; that he changes nothing of it counts.
    """

    name: str
    host: str
    client: Client
    holds: Side
    headers: dict[str, str] = field(default_factory=dict)
    once: bool = False
    may_look: bool = False


@dataclass(frozen=True)
class Visit:
    """One request."""

    visitor: Visitor
    method: str
    path: str
    data: Any = None  # A form's fields, or what becomes JSON at an address of the API.
    as_json: bool = False

    @property
    def sent(self) -> str:
        """All that the visitor says himself."""
        said = json.dumps(self.data, ensure_ascii=False, default=str) if self.data is not None else ""
        return f"{self.path} {said} {' '.join(self.visitor.headers.values())}"

    def __str__(self) -> str:
        return f"{self.visitor.name} at {self.visitor.host}: {self.method.upper()} {self.path[:150]}"

    def ask(self) -> Any:
        headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in self.visitor.headers.items()}
        if self.method == "get":
            return self.visitor.client.get(self.path, **headers)  # type: ignore[arg-type]
        if self.as_json:
            body = "" if self.data is None else json.dumps(self.data)
            return self.visitor.client.generic(
                self.method.upper(), self.path, body, content_type="application/json", **headers
            )
        return self.visitor.client.post(self.path, self.data, **headers)  # type: ignore[arg-type]


def neighbours(route: Route, scene: Scene) -> list[Visitor]:
    """Everybody whose the address is not, at every host that has it."""
    if route.host == "main":
        return _at_the_main_station(scene)
    return [*_at_alices(scene), *_at_bobs(scene)]


def _at_the_main_station(scene: Scene) -> list[Visitor]:
    alice = scene.alice
    applicant = browser(MAIN)
    with pointed_at_main():
        session = applicant.session
        session["signups"] = {alice.signup.signup.public_id: alice.signup.token}
        session.save()
        applicant.cookies["kameng_session"] = session.session_key or ""
    token = {"X-Signup-Token": alice.signup.token}
    return [
        Visitor("a stranger", MAIN, browser(MAIN), alice),
        Visitor("who began another signup", MAIN, applicant, alice, token),
        Visitor("another shop's owner", MAIN, browser(MAIN, alice.users["OWNER"], alice.shop), alice),
        Visitor("another shop's program", MAIN, browser(MAIN), alice, {"Authorization": f"Bearer {alice.secret}"}),
        Visitor("who may look there", MAIN, browser(MAIN, scene.clerks["LOOKS"]), alice, once=True, may_look=True),
        Visitor("who may see its plans", MAIN, browser(MAIN, scene.clerks["SMALL"]), alice, once=True),
    ]


def _at_alices(scene: Scene) -> list[Visitor]:
    """Bob's ids, with their secrets, carried to another shop's door: by its own people, and by Bob's."""
    alice, bob = scene.alice, scene.bob
    order = {"X-Order-Token": bob.orders["paid"].token}
    return [
        Visitor("a stranger", alice.host, browser(alice.host), bob, order),
        Visitor("a buyer of this shop", alice.host, _buyer(alice), bob, order),
        Visitor("its owner", alice.host, browser(alice.host, alice.users["OWNER"], alice.shop), bob),
        Visitor(
            "its owner's program", alice.host, browser(alice.host), bob, {"Authorization": f"Bearer {alice.secret}"}
        ),
        Visitor("the other shop's owner", alice.host, browser(alice.host, bob.users["OWNER"], bob.shop), bob),
        Visitor("the other's program", alice.host, browser(alice.host), bob, {"Authorization": f"Bearer {bob.secret}"}),
        *(
            Visitor(f"its {what}", alice.host, browser(alice.host, alice.users[role], alice.shop), bob, once=True)
            for role, what in MEMBERS.items()
        ),
    ]


def _at_bobs(scene: Scene) -> list[Visitor]:
    """Bob's ids at his own door, with a neighbour's secrets."""
    alice, bob = scene.alice, scene.bob
    order = {"X-Order-Token": alice.orders["paid"].token}
    return [
        Visitor("a stranger", bob.host, browser(bob.host), alice),
        Visitor("another shop's buyer", bob.host, _buyer(alice, bob.host), alice, order),
        Visitor("another shop's owner", bob.host, browser(bob.host, alice.users["OWNER"], alice.shop), alice),
        Visitor("another's program", bob.host, browser(bob.host), alice, {"Authorization": f"Bearer {alice.secret}"}),
        Visitor(
            "another shop's staff", bob.host, browser(bob.host, alice.users["STAFF"], alice.shop), alice, once=True
        ),
    ]


def _buyer(side: Side, host: str = "") -> Client:
    """Whoever bought at `side`'s shop, with the cookie that its page left."""
    client = browser(host or side.host)
    client.cookies["order_password"] = side.orders["paid"].lookup_secret
    return client


def visits(route: Route, visitor: Visitor, scene: Scene) -> Iterator[Visit]:
    """Each method with each of the ways to fill the address; a read bare, with everything in its query, and as a file."""
    filled = ways.fill(route, scene, full=visitor.holds is scene.bob)
    for values in filled[:1] if visitor.once else filled:
        path = route.path(values)
        for method in route.methods:
            if method == "get":
                yield Visit(visitor, method, path)
                if visitor.once:
                    continue
                yield Visit(visitor, method, f"{path}?{urlencode(fields.query(scene, visitor.holds))}")
                if not route.is_api:
                    yield Visit(visitor, method, f"{path}?export=xlsx")
            elif route.is_api:
                yield Visit(visitor, method, path, fields.body(route, method, scene, visitor.holds), as_json=True)
            else:
                yield Visit(visitor, method, path, fields.sink(scene, visitor.holds))


def rightful(route: Route, scene: Scene) -> list[Visit]:
    """Reads of the address by those whose it is, with the same ids: what a way leads to, if it leads anywhere."""
    reads = ways.fill(route, scene, full=True) if "get" in route.methods else []
    return [Visit(_whose(route, scene, values), "get", route.path(values)) for values in reads]


def _whose(route: Route, scene: Scene, values: dict[str, Any]) -> Visitor:
    bob = scene.bob
    if route.host == "main":
        if route.text.startswith(("signup/", "api/v1/signups/")):
            client = browser(MAIN)
            with pointed_at_main():
                session = client.session
                session["signups"] = {bob.signup.signup.public_id: bob.signup.token}
                session.save()
                client.cookies["kameng_session"] = session.session_key or ""
            return Visitor("who began it", MAIN, client, bob, {"X-Signup-Token": bob.signup.token})
        headers = {"Authorization": f"Bearer {scene.operator_secret}"} if route.is_api else {}
        return Visitor("an operator", MAIN, browser(MAIN, None if headers else scene.operator), bob, headers)
    if route.text.startswith("panel/"):
        return Visitor("its owner", bob.host, browser(bob.host, bob.users["OWNER"], bob.shop), bob)
    headers = {}
    if route.text.startswith("api/v1/panel/"):
        headers = {"Authorization": f"Bearer {bob.secret}"}
    elif "number" in values:
        token = next(one.token for one in bob.orders.values() if one.number == values["number"])
        headers = {"X-Order-Token": token}
    return Visitor("its buyer", bob.host, browser(bob.host), bob, headers)


def pointed_at_main() -> Any:
    from kameng.db.context import MAIN as MAIN_SCOPE

    return pointed_at(MAIN_SCOPE)


def mend(side: Side) -> None:
    """Alice's shop as it was: an address before may have closed it, or locked its people out."""
    with in_main():
        Substation.objects.filter(pk=side.shop.pk).update(state=SubstationState.ACTIVE, standing=Standing.GOOD)
    hosts.forget(side.shop)
    with in_substation(side.shop):
        ShopSettings.objects.update(open=True, name=side.public_marks["name"])
        for user in side.users.values():
            as_it_was = {"role": user.role, "own_role": user.own_role_id, "password": user.password}
            User.objects.filter(pk=user.pk).update(is_active=True, **as_it_was)
