"""The last codes under contention. The races that a variant of the claim loses are run against that variant as well, so that it
is known what each guard is for."""

from __future__ import annotations

import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from django.db import DatabaseError, connection

from kameng.db.context import in_main, in_substation
from shared_apps.stock.models import Code, Hold
from tests.shared_apps.stock.stage import goods, line, place, refusal, states

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
        for lock in (7001, 7002):  # Both hold the code's lock and have skipped it; both have no attempt left.
            for buyer in (second, third):
                buyer.wait_until_it_waits(gate)
            gate.conn.cursor().execute(f"SELECT pg_advisory_unlock({lock})")

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
