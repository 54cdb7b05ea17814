"""A shop that is being closed gives an order back: a wish that its own SQL may write, so nothing of it is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from kameng.db.context import in_main, in_substation
from kameng.jobs import services as jobs
from kameng.jobs.models import Job
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order, OrderLine
from tenant_apps.payments import services as payments
from tenants.models import Substation
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel
from tests.tenant_apps.market import CLERK, NOW, announce, pay_fact, place
from tests.tenant_apps.racing import Runner


@pytest.fixture
def closing(fresh_shop: Any) -> Any:
    """A shop of the test's own that is being closed."""
    with in_main():
        market.open_books(fresh_shop)
    return fresh_shop


@pytest.fixture
def sold(closing: Any, account: Any, channel: MemoryChannel) -> Callable[..., str]:
    """A paid order of goods of this kind; then the shop begins to close. Answers its number."""

    def sell(**wishes: Any) -> str:
        with in_main():
            goods = market.make_goods(**wishes)
        market.stock_shelves(closing)
        with in_substation(closing):
            placed = place(goods)
            payment = announce(placed, account)
        assert payments.take_fact(fact=pay_fact(account, payment, 1140), now=NOW) == "SALE"
        put(closing, "CLOSING")
        return str(placed.number)

    return sell


def put(shop: Any, state: str) -> None:
    with in_main():
        Substation.objects.filter(pk=shop.pk).update(state=state)


def wish(shop: Any, number: str) -> Any:
    """The job as the shop's own SQL may write it, done by a worker; answers its row."""
    payload = {"order_number": number, "reason": "x", "by": "root@main"}
    with in_substation(shop), connection.cursor() as cursor:
        cursor.execute("SELECT gate.enqueue('payments.refund_order', %s, now(), '')", [json.dumps(payload)])
        job_id = cursor.fetchone()[0]
    jobs.run(job_id)
    with in_main():
        return Job.objects.get(pk=job_id)


def refunds(number: str) -> list[tuple[Any, ...]]:
    return market.rows("SELECT state, amount_minor, by FROM receipts_refund WHERE order_number = %s", number)


def state(shop: Any, number: str) -> str:
    with in_substation(shop):
        return str(Order.objects.get(number=number).state)


class TestWhatIsGivenBack:
    def test_an_order_of_which_nothing_was_delivered(self, closing: Any, sold: Callable[..., str]) -> None:
        number = sold(delivery="MANUAL")

        job = wish(closing, number)

        assert (job.state, state(closing, number)) == ("DONE", "REFUNDED")
        # Who asked is the shop, whatever the wish says.
        assert refunds(number) == [("SUCCEEDED", 1140, f"{closing.name} ({closing.slug})")]

    def test_wished_for_twice_it_is_given_back_once(self, closing: Any, sold: Callable[..., str]) -> None:
        number = sold(delivery="MANUAL")

        wish(closing, number)
        again = wish(closing, number)

        assert again.state == "FAILED"
        assert len(refunds(number)) == 1


class TestWhatIsNot:
    def refused(self, shop: Any, number: str, before: str) -> None:
        legs = market.legs(number)

        job = wish(shop, number)

        assert (job.state, job.attempts) == (
            "FAILED",
            1,
        )  # It is not tried again: a later moment would not make it right.
        assert "could be refunded" in job.last_error
        assert refunds(number) == []
        assert (state(shop, number), market.legs(number)) == (before, legs)

    def test_anything_of_a_shop_that_is_not_being_closed(self, closing: Any, sold: Callable[..., str]) -> None:
        number = sold(delivery="MANUAL")
        put(closing, "ACTIVE")

        self.refused(closing, number, "PAID")

    def test_codes_that_went_out(self, closing: Any, sold: Callable[..., str]) -> None:
        self.refused(closing, sold(codes=1), "DELIVERED")

    def test_codes_that_went_out_although_the_shops_own_tables_say_otherwise(
        self, closing: Any, sold: Callable[..., str]
    ) -> None:
        number = sold(codes=1)
        with in_substation(closing), connection.cursor() as cursor:
            cursor.execute("UPDATE orders_order SET state = 'PAID', delivered_at = NULL WHERE number = %s", [number])
            cursor.execute("UPDATE orders_orderline SET delivery_state = 'QUEUED', delivered_at = NULL")
        # As if its own SQL had settled the sale as one that a person delivers.
        with in_main(), connection.cursor() as cursor:
            cursor.execute("UPDATE receipts_networkorder SET state = 'PAID' WHERE order_number = %s", [number])

        self.refused(closing, number, "PAID")

    def test_what_was_delivered_between_the_wish_and_its_worker(self, closing: Any, sold: Callable[..., str]) -> None:
        number = sold(delivery="MANUAL")
        with in_substation(closing):
            line = OrderLine.objects.get(order__number=number)
            orders.deliver_by_hand(line_id=line.pk, note="Here it is", by=CLERK, now=NOW)

        self.refused(closing, number, "DELIVERED")

    def test_an_order_of_which_a_part_was_delivered(self, closing: Any, sold: Callable[..., str]) -> None:
        number = sold(delivery="MANUAL")
        with in_substation(closing):
            OrderLine.objects.filter(order__number=number).update(delivery_state="DELIVERED", delivered_at=NOW)

        self.refused(closing, number, "PAID")

    def test_what_is_being_delivered_at_this_moment(self, closing: Any, sold: Callable[..., str]) -> None:
        """Both lock the order: the wish waits for the delivery's end, and then finds what it did."""
        number = sold(delivery="MANUAL")
        with in_substation(closing):
            line = OrderLine.objects.get(order__number=number)
            orders.deliver_by_hand(line_id=line.pk, note="Here it is", by=CLERK, now=NOW)
            wished = Runner(lambda: wish(closing, number))
            wished.wait_until_blocked()

        assert wished.result().state == "FAILED"
        assert (refunds(number), state(closing, number)) == ([], "DELIVERED")

    def test_another_shops_order(self, closing: Any, sold: Callable[..., str], alice: Any) -> None:
        number = sold(delivery="MANUAL")

        job = wish(alice, number)

        assert job.state in ("FAILED", "PENDING")
        assert (refunds(number), state(closing, number)) == ([], "PAID")
