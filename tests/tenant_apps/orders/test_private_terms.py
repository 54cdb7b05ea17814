"""Private terms in a sale: the order's cost, the split and the ledger go by what the shop was granted, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection

from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from shared_apps.library import services as library
from tenant_apps.listings import sync
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order, OrderLine
from tenant_apps.payments import services as payments
from tests.tenant_apps import market
from tests.tenant_apps.market import CLERK, NOW, Goods, pay_fact, place

Sell = Callable[..., Goods]


def grant(shop: Any, goods: Goods, unit: str, **changes: Any) -> Any:
    with in_main():
        return library.set_private_price(
            substation_id=shop.pk, sku_id=goods.sku_id, unit=Decimal(unit), by=CLERK, **{"now": NOW, **changes}
        )


class TestASaleAtPrivateTerms:
    def test_is_split_by_them_to_the_cent(self, shop: Any, account: Any, sell: Sell) -> None:
        """Plan 9.50, private 9.00, markup 20 %: sold at 10.80. Fee 0.6 % of 10.80: 0.06; platform 2 % of the 1.74 left: 0.03
        (0.0348); the shop keeps 1.71."""
        goods = sell(codes=1)
        grant(shop, goods, "9.00")
        sync.sync_substation(shop)
        with in_substation(shop):
            placed = place(goods)
            payment = market.announce(placed, account)

        assert payments.take_fact(fact=pay_fact(account, payment, 1080), now=NOW) == "SALE"

        with in_substation(shop):
            order, line = Order.objects.get(number=placed.number), OrderLine.objects.get(order__number=placed.number)
        assert (order.state, order.total_minor, order.cost_minor) == ("DELIVERED", 1080, 900)
        assert (line.unit, line.supply_unit, line.cost_minor) == (Decimal("10.80"), Decimal("9.00"), 900)
        assert [(stage["code"], stage["amount"]) for stage in line.stages] == [
            ("private", "9.0000"), ("percent", "10.8000"), ("retail", "10.8000"),
        ]  # fmt: skip
        assert market.legs(placed.number) == {
            "channel:testpay:clearing": 1080, "channel:testpay:fee": -6, "main:platform_fee": -3, "main:revenue": -900,
            f"substation:{shop.pk}:pending": -171,
        }  # fmt: skip


class TestBetweenCartAndCheckout:
    def test_terms_that_ended_meanwhile_cost_what_the_plan_says(self, shop: Any, account: Any, sell: Sell) -> None:
        """The listing still says 9.00 and 10.80; the order is booked at 9.50, and the shop keeps what is left of it."""
        goods = sell(codes=1)
        made = grant(shop, goods, "9.00")
        sync.sync_substation(shop)
        end(shop, made)
        with in_substation(shop):
            placed = place(goods)
            payment = market.announce(placed, account)

        assert payments.take_fact(fact=pay_fact(account, payment, 1080), now=NOW) == "SALE"

        assert booked(shop, placed) == (1080, Decimal("9.50"), 950)
        legs = market.legs(placed.number)
        assert (legs["main:revenue"], legs[f"substation:{shop.pk}:pending"]) == (-950, -122)

    def test_terms_that_began_meanwhile_count_at_once(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        grant(shop, goods, "8.00")  # Not synced: the listing says 9.50 and 11.40.
        with in_substation(shop):
            placed = place(goods)

        assert booked(shop, placed) == (1140, Decimal("8.00"), 800)

    def test_a_price_that_its_cost_has_overtaken_is_refused_and_holds_nothing(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        made = grant(shop, goods, "5.00")
        sync.sync_substation(shop)  # Sold at 6.00.
        end(shop, made)
        before = market.network_counts()

        with pytest.raises(orders.PriceOutOfBounds), in_substation(shop):
            place(goods)

        assert market.network_counts() == before
        assert market.rows("SELECT state FROM stock_code WHERE sku_id = %s", goods.sku_id) == [("AVAILABLE",)]

    def test_what_was_placed_is_paid_at_what_it_was_placed_for(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        made = grant(shop, goods, "9.00")
        sync.sync_substation(shop)
        with in_substation(shop):
            placed = place(goods)
            payment = market.announce(placed, account)
        end(shop, made)

        assert payments.take_fact(fact=pay_fact(account, payment, 1080), now=NOW) == "SALE"

        assert market.legs(placed.number)["main:revenue"] == -900

    def test_a_shop_cant_choose_its_terms_by_the_time_that_it_tells(self, shop: Any, sell: Sell) -> None:
        """The private price holds from tomorrow; the order says that it is placed then."""
        goods = sell(codes=1)
        tomorrow = clock.utc_now() + timedelta(days=1)
        grant(shop, goods, "8.00", now=clock.utc_now(), starts_at=tomorrow)
        with in_substation(shop):
            placed = place(goods, now=tomorrow + timedelta(hours=1))

        assert booked(shop, placed)[2] == 950


class TestNobodyElse:
    def test_a_neighbour_on_the_same_plan_pays_and_sees_the_plans_price(
        self, shop: Any, fresh_shop: Any, sell: Sell
    ) -> None:
        goods = sell(codes=2)
        grant(shop, goods, "9.00")
        for one in (shop, fresh_shop):
            market.stock_shelves(one)
        with in_substation(fresh_shop):
            placed = place(goods)

        assert booked(fresh_shop, placed) == (1140, Decimal("9.50"), 950)
        with in_substation(fresh_shop), connection.cursor() as cursor:
            cursor.execute("SELECT supply_unit, private_terms FROM listings_listing WHERE id = %s", [goods.sku_id])
            assert cursor.fetchall() == [(Decimal("9.5000"), False)]


def end(shop: Any, made: Any) -> None:
    """A minute after it was made, so that it was in force."""
    with in_main():
        library.end_private_price(
            substation_id=shop.pk, public_id=made.public_id, by=CLERK, now=NOW + timedelta(minutes=1)
        )


def booked(shop: Any, placed: Any) -> tuple[int, Decimal, int]:
    """What an order of one line says: total, supply price of one, cost."""
    with in_substation(shop):
        order, line = Order.objects.get(number=placed.number), OrderLine.objects.get(order__number=placed.number)
    assert order.cost_minor == line.cost_minor
    return order.total_minor, line.supply_unit, line.cost_minor
