"""What a plan has room for: refused beyond it with nothing changed, counted under a lock, and closed under race."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from kameng.accounts.models import ApiToken, AuditRecord, User
from kameng.db.context import in_main, in_substation
from kameng.db.scopes import NoTenant
from tenant_apps.listings import selectors as listings
from tenant_apps.listings import services as shelf
from tenant_apps.listings import sync
from tenant_apps.listings.models import Listing
from tenant_apps.panel import services as panel
from tenants import limits
from tenants import services as tenants
from tenants.limits import Countable, Limit, LimitReached, NotInPlan, Switch
from tenants.models import Plan, SyncFeed
from tests.tenant_apps.market import CLERK, NOW, make_goods
from tests.tenant_apps.racing import Runner, all_at_once

_serial = itertools.count(1)


@pytest.fixture
def make_plan(prepared: None) -> Callable[..., Plan]:
    """A plan of the test's own: `make_plan(max_staff=2)`."""

    def make(**terms: Any) -> Plan:
        code = f"lim-{os.getpid()}-{next(_serial)}"
        with in_main():
            return Plan.objects.create(
                code=code[-20:], name_zh=code, name_en=code, supply_level="BASIC", active=False, **terms
            )

    return make


@pytest.fixture
def shop_on(make_plan: Callable[..., Plan], make_shop: Callable[..., Any]) -> Callable[..., Any]:
    """A live shop on a plan with these terms: `shop_on(max_listings=3)`."""

    def make(**terms: Any) -> Any:
        return make_shop(plan=make_plan(**terms).code)

    return make


def goods(count: int) -> list[int]:
    """So many new SKUs in the library; their ids."""
    with in_main():
        return [make_goods().sku_id for _ in range(count)]


def invite(email: str) -> User:
    return panel.invite(email=email, name="", role="STAFF", base_url="http://x.localhost", by=CLERK, now=NOW)


def on_shelf(shop: Any) -> int:
    with in_substation(shop):
        return listings.for_sale_count()


def people(shop: Any) -> list[str]:
    with in_substation(shop):
        return list(User.objects.filter(is_active=True).order_by("pk").values_list("email", flat=True))


def at_once(shop: Any, deeds: list[Callable[[], Any]]) -> list[str]:
    """Run deeds in the shop from a common start, each with a connection and a transaction of its own; how each ended."""

    def held(deed: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> None:
            with in_substation(shop):
                deed()

        return run

    answers = all_at_once([held(deed) for deed in deeds])
    return sorted("done" if answer is None else answer.code for answer in answers)


def inviting(email: str) -> Callable[[], Any]:
    return lambda: invite(email)


class TestLimit:
    @pytest.mark.parametrize(
        ("used", "bound", "left", "full", "near"),
        [(3, None, None, False, False), (7, 10, 3, False, False), (8, 10, 2, False, True), (10, 10, 0, True, True),
         (12, 10, 0, True, True), (0, 0, 0, True, True)],
    )  # fmt: skip
    def test_says_what_is_left(self, used: int, bound: int | None, left: int | None, full: bool, near: bool) -> None:
        found = Limit(Countable.STAFF, used, bound)

        assert (found.left, found.full, found.near) == (left, full, near)

    def test_is_a_shops_never_the_main_stations(self, db: None) -> None:
        with pytest.raises(NoTenant):
            limits.claim(Countable.STAFF, count=lambda: 0, adding=1)


class TestShelf:
    def test_takes_what_the_plan_has_room_for(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(max_listings=0)
        a, b, c = goods(3)
        sync.sync_substation(shop)
        self._allow(shop, 2)

        with in_substation(shop):
            changed = shelf.set_on_shelf(listing_ids=[a, b], on=True, by=CLERK, now=NOW)
            with pytest.raises(LimitReached) as refusal:
                shelf.set_on_shelf(listing_ids=[b, c], on=True, by=CLERK, now=NOW)

        assert (changed, on_shelf(shop)) == (2, 2)
        assert refusal.value.details == {"limit": "listings", "used": 2, "bound": 2, "adding": 1}
        assert "room for 2 SKUs on the shelf; 2 are there, and 1 more" in str(refusal.value)
        with in_substation(shop):
            assert not Listing.objects.get(pk=c).on_shelf
            assert AuditRecord.objects.filter(action="listings.shelf.set").count() == 1

    def test_lets_what_is_there_stay_and_come_off_when_the_plan_shrinks(self, shop_on: Callable[..., Any]) -> None:
        goods(3)
        shop = shop_on()
        before = on_shelf(shop)
        self._allow(shop, 1)
        with in_substation(shop):
            some = list(Listing.objects.filter(on_shelf=True, active=True).values_list("pk", flat=True)[:2])

            shelf.set_on_shelf(listing_ids=some, on=True, by=CLERK, now=NOW)  # They are there: nothing is added.
            shelf.set_on_shelf(listing_ids=some, on=False, by=CLERK, now=NOW)
            with pytest.raises(LimitReached):
                shelf.set_on_shelf(listing_ids=some, on=True, by=CLERK, now=NOW)

        assert on_shelf(shop) == before - 2

    def test_of_a_new_shop_is_filled_up_to_the_bound(self, shop_on: Callable[..., Any]) -> None:
        goods(3)

        shop = shop_on(max_listings=2)

        with in_substation(shop):
            assert Listing.objects.count() >= 3
        assert on_shelf(shop) == 2

    def test_takes_new_goods_of_the_library_while_there_is_room(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(max_listings=0)
        self._allow(shop, 2)
        new = goods(3)

        sync.sync_substation(shop)
        sync.sync_substation(shop)

        with in_substation(shop):
            states = dict(Listing.objects.filter(pk__in=new).values_list("pk", "on_shelf"))
        assert (len(states), sum(states.values()), on_shelf(shop)) == (3, 2, 2)

    def test_finds_what_waits_after_a_death_between_the_goods_and_their_room(
        self, shop_on: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop = shop_on(max_listings=0)
        self._allow(shop, 2)
        new = goods(3)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(shelf, "fill_room", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
            sync.sync_substation(shop)
        with in_substation(shop):
            assert Listing.objects.filter(pk__in=new, on_shelf=False, waits_for_room=True).count() == 3

        sync.sync_substation(shop, (SyncFeed.STOCK,))

        with in_substation(shop):
            assert Listing.objects.filter(pk__in=new, on_shelf=True).count() == 2
            assert not Listing.objects.filter(waits_for_room=True).exists()

    def test_without_a_bound_takes_everything_as_before(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on()
        new = goods(2)

        sync.sync_substation(shop)

        with in_substation(shop):
            assert Listing.objects.filter(pk__in=new, on_shelf=True).count() == 2

    def test_counts_nothing_that_the_library_took_away(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(max_listings=0)
        gone, new = goods(2)
        sync.sync_substation(shop)
        self._allow(shop, 1)
        with in_substation(shop):
            shelf.set_on_shelf(listing_ids=[gone], on=True, by=CLERK, now=NOW)
        with in_main():
            from shared_apps.library.models import Sku

            Sku.objects.filter(pk=gone).update(active=False)
        sync.sync_substation(shop)

        with in_substation(shop):
            assert shelf.set_on_shelf(listing_ids=[new], on=True, by=CLERK, now=NOW) == 1

    def test_is_never_overfilled_by_two_at_once(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(max_listings=0)
        a, b = goods(2)
        sync.sync_substation(shop)
        self._allow(shop, 1)

        def putting(one: int) -> Callable[[], Any]:
            return lambda: shelf.set_on_shelf(listing_ids=[one], on=True, by=CLERK, now=NOW)

        ended = at_once(shop, [putting(a), putting(b)])

        assert (ended, on_shelf(shop)) == (["done", "plan_limit_reached"], 1)

    def _allow(self, shop: Any, bound: int) -> None:
        with in_main():
            Plan.objects.filter(pk=shop.plan_id).update(max_listings=bound)


class TestStaff:
    """A shop has its owner from the first: one of those who may log in."""

    def test_is_invited_up_to_the_bound_the_owner_counted(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(max_staff=2)
        with in_substation(shop):
            invite("one@example.com")

            with pytest.raises(LimitReached) as refusal:
                invite("two@example.com")

        assert "room for 2 people, and 2 may log in" in str(refusal.value)
        assert people(shop) == [shop.owner_email, "one@example.com"]

    def test_that_is_locked_out_makes_room_and_needs_it_to_come_back(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(max_staff=2)
        with in_substation(shop):
            one = invite("one@example.com")
            panel.set_active(user_id=one.pk, active=False, by=CLERK, now=NOW)
            invite("two@example.com")

            with pytest.raises(LimitReached):
                panel.set_active(user_id=one.pk, active=True, by=CLERK, now=NOW)

        assert people(shop) == [shop.owner_email, "two@example.com"]

    def test_that_may_come_in_already_needs_no_room(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(max_staff=2)
        with in_substation(shop):
            one = invite("one@example.com")

            assert panel.set_active(user_id=one.pk, active=True, by=CLERK, now=NOW).is_active

    def test_is_never_one_too_many_when_two_are_invited_at_once(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(max_staff=2)

        ended = at_once(shop, [inviting("one@example.com"), inviting("two@example.com")])

        assert (ended, len(people(shop))) == (["done", "plan_limit_reached"], 2)

    def test_would_be_one_too_many_without_the_lock(
        self, shop_on: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The race is there: with the lock taken out, and both counting before either adds, both come in."""
        shop = shop_on(max_staff=2)
        counted = threading.Barrier(2)
        plan_of, count = limits._plan, panel.people.may_log_in

        def counting() -> int:
            found = count()
            counted.wait(timeout=30)
            return found

        monkeypatch.setattr(limits, "_plan", lambda lock=False: plan_of())
        monkeypatch.setattr(panel.people, "may_log_in", counting)

        ended = at_once(shop, [inviting("one@example.com"), inviting("two@example.com")])

        assert (ended, len(people(shop))) == (["done", "done"], 3)

    def test_waits_for_a_change_of_plan_and_then_goes_by_the_new_one(
        self, shop_on: Callable[..., Any], make_plan: Callable[..., Plan]
    ) -> None:
        shop, small = shop_on(max_staff=5), make_plan(max_staff=1)

        def add() -> None:
            with in_substation(shop):
                invite("one@example.com")

        with in_main():
            tenants.change_plan(public_id=shop.public_id, plan_code=small.code, by=CLERK, now=NOW)
            adding = Runner(add)
            adding.wait_until_blocked()

        with pytest.raises(LimitReached):
            adding.result()
        assert people(shop) == [shop.owner_email]


class TestSwitches:
    def test_no_token_is_made_on_a_plan_without_an_api(self, shop_on: Callable[..., Any]) -> None:
        shop = shop_on(api_allowed=False)
        with in_substation(shop):
            owner = User.objects.get(email=shop.owner_email)

            with pytest.raises(NotInPlan) as refusal:
                panel.make_token(user=owner, name="till", scopes=["orders:read"], expires_at=None, by=CLERK, now=NOW)

            assert (refusal.value.code, ApiToken.objects.count()) == ("not_in_plan", 0)

    def test_a_domain_of_ones_own_needs_a_plan_that_has_it(self, shop_on: Callable[..., Any]) -> None:
        with in_substation(shop_on(own_domain_allowed=False)):
            assert not limits.allows(Switch.OWN_DOMAIN)
            with pytest.raises(NotInPlan):
                limits.require(Switch.OWN_DOMAIN)

        with in_substation(shop_on()):
            limits.require(Switch.OWN_DOMAIN)
