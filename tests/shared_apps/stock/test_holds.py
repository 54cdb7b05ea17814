"""Holding stock for orders: all or none, given back once, no way back from delivered."""

from __future__ import annotations

import threading
from decimal import Decimal
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from kameng.db.context import in_main, in_substation
from kameng.lib.ids import public_id
from shared_apps.stock.models import Code, Hold, StockCount
from tests.shared_apps.stock.stage import goods, line, place, refusal, states
from tests.tenant_apps.market import NOW, Goods


class TestAllOrNone:
    def test_too_few_codes_hold_none(self, alice: Any) -> None:
        card = goods(codes=2)

        with pytest.raises(DatabaseError) as refused, in_substation(alice):
            place(alice, [line(card, 3)])

        assert refusal(refused.value) == "KG010"
        assert states(card.sku_id) == {"AVAILABLE": 2}

    def test_a_second_line_that_is_sold_out_gives_the_first_back(self, alice: Any) -> None:
        there, gone = goods(codes=1), goods()

        with pytest.raises(DatabaseError), in_substation(alice):
            place(alice, [line(there), line(gone)])

        assert states(there.sku_id) == {"AVAILABLE": 1}
        with in_main():
            assert not Hold.objects.filter(sku_id=there.sku_id).exists()

    def test_a_number_never_goes_below_zero(self, alice: Any, bob: Any) -> None:
        box = goods(policy="COUNTED", delivery="MANUAL", count=5)
        start = threading.Barrier(4)
        outcomes: list[str] = []

        def buy(shop: Any) -> None:
            try:
                start.wait()
                for _ in range(3):
                    try:
                        with in_substation(shop):
                            place(shop, [line(box)])
                        outcomes.append("held")
                    except DatabaseError as error:
                        outcomes.append(refusal(error))
            finally:
                connection.close()

        threads = [threading.Thread(target=buy, args=(shop,)) for shop in (alice, bob, alice, bob)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(outcomes) == ["KG010"] * 7 + ["held"] * 5
        with in_main():
            assert StockCount.objects.get(pk=box.sku_id).available == 0


class TestWhatAnOrderMayBe:
    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"unit": "9.99"}, "KG013"),
            ({"unit": "13.01"}, "KG013"),
            ({"unit": None}, "KG013"),
            ({"quantity": 0}, "23514"),
            ({"quantity": -1}, "23514"),
            ({"quantity": 10**9}, "KG010"),
            ({"sku_id": 987654321}, "KG011"),
            ({"sku_id": None}, "KG011"),
        ],
    )
    def test_refuses_by_the_database(self, alice: Any, changes: dict[str, Any], code: str) -> None:
        card = goods(codes=2, floor=Decimal(10), ceiling=Decimal(13))
        wanted = {**line(card), **changes}

        with pytest.raises(DatabaseError) as refused, in_substation(alice):
            place(alice, [wanted])

        assert refusal(refused.value) == code
        assert states(card.sku_id) == {"AVAILABLE": 2}

    def test_refuses_a_total_that_is_not_that_of_the_lines(self, alice: Any) -> None:
        card = goods(codes=2, floor=Decimal(10))

        with pytest.raises(DatabaseError) as refused, in_substation(alice):
            place(alice, [line(card, 2)], total=1)

        assert refusal(refused.value) == "KG015"
        assert states(card.sku_id) == {"AVAILABLE": 2}

    def test_the_cost_is_exact_to_the_cent(self, alice: Any) -> None:
        """In floating point 1.1 × 7 × 100 is a hair above 770, and rounding up made a cent of it."""
        card = goods(codes=7, supply={"BASIC": Decimal("1.1")})

        with in_substation(alice):
            ((_sku, _policy, unit, cost),) = place(alice, [line(card, 7)])

        assert (unit, cost) == (Decimal("1.1000"), 770)

    def test_each_shop_pays_its_own_plans_price(self, alice: Any, bob: Any) -> None:
        card = goods(codes=2)
        costs = []
        for shop in (alice, bob):
            with in_substation(shop):
                costs.append(place(shop, [line(card)])[0][3])

        assert costs == [950, 900]

    def test_a_plan_without_a_price_may_not_sell_it(self, alice: Any) -> None:
        card = goods(codes=1, supply={"PRO": Decimal(9)})

        with pytest.raises(DatabaseError) as refused, in_substation(alice):
            place(alice, [line(card)])

        assert refusal(refused.value) == "KG011"

    def test_the_main_station_may_not_place_orders(self, prepared: None) -> None:
        card = goods(codes=1)

        with pytest.raises(DatabaseError), in_main():
            place(None, [line(card)])

        assert states(card.sku_id) == {"AVAILABLE": 1}


class TestGivingBack:
    def order(self, shop: Any, card: Goods, quantity: int = 1) -> str:
        number = public_id("t")
        with in_substation(shop):
            place(shop, [line(card, quantity)], number=number)
        return number

    def call(self, shop: Any, sql: str, *values: Any) -> Any:
        with in_substation(shop), connection.cursor() as cursor:
            cursor.execute(sql, list(values))
            return cursor.fetchone()[0]

    def release(self, shop: Any, number: str) -> Any:
        return self.call(shop, "SELECT gate.release_order(%s, 'EXPIRED', %s)", number, NOW)

    def test_once_and_no_more(self, alice: Any) -> None:
        card = goods(codes=2)
        number = self.order(alice, card, 2)

        assert [self.release(alice, number), self.release(alice, number)] == [1, 0]
        assert states(card.sku_id) == {"AVAILABLE": 2}

    def test_another_shop_releases_nothing(self, alice: Any, bob: Any) -> None:
        card = goods(codes=1)
        number = self.order(alice, card)

        assert self.release(bob, number) == 0
        assert states(card.sku_id) == {"HELD": 1}

    def test_a_late_payment_holds_again_or_is_refused(self, alice: Any) -> None:
        card = goods(codes=1)
        number = self.order(alice, card)
        self.release(alice, number)
        again = self.call(alice, "SELECT gate.hold_again(%s, %s, %s)", number, NOW, NOW)
        self.release(alice, number)
        self.order(alice, card)  # Somebody else bought it meanwhile.

        with pytest.raises(DatabaseError) as refused:
            self.call(alice, "SELECT gate.hold_again(%s, %s, %s)", number, NOW, NOW)

        assert again == 1
        assert refusal(refused.value) == "KG010"

    def test_what_nobody_came_for_goes_back(self, alice: Any) -> None:
        from shared_apps.stock import services

        card, box = goods(codes=1), goods(policy="COUNTED", delivery="MANUAL", count=5)
        for bought in (card, box):
            self.order(alice, bought)

        services.release_expired(now=NOW + services.EXPIRY_PATIENCE / 2)
        too_early = states(card.sku_id)
        services.release_expired(now=NOW + services.EXPIRY_PATIENCE * 2)

        assert too_early == {"HELD": 1}
        assert states(card.sku_id) == {"AVAILABLE": 1}
        with in_main():
            assert StockCount.objects.get(pk=box.sku_id).available == 5


class TestDelivered:
    @pytest.mark.parametrize("state", ["AVAILABLE", "HELD", "VOID"])
    def test_leads_nowhere(self, prepared: None, state: str) -> None:
        card = goods(codes=1)
        with in_main():
            Code.objects.filter(sku_id=card.sku_id).update(state="HELD", hold_id=1)
            Code.objects.filter(sku_id=card.sku_id).update(state="DELIVERED")

        with pytest.raises(DatabaseError) as refused, in_main():
            Code.objects.filter(sku_id=card.sku_id).update(state=state, hold_id=1 if state == "HELD" else None)

        assert refusal(refused.value) == "KG012"
        assert states(card.sku_id) == {"DELIVERED": 1}

    def test_goes_to_no_other_order_and_is_never_deleted(self, prepared: None) -> None:
        card = goods(codes=1)
        with in_main():
            Code.objects.filter(sku_id=card.sku_id).update(state="HELD", hold_id=1)
            Code.objects.filter(sku_id=card.sku_id).update(state="DELIVERED")

        for attempt in (
            lambda: Code.objects.filter(sku_id=card.sku_id).update(hold_id=2),
            lambda: Code.objects.filter(sku_id=card.sku_id).delete(),
        ):
            with pytest.raises(DatabaseError), in_main(), transaction.atomic():
                attempt()

        with in_main():
            assert Code.objects.get(sku_id=card.sku_id).hold_id == 1

    def test_is_only_reached_by_way_of_a_hold(self, prepared: None) -> None:
        card = goods(codes=1)

        with pytest.raises(DatabaseError), in_main():
            Code.objects.filter(sku_id=card.sku_id).update(state="DELIVERED", hold_id=5)

        assert states(card.sku_id) == {"AVAILABLE": 1}
