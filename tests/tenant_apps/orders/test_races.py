"""Two at once. Each race is run twice: with its guard, and with the guard taken out, where it must go wrong."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg2
import pytest

from kameng.db.context import in_main, in_substation
from shared_apps.receipts import services as receipts
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order
from tenant_apps.orders.services import _transitions
from tenant_apps.payments import services as payments
from tenant_apps.payments.services._applying import as_paid
from tests.tenant_apps import market
from tests.tenant_apps.market import CHANNEL, NOW, place
from tests.tenant_apps.racing import Runner, all_at_once

Sell = Callable[..., market.Goods]

# What the shops that were measured do: take the first unsold code, without a lock.
UNGUARDED_CLAIM = """
CREATE OR REPLACE FUNCTION public.stock_claim_codes(p_hold bigint, p_sku bigint, p_quantity integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE public.stock_code c SET state = 'HELD', hold_id = p_hold
    WHERE c.id IN (SELECT x.id FROM public.stock_code x WHERE x.sku_id = p_sku AND x.state = 'AVAILABLE'
                   ORDER BY x.position LIMIT p_quantity);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'sold out' USING ERRCODE = 'KG010', DETAIL = p_sku::text;
    END IF;
END
$$"""


@contextmanager
def as_owner(*statements: str) -> Iterator[None]:
    """Change the database for the length of a block, and put the definitions back."""
    from kameng.db import definitions

    conn = psycopg2.connect(os.environ["DATABASE_OWNER_URL"])
    conn.autocommit = True
    try:
        with conn.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
        yield
    finally:
        with conn.cursor() as cursor:
            for path in definitions.files():
                if "stock" in path.parts:
                    cursor.execute(path.read_text(encoding="utf-8"))
        conn.close()


class TestLastCode:
    def test_goes_to_one_buyer_and_the_other_waits_for_the_truth(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        second = self._race(shop, goods)

        with pytest.raises(orders.SoldOut):
            second.result()
        assert self._sold(goods) == (1, 1)

    def test_is_not_called_sold_out_while_the_first_buyer_may_give_it_back(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        second = self._race(shop, goods, first_gives_up=True)

        assert second.result().total_minor == 1140
        assert self._sold(goods) == (1, 1)

    def test_without_the_lock_it_is_sold_twice(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=1)

        with as_owner(UNGUARDED_CLAIM, "DROP TRIGGER refuse_transition ON public.stock_code"):
            second = self._race(shop, goods)
            second.result()

        assert self._sold(goods) == (2, 1)  # Two orders hold one code.

    def test_many_buyers_for_few_codes(self, shop: Any, sell: Sell) -> None:
        goods = sell(codes=3)

        def buy() -> Any:
            with in_substation(shop):
                return place(goods)

        answers = all_at_once([buy] * 8)

        assert sum(isinstance(answer, orders.SoldOut) for answer in answers) == 5
        assert self._sold(goods) == (3, 3)

    def _race(self, shop: Any, goods: market.Goods, *, first_gives_up: bool = False) -> Runner:
        """The first buyer has claimed and not committed; the second one comes and waits; then the first ends."""

        def buy() -> Any:
            with in_substation(shop):
                return place(goods)

        class GivenUp(Exception):
            pass

        try:
            with in_substation(shop):
                place(goods)
                second = Runner(buy)
                second.wait_until_blocked()
                if first_gives_up:
                    raise GivenUp
        except GivenUp:
            pass
        second.join(20)
        return second

    def _sold(self, goods: market.Goods) -> tuple[int, int]:
        """Holds that think they have a code, and codes that are taken."""
        holds = market.rows("SELECT count(*) FROM stock_hold WHERE sku_id = %s AND state = 'HELD'", goods.sku_id)
        codes = market.rows("SELECT count(*) FROM stock_code WHERE sku_id = %s AND state <> 'AVAILABLE'", goods.sku_id)
        return holds[0][0], codes[0][0]


class TestDoubleCallback:
    def test_counts_the_same_money_once(self, shop: Any, account: Any, sell: Sell) -> None:
        goods, fact, placed = self._told_of_a_payment(shop, account, sell)

        answers = all_at_once([lambda: payments.take_fact(fact=fact, now=NOW)] * 4)

        assert answers == ["SALE"] * 4
        assert market.legs(placed.number)["channel:testpay:clearing"] == 1140
        assert self._delivered(goods) == 1
        assert market.rows("SELECT count(*) FROM receipts_receipt WHERE payment_id = %s", fact.payment_id) == [(1,)]

    def test_without_the_unique_fact_it_is_counted_twice(
        self, shop: Any, account: Any, sell: Sell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _goods, fact, placed = self._told_of_a_payment(shop, account, sell)
        real = receipts.record_fact

        def as_if_new(*, fact: Any, now: Any) -> Any:
            return real(fact=market.pay_fact(account, fact.payment_id, fact.amount_minor), now=now)

        monkeypatch.setattr(receipts, "record_fact", as_if_new)
        answers = all_at_once([lambda: payments.take_fact(fact=fact, now=NOW)] * 2)

        assert sorted(answers) == ["CASE", "SALE"]
        assert market.legs(placed.number)["channel:testpay:clearing"] == 2 * 1140  # One payment, booked twice.

    def _told_of_a_payment(self, shop: Any, account: Any, sell: Sell) -> tuple[market.Goods, Any, Any]:
        goods = sell(codes=2)
        with in_substation(shop):
            placed = place(goods)
            payment = market.announce(placed, account)
        return goods, market.pay_fact(account, payment, placed.total_minor), placed

    def _delivered(self, goods: market.Goods) -> int:
        found = market.rows("SELECT count(*) FROM stock_code WHERE sku_id = %s AND state = 'DELIVERED'", goods.sku_id)
        return int(found[0][0])


class TestCallbackAgainstExpiry:
    LATE = NOW + timedelta(minutes=20)

    def test_a_payment_that_comes_first_keeps_its_order(self, shop: Any, account: Any, sell: Sell) -> None:
        placed = self._race(shop, account, sell)

        assert self._state(shop, placed) == "DELIVERED"
        assert self._codes(placed) == ["DELIVERED"]

    def test_without_the_guarded_update_a_paid_order_expires(
        self, shop: Any, account: Any, sell: Sell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def unguarded(*, order_id: int, event: Any, now: Any, **_: Any) -> str:
            Order.objects.filter(pk=order_id).update(state=_transitions.ORDER_TRANSITIONS[event][1], updated_at=now)
            return ""

        monkeypatch.setattr("tenant_apps.orders.services._expiring.move_order", unguarded)
        placed = self._race(shop, account, sell)

        assert self._state(shop, placed) == "EXPIRED"  # And its code is the buyer's all the same.
        assert self._codes(placed) == ["DELIVERED"]

    def test_an_expiry_that_comes_first_is_undone_by_late_money(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)
            payment = market.announce(placed, account)
        fact = market.pay_fact(account, payment, placed.total_minor)

        with in_substation(shop):
            orders.expire_order(number=placed.number, now=self.LATE)
            callback = Runner(lambda: payments.take_fact(fact=fact, now=self.LATE))
            callback.wait_until_blocked()

        assert callback.result() == "SALE"
        assert self._state(shop, placed) == "DELIVERED"
        assert self._codes(placed) == ["DELIVERED"]

    def _race(self, shop: Any, account: Any, sell: Sell) -> Any:
        """The payment is posted and not committed when the expiry comes; then it commits."""
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)
            payment = market.announce(placed, account)
        with in_substation(shop):
            with in_main():
                receipt = receipts.record_fact(fact=market.pay_fact(account, payment, placed.total_minor), now=NOW)
            orders.pay_order(receipt=as_paid(receipt), by=CHANNEL, now=NOW)
            expiry = Runner(lambda: orders.expire_due(now=self.LATE))
            expiry.wait_until_blocked()
        expiry.result()
        return placed

    def _state(self, shop: Any, placed: Any) -> str:
        with in_substation(shop):
            return str(Order.objects.get(number=placed.number).state)

    def _codes(self, placed: Any) -> list[str]:
        found = market.rows(
            "SELECT c.state FROM stock_code c JOIN stock_hold h ON h.id = c.hold_id WHERE h.order_number = %s",
            placed.number,
        )
        return [state for (state,) in found]
