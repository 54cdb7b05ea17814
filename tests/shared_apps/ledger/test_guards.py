"""The rules, tried in raw SQL; and the overdraft again with the lock taken out of the database's own function."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import DatabaseError, connection, connections, transaction

from kameng.db.context import in_main
from shared_apps.ledger import services
from tests.shared_apps.ledger.cast import (
    NOON,
    POST,
    account,
    balance,
    counts,
    fresh,
    post,
    second_connection,
    superuser,
)

pytestmark = pytest.mark.usefixtures("prepared")
DEFINITIONS = Path(services.__file__).parent / "sql" / "definitions"


@pytest.fixture
def without_the_lock() -> Iterator[None]:
    """`ledger_guard` without the one line that locks, in this worker's database, for one test."""
    text = (DEFINITIONS / "15_rules.sql").read_text()
    found = re.search(r"CREATE OR REPLACE FUNCTION public\.ledger_guard.*?\n\$\$;\n", text, re.DOTALL)
    assert found is not None
    unlocked, removed = re.subn(r".*-- The guard\.\n", "", found[0])
    assert removed == 1
    conn = superuser()
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute(unlocked)
    yield
    with conn.cursor() as cursor:
        cursor.execute(found[0])
    conn.close()


class Takers:
    """Two who take 12 each of 10, the second while the first has not committed."""

    def __init__(self) -> None:
        self.cash, self.prepaid = account("ASSET"), account(floor=0)
        post((self.cash, 20), (self.prepaid, -20))
        self.outcome: list[str] = []

    def second(self) -> None:
        try:
            post((self.prepaid, 17), (self.cash, -17))
            self.outcome.append("taken")
        except services.InsufficientBalance:
            self.outcome.append("refused")
        finally:
            connection.close()

    def race(self) -> None:
        first = second_connection()
        try:
            with first.cursor() as cursor:
                cursor.execute(POST, [fresh("key"), NOON, [self.prepaid, self.cash], [17, -17]])
            thread = threading.Thread(target=self.second)
            thread.start()
            _until_done_or_waiting(thread)
            first.commit()
            thread.join(timeout=20)
        finally:
            first.close()


def _until_done_or_waiting(thread: threading.Thread) -> None:
    """Return when `thread` has ended, or a session of this database waits for a lock."""
    conn = superuser()
    conn.autocommit = True
    try:
        with conn.cursor() as cursor:
            while thread.is_alive():
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity "
                    "WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                if cursor.fetchone()[0]:
                    return
                thread.join(timeout=0.01)
    finally:
        conn.close()


class TestOverdraft:
    def test_the_second_taker_waits_for_the_first_and_is_refused(self) -> None:
        takers = Takers()

        takers.race()

        assert takers.outcome == ["refused"]
        assert balance(takers.prepaid) == 3

    @pytest.mark.usefixtures("without_the_lock")
    def test_without_the_lock_the_account_ends_at_minus_fourteen(self) -> None:
        takers = Takers()

        takers.race()

        assert takers.outcome == ["taken"]
        assert balance(takers.prepaid) == -14

    def test_a_guarded_account_is_not_moved_from_an_older_snapshot(self) -> None:
        cash, prepaid = account("ASSET"), account(floor=0)
        post((cash, 20), (prepaid, -20))
        conn = second_connection()
        try:
            conn.set_session(isolation_level="REPEATABLE READ")
            with pytest.raises(psycopg2.DatabaseError) as refused, conn.cursor() as cursor:
                cursor.execute(POST, [fresh("key"), NOON, [prepaid, cash], [1, -1]])
        finally:
            conn.close()

        assert refused.value.pgcode == "KG112"
        assert balance(prepaid) == 20

    def test_a_credit_to_a_guarded_account_waits_for_nobody(self) -> None:
        cash, prepaid = account("ASSET"), account(floor=0)
        post((cash, 20), (prepaid, -20))
        taker = second_connection()
        try:
            with taker.cursor() as cursor:
                cursor.execute(POST, [fresh("key"), NOON, [prepaid, cash], [1, -1]])  # Holds the lock.
            with in_main(), connection.cursor() as cursor:
                cursor.execute("SET LOCAL lock_timeout = '200ms'")
                cursor.execute(POST, [fresh("key"), NOON, [cash, prepaid], [5, -5]])
            taker.commit()
        finally:
            taker.close()

        assert balance(prepaid) == 24


class TestAccounts:
    def test_opening_again_finds_the_same(self) -> None:
        code = fresh("test")
        values: dict[str, Any] = {"code": code, "account_class": "ASSET", "currency": "CNY", "now": NOON}

        with in_main():
            first, again = services.open_account(**values), services.open_account(**values)

        assert first == again

    @pytest.mark.parametrize("change", [{"account_class": "INCOME"}, {"currency": "USD"}, {"floor_minor": 0},
                                        {"substation_id": 7}])  # fmt: skip
    def test_refuses_to_open_it_as_another(self, change: dict[str, Any]) -> None:
        code = account("ASSET")

        with pytest.raises(services.AccountRefused), in_main():
            services.open_account(**{"code": code, "account_class": "ASSET", "currency": "CNY", "now": NOON, **change})

    def test_a_closed_account_takes_nothing(self) -> None:
        cash, shop = account("ASSET"), account()
        with in_main():
            services.close_account(code=shop)
        before = counts()

        with pytest.raises(services.AccountRefused):
            post((cash, 5), (shop, -5))

        assert counts() == before

    def test_refuses_to_close_what_is_not_empty(self) -> None:
        cash, shop = account("ASSET"), account()
        post((cash, 5), (shop, -5))

        with pytest.raises(services.AccountRefused), in_main():
            services.close_account(code=shop)

        post((shop, 5), (cash, -5))
        assert balance(shop) == 0

    def test_closing_waits_for_a_posting_that_is_under_way(self) -> None:
        cash, shop = account("ASSET"), account()
        poster = second_connection()
        refused: list[str] = []

        def close() -> None:
            try:
                with in_main():
                    services.close_account(code=shop)
            except services.AccountRefused as error:
                refused.append(error.details["sqlstate"])
            finally:
                connection.close()

        try:
            with poster.cursor() as cursor:
                cursor.execute(POST, [fresh("key"), NOON, [cash, shop], [5, -5]])
            thread = threading.Thread(target=close)
            thread.start()
            _until_done_or_waiting(thread)
            poster.commit()
            thread.join(timeout=20)
        finally:
            poster.close()

        assert refused == ["KG113"]


class TestRawSql:
    def owner(self, sql: str, *values: object) -> str:
        """What the owner of the database is told when it writes by hand."""
        with pytest.raises(DatabaseError) as refused, transaction.atomic(using="owner"):
            connections["owner"].cursor().execute("SET LOCAL search_path = public; " + sql, values)
        return str(getattr(refused.value.__cause__, "pgcode", ""))

    def ids(self, *codes: str) -> list[int]:
        with in_main(), connection.cursor() as cursor:
            cursor.execute("SELECT id FROM ledger_account WHERE code = ANY (%s) ORDER BY id", [list(codes)])
            return [row[0] for row in cursor.fetchall()]

    LEGS = (
        "INSERT INTO ledger_entry (transfer_id, leg, account_id, amount_minor, currency, xid) "
        "SELECT %s, l.leg, l.account, l.amount, 'CNY', 1 FROM unnest(%s::bigint[], %s::bigint[]) "
        "WITH ORDINALITY AS l(account, amount, leg)"
    )

    @pytest.mark.parametrize(
        ("amounts", "state"),
        [((5, -4), "KG101"), ((5,), "KG102"), ((5, 0, -5), "KG102"), ((2**62, -(2**62) + 1), "KG101")],
    )
    def test_the_owner_meets_the_rules_too(self, amounts: tuple[int, ...], state: str) -> None:
        ids = self.ids(*[account() for _ in amounts])
        before = counts()

        assert self.owner(self.LEGS, 10**15, ids, list(amounts)) == state
        assert counts() == before

    def test_a_sum_over_two_currencies_is_no_balance(self) -> None:
        codes = [account(), account(currency="USD")]
        before = counts()

        conn = second_connection()
        with pytest.raises(psycopg2.DatabaseError) as refused, conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT * FROM ledger_post(%s, 'adjustment', '', '', NULL, %s, %s, '{5,-5}', '{CNY,USD}', NULL, "
                "'{}', NULL, NULL)",
                [fresh("key"), NOON, codes],
            )
        conn.close()

        assert refused.value.pgcode == "KG101"
        assert counts() == before

    def test_two_currencies_that_each_balance_are_one_transfer(self) -> None:
        yuan, dollars = [account("ASSET"), account()], [account("ASSET", currency="USD"), account(currency="USD")]
        conn = second_connection()
        with conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT * FROM ledger_post(%s, 'adjustment', '', '', NULL, %s, %s, '{700,-700,100,-100}', "
                "'{CNY,CNY,USD,USD}', NULL, '{}', NULL, NULL)",
                [fresh("key"), NOON, yuan + dollars],
            )
        conn.close()

        assert [balance(code) for code in yuan + dollars] == [700, 700, 100, 100]

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE ledger_account SET currency = 'USD'",
            "UPDATE ledger_account SET floor_minor = -1",
            "DELETE FROM ledger_account",
            "TRUNCATE ledger_account",
            "DELETE FROM ledger_control",
            "INSERT INTO ledger_block SELECT * FROM ledger_block LIMIT 1",
            "INSERT INTO ledger_leaf SELECT * FROM ledger_leaf LIMIT 1",
        ],
    )
    def test_the_owner_changes_no_account_and_adds_no_block(self, sql: str) -> None:
        account()

        assert self.owner(sql) == "KG108"

    def test_a_superuser_meets_the_triggers_as_well(self) -> None:
        posted = post((account("ASSET"), 5), (account(), -5))
        conn = superuser()
        try:
            with pytest.raises(psycopg2.DatabaseError) as refused, conn, conn.cursor() as cursor:
                cursor.execute("UPDATE public.ledger_entry SET amount_minor = 1 WHERE transfer_id = %s", [posted.id])
        finally:
            conn.close()

        assert refused.value.pgcode == "KG108"
