"""Who wants what is not theirs, and what can't be: each is refused clearly, and nothing is changed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from kameng.accounts.models import ApiToken, AuditRecord, IdempotencyRecord, User
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from tenant_apps.listings.models import Listing, MarkupRule
from tenant_apps.orders.models import Order, OrderStep
from tenant_apps.payments.models import Payment
from tests.api.conformance import contracts
from tests.api.conftest import (
    RATES,
    Answer,
    Api,
    Bought,
    a_token,
    a_user,
    an_order,
    begin_payment,
    host_of,
    pay,
    program_at,
    some_goods,
    stranger_at,
)
from tests.api.test_main_station import a_sku, product_slug
from tests.api.test_signup import begun
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel

Buy = Callable[..., Bought]
Sell = Callable[..., market.Goods]
BIG = 5 * 1024 * 1024 + 1


def shop_rows(shop: Any) -> dict[str, int]:
    """How much there is of what the API can write in a shop."""
    with in_substation(shop):
        counted = {
            model.__name__: model.objects.count()
            for model in (Order, OrderStep, Payment, MarkupRule, IdempotencyRecord, AuditRecord)
        }
        return {**counted, "on shelf": Listing.objects.filter(on_shelf=True).count()}


def main_rows() -> dict[str, int]:
    from kameng.jobs.models import Job
    from shared_apps.library.models import Product, Sku, SupplyPrice
    from shared_apps.stock.models import Code, CodeBatch
    from tenants.models import Signup

    with in_main():
        models = (Product, Sku, SupplyPrice, Code, CodeBatch, Signup, IdempotencyRecord, AuditRecord, Job)
        return {model.__name__: model.objects.count() for model in models}


@pytest.fixture
def untouched(shop: Any, request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Call it once all is set up; after the test, neither schema may have a row more or less."""
    before: list[Any] = []
    yield lambda: before.append((shop_rows(shop), main_rows()))
    assert before, "The test has not said from when on nothing may change."
    assert (shop_rows(shop), main_rows()) == before[-1]


def bodies(name: str) -> list[tuple[str, str]]:
    """Method and address of every operation that takes a body."""
    found = []
    for address, methods in contracts()[name].document()["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                path = address.removeprefix("/api/v1/")
                for place in ("public_id", "slug", "code", "number"):
                    path = path.replace(f"{{{place}}}", "nothing-of-this-name")
                found.append((method.upper(), path))
    return found


def pages(name: str) -> list[str]:
    """Address of every list that goes by a cursor."""
    return [
        address.removeprefix("/api/v1/")
        for address, methods in contracts()[name].document()["paths"].items()
        if any(parameter["name"] == "cursor" for parameter in methods.get("get", {}).get("parameters", ()))
    ]


class TestTokens:
    @pytest.fixture
    def program(self, shop: Any) -> tuple[ApiToken, Api]:
        secret = a_token(["orders:read", "orders:write", "statement:read"], shop)
        with in_substation(shop):
            return ApiToken.objects.latest("pk"), program_at(host_of(shop), secret)

    def test_end_when_their_time_is_over(self, shop: Any, program: tuple[ApiToken, Api]) -> None:
        token, api = program
        assert api.get("panel/orders/").status == 200

        with in_substation(shop):
            ApiToken.objects.filter(pk=token.pk).update(expires_at=clock.utc_now())

        assert (api.get("panel/orders/").status, api.get("panel/orders/").error["code"]) == (
            401,
            "authentication_failed",
        )

    def test_end_with_their_persons_log_in(self, shop: Any, program: tuple[ApiToken, Api]) -> None:
        token, api = program

        with in_substation(shop):
            User.objects.filter(pk=token.user_id).update(is_active=False)

        assert api.get("panel/orders/").error["code"] == "authentication_failed"
        assert api.get("listings/").status == 401

    def test_never_may_more_than_their_person(self, shop: Any, program: tuple[ApiToken, Api], buy: Buy) -> None:
        token, api = program
        number = buy(delivery="MANUAL").number
        assert api.get("panel/statement/").status == 200

        with in_substation(shop):
            User.objects.filter(pk=token.user_id).update(role="VIEWER")

        assert api.get("panel/orders/").status == 200
        assert api.get(f"panel/orders/{number}/").body["earned_minor"] is None
        for answer in (api.get("panel/statement/"), api.post(f"panel/orders/{number}/deliver/", {})):
            assert (answer.status, answer.error["code"]) == (403, "permission_denied")
            assert answer.error["message"] == "Your role does not allow this. Ask the owner for one that does."

    def test_are_told_which_scope_they_lack(self, shop: Any, program: tuple[ApiToken, Api]) -> None:
        _token, api = program

        answer = api.get("panel/listings/")

        assert (answer.status, answer.error["code"]) == (403, "permission_denied")
        assert answer.error["message"] == "This token lacks the scope listings:read. Make one that has it."

    def test_can_not_be_made_for_another_host(self, shop: Any) -> None:
        from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES
        from kameng.lib.errors import Invalid

        for scopes, substation in ((MAIN_SCOPES, shop), (SHOP_SCOPES, None)):
            with pytest.raises(Invalid) as refused:
                a_token(scopes[:1], substation)
            assert refused.value.field == "scopes"

    def test_say_when_they_were_used_to_the_minute(self, shop: Any, program: tuple[ApiToken, Api]) -> None:
        token, api = program

        def used() -> Any:
            with in_substation(shop):
                return ApiToken.objects.get(pk=token.pk).used_at

        assert used() is None
        begin = clock.utc_now()
        api.get("panel/orders/")  # A read: its own transaction is READ ONLY.
        first = used()
        assert first is not None
        assert first >= begin
        api.get("panel/orders/")
        assert used() == first
        with in_substation(shop):
            ApiToken.objects.filter(pk=token.pk).update(used_at=begin - timedelta(minutes=2))
        api.get("panel/orders/")
        assert used() >= first

    @pytest.mark.parametrize(
        "sent",
        ["Bearer", "Bearer ", "Bearer a b", "Bearer kmg_é", "bearer kmg_" + "x" * 3000, "Bearer \x7f", "BEARER null"],
    )
    def test_that_are_none(self, visitor: Api, untouched: Callable[[], None], sent: str) -> None:
        untouched()

        answer = visitor.with_header("Authorization", sent).get("panel/orders/")

        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")

    def test_guessed_use_up_the_allowance_of_who_guesses(
        self, make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(RATES, {"anon": "3/min", "token": "100/min"})
        shop = make_shop()
        known = program_at(host_of(shop), a_token(["orders:read"], shop))
        guesser = stranger_at(host_of(shop))

        statuses = [
            guesser.with_header("Authorization", f"Bearer kmg_{n}").get("panel/orders/").status for n in range(5)
        ]

        assert statuses == [401, 401, 401, 429, 429]
        assert guesser.get("panel/orders/").status == 429  # Without a token, too.
        assert known.get("panel/orders/").status == 200  # The same address, and somebody who is known.


class TestWhatIsAnotherShops:
    def test_opens_nothing_here(
        self, shop: Any, other_shop: Any, owner: Api, buy: Buy, sell: Sell, account: Any, channel: MemoryChannel
    ) -> None:
        """Everything that the neighbour's owner could name of this shop."""
        from kameng.accounts.tokens import SHOP_SCOPES

        bought, goods = buy(delivery="MANUAL"), sell(codes=1)
        begin_payment(bought, account)
        pay(shop, account, bought)
        line = owner.get(f"panel/orders/{bought.number}/").body["lines"][0]["id"]
        neighbour = program_at(host_of(other_shop), a_token(SHOP_SCOPES, other_shop))
        before = (shop_rows(shop), shop_rows(other_shop))

        refused = [
            neighbour.get(f"panel/orders/{bought.number}/"),
            neighbour.post(f"panel/orders/{bought.number}/deliver/", {"line_id": line, "note": "mine"}),
            neighbour.get(f"panel/listings/{goods.code}/"),
            neighbour.call("PATCH", f"panel/listings/{goods.code}/", {"on_shelf": False}),
            neighbour.call(
                "PUT", "panel/prices/rules/", {"scope": "SKU", "target_id": goods.sku_id, "kind": "PRICE", "value": "99"}
            ),
            neighbour.with_header("X-Order-Token", bought.token).get(f"orders/{bought.number}/"),
            neighbour.with_header("X-Order-Token", bought.token).post(f"orders/{bought.number}/codes/"),
            neighbour.with_header("X-Order-Token", bought.token).post(
                f"orders/{bought.number}/payments/", {"channel_id": account.public_id}
            ),
        ]  # fmt: skip

        assert [answer.status for answer in refused] == [404] * len(refused)
        assert (shop_rows(shop), shop_rows(other_shop)) == before

    def test_merchant_account_takes_no_payment_here(
        self, shop: Any, other_shop: Any, buy: Buy, channel: MemoryChannel, untouched: Callable[[], None]
    ) -> None:
        with in_main():
            theirs = market.ensure_account(other_shop.pk)
        bought = buy(codes=1)
        untouched()

        answer = begin_payment(bought, theirs)

        assert (answer.status, answer.error["code"]) == (404, "channel_not_found")
        assert channel.calls == []

    def test_signup_is_not_followed_with_another_ones_secret(
        self, main: Api, outbox: None, untouched: Callable[[], None]
    ) -> None:
        one, _program = begun(main)
        _other, program = begun(main)
        untouched()

        for deed in ("verify/", "resend/", "retry/"):
            answer = program.post(f"signups/{one.body['id']}/{deed}", {"code": "123456"})
            assert (answer.status, answer.error["code"]) == (404, "not_found")


class TestOrdersOfOthers:
    def test_can_not_be_told_from_those_that_never_were(
        self, visitor: Api, buy: Buy, untouched: Callable[[], None]
    ) -> None:
        real, other = buy(codes=1), buy(codes=1)
        never = real.number[:-1] + ("0" if real.number[-1] != "0" else "1")
        untouched()

        told = [
            (answer.status, answer.body)
            for number in (real.number, never, "K0", "1", real.number.lower(), "x" * 500)
            for api in (visitor, other.buyer, visitor.with_header("X-Order-Token", "wrong"))
            for answer in (
                api.get(f"orders/{number}/"), api.post(f"orders/{number}/codes/"),
                api.post(f"orders/{number}/payments/", {"channel_id": "acc_x"}),
            )
        ]  # fmt: skip

        assert [status for status, _body in told] == [404] * len(told)
        assert len({json.dumps(body) for _status, body in told}) == 1

    def test_are_looked_for_so_often_and_no_more(
        self, make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(RATES, {"anon": "3/min", "token": "100/min"})
        guesser = stranger_at(host_of(make_shop()))

        answers = [guesser.with_header("X-Order-Token", f"T{n}").get(f"orders/K{n}/") for n in range(4)]

        assert [answer.status for answer in answers] == [404, 404, 404, 429]
        assert int(answers[-1].headers["Retry-After"]) >= 1


class TestBodies:
    """Every operation that takes a body, asked by whom it is for."""

    SENT: tuple[tuple[str | bytes, int, str], ...] = (
        ("{", 400, "parse_error"),
        (b'{"a": "\xff"}', 400, "parse_error"),
        ("[" * 50_000, 400, "parse_error"),
        ('{"a": Infinity}', 400, "parse_error"),
        ("[]", 422, "invalid"),
        ("7", 422, "invalid"),
        ('{"a\\u0000": 1}', 422, "bad_character"),
        ('{"nobody_knows_me": 1}', 422, "unknown_field"),
        ('{"a": "' + "x" * BIG + '"}', 413, "too_large"),
    )

    @pytest.mark.parametrize("name", ["main", "shop"])
    def test_that_are_none(
        self, shop: Any, operator: Api, owner: Api, untouched: Callable[[], None], name: str
    ) -> None:
        api = {"main": operator, "shop": owner}[name]
        untouched()

        for method, path in bodies(name):
            for body, status, code in self.SENT:
                answer = api.call(method, path, body)
                told = (answer.status, answer.error["code"])
                # What the address names is looked up first where the secret of an order or a signup opens it.
                assert told == (status, code) or (answer.status == 404 and "nothing-of" in path), (
                    method,
                    path,
                    body[:40],
                )

    @pytest.mark.parametrize("name", ["main", "shop"])
    @pytest.mark.parametrize("kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "x", "\xff"])
    def test_of_another_kind(
        self, shop: Any, operator: Api, owner: Api, untouched: Callable[[], None], name: str, kind: str
    ) -> None:
        api = {"main": operator, "shop": owner}[name]
        untouched()

        for method, path in bodies(name):
            response = api.client.generic(
                method, f"/api/v1/{path}", "<a/>", content_type=kind, headers=dict(api.headers), HTTP_HOST=api.host
            )
            assert response.status_code in ((415, 404) if "nothing-of" in path else (415,)), (method, path)
            assert set(response.json()["error"]) == {"code", "message", "field"}

    @pytest.mark.parametrize(
        ("body", "field", "message"),
        [
            ({"sku_id": "1", "quantity": 1}, "lines.0.sku_id", "Send a whole number, without quotes and without a point."),
            ({"sku_id": 1.0, "quantity": 1}, "lines.0.sku_id", "Send a whole number, without quotes and without a point."),
            ({"sku_id": 1, "quantity": True}, "lines.0.quantity", "Send a whole number, without quotes and without a point."),
            ({"sku_id": 1, "quantity": {}}, "lines.0.quantity", "Send a whole number, without quotes and without a point."),
            ({"sku_id": 1, "quantty": 1}, "lines.0.quantty", "There is no “quantty” here. Do you mean “quantity”?"),
            ([1], "lines.0", "Send an object: {…}."),
            (10**400, "lines.0", "Send an object: {…}."),
        ],
    )  # fmt: skip
    def test_of_the_wrong_type_are_not_guessed_at(
        self, visitor: Api, untouched: Callable[[], None], body: Any, field: str, message: str
    ) -> None:
        untouched()

        answer = visitor.post("orders/", {"lines": [body], "contact": "ann@example.com"})

        assert (answer.status, answer.error["field"], answer.error["message"]) == (422, field, message)

    def test_with_a_misspelled_price_change_nothing(self, operator: Api) -> None:
        with in_main():
            goods = some_goods()
        before = operator.get(f"library/skus/{goods.code}/").body

        answer = operator.call("PATCH", f"library/skus/{goods.code}/", {"sugested": "99"})

        assert (answer.status, answer.error["code"], answer.error["field"]) == (422, "unknown_field", "sugested")
        assert operator.get(f"library/skus/{goods.code}/").body == before


class TestQueries:
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("categroy=cards", "categroy"), ("in_stock=yes", "in_stock"), ("in_stock=1", "in_stock"), ("limit=1_0", "limit"),
            ("limit=%20%20", "limit"), ("x" * 2000 + "=1", "x" * 60), ("%00=1", "\x00"), ("limit=1&limit=x", "limit"),
        ],
    )  # fmt: skip
    def test_are_not_guessed_at(self, visitor: Api, query: str, field: str) -> None:
        answer = visitor.get(f"listings/?{query}")

        assert (answer.status, answer.error["field"]) == (422, field)

    @pytest.mark.parametrize(
        "moment",
        ["2026-01-31", "2026-01-31T08:00:00", "2026-01-31T08:00:00 08:00", "1769846400", "2026-W05-6T00:00:00Z"],
    )
    def test_want_a_moment_with_its_zone(self, owner: Api, moment: str) -> None:
        answer = owner.get(f"panel/orders/?placed_from={moment}")

        assert (answer.status, answer.error["field"]) == (422, "placed_from")
        assert "%2B" in answer.error["message"]

    def test_take_a_moment_with_its_zone(self, owner: Api) -> None:
        assert owner.get("panel/orders/?placed_from=2026-01-31T08:00:00.5%2B08:00").status == 200

    @pytest.mark.parametrize("name", ["main", "shop"])
    @pytest.mark.parametrize(
        "cursor",
        [
            "x", "cD1hYmM=", "cD0tMQ==", "cj0x", "bz0x", "bz05OTk5OTk5OTk5", "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "%00",
            "cD0xJTAw", "cD1OVUxM", "cD0xJnI9MSZvPTEwMDA=", "cD0lRDklQTM=", "=" * 3000, "cD0x;DROP", "’",
        ],
    )  # fmt: skip
    def test_with_a_cursor_that_was_tampered_with(
        self, shop: Any, operator: Api, owner: Api, untouched: Callable[[], None], name: str, cursor: str
    ) -> None:
        untouched()

        for path in pages(name):
            path = path.replace("{public_id}", shop.public_id)
            answer = {"main": operator, "shop": owner}[name].get(f"{path}?cursor={cursor}")
            # A cursor that reads as one of ours may find an empty page; nothing else may come of it.
            assert answer.status == 200 or (answer.status, answer.error["field"]) == (422, "cursor"), (
                path,
                answer.body,
            )


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


def test_a_person_who_is_logged_in_has_an_allowance_too(
    make_shop: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.api.conftest import person_at

    shop = make_shop()
    person = person_at(host_of(shop), a_user("OWNER", shop))
    monkeypatch.setattr(RATES, {"anon": "100/min", "token": "2/min"})

    assert [person.get("panel/orders/").status for _ in range(3)] == [200, 200, 429]
