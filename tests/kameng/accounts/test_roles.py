"""Roles of a shop's own: made, given, and never more than the giver's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from kameng.accounts import catalogue, people, roles
from kameng.accounts.models import Role, StaffRole, User
from kameng.accounts.types import SYSTEM, Actor, ActorKind, NotAllowed
from kameng.db.context import in_substation
from kameng.lib import clock
from tenant_apps.panel import services
from tests.tenant_apps.panel.conftest import make_office, office  # noqa: F401  # Fixtures.
from tests.tenant_apps.panel.office import BACKEND, PASSWORD, Office
from tests.tenant_apps.racing import Runner

NOW = clock.utc_now()


def manager_of_people(*also: str) -> Actor:
    """Somebody who manages people, and may do what is named beside."""
    held = frozenset({catalogue.PEOPLE_MANAGE, *also})
    return Actor(ActorKind.USER, "Pia", 1, permissions=held)


def role(name: str, *permissions: str) -> StaffRole:
    return roles.save(name=name, permissions=permissions, by=SYSTEM, now=NOW)


class TestMaking:
    def test_keeps_name_and_permissions_and_writes_it_down(self, office: Office) -> None:
        office.owner.post(
            "/panel/roles/new/", {"name": " Price  clerk ", "permissions": ["goods.look", "prices.change"]}
        )

        row = office.read(StaffRole, name="Price clerk")
        assert row.permissions == ["goods.look", "prices.change"]
        assert office.acts()[-1] == "accounts.role.made"

    @pytest.mark.parametrize(
        ("name", "permissions"),
        [("", ["goods.look"]), ("Clerk", []), ("Clerk", ["stock.codes"]), ("manager", ["goods.look"])],
    )
    def test_refuses_what_can_not_be_a_role(self, office: Office, name: str, permissions: list[str]) -> None:
        response = office.owner.post("/panel/roles/new/", {"name": name, "permissions": permissions})

        assert response.status_code == 422
        with in_substation(office.shop):
            assert StaffRole.objects.count() == 0

    def test_one_name_once_however_it_is_written(self, office: Office) -> None:
        with in_substation(office.shop):
            role("Clerk", "goods.look")

        response = office.owner.post("/panel/roles/new/", {"name": "CLERK", "permissions": ["goods.look"]})

        assert response.status_code == 422
        assert "A role of this name is there already." in response.content.decode()

    def test_of_one_shop_is_nothing_in_another(self, office: Office, make_office: Callable[..., Office]) -> None:
        other = make_office(codes=0)
        with in_substation(other.shop):
            theirs = role("Clerk", "goods.look").pk + 0

        assert office.owner.get(f"/panel/roles/{theirs}/").status_code == 404
        assert office.owner.post(f"/panel/roles/{theirs}/remove/").status_code == 404


class TestHolding:
    def held(self, office: Office, *permissions: str) -> Client:
        with in_substation(office.shop):
            row = role("Clerk", *permissions)
            user = User.objects.create_user("clerk@example.com", PASSWORD, role=Role.VIEWER, own_role=row)
            browser = office.browser()
            browser.force_login(user, backend=BACKEND)
        return browser

    def test_opens_what_it_names_and_nothing_else(self, office: Office) -> None:
        browser = self.held(office, "goods.look", "prices.change")

        paths = ("", "listings/", "orders/", "statement/", "staff/", "settings/")
        opened = {path: browser.get(f"/panel/{path}").status_code for path in paths}
        priced = browser.post(
            "/panel/pricing/rule/", {"scope": "SKU", "target": office.goods.sku_id, "kind": "PERCENT", "value": "50"}
        )
        shelved = browser.post(f"/panel/listings/{office.goods.sku_id}/shelf/", {})

        assert opened == {"": 200, "listings/": 200, "orders/": 403, "statement/": 403, "staff/": 403, "settings/": 403}
        assert (priced.status_code, shelved.status_code) == (302, 403)

    def test_the_menu_shows_what_it_opens(self, office: Office) -> None:
        browser = self.held(office, "goods.look")

        shown = [item["url"] for group in browser.get("/panel/").context["nav"] for item in group["items"]]

        assert shown == ["/panel/", "/panel/listings/", "/panel/pricing/", "/panel/customise/"]

    def test_a_refusal_says_which_permission_and_whom_to_ask(self, office: Office) -> None:
        browser = self.held(office, "goods.look")

        body = browser.get("/panel/orders/").content.decode()

        owner = office.read(User, pk=office.users["OWNER"])
        assert "Your role (Clerk) does not include this: “Look at orders and their buyers”." in body
        assert f"You can be given it by: {owner}." in body

    def test_a_change_of_the_role_counts_at_once(self, office: Office) -> None:
        browser = self.held(office, "goods.look", "orders.look")
        assert browser.get("/panel/orders/").status_code == 200
        pk = office.read(StaffRole, name="Clerk").pk

        office.owner.post(f"/panel/roles/{pk}/", {"name": "Clerk", "permissions": ["goods.look"]})

        assert browser.get("/panel/orders/").status_code == 403

    def test_a_permission_that_is_no_more_opens_nothing(self, office: Office) -> None:
        browser = self.held(office, "goods.look")
        with in_substation(office.shop):
            StaffRole.objects.update(permissions=["goods.look", "was.there.once"])

        assert browser.get("/panel/listings/").status_code == 200

    def test_is_not_removed_while_somebody_has_it(self, office: Office) -> None:
        self.held(office, "goods.look")
        pk = office.read(StaffRole, name="Clerk").pk

        refused = office.owner.post(f"/panel/roles/{pk}/remove/")
        with in_substation(office.shop):
            User.objects.filter(own_role=pk).update(own_role=None)
        gone = office.owner.post(f"/panel/roles/{pk}/remove/")

        assert (refused.status_code, gone.status_code) == (409, 302)
        with in_substation(office.shop):
            assert StaffRole.objects.count() == 0

    def test_stands_on_a_row_that_may_only_look(self, office: Office) -> None:
        """Code that knows no own roles reads `role`: the database holds it at the least."""
        self.held(office, "goods.look")

        with pytest.raises(IntegrityError, match="own_role_stands_on_viewer"):
            with in_substation(office.shop), transaction.atomic():
                User.objects.filter(email="clerk@example.com").update(role="OWNER")


class TestNoMoreThanOnesOwn:
    def test_nobody_makes_a_role_that_may_do_more_than_they(self, office: Office) -> None:
        with in_substation(office.shop), pytest.raises(roles.MoreThanYours):
            roles.save(name="Boss", permissions=["money.look"], by=manager_of_people("goods.look"), now=NOW)
        with in_substation(office.shop):
            assert StaffRole.objects.count() == 0

    def test_nobody_gives_or_takes_a_role_above_their_own(self, office: Office) -> None:
        by = manager_of_people("goods.look")
        for act in (
            lambda: people.set_role(user_id=office.users["VIEWER"], role="OWNER", by=by, now=NOW),
            lambda: people.set_role(user_id=office.users["OWNER"], role="VIEWER", by=by, now=NOW),
            lambda: services.set_active(user_id=office.users["OWNER"], active=False, by=by, now=NOW),
            lambda: services.invite(email="x@example.com", name="", role="OWNER", base_url="", by=by, now=NOW),
        ):
            with in_substation(office.shop), pytest.raises(roles.MoreThanYours):
                act()

        assert office.read(User, pk=office.users["VIEWER"]).role == "VIEWER"
        owner = office.read(User, pk=office.users["OWNER"])
        assert (owner.role, owner.is_active) == ("OWNER", True)

    def test_a_service_refuses_an_actor_without_the_permission(self, office: Office) -> None:
        by = Actor(ActorKind.USER, "Max", 2, permissions=frozenset({catalogue.GOODS_LOOK}))
        with in_substation(office.shop), pytest.raises(NotAllowed):
            people.set_role(user_id=office.users["VIEWER"], role="MANAGER", by=by, now=NOW)
        with in_substation(office.shop), pytest.raises(NotAllowed):
            roles.save(name="Mine", permissions=["goods.look"], by=by, now=NOW)

        assert office.read(User, pk=office.users["VIEWER"]).role == "VIEWER"


class TestTheLastOwner:
    def pair(self, office: Office) -> tuple[int, int]:
        """The shop's two owners, both able to log in."""
        with in_substation(office.shop):
            second = User.objects.create_user("second@example.com", PASSWORD, role=Role.OWNER)
        return office.users["OWNER"], second.pk

    @pytest.mark.parametrize("deed", ["demote", "deactivate", "own role"])
    def test_of_two_owners_who_remove_each_other_at_once_one_stays(self, office: Office, deed: str) -> None:
        """Both at the same moment, each the other: the second waits for the first's rows and finds itself the last."""
        ann, ben = self.pair(office)
        with in_substation(office.shop):
            own = f"own:{role('Clerk', 'goods.look').pk}"

        def remove(pk: int) -> None:
            with in_substation(office.shop):
                if deed == "deactivate":
                    services.set_active(user_id=pk, active=False, by=SYSTEM, now=NOW)
                else:
                    wanted = "MANAGER" if deed == "demote" else own
                    people.set_role(user_id=pk, role=wanted, by=SYSTEM, now=NOW)

        with in_substation(office.shop):
            remove(ben)
            second = Runner(lambda: remove(ann))
            second.wait_until_blocked()
        with pytest.raises(people.LastOfAll):
            second.result()

        with in_substation(office.shop):
            assert list(User.objects.filter(role="OWNER", is_active=True).values_list("pk", flat=True)) == [ann]

    def test_somebody_who_was_only_invited_is_no_owner_who_stays(self, office: Office) -> None:
        with in_substation(office.shop):
            User.objects.create_user("invited@example.com", None, role=Role.OWNER)

        response = office.owner.post(f"/panel/staff/{office.users['OWNER']}/role/", {"role": "MANAGER"})

        assert response.status_code == 409
        assert office.read(User, pk=office.users["OWNER"]).role == "OWNER"


class TestInvitations:
    def test_one_is_taken_back_and_its_link_opens_nothing(self, office: Office) -> None:
        from kameng.accounts import recovery

        office.owner.post("/panel/staff/", {"email": "nina@example.com", "role": "SUPPORT"})
        nina: Any = office.read(User, email="nina@example.com")
        with in_substation(office.shop):
            path = recovery.link_path(nina)

        response = office.owner.post(f"/panel/staff/{nina.pk}/withdraw/")

        assert response.status_code == 302
        assert office.browser().get(path).status_code == 403
        with in_substation(office.shop):
            assert not User.objects.filter(email="nina@example.com").exists()
        assert office.acts()[-1] == "panel.staff.withdrawn"

    def test_of_somebody_who_came_in_is_not_taken_back(self, office: Office) -> None:
        response = office.owner.post(f"/panel/staff/{office.users['STAFF']}/withdraw/")

        assert response.status_code == 422
        assert office.read(User, pk=office.users["STAFF"]).is_active

    def test_into_a_role_of_the_shops_own(self, office: Office) -> None:
        with in_substation(office.shop):
            pk = role("Clerk", "goods.look").pk

        office.owner.post("/panel/staff/", {"email": "nina@example.com", "role": f"own:{pk}"})

        nina = office.read(User, email="nina@example.com")
        assert (nina.role, nina.own_role_id) == ("VIEWER", pk)
