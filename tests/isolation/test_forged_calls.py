"""A shop's own role calls the gate with arguments of its choice: no income that nobody paid, no code that nobody paid for,
and nothing in the main station's books that is only the shop's word.

The shop's Python is left out: what it checks, its SQL may leave unchecked.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from kameng.db.context import in_main, in_substation
from kameng.jobs import registry
from kameng.jobs import services as jobs
from kameng.jobs.models import Job
from kameng.lib.ids import public_id
from shared_apps.receipts import services as receipts
from shared_apps.stock import services as stock
from tests.tenant_apps import market
from tests.tenant_apps.market import NOW, Goods

PLACE = "SELECT sku_id, cost_minor FROM gate.place_order(%s, %s, %s, 'CNY', '', %s, %s)"
ANNOUNCE = "SELECT gate.announce_payment(%s, %s, %s, %s, 'CNY', %s)"
SETTLE = "SELECT * FROM gate.settle_sale(%s, %s, %s::text[], %s::bigint[], %s, %s, %s)"


@pytest.fixture(scope="module")
def shop(make_shop: Callable[..., Any]) -> Any:
    """A shop on the basic plan, 2 % platform fee, supply price 9.50."""
    made = make_shop()
    with in_main():
        market.open_books(made)
    return made


@pytest.fixture(scope="module")
def account(prepared: None) -> Any:
    with in_main():
        return market.ensure_account()


def call(shop: Any, sql: str, *values: Any) -> Any:
    with in_substation(shop), connection.cursor() as cursor:
        cursor.execute(sql, list(values))
        return cursor.fetchall()


def refused(shop: Any, sql: str, *values: Any) -> str:
    """The SQLSTATE with which the database refuses; what stands in the money path is as it was."""
    before = market.network_counts()
    with pytest.raises(DatabaseError) as error:
        call(shop, sql, *values)
    assert market.network_counts() == before
    return str(getattr(error.value.__cause__, "pgcode", ""))


def goods(**wishes: Any) -> Goods:
    with in_main():
        return market.make_goods(**wishes)


def lines(card: Goods, unit: str = "12", quantity: Any = 1) -> str:
    return json.dumps([{"sku_id": card.sku_id, "quantity": quantity, "unit": unit}])


def placed(shop: Any, card: Goods, unit: str = "12", quantity: int = 1) -> str:
    number = public_id("t")
    total = round(Decimal(unit) * 100 * quantity)
    call(shop, PLACE, number, lines(card, unit, quantity), total, NOW, NOW + timedelta(minutes=20))
    return number


def announced(shop: Any, account: Any, number: str, amount: int = 1200) -> str:
    payment = public_id("pay")
    call(shop, ANNOUNCE, payment, number, account.id, amount, NOW)
    return payment


def paid(account: Any, payment: str, amount: int = 1200, **told: Any) -> Any:
    with in_main():
        return receipts.record_fact(fact=market.pay_fact(account, payment, amount, **told), now=NOW)


def terms(shop: Any) -> int:
    return int(call(shop, "SELECT rule FROM gate.sale_terms(%s)", NOW)[0][0])


class TestCodesUnpaid:
    def test_nothing_is_sold_below_what_it_costs(self, shop: Any) -> None:
        """A cent for a card of 9.50: the shop would owe the rest and be gone."""
        card = goods(codes=1)

        assert refused(shop, PLACE, public_id("t"), lines(card, "0.01"), 1, NOW, NOW) == "KG013"
        assert refused(shop, PLACE, public_id("t"), lines(card, "0"), 0, NOW, NOW) == "KG013"
        assert refused(shop, PLACE, public_id("t"), lines(card, "9.49"), 949, NOW, NOW) == "KG013"

        assert market.rows("SELECT state FROM stock_code WHERE sku_id = %s", card.sku_id) == [("AVAILABLE",)]

    def test_nor_through_a_channel_whose_fee_eats_more_than_is_left(self, shop: Any, account: Any) -> None:
        card = goods(codes=1)
        number = placed(shop, card, "9.51")  # The test channel keeps 0.6 %: 6 cents of 951.

        assert refused(shop, ANNOUNCE, public_id("pay"), number, account.id, 951, NOW) == "KG029"

    @pytest.mark.parametrize("bad", ["[]", "{}", "null", "[null]", '[{"quantity": 1, "unit": 12}]', '"x"', "5"])
    def test_an_order_has_lines(self, shop: Any, bad: str) -> None:
        assert refused(shop, PLACE, public_id("t"), bad, 0, NOW, NOW) in ("KG011", "KG015")

    @pytest.mark.parametrize("quantity", [0, -1, None, 10**9, 10**12, "x"])
    def test_a_quantity_is_a_whole_number_that_is_there(self, shop: Any, quantity: Any) -> None:
        card = goods(codes=1)
        total = 1200 * quantity if isinstance(quantity, int) else 1200

        assert refused(shop, PLACE, public_id("t"), lines(card, "12", quantity), total, NOW, NOW) in (
            "23514", "23502", "KG010", "22003", "22P02",
        )  # fmt: skip

    @pytest.mark.parametrize("number", ["", " ", "a b", "x" * 41, None])
    def test_an_order_has_a_number(self, shop: Any, number: Any) -> None:
        """An empty one would be that of all receipts that belong to no order."""
        assert refused(shop, PLACE, number, lines(goods(codes=1)), 1200, NOW, NOW) == "KG015"

    def test_a_price_of_more_digits_than_there_is_money_is_refused(self, shop: Any) -> None:
        card = goods(codes=1)

        assert refused(shop, PLACE, public_id("t"), lines(card, "1e30"), 1, NOW, NOW) in ("22003", "KG015")

    def test_no_code_is_revealed_of_an_order_that_is_not_paid(self, shop: Any) -> None:
        number = placed(shop, goods(codes=1))

        assert call(shop, "SELECT * FROM gate.reveal_codes(%s, 'USER', 'x', 'y', '', %s)", number, NOW) == []

    def test_nor_of_another_shops(self, shop: Any, account: Any, bob: Any) -> None:
        number = placed(shop, goods(codes=1))
        receipt = paid(account, announced(shop, account, number))
        settle(shop, number, receipt, sale(shop))

        assert len(call(shop, "SELECT * FROM gate.reveal_codes(%s, 'USER', 'x', 'y', '', %s)", number, NOW)) == 1
        assert call(bob, "SELECT * FROM gate.reveal_codes(%s, 'USER', 'x', 'y', '', %s)", number, NOW) == []


class TestStockForEver:
    def test_what_is_held_without_end_goes_back(self, shop: Any) -> None:
        """Held until the year 9999, the last codes would be nobody's: not paid for, and not for sale."""
        card, number = goods(codes=1), public_id("t")
        call(shop, PLACE, number, lines(card), 1200, NOW.replace(year=9998), NOW.replace(year=9999))

        stock.release_expired(now=NOW)
        held = market.rows("SELECT state FROM stock_code WHERE sku_id = %s", card.sku_id)
        with connections["owner"].cursor() as cursor:  # An hour later.
            cursor.execute("UPDATE public.stock_hold SET created_at = created_at - interval '61 minutes' "
                           "WHERE order_number = %s", [number])  # fmt: skip
        stock.release_expired(now=NOW)

        assert held == [("HELD",)]
        assert market.rows("SELECT state FROM stock_code WHERE sku_id = %s", card.sku_id) == [("AVAILABLE",)]


class TestMoneyOfOthers:
    @pytest.mark.parametrize("payment", ["", "1001", "pay_", "pay_short", "pay_" + "a" * 20, "pay_" + "A" * 21, None])
    def test_only_ids_that_we_make_can_be_announced(self, shop: Any, account: Any, payment: Any) -> None:
        """A channel tells of payments that are none of ours, by an id of another program or without any. A shop that
        had announced that id would have been paid by them."""
        number = placed(shop, goods(codes=1))

        assert refused(shop, ANNOUNCE, payment, number, account.id, 1200, NOW) in ("KG022", "KG023")

    def test_a_payment_without_an_id_is_nobodys(self, shop: Any, account: Any) -> None:
        assert paid(account, "").substation_id is None

    def test_an_id_is_announced_once(self, shop: Any, account: Any, bob: Any) -> None:
        payment = announced(shop, account, placed(shop, goods(codes=1)))
        number = placed(bob, goods(codes=1))

        assert refused(bob, ANNOUNCE, payment, number, account.id, 1200, NOW) == "23505"
        assert paid(account, payment).substation_id == shop.pk

    @pytest.mark.parametrize("amount", [1, 1201, 0, -1200, 2**63 - 1])
    def test_what_is_announced_is_the_orders_price(self, shop: Any, account: Any, amount: int) -> None:
        number = placed(shop, goods(codes=1))

        assert refused(shop, ANNOUNCE, public_id("pay"), number, account.id, amount, NOW) == "KG023"

    def test_another_shops_order_can_not_be_announced(self, shop: Any, account: Any, bob: Any) -> None:
        number = placed(shop, goods(codes=1))

        assert refused(bob, ANNOUNCE, public_id("pay"), number, account.id, 1200, NOW) == "KG023"

    def test_another_shops_own_channel_can_not_be_used(self, shop: Any, bob: Any) -> None:
        with in_main():
            own = market.ensure_account(substation_id=bob.pk)
        number = placed(shop, goods(codes=1))

        assert refused(shop, ANNOUNCE, public_id("pay"), number, own.id, 1200, NOW) == "KG022"
        assert own.id not in [row[0] for row in call(shop, "SELECT account_id FROM gate.channels()")]


Legs = list[tuple[Any, Any]]


def sale(shop: Any) -> Legs:
    """The legs of 12.00 with a cost of 9.50: 7 cents for the channel, 2 % of the rest for the platform."""
    return [
        ("channel:testpay:clearing", 1200), ("main:revenue", -950), ("channel:testpay:fee", -7),
        ("main:platform_fee", -4), (f"substation:{shop.pk}:pending", -239),
    ]  # fmt: skip


def settle(shop: Any, number: str, receipt: Any, legs: Legs, state: Any = "DELIVERED", at: Any = NOW) -> Any:
    codes, amounts = [code for code, _ in legs], [amount for _, amount in legs]
    return call(shop, SETTLE, number, receipt.public_id, codes, amounts, terms(shop), state, at)


class TestForgedSale:
    def forged(self, shop: Any) -> dict[str, Legs]:
        mine = f"substation:{shop.pk}:pending"
        rest = sale(shop)[:4]
        huge = 2**62
        return {
            "no channel fee": [("channel:testpay:clearing", 1200), ("main:revenue", -950), ("main:platform_fee", -5), (mine, -245)],
            "a smaller channel fee": [*sale(shop)[:2], ("channel:testpay:fee", -1), ("main:platform_fee", -4), (mine, -245)],
            "a larger channel fee": [*sale(shop)[:2], ("channel:testpay:fee", -250)],
            "a tax that nobody asked for": [*sale(shop)[:3], ("tax:cn:payable", -243)],
            "a partner whom nobody named": [*rest, (f"partner:{shop.pk}:1:pending", -239)],
            "more for the platform than is left": [*sale(shop)[:3], ("main:platform_fee", -244), (mine, 1)],
            "a figure that breaks every sum": [*sale(shop)[:3], ("main:platform_fee", -huge), (mine, huge - 243)],
            "turnover out of nothing": [*rest, (mine, huge), (mine, -huge), (mine, -239)],
            "a source that gives and takes": [("channel:testpay:clearing", 2400), ("channel:testpay:clearing", -1200), *sale(shop)[1:]],
            "an account that is not named": [*sale(shop), (None, -1)],
            "an amount that is not named": [*sale(shop), (mine, None)],
            "no legs": [],
        }  # fmt: skip

    def test_no_other_legs_than_those_of_the_terms(self, shop: Any, account: Any) -> None:
        number = placed(shop, goods(codes=1))
        receipt = paid(account, announced(shop, account, number), fee_minor=None)
        before = market.network_counts()

        for name, legs in self.forged(shop).items():
            with pytest.raises(DatabaseError) as error:
                settle(shop, number, receipt, legs)
            assert getattr(error.value.__cause__, "pgcode", "") == "KG027", name

        assert market.network_counts() == before
        assert market.rows("SELECT used_for FROM receipts_receipt WHERE id = %s", receipt.id) == [("",)]
        settle(shop, number, receipt, sale(shop))
        assert market.legs(number) == dict(sale(shop))

    def test_lists_of_different_length_are_refused(self, shop: Any, account: Any) -> None:
        number = placed(shop, goods(codes=1))
        receipt = paid(account, announced(shop, account, number))
        codes, amounts = zip(*sale(shop), strict=True)

        for wrong in (amounts[:-1], (*amounts, 5), ()):
            state = refused(shop, SETTLE, number, receipt.public_id, list(codes), list(wrong), terms(shop), "PAID", NOW)
            assert state in ("KG027", "KG102")
        assert refused(shop, SETTLE, number, receipt.public_id, None, None, terms(shop), "PAID", NOW) == "KG027"

    @pytest.mark.parametrize("rule", [0, -1, 10**6, None])
    def test_no_other_terms(self, shop: Any, account: Any, rule: Any) -> None:
        number = placed(shop, goods(codes=1))
        receipt = paid(account, announced(shop, account, number))
        codes, amounts = zip(*sale(shop), strict=True)

        assert (
            refused(shop, SETTLE, number, receipt.public_id, list(codes), list(amounts), rule, "PAID", NOW) == "KG027"
        )

    @pytest.mark.parametrize(("state", "at"), [("REFUNDED", NOW), ("", NOW), (None, NOW), ("PAID", None)])
    def test_no_other_state_and_no_other_time(self, shop: Any, account: Any, state: Any, at: Any) -> None:
        number = placed(shop, goods(codes=1))
        receipt = paid(account, announced(shop, account, number))
        codes, amounts = zip(*sale(shop), strict=True)

        got = refused(shop, SETTLE, number, receipt.public_id, list(codes), list(amounts), terms(shop), state, at)

        assert got in ("KG025", "23502")

    def test_not_twice(self, shop: Any, account: Any) -> None:
        number = placed(shop, goods(codes=1))
        first = paid(account, announced(shop, account, number))
        second = paid(account, first.payment_id)  # The same payment, told as another movement: the payer paid twice.
        settle(shop, number, first, sale(shop))

        for receipt in (first, second):
            codes, amounts = zip(*sale(shop), strict=True)
            got = refused(shop, SETTLE, number, receipt.public_id, list(codes), list(amounts), terms(shop), "PAID", NOW)
            assert got in ("KG024", "23505")  # Used already; an order is settled once (order_settled_once).
        assert market.legs(number) == dict(sale(shop))

    def test_a_receipt_by_its_name_or_by_none_is_not_made_up(self, shop: Any, account: Any) -> None:
        number = placed(shop, goods(codes=1))
        codes, amounts = zip(*sale(shop), strict=True)

        for name in ("rcp_00000000000000000000", "", None):
            got = refused(shop, SETTLE, number, name, list(codes), list(amounts), terms(shop), "PAID", NOW)
            assert got == "KG024"


class TestWhatTheMainStationIsTold:
    def test_an_orders_lines_are_in_the_librarys_words(self, shop: Any) -> None:
        """What a shop wrote into them was shown in the console, and what it left out broke the page."""
        card, number = goods(codes=2), public_id("t")
        forged = json.dumps([{
            "sku_id": card.sku_id, "quantity": 2, "unit": "12", "sku_code": "FREE-GIFT", "name": ["<b>"],
            "total_minor": "much", "more": "x" * 100_000,
        }])  # fmt: skip

        call(shop, PLACE, number, forged, 2400, NOW, NOW + timedelta(minutes=20))

        [(product,)] = market.rows("SELECT name_zh FROM library_product WHERE id = %s", card.product_id)
        [(noted,)] = market.rows("SELECT lines::text FROM receipts_networkorder WHERE order_number = %s", number)
        assert json.loads(noted) == [
            {
                "sku_id": card.sku_id,
                "sku_code": card.code,
                "name": f"{product} · 10 元",
                "quantity": 2,
                "total_minor": 2400,
            }
        ]

    @pytest.mark.parametrize("state", ["PAID", "DELIVERED", "REFUNDED", "PENDING_PAYMENT", "EXPIRED", "", None])
    def test_no_unpaid_order_is_said_to_be_anything(self, shop: Any, state: Any) -> None:
        number = placed(shop, goods(codes=1))

        assert refused(shop, "SELECT gate.note_order(%s, %s, %s)", number, state, NOW) == "KG016"
        assert self.state(number) == "PENDING_PAYMENT"

    @pytest.mark.parametrize("state", ["PAID", "DELIVERED", "REFUNDED", "PENDING_PAYMENT", "", None])
    def test_nor_by_giving_its_stock_back(self, shop: Any, state: Any) -> None:
        number = placed(shop, goods(codes=1))

        assert refused(shop, "SELECT gate.release_order(%s, %s, %s)", number, state, NOW) == "KG016"
        assert self.state(number) == "PENDING_PAYMENT"

    def test_a_paid_order_is_delivered_once_and_refunded_when_it_was(self, shop: Any, account: Any) -> None:
        number = placed(shop, goods(codes=1))
        receipt = paid(account, announced(shop, account, number))
        settle(shop, number, receipt, sale(shop), state="PAID")

        for state in ("PAID", "PENDING_PAYMENT", "EXPIRED", "REFUNDED"):  # Nobody has asked for a refund.
            assert refused(shop, "SELECT gate.note_order(%s, %s, %s)", number, state, NOW) == "KG016"
        call(shop, "SELECT gate.note_order(%s, 'DELIVERED', %s)", number, NOW)
        assert refused(shop, "SELECT gate.note_order(%s, 'DELIVERED', %s)", number, NOW) == "KG016"
        with in_main():
            asked = receipts.ask_refund(receipt_id=receipt.id, amount_minor=1200, reason="x", by=market.CLERK, now=NOW)
        call(shop, "SELECT gate.note_order(%s, 'REFUNDED', %s)", number, NOW)
        assert self.state(number) == "REFUNDED"
        with in_main():
            receipts.note_refund(refund_id=asked.id, state="FAILED", now=NOW)  # No janitor is to ask about it.

    def test_another_shops_order_is_out_of_reach(self, shop: Any, account: Any, bob: Any) -> None:
        number = placed(shop, goods(codes=1))
        receipt = paid(account, announced(shop, account, number))
        settle(shop, number, receipt, sale(shop), state="PAID")

        assert refused(bob, "SELECT gate.note_order(%s, 'DELIVERED', %s)", number, NOW) == "KG016"
        assert call(bob, "SELECT gate.release_order(%s, 'EXPIRED', %s)", number, NOW) == [(0,)]
        assert call(bob, "SELECT gate.hold_again(%s, %s, %s)", number, NOW, NOW) == [(0,)]
        assert self.state(number) == "PAID"

    def state(self, number: str) -> str:
        return str(market.rows("SELECT state FROM receipts_networkorder WHERE order_number = %s", number)[0][0])


class TestForgedWork:
    def test_a_shop_gives_the_main_station_no_work(self, shop: Any) -> None:
        """A row of the shop's own making that names the main station's work: refused when a worker takes it."""
        ran: list[Any] = []

        @registry.job("isolation.main_work", tenant=False)
        def work(**payload: Any) -> None:
            ran.append(payload)

        try:
            ((job_id,),) = call(
                shop, "SELECT gate.enqueue('isolation.main_work', %s, %s, '')", json.dumps({"case": 1}), NOW
            )
            jobs.run(job_id)
            with in_main():
                job = Job.objects.get(pk=job_id)
            assert (ran, job.state, job.schema_name) == ([], "FAILED", shop.schema_name)
            assert "is the main station's" in job.last_error
        finally:
            registry._jobs.pop("isolation.main_work")

    def test_nor_does_its_python(self, shop: Any) -> None:
        kind = next(kind for kind in sorted(registry.kinds()) if not registry.find(kind).wants_tenant)

        with pytest.raises(registry.NotATenants), in_substation(shop):
            jobs.enqueue(kind=kind, payload={})

    @pytest.mark.parametrize("payload", ["[]", '"x"', "5", "null", '{"order": 1}'])
    def test_a_payload_of_any_shape_ends_in_the_jobs_own_row(self, shop: Any, payload: str) -> None:
        ((job_id,),) = call(shop, "SELECT gate.enqueue('orders.mail_delivered', %s, %s, '')", payload, NOW)

        assert jobs.run(job_id) is True

        with in_main():
            job = Job.objects.get(pk=job_id)
            job.delete()
        assert job.state in ("PENDING", "FAILED")
        assert job.last_error != ""

    def test_work_is_always_the_callers(self, shop: Any, bob: Any) -> None:
        with in_main():
            before = Job.objects.filter(schema_name=bob.schema_name).count()

        forged = json.dumps({"schema_name": bob.schema_name})
        ((job_id,),) = call(shop, "SELECT gate.enqueue('orders.mail_delivered', %s, %s, '')", forged, NOW)

        with in_main():
            assert Job.objects.get(pk=job_id).schema_name == shop.schema_name
            assert Job.objects.filter(schema_name=bob.schema_name).count() == before
            Job.objects.filter(pk=job_id).delete()


class TestCaseFigures:
    def test_what_an_order_costs_is_the_main_stations_own_figure(self, shop: Any, account: Any) -> None:
        """The shop writes 0.01 into its order and its friend pays 12.00: a case "paid too much" that expects a cent
        would be delivered, and 11.99 go back to the payer out of the main station's pocket."""
        number = placed(shop, goods(codes=1))
        receipt = paid(account, announced(shop, account, number), 1200)

        with in_main(), transaction.atomic():
            case_id = receipts.open_case(receipt=receipt, kind="OVER", expected_minor=1, now=NOW)
            assert receipts.lock_case(case_id).expected_minor == 1200
            transaction.set_rollback(True)
