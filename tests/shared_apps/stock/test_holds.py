"""Holding stock for orders: exact under contention, all or none, no way back from delivered.

The races that a variant of the claim loses are run against that variant as well, so that it is known what each guard
is for.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from django.db import DatabaseError, connection, transaction

from kameng.db.context import in_main, in_substation
from kameng.lib.ids import public_id
from shared_apps.stock.models import Code, Hold, StockCount
from tests.tenant_apps.market import NOW, Goods, make_goods

_holds = itertools.count(10**9)
HANGS_S = 60  # A test that waits so long has hung; nothing is decided by it.

# The same claim without its last guard: whoever finds too few unlocked codes says "sold out" at once.
IMPATIENT = """CREATE OR REPLACE FUNCTION public.test_claim_impatient(p_hold bigint, p_sku bigint, p_quantity integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE claimed integer;
BEGIN
    UPDATE public.stock_code c SET state = 'HELD', hold_id = p_hold
    FROM (SELECT n.id FROM public.stock_code n WHERE n.sku_id = p_sku AND n.state = 'AVAILABLE'
          ORDER BY n.position LIMIT p_quantity FOR UPDATE SKIP LOCKED) next WHERE c.id = next.id;
    GET DIAGNOSTICS claimed = ROW_COUNT;
    IF claimed < p_quantity THEN RAISE EXCEPTION 'sold out' USING ERRCODE = 'KG010'; END IF;
END $$"""
# Waits for the others, but with a lock that two can have at once: each then skips what the other holds.
SHARING = """CREATE OR REPLACE FUNCTION public.test_claim_sharing(p_hold bigint, p_sku bigint, p_quantity integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE claimed integer;
BEGIN
    FOR attempt IN 1..8 LOOP
        UPDATE public.stock_code c SET state = 'HELD', hold_id = p_hold
        FROM (SELECT n.id FROM public.stock_code n WHERE n.sku_id = p_sku AND n.state = 'AVAILABLE'
              ORDER BY n.position LIMIT p_quantity FOR UPDATE SKIP LOCKED) next WHERE c.id = next.id;
        GET DIAGNOSTICS claimed = ROW_COUNT;
        IF claimed = p_quantity THEN RETURN; END IF;
        PERFORM 1 FROM (SELECT n.id FROM public.stock_code n WHERE n.sku_id = p_sku AND n.state = 'AVAILABLE'
                        ORDER BY n.position LIMIT p_quantity FOR SHARE) waited;
        PERFORM pg_advisory_xact_lock_shared(7001);  -- The test stands here, so that both have come this far.
    END LOOP;
    -- And here: whoever gave up first would let the other's next attempt through.
    PERFORM pg_advisory_xact_lock_shared(7002);
    RAISE EXCEPTION 'sold out' USING ERRCODE = 'KG010';
END $$"""
# Reads, then writes what it read: no lock between the two.
READING = """CREATE OR REPLACE FUNCTION public.test_claim_reading(p_hold bigint, p_sku bigint, p_quantity integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE chosen bigint[];
BEGIN
    chosen := ARRAY(SELECT n.id FROM public.stock_code n WHERE n.sku_id = p_sku AND n.state = 'AVAILABLE'
                    ORDER BY n.position LIMIT p_quantity);
    IF cardinality(chosen) < p_quantity THEN RAISE EXCEPTION 'sold out' USING ERRCODE = 'KG010'; END IF;
    PERFORM pg_advisory_xact_lock_shared(7001);  -- The test stands here.
    UPDATE public.stock_code SET state = 'HELD', hold_id = p_hold WHERE id = ANY (chosen) AND state = 'AVAILABLE';
END $$"""


class Buyer:
    """A connection of its own, with one claim under way in a thread."""

    def __init__(self) -> None:
        self.conn = psycopg2.connect(os.environ["DATABASE_OWNER_URL"])
        self.hold = next(_holds)
        self.answer = ""
        self._thread: threading.Thread | None = None

    def claim(self, sku: int, quantity: int = 1, function: str = "stock_claim_codes") -> str:
        with self.conn.cursor() as cursor:
            try:
                cursor.execute(f"SELECT public.{function}(%s, %s, %s)", [self.hold, sku, quantity])
                self.answer = "held"
            except psycopg2.Error as error:
                self.conn.rollback()
                self.answer = {"KG010": "sold out"}.get(error.pgcode or "", str(error))
        return self.answer

    def begin(self, sku: int, quantity: int = 1, function: str = "stock_claim_codes") -> None:
        """Claim in the background, and come back when it waits for somebody."""
        self._thread = threading.Thread(target=self.claim, args=(sku, quantity, function), daemon=True)
        self._thread.start()
        self.wait_until_it_waits()

    def wait_until_it_waits(self, for_whom: Buyer | None = None) -> None:
        """Come back when the claim is blocked (by `for_whom`, when named) or has ended."""
        pid = self.conn.info.backend_pid
        blocker = [for_whom.conn.info.backend_pid] if for_whom else []
        watcher = psycopg2.connect(os.environ["DATABASE_OWNER_URL"])
        watcher.autocommit = True
        until = time.monotonic() + HANGS_S
        try:
            with watcher.cursor() as cursor:
                while self.pending:
                    cursor.execute("SELECT pg_blocking_pids(%s)", [pid])
                    blocking = cursor.fetchone()[0]
                    if blocking and set(blocker) <= set(blocking):
                        return
                    assert time.monotonic() < until, f"it is blocked by {blocking}, and not by {blocker or 'anybody'}"
        finally:
            watcher.close()

    @property
    def pending(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def end(self) -> str:
        assert self._thread is not None
        self._thread.join(timeout=HANGS_S)
        assert not self.pending, "it still waits"
        return self.answer


@pytest.fixture
def buyers() -> Iterator[Callable[[], Buyer]]:
    made: list[Buyer] = []

    def make() -> Buyer:
        made.append(Buyer())
        return made[-1]

    yield make
    for buyer in made:
        if buyer.pending:  # A test that failed half-way must not leave its waiters waiting.
            buyer.conn.cancel()
        buyer.conn.close()


@pytest.fixture(scope="module")
def variants(prepared: None) -> Iterator[None]:
    names = ("test_claim_impatient", "test_claim_sharing", "test_claim_reading")
    conn = psycopg2.connect(os.environ["DATABASE_OWNER_URL"])
    with conn, conn.cursor() as cursor:
        for definition in (IMPATIENT, SHARING, READING):
            cursor.execute(definition)
    yield
    with conn, conn.cursor() as cursor:
        for name in names:
            cursor.execute(f"DROP FUNCTION public.{name}(bigint, bigint, integer)")
    conn.close()


def goods(codes: int = 0, **changes: Any) -> Goods:
    with in_main():
        return make_goods(codes=codes, **changes)


def states(sku: int) -> dict[str, int]:
    with in_main():
        rows = list(Code.objects.filter(sku_id=sku).values_list("state", flat=True))
    return {state: rows.count(state) for state in sorted(set(rows))}


def place(shop: Any, lines: list[dict[str, Any]], total: int | None = None, number: str = "") -> list[tuple[Any, ...]]:
    """gate.place_order as the shop's own role, in the transaction that is open."""
    import json

    number = number or public_id("t")
    sum_minor = sum(round(Decimal(line["unit"] or 0) * 100 * line["quantity"]) for line in lines)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sku_id, policy, supply_unit, cost_minor FROM gate.place_order(%s, %s, %s, 'CNY', '', %s, %s)",
            [number, json.dumps(lines), sum_minor if total is None else total, NOW, NOW],
        )
        return cursor.fetchall()


def line(goods: Goods, quantity: int = 1, unit: str = "12") -> dict[str, Any]:
    return {"sku_id": goods.sku_id, "quantity": quantity, "unit": unit}


def refusal(error: DatabaseError) -> str:
    return str(getattr(error.__cause__, "pgcode", ""))


class TestLastCodes:
    def test_eight_buyers_at_once_get_exactly_what_is_there(self, alice: Any) -> None:
        card = goods(codes=10)
        start = threading.Barrier(8)
        outcomes: list[str] = []

        def buy() -> None:
            try:
                start.wait()
                for _ in range(3):
                    try:
                        with in_substation(alice):
                            place(alice, [line(card)])
                        outcomes.append("held")
                    except DatabaseError as error:
                        outcomes.append(refusal(error))
            finally:
                connection.close()

        threads = [threading.Thread(target=buy) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(outcomes) == ["KG010"] * 14 + ["held"] * 10
        with in_main():
            held = list(Code.objects.filter(sku_id=card.sku_id).values_list("state", "hold_id"))
            assert len({hold for _state, hold in held}) == 10
            assert Hold.objects.filter(sku_id=card.sku_id).count() == 10

    def test_whoever_waits_for_a_code_gets_it_when_it_is_given_back(self, buyers: Callable[[], Buyer]) -> None:
        card = goods(codes=1)
        first, second = buyers(), buyers()
        first.claim(card.sku_id)
        second.begin(card.sku_id)

        first.conn.rollback()

        assert second.end() == "held"

    def test_whoever_waits_for_a_code_that_is_kept_is_told_so(self, buyers: Callable[[], Buyer]) -> None:
        card = goods(codes=1)
        first, second = buyers(), buyers()
        first.claim(card.sku_id)
        second.begin(card.sku_id)

        first.conn.commit()

        assert second.end() == "sold out"

    def test_without_waiting_a_code_would_be_falsely_sold_out(
        self, buyers: Callable[[], Buyer], variants: None
    ) -> None:
        card = goods(codes=1)
        first, second = buyers(), buyers()
        first.claim(card.sku_id, function="test_claim_impatient")

        answer = second.claim(card.sku_id, function="test_claim_impatient")
        first.conn.rollback()

        assert answer == "sold out"
        assert states(card.sku_id) == {"AVAILABLE": 1}  # Nobody has it, and it was refused.

    def test_of_two_who_wait_one_gets_it(self, buyers: Callable[[], Buyer]) -> None:
        card = goods(codes=1)
        first, second, third = buyers(), buyers(), buyers()
        first.claim(card.sku_id)
        second.begin(card.sku_id)
        third.begin(card.sku_id)

        first.conn.rollback()
        lucky = next(buyer for buyer in (second, third) if not _still_waits(buyer))
        told = [lucky.end()]
        lucky.conn.commit()
        told.append(({second, third} - {lucky}).pop().end())

        assert told == ["held", "sold out"]
        assert states(card.sku_id) == {"HELD": 1}

    def test_waiting_with_a_lock_that_two_can_share_would_refuse_both(
        self, buyers: Callable[[], Buyer], variants: None
    ) -> None:
        card = goods(codes=1)
        gate, first, second, third = buyers(), buyers(), buyers(), buyers()
        gate.conn.cursor().execute("SELECT pg_advisory_lock(7001), pg_advisory_lock(7002)")
        first.claim(card.sku_id)
        for buyer in (second, third):
            buyer.begin(card.sku_id, function="test_claim_sharing")

        first.conn.rollback()
        for place in (7001, 7002):  # Both hold the code's lock and have skipped it; both have no attempt left.
            for buyer in (second, third):
                buyer.wait_until_it_waits(gate)
            gate.conn.cursor().execute(f"SELECT pg_advisory_unlock({place})")

        assert [second.end(), third.end()] == ["sold out", "sold out"]
        assert states(card.sku_id) == {"AVAILABLE": 1}

    def test_without_a_lock_one_of_two_would_hold_nothing(self, buyers: Callable[[], Buyer], variants: None) -> None:
        """The guard removed: both are told "held", and there is one code. (The state in the UPDATE's own condition
        keeps even this variant from selling it twice.)"""
        card = goods(codes=1)
        gate, first, second = buyers(), buyers(), buyers()
        with gate.conn.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(7001)")
        for buyer in (first, second):
            buyer.begin(card.sku_id, function="test_claim_reading")

        gate.conn.cursor().execute("SELECT pg_advisory_unlock(7001)")
        told = []
        for buyer in (first, second):
            buyer.wait_until_it_waits()
        done = next(buyer for buyer in (first, second) if not _still_waits(buyer))
        told.append(done.end())
        done.conn.commit()
        told.append(({first, second} - {done}).pop().end())

        assert told == ["held", "held"]
        assert states(card.sku_id) == {"HELD": 1}

    def test_two_who_want_two_of_three_do_not_block_each_other(self, buyers: Callable[[], Buyer]) -> None:
        card = goods(codes=3)
        first, second = buyers(), buyers()
        assert first.claim(card.sku_id, 2) == "held"
        second.begin(card.sku_id, 2)  # One is free, one it must wait for.

        first.conn.commit()

        assert second.end() == "sold out"
        assert states(card.sku_id) == {"AVAILABLE": 1, "HELD": 2}

    def test_codes_are_sold_in_the_order_of_their_position(self, alice: Any) -> None:
        card = goods(codes=3)
        with in_substation(alice):
            place(alice, [line(card, 2)])

        with in_main():
            rows = Code.objects.filter(sku_id=card.sku_id).order_by("position").values_list("state", flat=True)
            assert list(rows) == ["HELD", "HELD", "AVAILABLE"]


def _still_waits(buyer: Buyer) -> bool:
    buyer.wait_until_it_waits()
    return buyer.pending


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
