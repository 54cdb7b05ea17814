"""Who may speak to the channel: signatures, their age, their one use; the control's secret; odd requests."""

from __future__ import annotations

from typing import Any

import pytest

from kameng.testpay import keys

from .conftest import MASTER, NOW, Client, World, a_payment

REFUND = {"payment": "tp_x", "refund_id": "rfd_1", "amount_minor": 1, "currency": "CNY", "reason": ""}


class TestSignedRequests:
    @pytest.mark.parametrize("age_s", [60, -60])
    def test_are_taken_for_a_minute(self, client: Client, age_s: int) -> None:
        assert client.signed("POST", "/v1/payments", a_payment(), timestamp=int(NOW) - age_s).status == 200

    @pytest.mark.parametrize("age_s", [61, -61, 10**9])
    def test_are_refused_after_a_minute_or_from_the_future(self, client: Client, age_s: int) -> None:
        answer = client.signed("POST", "/v1/payments", a_payment(), timestamp=int(NOW) - age_s)

        assert (answer.status, answer.json["error"]["code"]) == (401, "stale_request")

    def test_are_taken_once(self, client: Client) -> None:
        first = client.signed("POST", "/v1/payments", a_payment(), nonce="n" * 16)
        second = client.signed("POST", "/v1/payments", a_payment(), nonce="n" * 16)

        assert (first.status, second.status) == (200, 401)
        assert second.json["error"]["code"] == "replayed_nonce"

    def test_forget_a_nonce_only_when_its_signature_is_too_old(self, client: Client, world: World) -> None:
        client.signed("POST", "/v1/payments", a_payment(), nonce="n" * 16, timestamp=int(NOW) + 60)
        world.now += 119

        replayed = client.signed("POST", "/v1/payments", a_payment(), nonce="n" * 16, timestamp=int(NOW) + 60)

        assert replayed.json["error"]["code"] == "replayed_nonce"

    @pytest.mark.parametrize(
        "forgery",
        [
            {"body": b'{"amount_minor": 1}'},
            {"signature": ""},
            {"signature": "0" * 64},
            {"signature": "ü"},
            {"secret": keys.merchant_secret(MASTER, "bob")},
            {"nonce": ""},
            {"nonce": "short"},
        ],
    )
    def test_are_refused_when_anything_was_changed(self, client: Client, forgery: dict[str, Any]) -> None:
        answer = client.signed("POST", "/v1/payments", a_payment(), **forgery)

        assert (answer.status, answer.json["error"]["code"]) == (401, "bad_signature")
        assert client.control("GET", "/control/payments").json == {"payments": []}

    def test_cover_the_address_and_its_query(self, client: Client) -> None:
        client.opened()
        secret = keys.merchant_secret(MASTER, "alice")
        target = "/v1/payments?payment_id=pay_1"
        signature = keys.sign_request(
            secret, method="GET", target="/v1/payments?payment_id=pay_2", timestamp=int(NOW), nonce="n" * 16, body=b""
        )

        assert client.signed("GET", target, nonce="n" * 16, signature=signature).status == 401
        assert client.signed("GET", target).status == 200

    def test_show_no_merchant_anothers_payment(self, client: Client) -> None:
        payment = client.opened()

        assert client.signed("GET", f"/v1/payments/{payment}", account="bob").status == 404
        assert client.signed("GET", "/v1/payments?payment_id=pay_1", account="bob").status == 404
        assert client.signed("POST", f"/v1/payments/{payment}/close", {}, account="bob").status == 404
        assert client.signed("GET", f"/v1/payments/{payment}").json["status"] == "PENDING"

    @pytest.mark.parametrize(
        ("method", "target", "status"),
        [
            ("GET", "/v1/payments/tp_000000000000000000000000", 404),
            ("DELETE", "/v1/payments", 404),
            ("GET", "/v1/nothing", 404),
            ("POST", "/v1/refunds", 404),
        ],
    )
    def test_get_a_clear_answer_where_there_is_nothing(
        self, client: Client, method: str, target: str, status: int
    ) -> None:
        data = {**REFUND, "payment": "tp_none"} if method == "POST" else None

        assert client.signed(method, target, data).status == status

    def test_are_refused_when_they_are_no_json_object(self, client: Client) -> None:
        assert client.signed("POST", "/v1/payments", [1, 2]).status == 422
        assert client.signed("POST", "/v1/payments", "text").status == 422

    def test_are_refused_when_they_are_too_long(self, client: Client) -> None:
        answer = client.signed("POST", "/v1/payments", a_payment(title="x" * 70_000))

        assert (answer.status, answer.json["error"]["code"]) == (413, "too_long")


class TestClose:
    def test_ends_an_open_payment(self, client: Client, world: World) -> None:
        payment = client.opened()

        assert client.signed("POST", f"/v1/payments/{payment}/close", {}).json["status"] == "CANCELLED"
        assert client.signed("POST", f"/v1/payments/{payment}/close", {}).json["status"] == "CANCELLED"
        client.tick()
        assert world.told == ["payment.cancelled"]

    def test_leaves_a_paid_one_as_it_is(self, client: Client) -> None:
        payment = client.opened()
        client.act(payment, "pay")

        assert client.signed("POST", f"/v1/payments/{payment}/close", {}).json["status"] == "PAID"


class TestControl:
    @pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": MASTER}])
    def test_wants_the_master_secret(self, client: Client, header: dict[str, str]) -> None:
        payment = client.opened()

        answer = client.call("POST", f"/control/payments/{payment}/act", b'{"action": "pay"}', header)

        assert answer.status == 401
        assert client.signed("GET", f"/v1/payments/{payment}").json["status"] == "PENDING"

    def test_finds_a_merchants_payment(self, client: Client) -> None:
        payment = client.opened()

        assert client.control("GET", "/control/find?account=alice&payment_id=pay_1").json["id"] == payment
        assert client.control("GET", "/control/find?account=bob&payment_id=pay_1").status == 404

    @pytest.mark.parametrize(
        "wish",
        [{}, {"action": "steal"}, [], None, {"action": "pay", "amount_minor": -1}, {"action": "pay", "method": "gold"},
         {"action": "later", "delay_s": 10**9}, {"action": "later", "delay_s": "x"}],
    )  # fmt: skip
    def test_refuses_a_deed_it_does_not_know(self, client: Client, wish: object) -> None:
        payment = client.opened()

        assert client.control("POST", f"/control/payments/{payment}/act", wish).status == 422
        assert client.signed("GET", f"/v1/payments/{payment}").json["status"] == "PENDING"

    def test_can_pay_any_amount(self, client: Client) -> None:
        view = client.act(client.opened(), "pay", amount_minor=1).json

        assert (view["status"], view["amount_paid_minor"]) == ("PAID", 1)
