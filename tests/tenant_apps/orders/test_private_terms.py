"""Private terms in a sale: the order's cost, the split and the ledger go by what the shop was granted, to the cent."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kameng.db.context import in_main, in_substation
from shared_apps.library import services as library
from tenant_apps.listings import sync
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
