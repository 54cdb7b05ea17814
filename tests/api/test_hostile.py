"""Who wants what is not theirs, and what can't be: each is refused clearly, and nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from kameng.db.context import in_main
from tests.api.conformance import contracts
from tests.api.conftest import (
    RATES,
    Api,
    Buy,
    Sell,
    a_token,
    begin_payment,
    host_of,
    pay,
    program_at,
    shop_rows,
    some_goods,
    stranger_at,
)
from tests.api.test_signup import begun
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel

BIG = 5 * 1024 * 1024 + 1


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
