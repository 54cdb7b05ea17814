"""Placing an order: what is written, and what is refused with nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from kameng.db.context import in_main, in_substation
from tenant_apps.orders import selectors
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order, OrderStep
from tests.tenant_apps import market
from tests.tenant_apps.market import NOW, place

Sell = Callable[..., market.Goods]


@pytest.mark.usefixtures("account")
class TestPlaceOrder:
    def test_prices_holds_and_notes_it_everywhere(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=3)

        with in_substation(shop):
            placed = place(goods, quantity=2, contact=" Ann@Example.com ", lookup_secret="my secret")
            order = selectors.order_by_token(placed.number, placed.token)
            line = order.lines.get()
            step = OrderStep.objects.get(order=order)

        assert (placed.total_minor, placed.currency) == (2280, "CNY")  # 9.50 + 20 % = 11.40, twice.
        assert (order.state, order.cost_minor, order.contact) == ("PENDING_PAYMENT", 1900, "Ann@example.com")
        assert (order.expires_at, placed.pay_by) == (NOW + timedelta(minutes=15),) * 2
        assert (line.unit, line.total_minor, line.cost_minor, line.delivery_state) == (
            Decimal("11.4"),
            2280,
            1900,
            "WAITING",
        )
        assert [stage["code"] for stage in line.stages] == ["supply", "percent", "retail"]
        assert (step.event, step.to_state, step.by_kind) == ("PLACE", "PENDING_PAYMENT", "BUYER")
        held = "SELECT state, count(*) FROM stock_code WHERE sku_id = %s GROUP BY state ORDER BY state"
        assert market.rows(held, goods.sku_id) == [("AVAILABLE", 1), ("HELD", 2)]
        seen = "SELECT state, total_minor, contact_hint FROM receipts_networkorder WHERE order_number = %s"
        assert market.rows(seen, placed.number) == [("PENDING_PAYMENT", 2280, "A***@example.com")]

    def test_takes_two_statements(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        asked: list[str] = []

        def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            asked.append(sql)
            return execute(sql, params, many, context)

        from django.db import connection

        with in_substation(shop), connection.execute_wrapper(watch):
            orders.place_order(
                lines=[(goods.sku_id, 1)], contact="10001", buyer_fields={}, expected_total_minor=None, language="en", ip="",
                source="WEB", by=market.BUYER, now=NOW,
            )  # fmt: skip

        assert len([sql for sql in asked if "SAVEPOINT" not in sql]) == 2

    def test_adds_up_a_sku_that_is_named_twice(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=3)

        with in_substation(shop):
            placed = place(goods, lines=[(goods.sku_id, 1), (goods.sku_id, 2)])
            order = Order.objects.get(number=placed.number)

            assert order.lines.get().quantity == 3

    def test_a_buyer_without_a_password_is_given_one(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        with in_substation(shop):
            placed = place(goods)

            assert len(placed.lookup_secret) == 10
            assert selectors.order_by_lookup(placed.number.lower(), placed.lookup_secret).number == placed.number
            for secret in ("", "ann@example.com", placed.lookup_secret[:-1]):
                with pytest.raises(orders.OrderMissing):
                    selectors.order_by_lookup(placed.number, secret)


@pytest.mark.usefixtures("account")
class TestRefusals:
    @pytest.mark.parametrize("quantity", [0, -1, 101, 10**9, True, 1.5])
    def test_refuses_a_quantity_out_of_bounds(self, shop: Any, sell: Sell, quantity: Any) -> None:
        goods = sell(codes=1)

        refused = self._refused(orders.QuantityInvalid, shop, goods, quantity=quantity)

        assert (refused.field, refused.details["limit"]) == ("quantity", 100)

    def test_refuses_an_unknown_sku(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        self._refused(orders.SkuMissing, shop, goods, lines=[(10**12, 1)])

    def test_refuses_another_shops_sku_like_an_unknown_one(self, shop: Any, sell: Sell) -> None:
        """A SKU that the library has and this shop's shelves have not."""
        goods = sell(codes=1)
        with in_main():
            elsewhere = market.make_goods(codes=1)

        self._refused(orders.SkuMissing, shop, goods, lines=[(elsewhere.sku_id, 1)])

    def test_refuses_what_the_shop_took_off_its_shelf(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            from tenant_apps.listings.models import Listing

            Listing.objects.filter(pk=goods.sku_id).update(on_shelf=False)

        self._refused(orders.OffShelf, shop, goods)

    def test_refuses_what_the_library_delisted_before_the_sync_came(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        with in_main():
            from shared_apps.library.models import Sku

            Sku.objects.filter(pk=goods.sku_id).update(active=False)

        refused = self._refused(orders.OffShelf, shop, goods)

        assert refused.details["sku_id"] == goods.sku_id

    def test_says_which_line_is_sold_out_and_holds_none(self, shop: Any, sell: Sell) -> None:
        plenty, scarce = sell(codes=5), sell(codes=1)

        refused = self._refused(orders.SoldOut, shop, plenty, lines=[(plenty.sku_id, 2), (scarce.sku_id, 2)])

        assert refused.details["sku_id"] == scarce.sku_id
        held = market.rows("SELECT count(*) FROM stock_code WHERE state <> 'AVAILABLE' AND sku_id IN (%s, %s)",
                           plenty.sku_id, scarce.sku_id)  # fmt: skip
        assert held == [(0,)]

    def test_tells_the_new_total_when_the_price_moved(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        refused = self._refused(orders.PriceMoved, shop, goods, expected_total_minor=999)

        assert refused.details == {"total_minor": 1140, "expected_total_minor": 999, "currency": "CNY"}

    def test_refuses_a_price_that_its_cost_has_overtaken(self, shop: Any, sell: Sell) -> None:
        """The library's cost rose after the last sync: 11.40 no longer covers 11.40 and the channel's fee."""
        goods = sell(codes=1)
        with in_main():
            from shared_apps.library.models import SupplyPrice

            SupplyPrice.objects.filter(sku_id=goods.sku_id, level="BASIC").update(unit=Decimal("11.40"))

        self._refused(orders.PriceOutOfBounds, shop, goods)

    def test_refuses_a_price_below_the_floor_of_now(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        with in_main():
            from shared_apps.library.models import Sku

            Sku.objects.filter(pk=goods.sku_id).update(floor=Decimal("11.41"))

        self._refused(orders.PriceOutOfBounds, shop, goods)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [({"contact": "nobody"}, "contact"), ({"lookup_secret": "12345"}, "lookup_secret"), ({"lines": []}, "lines")],
    )
    def test_names_the_field(self, shop: Any, sell: Sell, changes: dict[str, Any], field: str) -> None:
        goods = sell(codes=1)

        refused = self._refused(orders.OrderInvalid, shop, goods, **changes)

        assert refused.field == field

    def test_wants_the_fields_that_the_product_asks_for(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1, buyer_fields=[{"key": "uid", "kind": "text", "required": True}])

        refused = self._refused(orders.OrderInvalid, shop, goods)

        assert refused.field == "buyer_fields.uid"

    def test_refuses_while_the_shop_is_closed(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        from tenant_apps.shop.models import ShopSettings

        with in_substation(shop):
            ShopSettings.objects.update(open=False)
        try:
            self._refused(orders.ShopClosed, shop, goods)
        finally:
            with in_substation(shop):
                ShopSettings.objects.update(open=True)

    def test_refuses_while_the_substation_is_suspended(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        from tenants.models import Substation

        with in_main():
            Substation.objects.filter(pk=shop.pk).update(state="SUSPENDED")
        try:
            self._refused(orders.ShopClosed, shop, goods)
        finally:
            with in_main():
                Substation.objects.filter(pk=shop.pk).update(state="ACTIVE")

    def _refused(self, kind: type[Exception], shop: Any, goods: market.Goods, **changes: Any) -> Any:
        before = market.network_counts()
        with in_substation(shop):
            orders_before = Order.objects.count()
        with pytest.raises(kind) as refused, in_substation(shop):
            place(goods, **changes)
        with in_substation(shop):
            assert Order.objects.count() == orders_before
        assert market.network_counts() == before
        return refused.value
