"""Alice's request aims at Bob's shop and at the main station: raw SQL, ids, host, cache, files, tasks.

Each is refused by the database, the router or the helper that owns the thing, and nothing has changed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.conf import settings
from django.core.cache import cache
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import DatabaseError, ProgrammingError, connection, connections, transaction
from django.test import Client

from kameng.accounts.models import Role, User
from kameng.db.context import MAIN, in_main, in_substation, pointed_at
from kameng.db.scopes import NoTenant
from kameng.jobs import registry
from kameng.jobs import services as jobs
from kameng.jobs.models import Job
from kameng.web import cachekeys
from tenants import hosts


def tables_of(schema: str) -> list[str]:
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r' ORDER BY 1", [schema]
        )
        return [name for (name,) in cursor.fetchall()]


def row_counts(schema: str) -> dict[str, int]:
    counts = {}
    with connections["owner"].cursor() as cursor:
        for table in tables_of(schema):
            cursor.execute(f'SELECT count(*) FROM "{schema}"."{table}"')
            counts[table] = cursor.fetchone()[0]
    return counts


def refused(schema: Any, sql: str) -> None:
    """`sql` from `schema`'s scope ends in an error of the database."""
    with in_substation(schema), connection.cursor() as cursor:
        with pytest.raises(DatabaseError) as error, transaction.atomic():
            cursor.execute(sql)
        code = getattr(error.value.__cause__, "pgcode", "")
        assert code == "42501", f"{sql}: {code} {error.value}"  # insufficient_privilege


class TestRawSql:
    def test_reads_no_table_of_another_shop(self, alice: Any, bob: Any) -> None:
        for table in tables_of(bob.schema_name):
            refused(alice, f'SELECT * FROM "{bob.schema_name}"."{table}"')

    def test_writes_no_table_of_another_shop(self, alice: Any, bob: Any) -> None:
        before = row_counts(bob.schema_name)

        for table in tables_of(bob.schema_name):
            refused(alice, f'DELETE FROM "{bob.schema_name}"."{table}"')
            refused(alice, f'INSERT INTO "{bob.schema_name}"."{table}" DEFAULT VALUES')

        assert row_counts(bob.schema_name) == before

    def test_reads_and_writes_no_shared_table(self, alice: Any) -> None:
        before = row_counts("public")

        for table in tables_of("public"):
            refused(alice, f'SELECT 1 FROM public."{table}"')
            refused(alice, f'DELETE FROM public."{table}"')
            refused(alice, f'INSERT INTO public."{table}" DEFAULT VALUES')

        assert row_counts("public") == before

    def test_can_not_truncate_or_change_what_is_its_own_but_synced(self, alice: Any) -> None:
        before = row_counts(alice.schema_name)

        refused(alice, "DELETE FROM listings_listing")
        refused(alice, "UPDATE listings_listing SET supply_unit = 0")
        refused(alice, "UPDATE listings_listing SET floor = NULL")
        refused(alice, "INSERT INTO finance_statementline (id) VALUES (1)")
        refused(alice, "UPDATE finance_statementline SET amount_minor = 100")
        refused(alice, "DELETE FROM accounts_auditrecord")
        refused(alice, "UPDATE accounts_auditrecord SET action = ''")
        refused(alice, "UPDATE orders_orderstep SET note = ''")

        assert row_counts(alice.schema_name) == before

    def test_calls_no_shared_function_but_the_gates(self, alice: Any) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT p.proname, p.pronargs FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace")
            names = cursor.fetchall()
        assert len(names) > 3
        for name, count in names:
            refused(alice, f"SELECT public.{name}({', '.join(['NULL'] * count)})")

    def test_a_table_that_is_missing_is_an_error_and_never_publics(self, alice: Any) -> None:
        with in_substation(alice), connection.cursor() as cursor:
            with pytest.raises(ProgrammingError, match="does not exist"), transaction.atomic():
                cursor.execute("SELECT * FROM tenants_substation")

    @pytest.mark.parametrize(
        "sql",
        [
            "SELECT query FROM pg_stat_activity",
            "SELECT n_live_tup FROM pg_stat_all_tables",
            "SELECT pg_stat_get_tuples_inserted('public.ledger_entry'::regclass)",
            "SELECT pg_relation_size('public.receipts_receipt'::regclass)",
            "SELECT * FROM pg_locks",
            "SELECT pg_advisory_lock(42)",
            "SELECT pg_try_advisory_xact_lock(42)",
            "SELECT lo_from_bytea(0, 'x')",
            "SELECT lo_create(0)",
            "SELECT pg_notify('x', 'y')",
            "SELECT pg_sleep(0)",
            "SELECT pg_logical_emit_message(false, 'x', 'y')",
            "SELECT pg_export_snapshot()",
            "SELECT pg_read_file('/etc/hosts')",
            "SELECT * FROM pg_authid",
            "SELECT * FROM pg_largeobject",
        ],
    )
    def test_learns_nothing_of_others_and_keeps_nothing_beside_its_schema(self, alice: Any, sql: str) -> None:
        """What Postgres can't hide is left: the catalogue's names of schemas and tables, which are opaque and all alike,
        and its planner's estimates of their rows (pg_class.reltuples)."""
        refused(alice, sql)

    def test_ends_no_other_connection(self, alice: Any) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        refused(alice, f"SELECT pg_terminate_backend({pid})")
        refused(alice, f"SELECT pg_cancel_backend({pid})")

    def test_the_log_in_role_alone_reads_nothing(self, alice: Any) -> None:
        """What slips past the backend, on a connection of the app's own, fails in the database."""
        default = settings.DATABASES["default"]
        raw = psycopg2.connect(
            dbname=default["NAME"],
            user=default["USER"],
            password=default["PASSWORD"],
            host=default["HOST"],
            port=default["PORT"],
        )
        try:
            for table in (f'"{alice.schema_name}".shop_shopsettings', "public.tenants_substation"):
                with raw, raw.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(f"SELECT * FROM {table}")
        finally:
            raw.close()


class TestGate:
    def test_knows_its_caller_by_the_role_alone(self, alice: Any, bob: Any) -> None:
        for shop in (alice, bob):
            with in_substation(shop), connection.cursor() as cursor:
                cursor.execute("SELECT gate.caller_id()")
                assert cursor.fetchone() == (shop.pk,)

    def test_is_closed_to_the_main_station(self, prepared: None) -> None:
        with in_main(), connection.cursor() as cursor, pytest.raises(DatabaseError):
            cursor.execute("SELECT gate.caller_id()")


class TestHost:
    def test_a_session_of_one_shop_is_nothing_on_another(self, make_shop: Any) -> None:
        one, other = make_shop(), make_shop()
        with in_substation(one):
            User.objects.create_user("staff@example.com", "staff password 93", role=Role.OWNER)
        client = Client()
        client.post("/login/", {"email": "staff@example.com", "password": "staff password 93"}, HTTP_HOST=one.host)
        cookie = client.cookies["kameng_session"].value

        mine = Client()
        mine.cookies["kameng_session"] = cookie
        assert mine.get("/login/", HTTP_HOST=one.host).status_code == 302
        assert mine.get("/login/", HTTP_HOST=other.host).status_code == 200
        assert mine.get("/login/", HTTP_HOST="localhost").status_code == 200

    def test_a_log_in_of_one_shop_is_unknown_on_another(self, make_shop: Any) -> None:
        one, other = make_shop(), make_shop()
        with in_substation(one):
            User.objects.create_user("staff@example.com", "staff password 93", role=Role.OWNER)

        answer = Client().post(
            "/login/", {"email": "staff@example.com", "password": "staff password 93"}, HTTP_HOST=other.host
        )

        assert answer.status_code == 422

    @pytest.mark.parametrize(
        "host", ["nobody.localhost", "alice.localhost.evil.example", "evil.example", "xn--x.localhost"]
    )
    def test_an_unknown_host_is_nobodys(self, alice: Any, host: str) -> None:
        assert Client().get("/", HTTP_HOST=host).status_code == 404

    def test_a_schemas_name_is_no_address(self, alice: Any) -> None:
        assert Client().get("/", HTTP_HOST=f"{alice.schema_name}.localhost").status_code in (400, 404)


class TestCache:
    def test_one_shops_keys_are_not_anothers(self, alice: Any, bob: Any) -> None:
        with pointed_at(alice):
            cache.set("price", "alice's")
        with pointed_at(bob):
            assert cache.get("price") is None
            cache.set("price", "bob's")
            cache.delete("price")
        with pointed_at(alice):
            assert cache.get("price") == "alice's"

    def test_no_shop_says_where_a_host_leads(self, alice: Any, bob: Any) -> None:
        """The host look-up is kept outside all schemas; from within one, its key is a key like any other."""
        assert hosts.substation_for(bob.host).schema_name == bob.schema_name  # type: ignore[union-attr]

        with pointed_at(alice):
            cache.set(f"global:host:{bob.host}", hosts.info_of(alice))
            assert hosts.substation_for(bob.host).schema_name == bob.schema_name  # type: ignore[union-attr]
            cache.delete(f"global:host:{bob.host}")
            hosts.forget(bob)  # The shop's own services may still have a host looked up anew.

        with pointed_at(MAIN):
            assert cache.get(f"global:host:{bob.host}") is None
        assert hosts.substation_for(bob.host).schema_name == bob.schema_name  # type: ignore[union-attr]

    @pytest.mark.parametrize("key", ["../public", "public:1:price", "kameng:public:1:price", "global:x", "*"])
    def test_no_key_leaves_its_schema(self, alice: Any, bob: Any, key: str) -> None:
        with pointed_at(MAIN):
            cache.set(key, "main's")
            cache.set("price", "main's")
        with pointed_at(alice):
            assert cache.get(key) is None
            cache.set(key, "alice's")
            cache.delete(key)
        with pointed_at(bob):
            assert cache.get(key) is None
        with pointed_at(MAIN):
            assert (cache.get(key), cache.get("price")) == ("main's", "main's")
            cache.delete_many([key, "price"])

    def test_a_tenants_key_without_a_tenant_raises(self, prepared: None) -> None:
        with pytest.raises(NoTenant):
            cachekeys.tenant_scoped("lock", "x")


class TestFiles:
    def test_are_kept_in_a_folder_of_the_shop(self, alice: Any, bob: Any) -> None:
        with pointed_at(alice):
            name = default_storage.save("shop/logo.png", ContentFile(b"alice"))
            assert Path(default_storage.path(name)).parent.parent.name == alice.schema_name
        with pointed_at(bob):
            assert not default_storage.exists(name)

    @pytest.mark.parametrize("name", ["../{bob}/shop/x.png", "/etc/passwd", "shop/../../{bob}/x.png"])
    def test_a_name_leads_out_of_no_folder(self, alice: Any, bob: Any, name: str) -> None:
        with pointed_at(alice), pytest.raises(SuspiciousFileOperation):
            default_storage.open(name.format(bob=bob.schema_name))

    def test_one_shops_picture_is_not_served_on_anothers_host(self, alice: Any, bob: Any) -> None:
        with pointed_at(alice):
            name = Path(default_storage.save("shop/only-alice.png", ContentFile(b"\x89PNG"))).name

        served = Client().get(f"/files/shop/{name}", HTTP_HOST=alice.host)
        assert (served.status_code, served.getvalue()) == (200, b"\x89PNG")
        assert Client().get(f"/files/shop/{name}", HTTP_HOST=bob.host).status_code == 404
        assert Client().get(f"/files/shop/..%2f..%2f{name}", HTTP_HOST=bob.host).status_code == 404


class TestTasks:
    def test_a_job_belongs_to_the_shop_that_wrote_it(self, alice: Any) -> None:
        kind = next(kind for kind in sorted(registry.kinds()) if registry.find(kind).wants_tenant)
        with in_substation(alice):
            job_id = jobs.enqueue(kind=kind, payload={}, dedupe="isolation")
        with in_main():
            assert Job.objects.get(pk=job_id).schema_name == alice.schema_name
            Job.objects.filter(pk=job_id).delete()

    def test_a_tenants_job_without_its_tenant_is_refused_and_not_run(self, prepared: None) -> None:
        ran: list[str] = []

        @registry.job("isolation.probe")
        def probe(**_: Any) -> None:
            ran.append("ran")

        try:
            with in_main(), pytest.raises(NoTenant):
                jobs.enqueue(kind="isolation.probe", payload={})
            with in_main():
                from kameng.lib import clock

                orphan = Job.objects.create(kind="isolation.probe", schema_name="", run_at=clock.utc_now())
            jobs.run(orphan.pk)
            with in_main():
                orphan.refresh_from_db()
            assert (ran, orphan.state) == ([], "FAILED")
            assert "names none" in orphan.last_error
        finally:
            registry._jobs.pop("isolation.probe")

    def test_a_shop_can_not_read_or_change_the_job_table(self, alice: Any) -> None:
        refused(alice, "SELECT * FROM public.jobs_job")
        refused(alice, "UPDATE public.jobs_job SET schema_name = 'x'")
