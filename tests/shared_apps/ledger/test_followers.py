"""Roll-up, days and seal: they lose nothing that commits late, run twice at once, and say what was changed."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from kameng.db.context import in_main
from shared_apps.ledger import selectors, services, tasks
from shared_apps.ledger.models import DailyBalance, Leaf
from shared_apps.ledger.types import Leg, Posted, Request
from shared_apps.ledger.verification import verify
from tests.horizon import wait_until_concluded
from tests.shared_apps.ledger.cast import NOON, POST, account, balance, fresh, post, second_connection, superuser

pytestmark = pytest.mark.usefixtures("prepared")


def days(code: str) -> list[tuple[date, int, int, int, int]]:
    with in_main():
        found = selectors.find_account(code)
        rows = DailyBalance.objects.filter(account_id=found.pk).order_by("day")
        return list(rows.values_list("day", "opening_minor", "debits_minor", "credits_minor", "closing_minor"))


def on(day: int, hour: int = 4) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def roll_up() -> int:
    wait_until_concluded()
    with in_main():
        return services.roll_up(now=NOON)


def seal_all() -> None:
    wait_until_concluded()
    tasks.seal_all()


class TestDays:
    def test_a_day_opens_with_what_the_last_one_closed(self) -> None:
        cash, shop = account("ASSET"), account()
        post((cash, 100), (shop, -100), event_at=on(18))
        post((shop, 30), (cash, -30), event_at=on(20))

        roll_up()

        assert days(cash) == [(date(2026, 11, 18), 0, 100, 0, 100), (date(2026, 11, 20), 100, 0, 30, 70)]

    def test_midnight_is_the_ledgers_own_zone(self) -> None:
        cash, shop = account("ASSET"), account()
        post((cash, 1), (shop, -1), event_at=on(18, hour=15))  # 23:00 in Shanghai.
        post((cash, 2), (shop, -2), event_at=on(18, hour=17))  # 01:00 of the next day.

        roll_up()

        assert [(day, debits) for day, _, debits, _, _ in days(cash)] == [
            (date(2026, 11, 18), 1),
            (date(2026, 11, 19), 2),
        ]

    def test_a_late_event_moves_its_own_day_and_every_later_one(self) -> None:
        cash, shop = account("ASSET"), account()
        post((cash, 100), (shop, -100), event_at=on(18))
        post((cash, 10), (shop, -10), event_at=on(20))
        roll_up()

        post((cash, 5), (shop, -5), event_at=on(19))  # A day that was not there.
        post((cash, 7), (shop, -7), event_at=on(18))  # A day that was.
        roll_up()

        assert days(cash) == [
            (date(2026, 11, 18), 0, 107, 0, 107),
            (date(2026, 11, 19), 107, 5, 0, 112),
            (date(2026, 11, 20), 112, 10, 0, 122),
        ]

    def test_rolling_up_again_adds_nothing(self) -> None:
        cash, shop = account("ASSET"), account()
        post((cash, 100), (shop, -100), event_at=on(18))
        roll_up()

        assert roll_up() == 0
        assert days(cash) == [(date(2026, 11, 18), 0, 100, 0, 100)]

    def test_two_at_once_add_every_entry_once(self) -> None:
        cash, shop = account("ASSET"), account()
        for _ in range(20):
            post((cash, 1), (shop, -1), event_at=on(18))
        barrier = threading.Barrier(4)

        def run() -> None:
            try:
                barrier.wait(timeout=20)
                roll_up()
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert days(cash) == [(date(2026, 11, 18), 0, 20, 0, 20)]
        assert balance(cash) == 20


class TestSeal:
    def test_the_writer_that_began_earlier_and_commits_later_is_sealed_in_a_later_block(self) -> None:
        cash, shop = account("ASSET"), account()
        early = second_connection()
        try:
            with early.cursor() as cursor:
                cursor.execute(POST, [fresh("key"), NOON, [cash, shop], [7, -7]])
                late_id = cursor.fetchone()[0]
            on_time = post((cash, 5), (shop, -5))  # A higher id and number, committed first.
            tasks.seal_all()
            with in_main():
                assert not Leaf.objects.filter(transfer_id__in=(late_id, on_time.id)).exists()  # The horizon waits.
            early.commit()
        finally:
            early.close()
        seal_all()

        with in_main():
            assert Leaf.objects.filter(transfer_id__in=(late_id, on_time.id)).count() == 2
        assert verify().broken == ()

    def test_a_block_holds_whole_transactions_of_about_the_wanted_size(self) -> None:
        seal_all()
        cash, shop = account("ASSET"), account()
        with in_main():
            services.post_many(
                requests=[
                    Request(key=fresh("key"), kind="adjustment", legs=(Leg(cash, 1), Leg(shop, -1)), event_at=NOON)
                    for _ in range(5)
                ],
                currency="CNY",
            )
        for _ in range(3):
            post((cash, 1), (shop, -1))

        wait_until_concluded()
        heights = []
        for _ in range(3):
            with in_main():
                heights.append(services.seal(now=NOON, size=2))

        with in_main():
            counted = [Leaf.objects.filter(height=height).count() for height in heights if height is not None]
        assert counted == [5, 2, 1]
        assert verify().broken == ()

    def test_the_wait_for_an_open_writer_is_a_figure(self) -> None:
        cash, shop = account("ASSET"), account()
        early = second_connection()
        try:
            with early.cursor() as cursor:
                cursor.execute(POST, [fresh("key"), NOON, [cash, shop], [7, -7]])
            for _ in range(5):
                post((cash, 5), (shop, -5))
            with in_main():
                lag = selectors.horizon_lag()
        finally:
            early.close()

        assert lag >= 6

    def test_heads_are_exported_also_those_that_a_killed_sealer_left(self, tmp_path: Path, settings_data: Any) -> None:
        post((account("ASSET"), 5), (account(), -5))
        wait_until_concluded()
        with in_main():
            height = services.seal(now=NOON)  # Sealed, and killed before the export.
        assert height is not None
        settings_data(tmp_path)
        (tmp_path / tasks.HEADS).write_text('{"height": 0, "hash": ""}\n{"heig')  # And a torn line.

        seal_all()

        with in_main(), connection.cursor() as cursor:
            cursor.execute("SELECT encode(block_hash, 'hex') FROM ledger_block WHERE height = %s", [height])
            assert tasks.exported_heads()[height] == cursor.fetchone()[0]


@pytest.fixture
def settings_data(monkeypatch: pytest.MonkeyPatch) -> Any:
    from django.conf import settings

    return lambda folder: monkeypatch.setattr(settings, "DATA_DIR", folder)


class TestVerify:
    """Each edit is a superuser's, past every trigger, and undone after it was found."""

    def sealed(self) -> Posted:
        cash, shop = account("ASSET"), account()
        posted = post((cash, 500), (shop, -500))
        roll_up()
        seal_all()
        assert verify().broken == ()
        return posted

    def edited(self, *statements: str) -> list[str]:
        """What verify says after `statements`; then everything is as it was."""
        conn = superuser()
        try:
            with conn.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")
                for table in ("transfer", "entry", "leaf", "block", "control"):
                    cursor.execute(f"CREATE TABLE public.kept_{table} AS TABLE public.ledger_{table}")
                for statement in statements:
                    cursor.execute(statement)
            conn.commit()
            found = [str(item) for item in verify().broken]
            with conn.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")
                for table in ("transfer", "entry", "leaf", "block", "control"):
                    cursor.execute(f"DELETE FROM public.ledger_{table}")
                    cursor.execute(f"INSERT INTO public.ledger_{table} TABLE public.kept_{table}")
                    cursor.execute(f"DROP TABLE public.kept_{table}")
            conn.commit()
        finally:
            conn.close()
        assert verify().broken == ()
        return found

    def block_of(self, posted: Posted) -> int:
        with in_main():
            return Leaf.objects.get(transfer_id=posted.id).height

    def test_names_a_memo_that_was_changed(self) -> None:
        posted = self.sealed()

        found = self.edited(f"UPDATE public.ledger_transfer SET memo = '{{\"a\": 1}}' WHERE id = {posted.id}")

        assert found == [f"block {self.block_of(posted)}: a transfer was changed ({posted.public_id})"]

    def test_names_a_transfer_that_was_removed(self) -> None:
        posted = self.sealed()

        found = self.edited(
            f"DELETE FROM public.ledger_entry WHERE transfer_id = {posted.id}",
            f"DELETE FROM public.ledger_transfer WHERE id = {posted.id}",
        )

        height = self.block_of(posted)
        assert f"block {height}: was sealed with 1 transfers and holds 0" in found
        assert f"block {height}: a transfer was removed (transfer {posted.id})" in found

    def test_names_the_leg_whose_leaf_was_made_to_fit(self) -> None:
        """An editor who recomputes the leaf still meets the block."""
        posted = self.sealed()

        found = self.edited(
            f"UPDATE public.ledger_entry SET amount_minor = amount_minor * 2 WHERE transfer_id = {posted.id}",
            "UPDATE public.ledger_leaf k SET leaf_hash = n.leaf_hash, marks = n.marks "
            f"FROM public.ledger_leaves(0, 9223372036854775807) n WHERE k.transfer_id = {posted.id} "
            "AND n.transfer_id = k.transfer_id",
        )

        assert f"block {self.block_of(posted)}: its own hash was changed" in found

    def test_notices_that_the_last_block_was_cut_off(self) -> None:
        self.sealed()

        found = self.edited(
            "DELETE FROM public.ledger_block WHERE height = (SELECT max(height) FROM public.ledger_block)"
        )

        assert found == ["the chain does not end where the sealer stopped: a block was removed or added"]

    def test_a_chain_rewritten_whole_does_not_fit_the_heads_that_were_exported(self) -> None:
        posted = self.sealed()
        height = self.block_of(posted)

        verdict = verify(heads={height: "00" * 32})

        assert [str(item) for item in verdict.broken] == [f"block {height}: is not the block whose head was exported"]

    def test_names_an_account_whose_balance_was_changed(self) -> None:
        cash, shop = account("ASSET"), account()
        post((cash, 500), (shop, -500))
        roll_up()
        seal_all()
        conn = superuser()
        edit = ("UPDATE public.ledger_balance SET balance_minor = balance_minor + %s WHERE account_id = "
                "(SELECT id FROM public.ledger_account WHERE code = %s)")  # fmt: skip
        try:
            with conn, conn.cursor() as cursor:
                cursor.execute(edit, [1, cash])
            found = [str(item) for item in verify().broken]
            with conn, conn.cursor() as cursor:
                cursor.execute(edit, [-1, cash])
        finally:
            conn.close()

        assert found == [f"account {cash} was rolled up to 501, its last day closes at 500, its entries give 500"]
