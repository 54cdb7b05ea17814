"""Callbacks: signed, repeated until answered, twice, late, out of order or never. Time is driven by `tick`."""

from __future__ import annotations

import json

import pytest

from kameng.testpay import keys
from kameng.testpay.notices import MAX_TRIES, RETRY_AFTER_S, Reply

from .conftest import MASTER, NOW, SUCCESS, Client, World


def switch(client: Client, payment: str, **switches: object) -> None:
    """Set a payment's switches."""
    assert client.control("POST", f"/control/payments/{payment}/switches", switches).status == 200


def notices(client: Client, payment: str) -> list[dict[str, object]]:
    """A payment's notices with their state."""
    found: list[dict[str, object]] = client.control("GET", f"/control/payments/{payment}").json["notices"]
    return found


class TestSigning:
    def test_covers_the_time_and_the_bytes_that_are_sent(self, client: Client, world: World) -> None:
        client.act(client.opened(), "pay")

        client.tick(7)

        ((url, headers, body),) = world.sent
        secret = keys.merchant_secret(MASTER, "alice")
        expected = keys.sign_callback(secret, timestamp=int(NOW) + 7, body=body)
        assert url == "http://alice.example/callback"
        assert keys.parse_callback_signature(headers["X-Testpay-Signature"]) == (int(NOW) + 7, expected)
        assert json.loads(body)["account"] == "alice"

    def test_differs_between_merchants(self) -> None:
        assert keys.merchant_secret(MASTER, "alice") != keys.merchant_secret(MASTER, "bob")

    @pytest.mark.parametrize("name", ["", "-a", "a b", "a" * 65, "a\n", "../x"])
    def test_refuses_a_name_that_is_no_merchants(self, name: str) -> None:
        with pytest.raises(ValueError, match="merchant"):
            keys.merchant_secret(MASTER, name)


class TestRetrying:
    def test_goes_on_with_growing_gaps_and_gives_up_after_fifteen(self, client: Client, world: World) -> None:
        world.answer = lambda url: Reply(500, b"oops")
        payment = client.opened()
        client.act(payment, "pay")
        client.tick()

        for number, gap in enumerate(RETRY_AFTER_S, start=1):
            client.tick(gap - 0.5)
            early = len(world.sent)
            client.tick(0.5)
            assert (early, len(world.sent)) == (number, number + 1)
        client.tick(10**6)

        assert len(world.sent) == MAX_TRIES == 15
        assert notices(client, payment)[0]["state"] == "GAVE_UP"

    def test_begins_with_one_two_five_fifteen_sixty_seconds(self) -> None:
        assert RETRY_AFTER_S[:5] == (1, 2, 5, 15, 60)

    @pytest.mark.parametrize(
        "reply",
        [Reply(200, b""), Reply(200, b"SUCCESS"), Reply(200, b'{"ok": true}'), Reply(201, b"success"),
         Reply(302, b"success"), Reply(500, b"success"), Reply(0, b"refused")],
    )  # fmt: skip
    def test_takes_no_other_answer_for_a_yes(self, client: Client, world: World, reply: Reply) -> None:
        world.answer = lambda url: reply
        payment = client.opened()
        client.act(payment, "pay")

        client.tick()
        client.tick(1)

        assert len(world.sent) == 2
        assert notices(client, payment)[0]["state"] == "PENDING"

    def test_ends_with_the_constant_reply(self, client: Client, world: World) -> None:
        answers = [Reply(503, b""), SUCCESS]
        world.answer = lambda url: answers.pop(0)
        payment = client.opened()
        client.act(payment, "pay")

        client.tick()
        client.tick(1)
        client.tick(10**6)

        assert len(world.sent) == 2
        assert world.sent[0][2] == world.sent[1][2]
        (notice,) = notices(client, payment)
        assert notice["state"] == "DONE"
        assert [attempt["status"] for attempt in notice["attempts"]] == [503, 200]  # type: ignore[attr-defined]

    def test_of_one_merchant_does_not_hold_up_another(self, client: Client, world: World) -> None:
        world.answer = lambda url: SUCCESS if "bob" in url else Reply(0, b"down")
        client.act(client.opened("pay_1"), "pay")
        second = client.opened("pay_2", notify_url="http://bob.example/callback")
        client.act(second, "pay")

        client.tick()

        assert notices(client, second)[0]["state"] == "DONE"


class TestSwitches:
    def test_duplicate_sends_the_same_event_twice(self, client: Client, world: World) -> None:
        payment = client.opened()
        switch(client, payment, duplicate=True)
        client.act(payment, "pay")

        client.tick()
        client.tick(10**6)

        assert len(world.sent) == 2
        assert world.sent[0][2] == world.sent[1][2]

    def test_delay_lets_the_first_try_wait(self, client: Client, world: World) -> None:
        payment = client.opened()
        switch(client, payment, delay_s=30)
        client.act(payment, "pay")

        client.tick(29.5)
        early = len(world.sent)
        client.tick(0.5)

        assert (early, len(world.sent)) == (0, 1)

    def test_reorder_sends_the_newest_first(self, client: Client, world: World) -> None:
        payment = client.opened()
        switch(client, payment, reorder=True)
        client.act(payment, "twice")

        client.tick()

        paid = [json.loads(body)["data"]["payment"]["amount_paid_minor"] for _, _, body in world.sent]
        assert paid == [3998, 1999]

    def test_reorder_lets_a_lone_notice_wait_for_another(self, client: Client, world: World) -> None:
        payment = client.opened()
        switch(client, payment, reorder=True)
        client.act(payment, "pay")

        client.tick(9)
        alone = list(world.told)
        client.act(payment, "late")
        client.tick()

        assert (alone, world.told) == ([], ["payment.paid", "payment.paid"])

    def test_reorder_sends_a_lone_notice_in_the_end(self, client: Client, world: World) -> None:
        payment = client.opened()
        switch(client, payment, reorder=True)
        client.act(payment, "pay")

        client.tick(10)

        assert world.told == ["payment.paid"]

    def test_hold_keeps_notices_until_they_are_released(self, client: Client, world: World) -> None:
        payment = client.opened()
        switch(client, payment, hold=True)
        client.act(payment, "pay")
        client.tick(10**5)
        held = len(world.sent)

        client.control("POST", f"/control/payments/{payment}/release")
        client.tick()

        assert (held, len(world.sent)) == (0, 1)

    def test_drop_never_sends_until_it_is_asked_to(self, client: Client, world: World) -> None:
        payment = client.opened()
        switch(client, payment, drop=True)
        client.act(payment, "pay")
        client.tick(10**6)
        dropped = len(world.sent)

        again = client.control("POST", f"/control/payments/{payment}/send-again").json
        client.tick()

        assert (dropped, again, world.told) == (0, {"notices": 1}, ["payment.paid"])

    def test_of_the_network_hold_for_payments_without_their_own(self, client: Client, world: World) -> None:
        own, other = client.opened("pay_1"), client.opened("pay_2")
        switch(client, own, drop=False)
        client.control("POST", "/control/switches", {"drop": True})

        client.act(own, "pay")
        client.act(other, "pay")
        client.tick()

        assert [json.loads(body)["data"]["payment"]["id"] for _, _, body in world.sent] == [own]

    @pytest.mark.parametrize(
        "wish", [{"loud": True}, {"drop": 1}, {"delay_s": -1}, {"delay_s": "1"}, {"delay_s": True}, [], "x"]
    )
    def test_refuses_what_is_no_switch(self, client: Client, wish: object) -> None:
        payment = client.opened()

        answer = client.control("POST", f"/control/payments/{payment}/switches", wish)

        assert answer.status == 422
        assert client.control("GET", f"/control/payments/{payment}").json["switches"] == {
            "duplicate": False, "delay_s": 0, "reorder": False, "hold": False, "drop": False,
        }  # fmt: skip


class TestEvents:
    def test_tell_every_end_once(self, client: Client, world: World) -> None:
        client.act(client.opened("pay_1"), "fail")
        client.act(client.opened("pay_2"), "cancel")
        paid = client.opened("pay_3")
        client.act(paid, "pay")
        body = {"payment": paid, "refund_id": "rfd_1", "amount_minor": 5, "currency": "CNY", "reason": ""}
        client.signed("POST", "/v1/refunds", body)
        client.tick()

        assert sorted(world.told) == ["payment.cancelled", "payment.failed", "payment.paid", "refund.succeeded"]
        assert len({json.loads(body)["id"] for _, _, body in world.sent}) == 4

    def test_a_refused_deed_tells_nothing(self, client: Client, world: World) -> None:
        payment = client.opened()
        client.act(payment, "cancel")
        client.act(payment, "pay")

        client.tick()

        assert world.told == ["payment.cancelled"]
