"""From a receipt to codes, queue and ledger, in one transaction or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection

from kameng.db.context import in_main, in_substation
from shared_apps.receipts import services as receipts
from tenant_apps.orders import selectors
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order
from tenant_apps.payments.services._applying import as_paid
from tests.tenant_apps import market
from tests.tenant_apps.market import BUYER, CHANNEL, CLERK, NOW, place

Sell = Callable[..., market.Goods]


def receipt_for(placed: Any, account: Any, amount: int | None = None, **told: Any) -> Any:
    """A recorded receipt of the order's price, not used yet. Inside the shop's transaction."""
    payment = market.announce(placed, account)
    with in_main():
        return receipts.record_fact(
            fact=market.pay_fact(account, payment, amount or placed.total_minor, **told), now=NOW
        )


class TestPayOrder:
    def test_delivers_codes_and_posts_every_partys_leg(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=3)

        with in_substation(shop):
            placed = place(goods, quantity=2)
            settled = orders.pay_order(receipt=as_paid(receipt_for(placed, account)), by=CHANNEL, now=NOW)
            order = Order.objects.get(number=placed.number)
            steps = [(s.subject, s.event, s.from_state, s.to_state) for s in selectors.timeline(order.pk)]

        # 22.80 − 19.00 supply − 0.13 channel = 3.67, of which 2 % (0.0734, by the largest remainder) are the platform's.
        assert market.legs(placed.number) == {
            "channel:testpay:clearing": 2280, "main:revenue": -1900, "channel:testpay:fee": -13, "main:platform_fee": -7,
            f"substation:{shop.pk}:pending": -360,
        }  # fmt: skip
        assert (settled.state, settled.earned_minor, settled.queued) == ("DELIVERED", 360, 0)
        assert (order.state, order.paid_at, order.delivered_at, order.earned_minor) == ("DELIVERED", NOW, NOW, 360)
        assert order.transfer_id == settled.transfer_id
        assert steps == [
            ("ORDER", "PLACE", "", "PENDING_PAYMENT"),
            ("PAYMENT", "BEGIN", "", "CREATED"),
            ("ORDER", "PAY", "PENDING_PAYMENT", "PAID"),
            ("DELIVERY", "DELIVER", "WAITING", "DELIVERED"),
            ("ORDER", "DELIVER", "PAID", "DELIVERED"),
        ]
        states = market.rows(
            "SELECT state, count(*) FROM stock_code WHERE sku_id = %s GROUP BY 1 ORDER BY 1", goods.sku_id
        )
        assert states == [("AVAILABLE", 1), ("DELIVERED", 2)]
        network = market.rows("SELECT state, paid_at FROM receipts_networkorder WHERE order_number = %s", placed.number)
        assert network == [("DELIVERED", NOW)]

    def test_queues_what_a_person_delivers(self, shop: Any, account: Any, sell: Sell) -> None:
        instant, by_hand = sell(codes=1), sell(delivery="MANUAL")

        with in_substation(shop):
            placed = place(instant, lines=[(instant.sku_id, 1), (by_hand.sku_id, 1)])
            settled = orders.pay_order(receipt=as_paid(receipt_for(placed, account)), by=CHANNEL, now=NOW)
            order = Order.objects.get(number=placed.number)
            lines = {line.sku_id: line.delivery_state for line in order.lines.all()}

        assert (settled.state, settled.queued, order.delivered_at) == ("PAID", 1, None)
        assert lines == {instant.sku_id: "DELIVERED", by_hand.sku_id: "QUEUED"}
        jobs = market.rows("SELECT kind FROM jobs_job WHERE payload->>'order_number' = %s ORDER BY kind", placed.number)
        assert jobs == [("orders.mail_delivered",), ("orders.notify_queue",)]

    def test_a_failing_last_write_undoes_everything(
        self, shop: Any, account: Any, sell: Sell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)
            receipt = receipt_for(placed, account)
        before = market.network_counts()

        # The outbox row is the last of all: make it one that does not fit.
        monkeypatch.setattr("tenant_apps.orders.services._paying.MAIL_JOB", "x" * 81)
        with pytest.raises(DatabaseError), in_substation(shop):
            orders.pay_order(receipt=as_paid(receipt), by=CHANNEL, now=NOW)

        assert market.network_counts() == before
        assert market.legs(placed.number) == {}
        assert market.rows("SELECT used_for FROM receipts_receipt WHERE public_id = %s", receipt.public_id) == [("",)]
        assert market.rows("SELECT state FROM stock_code WHERE sku_id = %s", goods.sku_id) == [("HELD",)]
        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "PENDING_PAYMENT"

    def test_refuses_a_second_payment(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=2)
        with in_substation(shop):
            placed = place(goods)
            orders.pay_order(receipt=as_paid(receipt_for(placed, account)), by=CHANNEL, now=NOW)
        booked = market.legs(placed.number)

        with pytest.raises(orders.OrderTransitionRefused), in_substation(shop):
            with in_main():
                again = receipts.record_fact(fact=market.pay_fact(account, "", placed.total_minor), now=NOW)
            paid = as_paid(again)
            orders.pay_order(
                receipt=type(paid)(**{**{f: getattr(paid, f) for f in paid.__slots__}, "order_number": placed.number}),
                by=CHANNEL, now=NOW,
            )  # fmt: skip

        assert market.legs(placed.number) == booked

    def test_revives_an_expired_order_while_stock_allows(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        late = NOW + timedelta(hours=1)

        with in_substation(shop):
            placed = place(goods)
            receipt = receipt_for(placed, account)
            orders.expire_order(number=placed.number, now=late)
            settled = orders.pay_order(receipt=as_paid(receipt), by=CHANNEL, now=late)
            order = Order.objects.get(number=placed.number)
            events = [s.event for s in selectors.timeline(order.pk) if s.subject != "PAYMENT"]

        assert (settled.state, order.state) == ("DELIVERED", "DELIVERED")
        assert events == ["PLACE", "EXPIRE", "CANCEL", "REQUEUE", "REVIVE", "DELIVER", "DELIVER"]

    def test_a_late_payment_for_sold_out_stock_changes_nothing(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)
            receipt = receipt_for(placed, account)
            orders.expire_order(number=placed.number, now=NOW)
            place(goods)  # Somebody else took the last one.

        with pytest.raises(orders.SoldOut), in_substation(shop):
            orders.pay_order(receipt=as_paid(receipt), by=CHANNEL, now=NOW)

        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "EXPIRED"
        assert market.legs(placed.number) == {}

    def test_the_shop_bears_what_the_channel_kept_beyond_expectation(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        with in_substation(shop):
            placed = place(goods)
            settled = orders.pay_order(
                receipt=as_paid(receipt_for(placed, account, fee_minor=200)), by=CHANNEL, now=NOW
            )

        assert settled.earned_minor == -10
        assert market.legs(placed.number) == {
            "channel:testpay:clearing": 1140, "main:revenue": -950, "channel:testpay:fee": -200,
            f"substation:{shop.pk}:pending": 10,
        }  # fmt: skip


class TestTheGate:
    """What a shop's own SQL can't do, whatever it sends."""

    def test_refuses_legs_that_favour_the_shop(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)
            receipt = receipt_for(placed, account)
        [(rule,)] = market.rows(
            "SELECT version FROM splits_splitrule WHERE effective_at <= %s ORDER BY effective_at DESC, version DESC LIMIT 1",
            NOW,
        )  # Other tests make terms of later years.
        mine, fee = f"substation:{shop.pk}:pending", "channel:testpay:fee"
        whole = [
            ("channel:testpay:clearing", 1140),
            ("main:revenue", -950),
            (fee, -6),
            ("main:platform_fee", -4),
            (mine, -180),
        ]
        greedy = {
            "supply not paid": [("channel:testpay:clearing", 1140), (fee, -6), ("main:platform_fee", -4), (mine, -1130)],
            "no platform fee": [("channel:testpay:clearing", 1140), ("main:revenue", -950), (fee, -6), (mine, -184)],
            "no channel fee": [("channel:testpay:clearing", 1140), ("main:revenue", -950), ("main:platform_fee", -4), (mine, -186)],
            "takes more": [("channel:testpay:clearing", 1141), ("main:revenue", -950), (fee, -6), ("main:platform_fee", -4), (mine, -181)],
            "from another shop": [*whole[:4], (mine, -190), (f"substation:{shop.pk + 1}:pending", 10)],
            "to another shop": [*whole[:4], (mine, -170), (f"substation:{shop.pk + 1}:pending", -10)],
            "from the main station": [*whole[:4], (mine, -190), ("main:subsidy", 10)],
            "unbalanced": [*whole[:4], (mine, -181)],
        }  # fmt: skip
        before = market.network_counts()

        for name, legs in greedy.items():
            with pytest.raises(DatabaseError) as refused, in_substation(shop):
                self._settle(placed.number, receipt.public_id, legs, rule)
            assert refused.value.__cause__.pgcode in ("KG027", "KG101"), name  # type: ignore[union-attr]

        assert market.network_counts() == before
        with in_substation(shop):
            self._settle(placed.number, receipt.public_id, whole, rule)
        assert market.legs(placed.number) == dict(whole)

    def test_refuses_a_receipt_of_another_shops_order(
        self, shop: Any, account: Any, sell: Sell, fresh_shop: Any
    ) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)
            receipt = receipt_for(placed, account)

        with pytest.raises(DatabaseError) as refused, in_substation(fresh_shop):
            self._settle(
                placed.number, receipt.public_id, [("channel:testpay:clearing", 1140), ("main:revenue", -1140)], 1
            )

        assert refused.value.__cause__.pgcode == "KG024"  # type: ignore[union-attr]

    def test_refuses_to_use_a_receipt_for_another_order(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=2)
        with in_substation(shop):
            mine, other = place(goods), place(goods)
            receipt = receipt_for(mine, account)

        with pytest.raises(DatabaseError) as refused, in_substation(shop):
            self._settle(
                other.number, receipt.public_id, [("channel:testpay:clearing", 1140), ("main:revenue", -1140)], 1
            )

        assert refused.value.__cause__.pgcode == "KG024"  # type: ignore[union-attr]

    def test_refuses_a_sale_whose_stock_was_given_back(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)
            receipt = receipt_for(placed, account)
            with connection.cursor() as cursor:
                cursor.execute("SELECT gate.release_order(%s, 'CANCELLED', %s)", [placed.number, NOW])

        with pytest.raises(orders.NotHeld), in_substation(shop):
            orders.pay_order(receipt=as_paid(receipt), by=CHANNEL, now=NOW)

        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "PENDING_PAYMENT"

    def _settle(self, number: str, receipt: str, legs: list[tuple[str, int]], rule: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT * FROM gate.settle_sale(%s, %s, %s::text[], %s::bigint[], %s, 'DELIVERED', %s)",
                [number, receipt, [code for code, _ in legs], [amount for _, amount in legs], rule, NOW],
            )


class TestDeliveringByHand:
    def test_completes_the_order_with_its_last_line(self, shop: Any, account: Any, sell: Sell) -> None:
        first, second = sell(delivery="MANUAL"), sell(delivery="MANUAL")

        with in_substation(shop):
            placed = place(first, lines=[(first.sku_id, 1), (second.sku_id, 1)])
            orders.pay_order(receipt=as_paid(receipt_for(placed, account)), by=CHANNEL, now=NOW)
            lines = [line.pk for line in selectors.queue() if line.order.number == placed.number]
            completed = [orders.deliver_by_hand(line_id=pk, note=" user: ann ", by=CLERK, now=NOW) for pk in lines]
            order = Order.objects.get(number=placed.number)

            assert completed == [False, True]
            assert (order.state, order.delivered_at) == ("DELIVERED", NOW)
            assert [line.delivery_note for line in order.lines.all()] == ["user: ann", "user: ann"]
            with pytest.raises(orders.OrderTransitionRefused):
                orders.deliver_by_hand(line_id=lines[0], note="again", by=CLERK, now=NOW)
        network = market.rows("SELECT state FROM receipts_networkorder WHERE order_number = %s", placed.number)
        assert network == [("DELIVERED",)]

    def test_refuses_an_empty_note_and_an_unpaid_order(self, shop: Any, sell: Sell) -> None:
        goods = sell(delivery="MANUAL")

        with in_substation(shop):
            placed = place(goods)
            line = Order.objects.get(number=placed.number).lines.get()
            with pytest.raises(orders.OrderInvalid):
                orders.deliver_by_hand(line_id=line.pk, note="  ", by=CLERK, now=NOW)
            with pytest.raises(orders.OrderTransitionRefused):
                orders.deliver_by_hand(line_id=line.pk, note="here", by=CLERK, now=NOW)
            line.refresh_from_db()

            assert (line.delivery_state, line.delivery_note) == ("WAITING", "")


class TestRevealing:
    def test_shows_the_codes_and_records_each_look(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=3)

        with in_substation(shop):
            placed = place(goods, quantity=2)
            assert self._reveal(placed.number) == []  # Held, not paid: nothing to see.
            orders.pay_order(receipt=as_paid(receipt_for(placed, account)), by=CHANNEL, now=NOW)
            shown = self._reveal(placed.number)

        assert [code.text for code in shown] == goods.texts[:2]
        assert goods.texts[0] not in repr(shown)
        looks = market.rows(
            "SELECT actor_kind, reason, ip FROM stock_codereveal WHERE order_number = %s", placed.number
        )
        assert looks == [("BUYER", "delivery page", "203.0.113.7")] * 2

    def test_wants_a_reason(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        with in_substation(shop):
            placed = place(goods)
            with pytest.raises(orders.RevealRefused):
                orders.reveal_codes(number=placed.number, by=CLERK, reason=" ", ip="", now=NOW)

    def _reveal(self, number: str) -> list[Any]:
        return orders.reveal_codes(number=number, by=BUYER, reason="delivery page", ip="203.0.113.7", now=NOW)


class TestExpiring:
    def test_ends_due_orders_of_the_network_and_gives_their_stock_back(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=2)
        with in_substation(shop):
            due = place(goods)
            fresh = place(goods, now=NOW + timedelta(minutes=10))
        watched: list[str] = []

        orders.expire_due(now=NOW + timedelta(minutes=20), watch=watched.append)

        with in_substation(shop):
            states = dict(Order.objects.filter(number__in=(due.number, fresh.number)).values_list("number", "state"))
        assert states == {due.number: "EXPIRED", fresh.number: "PENDING_PAYMENT"}
        assert due.number in watched
        assert fresh.number not in watched
        stock = market.rows(
            "SELECT state, count(*) FROM stock_code WHERE sku_id = %s GROUP BY 1 ORDER BY 1", goods.sku_id
        )
        assert stock == [("AVAILABLE", 1), ("HELD", 1)]

    def test_cancelling_gives_the_stock_back_once(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        with in_substation(shop):
            placed = place(goods)
            orders.cancel_order(number=placed.number, by=BUYER, now=NOW)
            with pytest.raises(orders.OrderTransitionRefused):
                orders.cancel_order(number=placed.number, by=BUYER, now=NOW)

            assert Order.objects.get(number=placed.number).state == "CANCELLED"
        assert market.rows("SELECT state FROM stock_code WHERE sku_id = %s", goods.sku_id) == [("AVAILABLE",)]

    def test_one_shops_trouble_does_not_stop_the_others(
        self, shop: Any, sell: Sell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        goods = sell(codes=2)
        with in_substation(shop):
            first, second = place(goods), place(goods, now=NOW + timedelta(seconds=1))
        real = orders.expire_order

        def broken(*, number: str, **rest: Any) -> None:
            if number == first.number:
                raise RuntimeError("a broken shop")
            real(number=number, **rest)

        monkeypatch.setattr("tenant_apps.orders.services._expiring.expire_order", broken)
        orders.expire_due(now=NOW + timedelta(minutes=30))

        with in_substation(shop):
            assert Order.objects.get(number=first.number).state == "PENDING_PAYMENT"
            assert Order.objects.get(number=second.number).state == "EXPIRED"
