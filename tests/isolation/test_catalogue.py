"""What the catalogue says of every schema, role and function, so that a new one can't be forgotten."""

from __future__ import annotations

from typing import Any

from django.db import connections


def read(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(sql, list(values) or None)
        return list(cursor.fetchall())


class TestTables:
    def test_no_foreign_key_leaves_its_schema(self, alice: Any) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "SELECT c.conname FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid "
                "JOIN pg_class b ON b.oid = c.confrelid WHERE c.contype = 'f' AND a.relnamespace <> b.relnamespace"
            )
            assert cursor.fetchall() == []

    def test_every_table_has_a_primary_key_and_no_tenant_table_a_trigger(self, alice: Any) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
                "WHERE c.relkind = 'r' AND (n.nspname = 'public' OR n.nspname LIKE 's\\_%%') AND NOT EXISTS "
                "(SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')"
            )
            assert cursor.fetchall() == []
            cursor.execute(
                "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
                "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE 's\\_%%' AND NOT t.tgisinternal"
            )
            assert cursor.fetchall() == []

    def test_a_tenants_schema_is_the_templates_to_the_column(self, alice: Any) -> None:
        def shape(schema: str) -> list[tuple[Any, ...]]:
            with connections["owner"].cursor() as cursor:
                cursor.execute(
                    "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity "
                    "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relkind = 'r' AND a.attnum > 0 "
                    "AND NOT a.attisdropped AND c.relname <> 'django_migrations' AND c.relnamespace = %s::regnamespace "
                    "ORDER BY 1, 2",
                    [schema],
                )
                columns = list(cursor.fetchall())
                cursor.execute(
                    "SELECT c.relname, k.conname, "
                    # A CHECK is printed a little differently once it was read back: casts move within its arrays.
                    "CASE k.contype WHEN 'c' THEN regexp_replace(pg_get_constraintdef(k.oid), '[()]|::[a-z ]+(\\[\\])?', '', 'g') "
                    "ELSE replace(pg_get_constraintdef(k.oid), %s, '') END FROM pg_constraint k "
                    "JOIN pg_class c ON c.oid = k.conrelid WHERE c.relname <> 'django_migrations' AND "
                    "c.relnamespace = %s::regnamespace ORDER BY 1, 2",
                    [f"{schema}.", schema],
                )
                constraints = list(cursor.fetchall())
                cursor.execute(
                    "SELECT c.relname, i.relname, regexp_replace(replace(pg_get_indexdef(i.oid), %s, ''), "
                    "'[()]|::[a-z ]+(\\[\\])?', '', 'g') FROM pg_index x "
                    "JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid "
                    "WHERE c.relname <> 'django_migrations' AND c.relnamespace = %s::regnamespace ORDER BY 1, 2",
                    [f"{schema}.", schema],
                )
                return [*columns, *constraints, *cursor.fetchall()]

        assert shape(alice.schema_name) == shape("template_substation")

    def test_the_app_and_its_groups_own_nothing_of_the_ledger(self, prepared: None) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "SELECT c.relname, r.rolname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner "
                "WHERE c.relname LIKE 'ledger\\_%%' AND c.relkind = 'r' AND r.rolname <> 'kameng_ledger'"
            )
            assert cursor.fetchall() == []
            cursor.execute(
                "SELECT c.relname, r, p FROM pg_class c, unnest(ARRAY['kameng_main', 'kameng_app', 'kameng_tenant', "
                "'kameng_sync']) r, unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) p "
                "WHERE c.relname LIKE 'ledger\\_%%' AND c.relkind = 'r' AND has_table_privilege(r, c.oid, p)"
            )
            assert cursor.fetchall() == []


class TestRoles:
    def test_no_shops_role_creates_anything_anywhere(self, alice: Any, bob: Any) -> None:
        """With a schema of its own to create in, it could stand its own tables and operators in front of real ones."""
        for role in (alice.schema_name, bob.schema_name, "kameng_tenant", "kameng_app", "kameng_main", "kameng_sync"):
            assert read("SELECT nspname FROM pg_namespace WHERE has_schema_privilege(%s, oid, 'CREATE')", role) == [], (
                role
            )
            assert read(
                "SELECT datname FROM pg_database WHERE datname = current_database() AND "
                "(has_database_privilege(%s, oid, 'CREATE') OR has_database_privilege(%s, oid, 'TEMP'))", role, role
            ) == [], role  # fmt: skip

    def test_a_shops_role_enters_its_own_schema_and_the_gate(self, alice: Any, bob: Any) -> None:
        entered = read(
            "SELECT nspname FROM pg_namespace WHERE has_schema_privilege(%s, oid, 'USAGE') ORDER BY 1",
            alice.schema_name,
        )
        assert [name for (name,) in entered] == ["gate", "information_schema", "pg_catalog", alice.schema_name]

    def test_nobody_but_the_log_in_may_become_a_shop_and_it_inherits_nothing(self, alice: Any) -> None:
        members = read(
            "SELECT m.rolname, a.inherit_option, a.admin_option FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member "
            "JOIN pg_roles r ON r.oid = a.roleid WHERE r.rolname = %s AND m.rolname <> 'kameng_owner'", alice.schema_name
        )  # fmt: skip
        assert members == [("kameng_app", False, False)]
        assert read("SELECT rolinherit, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles "
                    "WHERE rolname = 'kameng_app'") == [(False,) * 5]  # fmt: skip


class TestFunctions:
    def test_what_runs_with_its_owners_rights_has_a_search_path_of_its_own(self, prepared: None) -> None:
        assert read(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema') "
            "AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (p.proconfig), false)"
        ) == []  # fmt: skip

    def test_everybody_may_call_none_of_ours(self, prepared: None) -> None:
        assert read(
            "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
            "WHERE n.nspname IN ('public', 'gate') AND has_function_privilege('public', p.oid, 'EXECUTE')"
        ) == []  # fmt: skip

    def test_the_gate_is_what_is_listed_here(self, alice: Any) -> None:
        """A new door is seen, and its arguments tried in test_forged_calls."""
        doors = read(
            "SELECT p.proname, p.prosecdef FROM pg_proc p WHERE p.pronamespace = 'gate'::regnamespace "
            "AND has_function_privilege(%s, p.oid, 'EXECUTE') ORDER BY 1", alice.schema_name
        )  # fmt: skip
        with_main_rights = [name for name, definer in doors if definer]
        with_its_own = [name for name, definer in doors if not definer]
        assert with_main_rights == [
            "announce_payment", "caller_id", "channels", "enqueue", "hold_again", "my_plan", "note_order", "place_order",
            "release_order", "reveal_codes", "sale_terms", "settle_sale",
        ]  # fmt: skip
        assert with_its_own == [
            "orders_lock_payable", "orders_place", "orders_read_shelves", "orders_settle", "payments_begin",
            "payments_checkout", "payments_lock_order", "payments_move", "payments_settle",
        ]  # fmt: skip

    def test_a_shop_calls_nothing_of_the_catalogue_that_is_closed(self, alice: Any) -> None:
        from kameng.local.cluster import CLOSED_FUNCTIONS

        assert read(
            "SELECT p.oid::regprocedure::text FROM pg_proc p WHERE p.pronamespace = 'pg_catalog'::regnamespace "
            "AND (p.proname ~ %s OR p.proname = 'set_config') AND has_function_privilege(%s, p.oid, 'EXECUTE')",
            CLOSED_FUNCTIONS, alice.schema_name,
        ) == []  # fmt: skip
