"""What the database holds, whoever calls; what follows the ledger; and that an edit is named."""

from __future__ import annotations

import itertools
import os
import threading
from datetime import UTC, date, datetime
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.db import DatabaseError, connection, connections, transaction

from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.ledger import selectors, services
from shared_apps.ledger.tasks import seal_all
from shared_apps.ledger.types import Leg
from shared_apps.ledger.verification import verify
from tests.horizon import wait_until_concluded
from tests.tenant_apps.racing import Runner

pytestmark = pytest.mark.usefixtures("prepared")
NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
_serial = itertools.count(1)


def fresh(prefix: str = "case") -> str:
    return f"{prefix}:{os.getpid()}-{next(_serial)}"


def account(account_class: str = "LIABILITY", floor: int | None = None, currency: str = "CNY") -> str:
    code = fresh("test")
    with in_main():
        services.open_account(code=code, account_class=account_class, currency=currency, floor_minor=floor, now=NOON)
    return code


def post(*legs: tuple[str, int], key: str = "", **extra: Any) -> Any:
    with in_main():
        return services.post_transfer(
            key=key or fresh("key"),
            kind=extra.pop("kind", "adjustment"),
            legs=[Leg(*leg) for leg in legs],
            currency=extra.pop("currency", "CNY"),
            event_at=extra.pop("event_at", NOON),
            **extra,
        )


def balance(code: str) -> int:
    with in_main():
        return selectors.balance_minor(code)


def counts() -> tuple[int, int]:
    with in_main(), connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM ledger_transfer), (SELECT count(*) FROM ledger_entry)")
        row = cursor.fetchone()
        return int(row[0]), int(row[1])


class TestPosting:
    def test_moves_what_the_legs_say(self) -> None:
        cash, shop = account("ASSET"), account()

        post((cash, 10_000), (shop, -10_000))

        assert (balance(cash), balance(shop)) == (10_000, 10_000)

    def test_answers_the_first_result_to_the_same_key_and_payload(self) -> None:
        cash, shop, key = account("ASSET"), account(), fresh("key")

        first = post((cash, 5), (shop, -5), key=key)
        again = post((cash, 5), (shop, -5), key=key)

        assert (first.created, again.created) == (True, False)
        assert again.public_id == first.public_id
        assert balance(cash) == 5

    @pytest.mark.parametrize("changed", [{"event_at": datetime(2026, 11, 21, tzinfo=UTC)}, {"kind": "case"}, {}])
    def test_refuses_the_same_key_with_another_payload(self, changed: dict[str, Any]) -> None:
        cash, shop, key = account("ASSET"), account(), fresh("key")
        post((cash, 5), (shop, -5), key=key)
        before = counts()

        with pytest.raises(services.IdempotencyConflict):
            post((cash, 5 if changed else 6), (shop, -5 if changed else -6), key=key, **changed)

        assert counts() == before
        assert balance(cash) == 5

    @pytest.mark.parametrize("amounts", [(10, -9), (10,), (0, 0), (5, 5, -9)])
    def test_refuses_legs_that_do_not_balance(self, amounts: tuple[int, ...]) -> None:
        codes = [account() for _ in amounts]
        before = counts()

        with pytest.raises(services.Unbalanced):
            post(*zip(codes, amounts, strict=True))

        assert counts() == before

    def test_refuses_an_account_that_is_not_there_or_of_another_currency(self) -> None:
        cash, dollars = account("ASSET"), account(currency="USD")
        before = counts()

        with pytest.raises(services.AccountRefused):
            post((cash, 5), ("test:nowhere", -5))
        with pytest.raises(services.AccountRefused):
            post((cash, 5), (dollars, -5))

        assert counts() == before

    def test_refuses_what_would_take_a_guarded_account_below_its_floor(self) -> None:
        cash, prepaid = account("ASSET"), account(floor=0)
        post((cash, 100), (prepaid, -100))

        with pytest.raises(services.InsufficientBalance):
            post((prepaid, 101), (cash, -101))

        assert balance(prepaid) == 100

    def test_reverses_once(self) -> None:
        cash, shop = account("ASSET"), account()
        posted = post((cash, 5), (shop, -5))

        with in_main():
            services.reverse_transfer(key=fresh("key"), transfer_id=posted.id, event_at=NOON, why="mistake")
        with pytest.raises(services.RelationRefused), in_main():
            services.reverse_transfer(key=fresh("key"), transfer_id=posted.id, event_at=NOON, why="again")

        assert balance(cash) == 0

    def test_a_hold_is_posted_or_voided_and_not_both(self) -> None:
        available, held, out = account(), account(), account("ASSET")
        hold = post((available, 50), (held, -50), kind="hold.withdrawal")

        with in_main():
            services.post_hold(
                key=fresh("key"), hold_id=hold.id, legs=[Leg(held, 50), Leg(out, -50)], currency="CNY", event_at=NOON
            )
        with pytest.raises(services.RelationRefused), in_main():
            services.void_hold(key=fresh("key"), hold_id=hold.id, event_at=NOON)

        assert balance(held) == 0


class TestAppendOnly:
    @pytest.mark.parametrize("table", ["ledger_transfer", "ledger_entry", "ledger_block", "ledger_leaf"])
    @pytest.mark.parametrize("statement", ["UPDATE {} SET xid = 1", "DELETE FROM {}", "TRUNCATE {}"])
    def test_refuses_change_to_the_owner_too(self, table: str, statement: str) -> None:
        if "xid" in statement and table in ("ledger_block", "ledger_leaf"):
            statement = "UPDATE {} SET height = 1"
        before = counts()
        with pytest.raises(DatabaseError), transaction.atomic(using="owner"):
            connections["owner"].cursor().execute("SET LOCAL search_path = public; " + statement.format(table))

        assert counts() == before

    @pytest.mark.parametrize("table", ["ledger_account", "ledger_transfer", "ledger_entry", "ledger_balance"])
    def test_the_main_stations_role_may_only_look(self, table: str) -> None:
        before = counts()
        for sql in (f"DELETE FROM {table}", f"INSERT INTO {table} DEFAULT VALUES", f"TRUNCATE {table}"):
            with pytest.raises(DatabaseError, match="permission denied"), in_main(), connection.cursor() as cursor:
                cursor.execute(sql)

        assert counts() == before

    def test_no_leg_is_added_to_a_transfer_that_stands(self) -> None:
        cash, shop = account("ASSET"), account()
        posted = post((cash, 5), (shop, -5))
        before = counts()

        with pytest.raises(DatabaseError), transaction.atomic(using="owner"), connections["owner"].cursor() as cursor:
            cursor.execute(
                "INSERT INTO public.ledger_entry (transfer_id, leg, account_id, amount_minor, currency, xid) "
                "SELECT transfer_id, leg + 2, account_id, amount_minor, currency, xid FROM public.ledger_entry "
                "WHERE transfer_id = %s",
                [posted.id],
            )

        assert counts() == before


def raw() -> Any:
    """A second connection of the app's, in the main station's scope."""
    default = settings.DATABASES["default"]
    conn = psycopg2.connect(
        dbname=default["NAME"],
        user=default["USER"],
        password=default["PASSWORD"],
        host=default["HOST"],
        port=default["PORT"],
    )
    with conn.cursor() as cursor:
        cursor.execute("SET ROLE kameng_main; SET search_path = public")
    conn.commit()
    return conn


POST = (
    "SELECT transfer_id FROM ledger_post(%s, 'adjustment', '', '', NULL, now(), %s::text[], %s::bigint[], ARRAY['CNY'])"
)


class TestRaces:
    def test_sixteen_takers_never_overdraw_a_guarded_account(self) -> None:
        cash, prepaid = account("ASSET"), account(floor=0)
        post((cash, 10), (prepaid, -10))
        outcomes: list[bool] = []
        barrier = threading.Barrier(8)

        def take() -> None:
            try:
                barrier.wait(timeout=20)
                for _ in range(2):
                    try:
                        post((prepaid, 3), (cash, -3))
                        outcomes.append(True)
                    except services.InsufficientBalance:
                        outcomes.append(False)
            finally:
                connection.close()

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert (outcomes.count(True), outcomes.count(False)) == (3, 13)
        assert balance(prepaid) == 1

    def test_without_the_lock_two_takers_overdraw(self) -> None:
        """The same with the guard's lock taken out: both read the balance before either commits."""
        cash, prepaid = account("ASSET"), account()  # No floor: nothing locks; the check is the caller's.
        post((cash, 10), (prepaid, -10))
        one, two = raw(), raw()
        try:
            for conn in (one, two):
                with conn.cursor() as cursor:
                    cursor.execute("SELECT -ledger_balance_minor(id) FROM ledger_account WHERE code = %s", [prepaid])
                    assert cursor.fetchone()[0] >= 8
                    cursor.execute(POST, [fresh("key"), [prepaid, cash], [8, -8]])
            one.commit()
            two.commit()
        finally:
            one.close()
            two.close()

        assert balance(prepaid) == -6

    def test_a_guarded_taker_waits_for_the_other_and_then_is_refused(self) -> None:
        cash, prepaid = account("ASSET"), account(floor=0)
        post((cash, 10), (prepaid, -10))
        one = raw()
        try:
            with one.cursor() as cursor:
                cursor.execute(POST, [fresh("key"), [prepaid, cash], [8, -8]])
            second = Runner(lambda: post((prepaid, 8), (cash, -8)))
            second.wait_until_blocked()
            one.commit()
        finally:
            one.close()

        with pytest.raises(services.InsufficientBalance) as refused:
            second.result()
        assert refused.value.code == "insufficient_balance"
        assert balance(prepaid) == 2

    def test_the_roll_up_does_not_lose_the_writer_that_began_earlier_and_commits_later(self) -> None:
        cash, shop = account("ASSET"), account()
        early = raw()
        try:
            with early.cursor() as cursor:
                cursor.execute(POST, [fresh("key"), [cash, shop], [7, -7]])
            post((cash, 5), (shop, -5))  # Begins later, commits first.
            with in_main():
                services.roll_up(now=NOON)
            early.commit()
        finally:
            early.close()
        wait_until_concluded()
        with in_main():
            services.roll_up(now=NOON)

        with in_main(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT b.balance_minor FROM ledger_balance b JOIN ledger_account a ON a.id = b.account_id "
                "WHERE a.code = %s",
                [cash],
            )
            assert cursor.fetchone() == (12,)  # A cut by id would say 5.
        assert balance(cash) == 12

    def test_one_key_posted_by_two_at_once_is_posted_once(self) -> None:
        cash, shop, key = account("ASSET"), account(), fresh("key")
        results: list[bool] = []
        barrier = threading.Barrier(4)

        def run() -> None:
            try:
                barrier.wait(timeout=20)
                results.append(post((cash, 5), (shop, -5), key=key).created)
            finally:
                connection.close()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(results) == [False, False, False, True]
        assert balance(cash) == 5


class TestStatement:
    @pytest.mark.parametrize("rolled_up_after", [0, 2, 4])
    def test_opening_and_lines_make_closing_however_much_is_rolled_up(self, rolled_up_after: int) -> None:
        cash, shop = account("ASSET"), account()
        movements = [(18, 4, 100), (19, 4, 30), (19, 5, -20), (21, 4, 1)]
        for number, (day, hour, amount) in enumerate(movements, 1):
            post((cash, amount), (shop, -amount), event_at=datetime(2026, 11, day, hour, tzinfo=UTC))
            if number == rolled_up_after:
                with in_main():
                    services.roll_up(now=NOON)

        with in_main():
            found = selectors.statement(shop, since=date(2026, 11, 19), until=date(2026, 11, 20))

        assert (found.opening_minor, found.closing_minor) == (100, 110)
        assert [(line.amount_minor, line.balance_minor) for line in found.lines] == [(30, 130), (-20, 110)]

    def test_all_entries_sum_to_zero(self) -> None:
        with in_main():
            assert set(selectors.trial_balance().values()) == {0}


class TestSealing:
    def test_a_superusers_silent_edit_of_two_legs_is_named_to_the_block(self) -> None:
        from kameng.local.testing import shared_postgres

        cash, shop = account("ASSET"), account()
        posted = post((cash, 500), (shop, -500))
        wait_until_concluded()
        with in_main():
            services.roll_up(now=NOON)
        seal_all()
        assert verify().sound
        servers = shared_postgres()
        database = settings.DATABASES["default"]["NAME"]
        head, _, query = servers.superuser_url.partition("?")
        edit = psycopg2.connect(f"{head.rsplit('/', 1)[0]}/{database}?{query}")

        def change(amount: int) -> None:
            with edit, edit.cursor() as cursor:
                cursor.execute("SET LOCAL session_replication_role = replica")  # Past every trigger.
                cursor.execute(
                    "UPDATE public.ledger_entry SET amount_minor = sign(amount_minor) * %s WHERE transfer_id = %s",
                    [amount, posted.id],
                )

        try:
            change(400)
            verdict = verify()
            change(500)
        finally:
            edit.close()

        named = [item for item in verdict.broken if item.transfer == posted.public_id]
        assert not verdict.sound
        assert [item.legs for item in named] == [(1, 2)]
        assert named[0].block is not None
        assert verify().sound

    def test_sealing_again_seals_nothing(self) -> None:
        wait_until_concluded()
        seal_all()

        with in_main():
            assert services.seal(now=clock.utc_now()) is None
