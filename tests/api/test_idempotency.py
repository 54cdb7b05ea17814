"""The same request sent twice creates once; the answers that are kept open nothing to whoever reads the table."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from kameng.accounts.models import IdempotencyRecord
from kameng.db.context import in_substation
from kameng.lib import clock
from kameng.lib.errors import ProviderError
from tenant_apps.orders.models import Order
from tests.api.conftest import Answer, Api, Buy, Sell, an_order, begin_payment, host_of
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel


def orders_for(shop: Any, goods: market.Goods) -> int:
    with in_substation(shop):
        return Order.objects.filter(lines__sku_id=goods.sku_id).count()


def a_key() -> str:
    return market.public_id("key")


class TestAKey:
    def test_gets_the_first_answer_again(self, shop: Any, visitor: Api, sell: Sell) -> None:
        goods, key = sell(codes=3), a_key()
        first = visitor.post("orders/", an_order(goods), Idempotency_Key=key)

        again = visitor.post("orders/", an_order(goods), Idempotency_Key=key)

        assert (first.status, again.status) == (201, 201)
        assert again.body == first.body
        assert again.headers["Idempotency-Replayed"] == "true"
        assert "Idempotency-Replayed" not in first.headers
        assert orders_for(shop, goods) == 1

    def test_is_refused_for_another_body(self, shop: Any, visitor: Api, sell: Sell) -> None:
        goods, key = sell(codes=3), a_key()
        visitor.post("orders/", an_order(goods), Idempotency_Key=key)

        answer = visitor.post("orders/", an_order(goods, 2), Idempotency_Key=key)

        assert (answer.status, answer.error["code"]) == (409, "idempotency_conflict")
        assert orders_for(shop, goods) == 1

    def test_of_a_refusal_may_be_used_again(self, shop: Any, visitor: Api, sell: Sell) -> None:
        goods, key = sell(codes=1), a_key()
        refused = visitor.post("orders/", an_order(goods, 2), Idempotency_Key=key)
        assert refused.error["code"] == "sold_out"

        answer = visitor.post("orders/", an_order(goods, 1), Idempotency_Key=key)

        assert answer.status == 201
        assert orders_for(shop, goods) == 1

    def test_is_each_readers_own(self, shop: Any, visitor: Api, owner: Api, sell: Sell) -> None:
        goods, key = sell(codes=3), a_key()

        first = visitor.post("orders/", an_order(goods), Idempotency_Key=key)
        second = owner.post("orders/", an_order(goods), Idempotency_Key=key)

        assert first.body["number"] != second.body["number"]
        assert orders_for(shop, goods) == 2

    def test_without_one_each_request_creates(self, shop: Any, visitor: Api, sell: Sell) -> None:
        goods = sell(codes=3)

        visitor.post("orders/", an_order(goods))
        visitor.post("orders/", an_order(goods))

        assert orders_for(shop, goods) == 2

    @pytest.mark.parametrize("key", ["", "x" * 121, "a\x7fb"])
    def test_that_is_none_is_refused(self, shop: Any, visitor: Api, sell: Sell, key: str) -> None:
        goods = sell(codes=1)

        answer = visitor.post("orders/", an_order(goods), Idempotency_Key=key)

        assert (answer.status, answer.error["field"]) == (422, "Idempotency-Key")
        assert orders_for(shop, goods) == 0

    def test_in_the_table_the_answer_is_sealed(self, shop: Any, visitor: Api, sell: Sell) -> None:
        key = a_key()
        answer = visitor.post("orders/", an_order(sell(codes=1)), Idempotency_Key=key)

        with in_substation(shop):
            kept = json.dumps(IdempotencyRecord.objects.get(key=key).body)

        assert answer.body["token"] not in kept
        assert answer.body["lookup_secret"] not in kept
        assert answer.body["number"] not in kept


class TestTwoAtOnce:
    def test_make_one_order(self, shop: Any, sell: Sell) -> None:
        goods, key = sell(codes=5), a_key()
        answers = at_once(4, lambda: _post(host_of(shop), "orders/", an_order(goods), key))

        assert [answer.status for answer in answers] == [201] * 4
        assert len({answer.body["number"] for answer in answers}) == 1
        assert orders_for(shop, goods) == 1


class TestAKeyOfAPayment:
    """The channel is called outside any transaction, so the claim is committed first."""

    def test_gets_the_first_answer_again(self, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought, key = buy(codes=1), a_key()
        body, path = {"channel_id": account.public_id}, f"orders/{bought.number}/payments/"

        first = bought.buyer.post(path, body, Idempotency_Key=key)
        again = bought.buyer.post(path, body, Idempotency_Key=key)

        assert (first.status, again.status) == (201, 201)
        assert again.body == first.body
        assert channel.calls == ["create"]

    def test_is_free_again_when_the_channel_was_away(self, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought, key = buy(codes=1), a_key()
        body, path = {"channel_id": account.public_id}, f"orders/{bought.number}/payments/"
        channel.fails["create"] = ProviderError("timed out", retryable=True, unknown=True)

        away = bought.buyer.post(path, body, Idempotency_Key=key)
        back = bought.buyer.post(path, body, Idempotency_Key=key)

        assert (away.status, away.error["code"]) == (503, "channel_away")
        assert back.status == 201

    def test_whose_first_request_still_runs(self, shop: Any, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought, key = buy(codes=1), a_key()
        path, body = f"orders/{bought.number}/payments/", {"channel_id": account.public_id}
        seen: list[Answer] = []
        create = channel.create

        def slow(**wishes: Any) -> Any:
            other = threading.Thread(
                target=lambda: seen.append(_post(host_of(shop), path, body, key, X_Order_Token=bought.token))
            )
            other.start()
            other.join(20)
            return create(**wishes)

        channel.create = slow  # type: ignore[method-assign]
        first = bought.buyer.post(path, body, Idempotency_Key=key)

        assert first.status == 201
        assert (seen[0].status, seen[0].error["code"]) == (409, "idempotency_in_progress")
        assert seen[0].headers["Retry-After"] == "2"

    def test_whose_first_request_was_cut_off_is_taken_over(
        self, shop: Any, buy: Buy, account: Any, channel: MemoryChannel
    ) -> None:
        bought, key = buy(codes=1), a_key()
        path, body = f"orders/{bought.number}/payments/", {"channel_id": account.public_id}
        assert bought.buyer.post(path, body, Idempotency_Key=key).status == 201
        with in_substation(shop):  # As a kill between claim and answer leaves it.
            IdempotencyRecord.objects.filter(key=key).update(
                status=None, body=None, created_at=clock.utc_now() - timedelta(minutes=2)
            )

        assert bought.buyer.post(path, body, Idempotency_Key=key).status == 201
        assert channel.calls == ["create"]

    def test_two_at_once_open_one_attempt(self, shop: Any, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought = buy(codes=1)

        first, second = begin_payment(bought, account), begin_payment(bought, account)

        assert first.body["id"] == second.body["id"]
        assert channel.calls == ["create"]


def _post(host: str, path: str, data: Any, key: str, **headers: str) -> Answer:
    api = Api(host, Client(), (("Accept-Language", "en"),))
    try:
        return api.post(path, data, Idempotency_Key=key, **headers)
    finally:
        connections.close_all()


def at_once(count: int, work: Callable[[], Answer]) -> list[Answer]:
    """`work` in threads that start together, each with a connection of its own."""
    answers: list[Answer] = []
    gate = threading.Barrier(count)

    def run() -> None:
        gate.wait(20)
        answers.append(work())

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return answers
