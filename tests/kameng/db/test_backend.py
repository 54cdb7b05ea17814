"""The role and the schema of every transaction, and what a tenant may send."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, ProgrammingError, close_old_connections, connection, transaction
from django.test import Client

from kameng.db.backend import base
from kameng.db.context import in_main, in_substation, in_sync, long_statements, pointed_at, read_only
from kameng.db.scopes import NoTenant, OutsideTransaction, StatementRefused


def whoami() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user, current_setting('search_path')")
        user, path = cursor.fetchone()
        return str(user), str(path)


class TestTransaction:
    def test_takes_the_role_and_schema_of_the_substation(self, alice: Any) -> None:
        with in_substation(alice):
            assert whoami() == (alice.schema_name, alice.schema_name)

    def test_takes_the_main_stations_in_main(self, prepared: None) -> None:
        with in_main():
            assert whoami() == ("kameng_main", "public")

    def test_returns_to_the_outer_scope_after_an_inner_one(self, alice: Any, bob: Any) -> None:
        with in_substation(alice):
            with in_substation(bob):
                assert whoami()[0] == bob.schema_name
            assert whoami()[0] == alice.schema_name

    def test_keeps_the_scope_after_a_savepoint_was_rolled_back(self, alice: Any, bob: Any) -> None:
        with in_substation(alice):
            with pytest.raises(ZeroDivisionError), in_substation(bob):
                whoami()
                raise ZeroDivisionError
            assert whoami()[0] == alice.schema_name

    def test_a_failed_statement_in_an_inner_scope_leaves_the_outer_one_usable(self, alice: Any) -> None:
        with in_substation(alice):
            with pytest.raises(ProgrammingError), in_main(), connection.cursor() as cursor:
                cursor.execute("SELECT * FROM no_such_table")
            assert whoami()[0] == alice.schema_name

    def test_sends_begin_role_and_path_with_the_first_statement(self, alice: Any) -> None:
        sent: list[str] = []

        def spy(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            sent.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(spy), in_substation(alice), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.execute("SELECT 2")

        # The spy stands outside the backend's own wrapper or inside it; the number of statements is what counts.
        assert len(sent) == 2

    def test_refuses_a_query_outside_a_transaction(self, alice: Any) -> None:
        with pointed_at(alice), pytest.raises(OutsideTransaction), connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def test_refuses_the_main_station_where_a_substation_is_wanted(self, prepared: None) -> None:
        from kameng.db.context import MAIN

        with pytest.raises(NoTenant), in_substation(MAIN):
            pass

    def test_refuses_writes_in_a_reading_transaction(self, alice: Any) -> None:
        with pointed_at(alice), pytest.raises(DatabaseError, match="read-only transaction"), read_only():
            with connection.cursor() as cursor:
                cursor.execute("UPDATE shop_shopsettings SET name = 'x'")

    def test_commits_what_was_written_and_rolls_back_what_failed(self, fresh_shop: Any) -> None:
        from tenant_apps.shop.models import ShopSettings

        with in_substation(fresh_shop):
            ShopSettings.objects.update(name="kept")
        with pytest.raises(ZeroDivisionError), in_substation(fresh_shop):
            ShopSettings.objects.update(name="lost")
            raise ZeroDivisionError

        with in_substation(fresh_shop):
            assert ShopSettings.objects.get().name == "kept"

    def test_two_threads_keep_their_own_substations(self, alice: Any, bob: Any) -> None:
        seen: dict[str, list[str]] = {"alice": [], "bob": []}
        barrier = threading.Barrier(2)

        def work(name: str, shop: Any) -> None:
            try:
                for _ in range(50):
                    with in_substation(shop):
                        barrier.wait(timeout=10)
                        seen[name].append(whoami()[0])
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=pair) for pair in (("alice", alice), ("bob", bob))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert set(seen["alice"]) == {alice.schema_name}
        assert set(seen["bob"]) == {bob.schema_name}
        assert len(seen["alice"]) == len(seen["bob"]) == 50

    def test_a_new_thread_without_a_scope_reads_nothing(self, prepared: None) -> None:
        problems: list[Exception] = []

        def work() -> None:
            try:
                whoami()
            except OutsideTransaction as error:
                problems.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

        assert len(problems) == 1

    def test_a_schema_that_does_not_exist_is_an_error(self, prepared: None) -> None:
        from kameng.db.context import SchemaScope

        with pytest.raises(DatabaseError, match="does not exist"), in_substation(SchemaScope("s_9999999")):
            whoami()

    def test_a_queryset_left_over_is_refused_when_it_is_read_outside(self, alice: Any) -> None:
        from tenant_apps.shop.models import ShopSettings

        with in_substation(alice):
            lazy = ShopSettings.objects.all()

        with pytest.raises(OutsideTransaction):
            list(lazy)

    def test_a_tenants_own_rollback_never_leaves_it_in_an_earlier_role(self, alice: Any) -> None:
        """The savepoint was made before the role was taken; to go back to it undoes the SET LOCAL."""
        with in_main(), connection.cursor() as cursor:
            cursor.execute("SAVEPOINT earlier")
            with pointed_at(alice):
                assert whoami()[0] == alice.schema_name
                for sql in ("ROLLBACK TO SAVEPOINT earlier", "rollback to earlier", "ROLLBACK  TO  earlier"):
                    cursor.execute(sql)
                    assert whoami()[0] == alice.schema_name


class TestConnections:
    def pid(self) -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return int(cursor.fetchone()[0])

    def test_that_have_seen_many_schemas_are_given_up_between_transactions(
        self, alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base, "MOST_SCHEMAS", 2)
        connection.close()

        with in_substation(alice):
            first = self.pid()
        with in_substation(alice):
            assert self.pid() == first  # The same schema again is no other one.
        with in_substation(bob):
            assert self.pid() == first
        with in_substation(alice):
            second = self.pid()
            with in_substation(bob):  # Full, and in the middle of somebody's transaction.
                assert self.pid() == second
            assert self.pid() == second
        with in_sync(bob):
            assert self.pid() not in (first, second)

    def test_are_given_up_at_the_end_of_a_request_too(
        self, alice: Any, bob: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(base, "MOST_SCHEMAS", 2)
        connection.close()
        for shop in (alice, bob):
            with pointed_at(shop), transaction.atomic():
                last = self.pid()

        close_old_connections()

        with in_main():
            assert self.pid() != last

    def test_are_kept_below_that(self, alice: Any, bob: Any) -> None:
        connection.close()
        pids = set()
        for shop in (alice, bob) * 3:
            with in_substation(shop):
                pids.add(self.pid())
            close_old_connections()

        assert len(pids) == 1


class TestLimits:
    def test_a_statement_and_an_idle_transaction_end_by_themselves(self, alice: Any) -> None:
        """They come with the log-in, so that no transaction pays for a SET of its own."""
        for scope in (in_main(), in_substation(alice)):
            with scope, connection.cursor() as cursor:
                cursor.execute(
                    "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
                )
                assert cursor.fetchone() == ("1min", "5min")

    def test_what_runs_too_long_is_ended_and_the_shop_can_not_lift_that(self, alice: Any) -> None:
        # Nothing is to succeed in a transaction of 20 ms: a busy machine takes that long over anything.
        with pytest.raises(OperationalError, match="statement timeout"), in_main(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = '20ms'")
            with in_substation(alice):
                cursor.execute("SELECT count(*) FROM generate_series(1, 1000000000)")
        with in_substation(alice), connection.cursor() as cursor:
            for lifted in (
                "SET statement_timeout = 0",
                "RESET statement_timeout",
                "SET LOCAL statement_timeout = 0",
            ):
                with pytest.raises(StatementRefused):
                    cursor.execute(lifted)
            for lifted in (
                "SELECT set_config('statement_timeout', '0', false)",
                "UPDATE pg_settings SET setting = '0' WHERE name = 'statement_timeout'",
            ):
                with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
                    cursor.execute(lifted)

    def test_work_of_the_main_station_may_ask_for_longer_and_takes_that_into_no_other_transaction(
        self, prepared: None
    ) -> None:
        with long_statements(600), connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("10min",)
        with in_main(), connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone() == ("1min",)

    @pytest.mark.parametrize(
        ("path", "kind"), [("/sitemap.xml", "text/html"), ("/api/v1/listings/", "application/json")]
    )
    def test_a_page_that_ran_into_it_says_so(
        self, fresh_shop: Any, monkeypatch: pytest.MonkeyPatch, path: str, kind: str
    ) -> None:
        from tenant_apps.storefront.api import shelf
        from tenant_apps.storefront.views import info

        def too_slow(*_: Any, **__: Any) -> Any:
            with connection.cursor() as cursor:
                with in_main():  # A minute is long for a test.
                    cursor.execute("SET LOCAL statement_timeout = '20ms'")
                cursor.execute("SELECT count(*) FROM generate_series(1, 1000000000)")

        monkeypatch.setattr(info.listings, "categories_for_home", too_slow)
        monkeypatch.setattr(shelf.Listings, "get", too_slow)

        answer = Client(HTTP_HOST=fresh_shop.host, HTTP_ACCEPT_LANGUAGE="en").get(path)

        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (503, kind)
        assert "took too long and was stopped" in answer.content.decode()
