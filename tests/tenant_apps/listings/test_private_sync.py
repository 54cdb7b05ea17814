"""How private terms reach the shop that has them, and that one alone: written, begun, run out, ended."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from shared_apps.library import services as library
from shared_apps.library.models import SupplyPrice
from tenant_apps.listings import selectors, sync
from tenant_apps.listings.models import Listing
from tenants import services as tenants
from tests.horizon import wait_until_concluded
from tests.tenant_apps.market import CLERK, Goods, make_goods

HOUR = timedelta(hours=1)


@pytest.fixture
def goods(prepared: None) -> Goods:
    with in_main():
        return make_goods(codes=3)


@pytest.fixture
def other(make_shop: Any, goods: Goods) -> Any:
    """A neighbour on the same plan."""
    return settled(make_shop())


@pytest.fixture
def shop(fresh_shop: Any, other: Any) -> Any:
    return settled(fresh_shop)


def settled(shop: Any) -> Any:
    """`shop` with nothing left to fetch."""
    wait_until_concluded()
    sync.sync_substation(shop)
    return shop


def grant(shop: Any, goods: Goods, unit: str, **changes: Any) -> Any:
    with in_main():
        return library.set_private_price(
            substation_id=shop.pk,
            sku_id=goods.sku_id,
            unit=Decimal(unit),
            by=CLERK,
            **{"now": clock.utc_now(), **changes},
        )


def cost(shop: Any, goods: Goods) -> tuple[Decimal, bool, bool]:
    """What the shop's listing says: supply price, whether it is private, whether it is supplied."""
    with in_substation(shop):
        row = Listing.objects.get(pk=goods.sku_id)
    return row.supply_unit, row.private_terms, row.active


def due(*shops: Any, now: datetime | None = None) -> list[tuple[int, tuple[str, ...]]]:
    ids = [shop.pk for shop in shops]
    return [(one.substation_id, one.feeds) for one in sync.due(now=now) if one.substation_id in ids]


PRIVATE, PLAN = (Decimal("9.00"), True, True), (Decimal("9.50"), False, True)


class TestWritten:
    def test_makes_exactly_that_shops_library_feed_due(self, shop: Any, other: Any, goods: Goods) -> None:
        assert due(shop, other) == []

        grant(shop, goods, "9.00")

        assert due(shop, other) == [(shop.pk, ("LIBRARY",))]
        assert sync.sync_substation(shop, ["LIBRARY"]).rows == {"LIBRARY": 1}
        assert cost(shop, goods) == PRIVATE
        assert cost(other, goods) == PLAN

    def test_is_not_due_any_more_when_it_was_read(self, shop: Any, goods: Goods) -> None:
        grant(shop, goods, "9.00")
        settled(shop)

        assert due(shop) == []
        assert sync.sync_substation(shop, full=True).rows == {"LIBRARY": 0, "STOCK": 0}
        assert cost(shop, goods) == PRIVATE

    def test_ended_by_a_person_gives_the_plans_price_back(self, shop: Any, goods: Goods) -> None:
        made = grant(shop, goods, "9.00")
        settled(shop)
        with in_main():
            library.end_private_price(substation_id=shop.pk, public_id=made.public_id, by=CLERK, now=clock.utc_now())

        assert due(shop) == [(shop.pk, ("LIBRARY",))]
        settled(shop)
        assert cost(shop, goods) == PLAN

    def test_stands_when_the_plans_price_moves(self, shop: Any, goods: Goods) -> None:
        grant(shop, goods, "9.00")
        with in_main():
            SupplyPrice.objects.filter(sku_id=goods.sku_id, level="BASIC").update(unit=Decimal("9.80"))

        sync.sync_substation(shop)

        assert cost(shop, goods) == PRIVATE

    def test_lists_what_the_plan_has_no_price_for(self, shop: Any, other: Any, goods: Goods) -> None:
        with in_main():
            SupplyPrice.objects.filter(sku_id=goods.sku_id, level="BASIC").delete()
        for one in (shop, other):
            sync.sync_substation(one)
        grant(shop, goods, "9.00")

        sync.sync_substation(shop)

        assert cost(shop, goods) == PRIVATE
        assert cost(other, goods) == (Decimal("9.50"), False, False)


class TestByTheClock:
    def test_begins_without_anybodys_writing(self, shop: Any, other: Any, goods: Goods) -> None:
        now = clock.utc_now()
        grant(shop, goods, "9.00", now=now, starts_at=now + HOUR)
        settled(shop)
        assert (due(shop, other), cost(shop, goods)) == ([], PLAN)

        later = now + HOUR
        assert due(shop, other, now=later - timedelta(seconds=1)) == []
        assert due(shop, other, now=later) == [(shop.pk, ("LIBRARY",))]
        sync.sync_substation(shop, ["LIBRARY"], now=later)

        assert cost(shop, goods) == PRIVATE
        assert due(shop, other, now=later) == []

    def test_ends_without_anybodys_writing(self, shop: Any, other: Any, goods: Goods) -> None:
        now = clock.utc_now()
        grant(shop, goods, "9.00", now=now, ends_at=now + HOUR)
        settled(shop)
        assert (due(shop, other), cost(shop, goods)) == ([], PRIVATE)

        later = now + HOUR
        assert due(shop, other, now=later) == [(shop.pk, ("LIBRARY",))]
        sync.sync_substation(shop, ["LIBRARY"], now=later)

        assert cost(shop, goods) == PLAN
        assert due(shop, other, now=later) == []

    def test_one_that_began_and_ended_between_two_looks_leaves_the_plans_price(self, shop: Any, goods: Goods) -> None:
        now = clock.utc_now()
        grant(shop, goods, "9.00", now=now, starts_at=now + HOUR, ends_at=now + 2 * HOUR)
        settled(shop)

        sync.sync_substation(shop, ["LIBRARY"], now=now + 3 * HOUR)

        assert cost(shop, goods) == PLAN

    def test_a_failed_sync_does_not_pass_a_beginning_over(
        self, shop: Any, goods: Goods, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = clock.utc_now()
        grant(shop, goods, "9.00", now=now, starts_at=now + HOUR)
        settled(shop)
        later = now + HOUR
        with monkeypatch.context() as broken:
            broken.setattr(sync, "due", lambda **_: [sync.Due(shop.pk, shop.schema_name, ("LIBRARY",))])
            broken.setattr(sync, "sync_substation", lambda *_args, **_: 1 / 0)
            assert sync.sync_due(now=later) == []

        assert due(shop, now=later) == [(shop.pk, ("LIBRARY",))]
        sync.sync_substation(shop, ["LIBRARY"], now=later)
        assert cost(shop, goods) == PRIVATE


class TestAPlanChange:
    def test_keeps_the_private_price_and_moves_the_others(self, shop: Any, goods: Goods) -> None:
        with in_main():
            plain = make_goods(codes=1)
        grant(shop, goods, "9.00")
        settled(shop)
        with in_main():
            tenants.change_plan(public_id=shop.public_id, plan_code="pro", by=CLERK, now=clock.utc_now())

        sync.sync_substation(shop)

        assert cost(shop, goods) == PRIVATE
        assert cost(shop, plain) == (Decimal("9.00"), False, True)  # The professional plan's.


class TestThePrice:
    def test_names_the_stage_and_keeps_the_floor(self, shop: Any) -> None:
        """Private 9.00 and the shop's first rule, +8 %, under a floor of 11.00: what it earns rises, the price stays up."""
        with in_main():
            floored = make_goods(codes=1, floor=Decimal("11.00"))
        grant(shop, floored, "9.00")
        sync.sync_substation(shop)

        with in_substation(shop):
            price = selectors.listing_for_checkout([floored.sku_id])[floored.sku_id].price

        assert [(stage.code, str(stage.amount)) for stage in price.stages] == [
            ("private", "9.0000"), ("percent", "9.7200"), ("rounding", "9.8000"),
            ("floor", "11.0000"), ("retail", "11.0000"),
        ]  # fmt: skip
        assert str(price.stages[0].label) == "Supply price agreed for your shop alone"
        assert [stage["code"] for stage in price.public_json()["stages"]] == ["floor", "retail"]
