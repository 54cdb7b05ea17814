"""Idempotency keys of different people, shops and times, and two requests at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import connections
from django.test import Client

from kameng.accounts.models import IdempotencyRecord
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from tenant_apps.orders.models import Order
from tests.api.conftest import (
    Answer,
    Api,
    Buy,
    Sell,
    a_token,
    an_order,
    host_of,
    program_at,
    some_goods,
    stranger_at,
)
from tests.api.test_main_station import a_sku, product_slug
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel


class TestKeys:
    def test_of_another_shop_are_other_keys(self, shop: Any, other_shop: Any, sell: Sell) -> None:
        goods, key = sell(codes=2), market.public_id("key")
        here, there = stranger_at(host_of(shop)), stranger_at(host_of(other_shop))
        first = here.post("orders/", an_order(goods), Idempotency_Key=key)

        elsewhere = there.post("orders/", an_order(goods), Idempotency_Key=key)

        assert first.status == 201
        assert (elsewhere.status, elsewhere.error["code"]) == (404, "sku_not_found")

    def test_give_nobody_the_answer_of_who_holds_the_secret(
        self, shop: Any, visitor: Api, buy: Buy, account: Any, channel: MemoryChannel
    ) -> None:
        bought, key = buy(codes=1), market.public_id("key")
        path, body = f"orders/{bought.number}/payments/", {"channel_id": account.public_id}
        assert bought.buyer.post(path, body, Idempotency_Key=key).status == 201

        for thief in (visitor, visitor.with_header("X-Order-Token", "wrong"), buy(codes=1).buyer):
            answer = thief.post(path, body, Idempotency_Key=key)
            assert (answer.status, answer.error["code"]) == (404, "order_not_found")
        assert channel.calls == ["create"]

    def test_go_with_the_buyer_to_another_address(self, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought, key = buy(codes=1), market.public_id("key")
        path, body = f"/api/v1/orders/{bought.number}/payments/", json.dumps({"channel_id": account.public_id})
        headers = {"X-Order-Token": bought.token, "Idempotency-Key": key}

        answers = [
            Client().post(
                path, body, content_type="application/json", headers=headers, HTTP_HOST=bought.buyer.host, REMOTE_ADDR=address
            )
            for address in ("10.0.0.1", "10.0.0.2")
        ]  # fmt: skip

        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[1].headers["Idempotency-Replayed"] == "true"

    def test_of_one_token_are_not_another_ones(self, shop: Any, operator: Api) -> None:
        with in_main():
            goods = some_goods(supply=None)
        key, body = market.public_id("key"), {"sku": goods.code, "codes": ["ONE-1"]}
        second = program_at("localhost", a_token(["stock:write"]))
        first = operator.post("stock/batches/", body, Idempotency_Key=key)

        answer = second.post("stock/batches/", body, Idempotency_Key=key)

        assert (first.body["imported"], answer.body["imported"], answer.body["in_stock_already"]) == (1, 0, 1)
        assert "Idempotency-Replayed" not in answer.headers

    def test_that_lost_their_token_get_no_answer_any_more(self, operator: Api) -> None:
        from kameng.accounts import tokens
        from kameng.accounts.types import SYSTEM

        with in_main():
            goods = some_goods(supply=None)
        key, body = market.public_id("key"), {"sku": goods.code, "codes": ["TWO-1"]}
        secret = a_token(["stock:write"])
        program = program_at("localhost", secret)
        assert program.post("stock/batches/", body, Idempotency_Key=key).status == 201
        with in_main():
            found = tokens.find(secret)
            assert found is not None
            tokens.revoke(token_id=found.pk, by=SYSTEM, now=clock.utc_now())

        assert program.post("stock/batches/", body, Idempotency_Key=key).status == 401

    def test_are_kept_for_a_day_and_then_swept_by_the_next(self, shop: Any, visitor: Api, sell: Sell) -> None:
        goods = sell(codes=4)
        old, young, new = (market.public_id("key") for _ in range(3))
        for key in (old, young):
            visitor.post("orders/", an_order(goods), Idempotency_Key=key)
        day = timedelta(hours=24)
        with in_substation(shop):
            for key, age in ((old, day + timedelta(minutes=1)), (young, day - timedelta(minutes=1))):
                IdempotencyRecord.objects.filter(key=key).update(created_at=clock.utc_now() - age)

        visitor.post("orders/", an_order(goods), Idempotency_Key=new)

        with in_substation(shop):
            assert set(IdempotencyRecord.objects.filter(key__in=[old, young, new]).values_list("key", flat=True)) == {
                young, new,
            }  # fmt: skip


class TestTwoAtOnce:
    def test_with_one_key_and_two_bodies_make_one_order(self, shop: Any, sell: Sell) -> None:
        goods, key = sell(codes=5), market.public_id("key")

        answers = at_once(
            lambda: _post(host_of(shop), "orders/", an_order(goods, 1), key),
            lambda: _post(host_of(shop), "orders/", an_order(goods, 2), key),
        )

        assert sorted(answer.status for answer in answers) == [201, 409]
        refused = next(answer for answer in answers if answer.status == 409)
        assert (refused.error["code"], refused.error["field"]) == ("idempotency_conflict", "Idempotency-Key")
        with in_substation(shop):
            assert Order.objects.filter(lines__sku_id=goods.sku_id).count() == 1

    def test_with_one_sku_code_make_one_sku(self, operator: Api) -> None:
        from shared_apps.library.models import Sku

        with in_main():
            body = a_sku(product_slug(some_goods()))
        secret = dict(operator.headers)["Authorization"]

        answers = at_once(*[lambda: _post("localhost", "library/skus/", body, Authorization=secret)] * 4)

        assert sorted(answer.status for answer in answers) == [201, 422, 422, 422]
        assert {answer.error["field"] for answer in answers if answer.status == 422} == {"code"}
        with in_main():
            assert Sku.objects.filter(code=body["code"].upper()).count() == 1


def _post(host: str, path: str, data: Any, key: str = "", **headers: str) -> Answer:
    api = Api(host, Client(), (("Accept-Language", "en"),))
    try:
        return api.post(path, data, **({"Idempotency_Key": key} if key else {}), **headers)
    finally:
        connections.close_all()


def at_once(*works: Callable[[], Answer]) -> list[Answer]:
    """Each in a thread that starts with the others, with a connection of its own."""
    answers: list[Answer] = []
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], Answer]) -> None:
        gate.wait(20)
        answers.append(work())

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers
