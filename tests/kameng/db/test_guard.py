"""What a tenant may send. Each statement that is refused here was a way out, or looks like one."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.db import NotSupportedError, ProgrammingError, connection, transaction

from kameng.db import guard
from kameng.db.context import in_main, in_substation
from kameng.db.scopes import StatementRefused

ROLE = "SET LOCAL ROLE kameng_main"
READ = "SELECT count(*) FROM public.tenants_substation"
# Each passed as one SELECT once, and Postgres ran all of it: the rows of the main station were the answer.
ESCAPES = [
    pytest.param(f"SELECT 1 --\r; {ROLE}; {READ}", None, id="a comment ends at a carriage return"),
    pytest.param(f"--\r{ROLE} /*\nSELECT 1 */", None, id="the verb behind such a comment"),
    pytest.param(f"SELECT 1 AS \u00d7$$; {ROLE}; SELECT 1 AS \u00d7$$", None, id="dollars in a name beyond ASCII"),
    pytest.param(f"SELECT \u00a0E'\\'; {ROLE}; {READ} --'", None, id="E at the end of a name beyond ASCII"),
    pytest.param(f"SELECT E'a'\n'b\\' ' ; {ROLE}; {READ} -- '", None, id="a text that goes on by E's rules"),
    pytest.param(f"SAVEPOINT a; {ROLE}; {READ}", None, id="behind a savepoint"),
    pytest.param(f"ROLLBACK TO SAVEPOINT a; {ROLE}; {READ}", None, id="behind a rollback"),
    pytest.param("SELECT 1 --%s", [f"\r; {ROLE}; {READ} --"], id="a parameter in a comment"),
    pytest.param("SELECT '%s'", [f"; {ROLE}; {READ}; SELECT "], id="a parameter in a text"),
    pytest.param("SELECT '%(x)s'", {"x": f"; {ROLE}; {READ}; SELECT "}, id="a named parameter in a text"),
    pytest.param(f"SELECT %s'\\' || '; {ROLE}; {READ} --'", ["\\"], id="a text behind a parameter that becomes E'…'"),
    pytest.param(f"SELECT 1 AS a /* /* */ ' */ ; {ROLE}; {READ} --'", None, id="a comment in a comment"),
    pytest.param("DECLARE c CURSOR WITH HOLD FOR SELECT 1", None, id="a cursor that outlives the transaction"),
    pytest.param("FETCH 1 FROM c", None, id="what such a cursor holds"),
]


class TestCheck:
    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT 1",
            "  select ';' ",
            "INSERT INTO t VALUES (1);",
            "WITH a AS (SELECT 1) UPDATE t SET x = 1",
            "/* a note */ SELECT 1",
            "SELECT 1 -- a note",
            'UPDATE "t" SET "role" = %s',
            "(SELECT 1) UNION (SELECT 2)",
            "SELECT replace(%s, E'\\\\', E'\\\\\\\\') LIKE 'a%%' AND x %% 2 = %(y)s",
            "SELECT '姓名', \"名\", 名$1 FROM t WHERE 'it''s; fine' <> ''",
            "SET CONSTRAINTS ALL IMMEDIATE",
            "SAVEPOINT x",
            "ROLLBACK TO SAVEPOINT x",
        ],
    )
    def test_lets_plain_dml_through(self, sql: str) -> None:
        guard.check(sql)

    def test_a_long_list_is_one_statement(self) -> None:
        assert guard.check(f'SELECT "a"."b" FROM "a" WHERE "a"."id" IN ({", ".join(["%s"] * 20_000)})') == "SELECT"

    @pytest.mark.parametrize(
        "sql", ['SELECT "%s"', "SELECT 1 --", "SELECT 1 /* %s */", "SELECTED 1", "SELECT1", "SELECT_x(1)"]
    )
    def test_what_only_looks_plain_is_read_all_the_same(self, sql: str) -> None:
        if sql == "SELECT 1 --":
            assert guard.check(sql) == "SELECT"
        else:
            with pytest.raises(StatementRefused):
                guard.check(sql)

    def test_a_percent_sign_is_a_percent_sign_where_there_are_no_parameters(self) -> None:
        assert guard.check("SELECT x LIKE 'a%s' FROM t", with_parameters=False) == "SELECT"

    @pytest.mark.parametrize(
        "sql",
        [
            "SET ROLE kameng_main",
            "SET LOCAL ROLE kameng_main",
            "RESET ROLE",
            "SET/**/ROLE kameng_main",
            "/* */ SET ROLE kameng_main",
            "-- note\nSET ROLE kameng_main",
            "SELECT 1; SET ROLE kameng_main",
            "SELECT 1;;",
            "SELECT 1 AS typeE'\\'; SET ROLE kameng_main --'",
            "SELECT 1 AS a$$; SET ROLE kameng_main; --$$",
            "SELECT '/*'; SET ROLE kameng_main; --*/",
            "SELECT $$a$$",
            "SELECT 'never closed",
            "SET SESSION AUTHORIZATION kameng_owner",
            "DO $$ BEGIN EXECUTE 'SET ROLE x'; END $$",
            "COMMIT",
            "ROLLBACK",
            "DISCARD ALL",
            "CREATE TABLE t (x int)",
            "COPY accounts_user TO STDOUT",
            "LISTEN x",
            "PREPARE x AS SELECT 1",
            "GRANT ALL ON t TO PUBLIC",
            "",
            "/* unfinished",
        ],
    )
    def test_refuses_everything_else(self, sql: str) -> None:
        with pytest.raises(StatementRefused):
            guard.check(sql)


class TestInATenant:
    @pytest.mark.parametrize(("sql", "params"), ESCAPES)
    def test_no_way_of_writing_it_changes_the_role(self, alice: Any, sql: str, params: Any) -> None:
        with in_substation(alice), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            with pytest.raises(StatementRefused):
                cursor.execute(sql, params)
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == (alice.schema_name,)

    def test_nor_does_the_drivers_own_calls(self, alice: Any) -> None:
        with in_substation(alice), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            for call in (
                lambda: cursor.callproc(f"pg_backend_pid(); {ROLE}; SELECT pg_backend_pid"),
                lambda: cursor.copy_expert(f"{ROLE}; COPY public.tenants_substation TO STDOUT", io.StringIO()),
                lambda: cursor.copy_from(io.StringIO(""), "shop_shopsettings"),
                lambda: cursor.copy_to(io.StringIO(), "shop_shopsettings"),
            ):
                with pytest.raises(StatementRefused):
                    call()
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == (alice.schema_name,)

    def test_the_main_station_may_copy(self, prepared: None) -> None:
        out = io.StringIO()
        with in_main(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.copy_expert("COPY (SELECT current_user) TO STDOUT", out)

        assert out.getvalue() == "kameng_main\n"

    @pytest.mark.parametrize(
        ("sql", "problem"),
        [
            ("SELECT set_config('role', 'kameng_main', true)", "permission denied for function set_config"),
            ("UPDATE pg_settings SET setting = 'kameng_main' WHERE name = 'role'", "permission denied for function set_config"),
            ("SELECT query_to_xml('SET ROLE kameng_main', true, true, '')", "not allowed in a non-volatile function"),
            ("SELECT 1 INTO TEMP role", "permission denied to create temporary tables"),
        ],
    )  # fmt: skip
    def test_the_database_refuses_the_indirect_ways(self, alice: Any, sql: str, problem: str) -> None:
        with in_substation(alice), connection.cursor() as cursor:
            with pytest.raises((ProgrammingError, NotSupportedError), match=problem):
                with transaction.atomic():
                    cursor.execute(sql)
            cursor.execute("SELECT current_user")
            assert cursor.fetchone() == (alice.schema_name,)
