"""A shop over the API, as its buyers' programs see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kameng.db.context import in_main, in_substation
from shared_apps.stock.models import CodeReveal
from tenant_apps.listings.models import Listing
from tenant_apps.orders.models import Order
from tenants.models import Substation
from tests.api.conftest import Api, Buy, Sell, an_order, begin_payment, host_of, pay, stranger_at
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel


def order_count(shop: Any) -> int:
    with in_substation(shop):
        return Order.objects.count()


class TestListings:
    def test_say_what_a_buyer_may_know_and_nothing_of_the_cost(self, visitor: Api, sell: Sell) -> None:
        goods = sell(codes=3, buyer_fields=[{"key": "account", "label_zh": "账号", "label_en": "Account"}])

        answer = visitor.get(f"listings/{goods.code}/")

        assert answer.status == 200
        assert {name: answer.body[name] for name in ("sku_id", "code", "unit", "currency", "stock_state")} == {
            "sku_id": goods.sku_id, "code": goods.code, "unit": "11.4000", "currency": "CNY", "stock_state": "LOW",
        }  # fmt: skip
        assert answer.body["buyer_fields"] == [
            {"key": "account", "label": "Account", "kind": "text", "required": True, "choices": []}
        ]
        assert "9.5" not in json.dumps(answer.body)
        assert not {"supply", "supply_unit", "floor", "ceiling"} & set(answer.body)

    def test_are_filtered_and_paged(self, visitor: Api, sell: Sell) -> None:
        there, gone = sell(codes=1), sell(codes=0)

        in_stock = visitor.get(f"listings/?q={there.code}&in_stock=true").body["results"]
        sold_out = visitor.get(f"listings/?q={gone.code}&in_stock=false&category=cards").body["results"]
        first = visitor.get("listings/?limit=1").body

        assert [row["code"] for row in in_stock] == [there.code]
        assert [row["code"] for row in sold_out] == [gone.code]
        assert visitor.get(f"listings/?q={gone.code}&in_stock=true").body["results"] == []
        assert len(first["results"]) == 1
        second = visitor.get(first["next"].partition("/api/v1/")[2]).body
        assert second["results"][0]["sku_id"] > first["results"][0]["sku_id"]
        assert visitor.get("listings/?category=nothing").error["code"] == "category_gone"

    def test_off_the_shelf_are_gone(self, shop: Any, visitor: Api, sell: Sell) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            Listing.objects.filter(pk=goods.sku_id).update(on_shelf=False)

        assert visitor.get(f"listings/{goods.code}/").status == 404
        assert visitor.get(f"listings/{goods.code}/price/").status == 404
        assert visitor.get(f"listings/?q={goods.code}").body["results"] == []

    def test_of_another_shop_are_not_here(self, other_shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        assert stranger_at(host_of(other_shop)).get(f"listings/{goods.code}/").status == 404

    def test_a_price_comes_with_its_reasons(self, visitor: Api, sell: Sell) -> None:
        goods = sell(codes=1, floor=market.Decimal("15"))

        answer = visitor.get(f"listings/{goods.code}/price/?quantity=3")

        assert answer.body == {
            "sku_id": goods.sku_id, "code": goods.code, "quantity": 3, "currency": "CNY", "unit": "15.0000",
            "total_minor": 4500,
            "stages": [
                {
                    "code": "floor", "label": "Raised to the lowest price allowed", "amount": "15.0000",
                    "detail": {"floor": "15.0000", "asked": "11.4000"},
                },
                {"code": "retail", "label": "Retail price", "amount": "15.0000", "detail": {}},
            ],
        }  # fmt: skip

    @pytest.mark.parametrize("quantity", ["0", "-1", "101", "1000000000", "x", "1.5", ""])
    def test_a_quantity_that_is_none(self, visitor: Api, sell: Sell, quantity: str) -> None:
        answer = visitor.get(f"listings/{sell(codes=1).code}/price/?quantity={quantity}")

        assert (answer.status, answer.error["field"]) == (422, "quantity")

    def test_a_closed_shop_sells_nothing(self, make_shop: Callable[..., Any]) -> None:
        from tenants import hosts

        closed = make_shop()
        with in_main():
            Substation.objects.filter(pk=closed.pk).update(state="SUSPENDED")
        hosts.forget(closed)
        api = stranger_at(host_of(closed))

        for answer in (api.get("listings/"), api.post("orders/", {})):
            assert (answer.status, answer.error["code"]) == (503, "shop_away")


class TestOrders:
    def test_are_placed_at_the_price_that_was_shown(self, shop: Any, visitor: Api, sell: Sell) -> None:
        goods = sell(codes=3)
        price = visitor.get(f"listings/{goods.code}/price/?quantity=2").body

        answer = visitor.post("orders/", an_order(goods, 2, expected_total_minor=price["total_minor"]))

        assert (answer.status, answer.body["total_minor"], answer.body["currency"]) == (201, 2280, "CNY")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.body["url"] == f"http://{host_of(shop)}/o/{answer.body['number']}/{answer.body['token']}/"
        with in_substation(shop):
            order = Order.objects.get(number=answer.body["number"])
        assert (order.source, order.language, order.state) == ("API", "en", "PENDING_PAYMENT")

    def test_a_price_that_moved_is_told(self, shop: Any, visitor: Api, sell: Sell) -> None:
        goods, before = sell(codes=3), order_count(shop)

        answer = visitor.post("orders/", an_order(goods, 2, expected_total_minor=2000))

        assert (answer.status, answer.error["code"]) == (409, "price_moved")
        assert answer.error["details"]["total_minor"] == 2280
        assert order_count(shop) == before

    @pytest.mark.parametrize(
        ("changes", "status", "code", "field"),
        [
            ({"contact": "nobody"}, 422, "order_invalid", "contact"), ({"contact": ""}, 422, "invalid", "contact"),
            ({"lines": []}, 422, "invalid", "lines"), ({"lines": None}, 422, "invalid", "lines"),
            ({"lines": [{"sku_id": 2**70, "quantity": 1}]}, 422, "invalid", "lines.0.sku_id"),
            ({"lines": [{"sku_id": 2**62, "quantity": 1}]}, 404, "sku_not_found", "lines.0.sku_id"),
            ({"expected_total_minor": -1}, 422, "invalid", "expected_total_minor"),
            ({"lookup_secret": "short"}, 422, "invalid", "lookup_secret"),
            ({"contact": 7}, 422, "invalid", "contact"), ({"buyer_fields": []}, 422, "invalid", "buyer_fields"),
        ],
    )  # fmt: skip
    def test_refuses_what_can_not_be_ordered(
        self, shop: Any, visitor: Api, sell: Sell, changes: dict[str, Any], status: int, code: str, field: str
    ) -> None:
        goods, before = sell(codes=1), order_count(shop)

        answer = visitor.post("orders/", an_order(goods, **changes))

        assert (answer.status, answer.error["code"], answer.error["field"]) == (status, code, field)
        assert order_count(shop) == before

    @pytest.mark.parametrize("quantity", [0, -1, 10**9, 1.5, "x", None, True])
    def test_refuses_a_quantity_that_is_none(self, shop: Any, visitor: Api, sell: Sell, quantity: Any) -> None:
        goods, before = sell(codes=1), order_count(shop)

        answer = visitor.post("orders/", an_order(goods, quantity))

        assert (answer.status, answer.error["field"]) == (422, "lines.0.quantity")
        assert order_count(shop) == before

    def test_another_shops_sku_is_unknown(self, other_shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        answer = stranger_at(host_of(other_shop)).post("orders/", an_order(goods))

        assert (answer.status, answer.error["code"]) == (404, "sku_not_found")

    def test_follow_their_token_alone(self, other_shop: Any, visitor: Api, buy: Buy) -> None:
        bought = buy(codes=1)
        path = f"orders/{bought.number}/"

        assert bought.buyer.get(path).body["state"] == "PENDING_PAYMENT"
        for token in ("", "wrong", bought.token[:-1], bought.token.lower() + "é"):
            answer = visitor.with_header("X-Order-Token", token).get(path)
            assert (answer.status, answer.error["code"]) == (404, "order_not_found")
        assert visitor.get(path).status == 404
        elsewhere = stranger_at(host_of(other_shop)).with_header("X-Order-Token", bought.token)
        assert elsewhere.get(path).status == 404

    def test_are_polled_with_an_etag(self, shop: Any, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought = buy(codes=1)
        path = f"orders/{bought.number}/"
        etag = bought.buyer.get(path).headers["ETag"]

        same = bought.buyer.get(path, If_None_Match=f'"other", W/{etag}')
        begin_payment(bought, account)
        moved = bought.buyer.get(path, If_None_Match=etag)

        assert (same.status, same.body, same.headers["ETag"]) == (304, None, etag)
        assert (moved.status, moved.body["payment"]["state"]) == (200, "PENDING")


class TestPayments:
    def test_name_the_channel_and_lead_to_it(
        self, visitor: Api, buy: Buy, account: Any, channel: MemoryChannel
    ) -> None:
        bought = buy(codes=1)
        assert account.public_id in [offer["id"] for offer in visitor.get("channels/").body]

        answer = begin_payment(bought, account)

        assert (answer.status, answer.body["channel"]) == (201, "testpay")
        assert answer.body["redirect_url"] == f"http://pay/{answer.body['id']}"

    def test_of_an_unknown_channel_or_order(self, visitor: Api, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought = buy(codes=1)
        path = f"orders/{bought.number}/payments/"

        unknown = bought.buyer.post(path, {"channel_id": "acc_nothing"})
        stranger = visitor.post(path, {"channel_id": account.public_id})

        assert (unknown.status, unknown.error["code"]) == (404, "channel_not_found")
        assert (stranger.status, stranger.error["code"]) == (404, "order_not_found")
        assert channel.calls == []

    def test_of_a_paid_order_are_refused(self, shop: Any, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought = buy(codes=1)
        begin_payment(bought, account)
        pay(shop, account, bought)

        answer = begin_payment(bought, account)

        assert (answer.status, answer.error["code"]) == (409, "order_not_payable")


class TestCodes:
    def test_are_shown_to_the_token_and_each_look_is_recorded(
        self, shop: Any, buy: Buy, account: Any, channel: MemoryChannel
    ) -> None:
        bought = buy(2, codes=2)
        path = f"orders/{bought.number}/codes/"
        assert bought.buyer.post(path).body == {"number": bought.number, "lines": []}
        begin_payment(bought, account)
        assert pay(shop, account, bought) == "SALE"

        answer = bought.buyer.post(path)

        assert answer.status == 200
        assert answer.body["lines"][0]["codes"] == bought.goods.texts
        assert answer.headers["Cache-Control"] == "no-store"
        with in_main():
            looks = CodeReveal.objects.filter(order_number=bought.number).values_list("actor_kind", "reason")
            assert list(looks) == [("BUYER", "asked for over the API")] * 2

    def test_are_nobody_elses(self, shop: Any, visitor: Api, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought = buy(codes=1)
        begin_payment(bought, account)
        pay(shop, account, bought)

        answer = visitor.post(f"orders/{bought.number}/codes/")

        assert (answer.status, answer.error["code"]) == (404, "order_not_found")
        with in_main():
            assert not CodeReveal.objects.filter(order_number=bought.number).exists()
