"""The channel's money: what comes in, what it keeps, what goes back, what the bill says."""

from __future__ import annotations

import csv
import io
import threading
from datetime import UTC, datetime, timedelta

import pytest

from kameng.testpay.channel import BILL_ZONE

from .conftest import NOW, Client, World, a_payment

DAY = datetime.fromtimestamp(NOW, tz=UTC).astimezone(BILL_ZONE).date()


def refund(client: Client, payment: str, amount: int, refund_id: str = "rfd_1", **changes: object) -> tuple[int, str]:
    """Ask for a refund; the HTTP status and, of a refusal, its code."""
    body = {
        "payment": payment,
        "refund_id": refund_id,
        "amount_minor": amount,
        "currency": "CNY",
        "reason": "",
        **changes,
    }
    answer = client.signed("POST", "/v1/refunds", body)
    return answer.status, answer.json.get("error", {}).get("code", "")


class TestCreate:
    def test_gives_the_same_answer_to_the_same_body(self, client: Client) -> None:
        first = client.signed("POST", "/v1/payments", a_payment())
        second = client.signed("POST", "/v1/payments", a_payment())

        assert (first.status, second.status) == (200, 200)
        assert first.json == second.json
        assert first.json["url"] == f"http://pay.example/pay/{first.json['id']}"

    def test_refuses_another_body_under_the_same_id(self, client: Client) -> None:
        payment = client.opened()

        answer = client.signed("POST", "/v1/payments", a_payment(amount_minor=2000))

        assert (answer.status, answer.json["error"]["code"]) == (409, "idempotency_conflict")
        assert client.signed("GET", f"/v1/payments/{payment}").json["amount_minor"] == 1999

    def test_gives_the_same_answer_after_it_was_paid_and_expired(self, client: Client) -> None:
        payment = client.opened()
        client.act(payment, "pay")
        client.tick(86_400)

        assert client.opened() == payment

    def test_lets_two_merchants_use_the_same_id(self, client: Client) -> None:
        assert client.opened() != client.signed("POST", "/v1/payments", a_payment(), account="bob").json["id"]

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("payment_id", ""), ("payment_id", "a b"), ("payment_id", None), ("payment_id", "x" * 65),
            ("amount_minor", 0), ("amount_minor", -1), ("amount_minor", 19.99), ("amount_minor", "1999"),
            ("amount_minor", True), ("amount_minor", 10**12), ("currency", "cny"), ("currency", "XXX"),
            ("title", ""), ("title", "x" * 201), ("return_url", "javascript:alert(1)"), ("return_url", "//evil"),
            ("cancel_url", "http://x/\r\nSet-Cookie: a=b"), ("notify_url", "file:///etc/passwd"),
            ("notify_url", "http://"), ("notify_url", "http://[::1"), ("expires_at", "soon"), ("metadata", []),
            ("metadata", {"a": 1}),
        ],
    )  # fmt: skip
    def test_names_the_field_that_it_refuses(self, client: Client, field: str, value: object) -> None:
        answer = client.signed("POST", "/v1/payments", {**a_payment(), field: value})

        assert (answer.status, answer.json["error"]["code"]) == (422, "invalid")
        assert client.control("GET", "/control/payments").json == {"payments": []}

    def test_refuses_to_expire_in_the_past(self, client: Client) -> None:
        answer = client.signed("POST", "/v1/payments", a_payment(expires_at=int(NOW)))

        assert (answer.status, answer.json["error"]["code"]) == (422, "expired")


class TestPaying:
    @pytest.mark.parametrize(
        ("action", "amounts"),
        [("pay", [1999]), ("short", [999]), ("twice", [1999, 1999]), ("over", [2198]), ("late", [1999])],
    )
    def test_brings_in_what_the_action_says(self, client: Client, action: str, amounts: list[int]) -> None:
        payment = client.opened()

        view = client.act(payment, action, method="wechat").json

        assert view["status"] == "PAID"
        assert [fact["amount_minor"] for fact in view["facts"]] == amounts
        assert len({fact["id"] for fact in view["facts"]}) == len(amounts)

    @pytest.mark.parametrize(
        ("amount", "fee"), [(1999, 12), (1, 0), (83, 0), (84, 1), (250, 2), (249, 1), (100_000_000, 600_000)]
    )
    def test_keeps_six_per_mille_rounded_half_up(self, client: Client, amount: int, fee: int) -> None:
        payment = client.opened(amount_minor=amount)

        assert client.act(payment, "pay").json["facts"][0]["fee_minor"] == fee

    @pytest.mark.parametrize(("action", "status"), [("fail", "FAILED"), ("cancel", "CANCELLED")])
    def test_ends_without_money(self, client: Client, action: str, status: str) -> None:
        view = client.act(client.opened(), action).json

        assert (view["status"], view["facts"]) == (status, [])

    def test_settles_later_though_it_expires_before(self, client: Client) -> None:
        payment = client.opened()
        client.act(payment, "later", delay_s=1000)

        client.tick(999)
        before = client.signed("GET", f"/v1/payments/{payment}").json
        client.tick(1)
        after = client.signed("GET", f"/v1/payments/{payment}").json

        assert (before["status"], before["facts"]) == ("PENDING", [])
        assert (after["status"], after["amount_paid_minor"]) == ("PAID", 1999)

    def test_expires_on_its_second_and_tells_it_once(self, client: Client, world: World) -> None:
        payment = client.opened()

        client.tick(899)
        before = client.signed("GET", f"/v1/payments/{payment}").json["status"]
        client.tick(1)
        client.tick(1)

        assert (before, client.signed("GET", f"/v1/payments/{payment}").json["status"]) == ("PENDING", "EXPIRED")
        assert world.told == ["payment.expired"]

    def test_refuses_to_pay_what_is_over_unless_it_is_meant(self, client: Client, world: World) -> None:
        payment = client.opened()
        world.now += 900

        refused = client.act(payment, "pay")
        meant = client.act(payment, "late")

        assert (refused.status, refused.json["error"]["code"]) == (409, "payment_over")
        assert (meant.json["status"], meant.json["amount_paid_minor"]) == ("PAID", 1999)

    def test_can_be_paid_again_after_it_was_paid(self, client: Client) -> None:
        payment = client.opened()
        client.act(payment, "pay")

        assert client.act(payment, "late").json["amount_paid_minor"] == 3998

    def test_can_not_pay_half_of_one(self, client: Client) -> None:
        payment = client.opened(amount_minor=1)

        answer = client.act(payment, "short")

        assert (answer.status, answer.json["error"]["code"]) == (422, "too_small")
        assert client.signed("GET", f"/v1/payments/{payment}").json["status"] == "PENDING"

    def test_takes_one_of_many_who_pay_at_once(self, client: Client) -> None:
        payment = client.opened()
        statuses: list[int] = []
        start = threading.Barrier(8)

        def pay() -> None:
            start.wait()
            statuses.append(client.act(payment, "pay").status)

        threads = [threading.Thread(target=pay) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(statuses) == [200] + [409] * 7
        assert client.signed("GET", f"/v1/payments/{payment}").json["amount_paid_minor"] == 1999


class TestRefund:
    def test_gives_back_up_to_what_came_in(self, client: Client) -> None:
        payment = client.opened()
        client.act(payment, "short")

        assert refund(client, payment, 1000) == (409, "over_refund")
        assert refund(client, payment, 999) == (200, "")
        assert refund(client, payment, 1, "rfd_2") == (409, "over_refund")
        assert client.signed("GET", f"/v1/payments/{payment}").json["amount_refunded_minor"] == 999

    def test_is_one_for_one_id(self, client: Client) -> None:
        payment = client.opened()
        client.act(payment, "pay")

        assert [refund(client, payment, 500), refund(client, payment, 500)] == [(200, ""), (200, "")]
        assert refund(client, payment, 501) == (409, "idempotency_conflict")
        assert client.signed("GET", f"/v1/payments/{payment}").json["amount_refunded_minor"] == 500

    def test_is_refused_where_nothing_was_paid(self, client: Client) -> None:
        assert refund(client, client.opened(), 1) == (409, "over_refund")

    def test_is_refused_in_another_currency_and_of_another_merchant(self, client: Client) -> None:
        payment = client.opened()
        client.act(payment, "pay")
        body = {"payment": payment, "refund_id": "rfd_9", "amount_minor": 1, "currency": "CNY", "reason": ""}

        assert refund(client, payment, 1, currency="USD") == (422, "wrong_currency")
        assert client.signed("POST", "/v1/refunds", body, account="bob").status == 404
        assert client.signed("GET", "/v1/refunds?refund_id=rfd_9").status == 404


class TestBill:
    def test_holds_every_movement_of_a_day_in_china(self, client: Client, world: World) -> None:
        midnight = datetime.combine(DAY, datetime.min.time(), tzinfo=BILL_ZONE) + timedelta(days=1)
        world.now = midnight.timestamp() - 1
        payment = client.opened(expires_at=int(world.now) + 900)
        client.act(payment, "pay")
        world.now = midnight.timestamp()
        refund(client, payment, 500)

        today = client.signed("GET", f"/v1/bill?day={DAY}").json["lines"]
        tomorrow = client.signed("GET", f"/v1/bill?day={DAY + timedelta(days=1)}").json["lines"]

        assert [(line["kind"], line["amount_minor"], line["fee_minor"], line["net_minor"]) for line in today] == [
            ("PAYMENT", 1999, 12, 1987)
        ]
        assert [(line["kind"], line["amount_minor"], line["refund_id"]) for line in tomorrow] == [
            ("REFUND", -500, "rfd_1")
        ]

    def test_comes_as_a_csv_for_people(self, client: Client) -> None:
        client.act(client.opened(), "twice")

        answer = client.signed("GET", f"/v1/bill?day={DAY}&format=csv")

        rows = list(csv.DictReader(io.StringIO(answer.body.decode("utf-8-sig"))))
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        assert [(row["payment_id"], row["amount_minor"], row["fee_minor"]) for row in rows] == [
            ("pay_1", "1999", "12")
        ] * 2

    def test_comes_in_pages(self, client: Client) -> None:
        payment = client.opened()
        for _ in range(5):
            client.act(payment, "late")

        pages, after = [], -1
        while after:
            page = client.app.channel.bill("alice", DAY, max(after, 0), limit=2)
            pages.append(len(page.lines))
            after = page.after

        assert pages == [2, 2, 1]

    @pytest.mark.parametrize("query", ["", "?day=today", "?day=2026-02-30", "?day=2026-01-01&after=x"])
    def test_refuses_a_day_that_is_none(self, client: Client, query: str) -> None:
        assert client.signed("GET", f"/v1/bill{query}").status == 422
