"""Steps recorded once and taken by every schema: what arrives, in which version, and that it is all or nothing."""

from __future__ import annotations

import io
import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from django.db import DatabaseError, InterfaceError, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor
from rich.console import Console

from kameng.cli import _upgrade
from kameng.db.context import in_main
from kameng.db.lost import connection_is_lost
from kameng.lib import clock
from tenants import prepare, spares, template
from tenants.models import SchemaUpgrade, Substation
from tenants.upgrades import applying, rendering, running, state
from tests.tenants.upgrades.catalogue import catalogue
from tests.tenants.upgrades.conftest import ADD_MOTTO, Network

EVERYTHING = """\
operations = [
    migrations.CreateModel(
        "Branch",
        [
            ("id", models.BigAutoField(primary_key=True)),
            ("name", models.CharField(max_length=60, unique=True)),
            ("opened_on", models.DateField(null=True)),
            ("size", models.PositiveIntegerField(default=1)),
        ],
        options={"indexes": [models.Index(fields=["opened_on"], name="branch_opened")]},
    ),
    migrations.AddField("shopsettings", "motto", models.CharField(max_length=40, db_default="", default="")),
    migrations.AddField("shopsettings", "branch", models.ForeignKey("Branch", models.SET_NULL, null=True)),
    migrations.RenameField("shopsettings", "tagline", "claim"),
    migrations.RemoveField("shopsettings", "contact_qq"),
    migrations.AlterField("shopsettings", "name", models.CharField(max_length=80)),
    migrations.AddConstraint(
        "shopsettings", models.CheckConstraint(condition=models.Q(motto__lt="zzz"), name="motto_is_short")
    ),
    migrations.RunSQL("ALTER TABLE shop_shopsettings SET (fillfactor = 70)"),
]
"""
LOCK_MS = 500  # Of two schemas at once, each holds what the other needs of the catalogue for a moment: a busy machine, longer.
FILL_MOTTO = """\
def fill(apps, schema_editor):
    rows = apps.get_model("shop", "ShopSettings").objects.using(schema_editor.connection.alias)
    rows.update(motto=models.functions.Concat(models.Value("By "), "name"))

operations = [migrations.RunPython(fill)]
"""


class TestNothingToDo:
    def test_is_found_out_by_looking(self, network: Network) -> None:
        before = network.versions()

        found = state.look()

        assert found.is_current
        assert (sum(found.shops.values()), sum(found.spares.values())) == (6, 2)
        assert network.versions() == before

    def test_the_command_says_so(self, network: Network) -> None:
        network.releases.deploy()

        status, out = network.run()

        assert status == 0
        assert "Nothing to do: 6 substations and 2 spare schemas are at version" in out

    def test_what_is_missing_is_named_and_fails_a_check(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        before = network.versions()

        status, out = network.run("--check")

        assert status == 1
        assert "shared: shop.9001_add_motto; the template schema; 6 of 6 substations; 2 of 2 spare schemas" in out
        assert network.versions() == before
        assert not network.has_column("template_substation", "motto")


class TestAddingAColumn:
    def test_every_schema_gets_it_with_its_version(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))

        report = network.upgrade()

        assert (report.moved, report.failed, report.replaced) == (8, [], [])
        assert set(network.versions().values()) == {template.schema_version()} == {template.recorded_version()}
        assert all(network.has_column(schema, "motto") for schema in [*network.versions(), "template_substation"])
        assert state.look().missing == ("shared: shop.9001_add_motto",)

    def test_the_whole_command(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))

        status, out = network.run("--jobs", "3")

        assert status == 0
        assert "Upgraded 8 schemas to version" in out
        assert state.look().is_current
        assert all(network.has_column(schema, "motto") for schema in network.versions())

    def test_is_recorded_once_with_what_django_sent(self, network: Network) -> None:
        before = template.recorded_version()
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))

        network.upgrade()

        with in_main():
            column, rights = SchemaUpgrade.objects.all()
        assert (column.from_version, column.migration) == (before, "shop.9001_add_motto")
        assert column.sql == 'ALTER TABLE "shop_shopsettings" ADD COLUMN "motto" varchar(40) NULL'
        assert (rights.kind, rights.sql) == ("RIGHTS", "")
        assert rights.to_version == template.schema_version()

    def test_a_shop_that_signs_up_afterwards_is_of_the_new_version(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        network.upgrade()

        ready = network.sql("SELECT schema_name FROM tenants_spareschema WHERE state = 'READY' ORDER BY id")
        with in_main():
            new = Substation.objects.create(
                slug="late", name="Late", plan=network.shops[0].plan, schema_name="none_late"
            )
            taken = spares.take(new.pk, clock.utc_now())

        assert taken is not None
        assert (taken.schema_name, taken.version) == (ready[0][0], template.schema_version())


class TestAllKindsOfChanges:
    def test_an_upgraded_schema_is_like_one_that_is_freshly_made(self, network: Network) -> None:
        network.releases.deploy(("9001_everything", EVERYTHING))
        network.upgrade()

        script = prepare.ensure_script()
        fresh = spares.add_spare(script.version, script.sql)

        upgraded = catalogue(network, network.schemas[0])
        assert upgraded == catalogue(network, fresh.schema_name)
        assert upgraded != catalogue(network, "template_substation")  # It has rights; the template needs none.
        assert {row for row in upgraded if row[0] == "right" and row[1] == "shop_branch"} == {
            ("right", "shop_branch", "", "@schema@", right) for right in ("SELECT", "INSERT", "UPDATE", "DELETE")
        }
        assert ("thing", "shop_shopsettings", "r", "fillfactor=70", "") in upgraded

    def test_rights_that_changed_in_the_matrix_reach_every_schema(
        self, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kameng.db import roles

        monkeypatch.setitem(roles.OWN_COLUMNS, "listings_listing", ("on_shelf", "sort"))
        monkeypatch.setattr(roles, "TENANT_APPEND_ONLY", (*roles.TENANT_APPEND_ONLY, "payments_payment"))
        network.releases.deploy()
        network.upgrade()

        script = prepare.ensure_script()
        fresh = spares.add_spare(script.version, script.sql)
        upgraded = catalogue(network, network.schemas[0])
        assert upgraded == catalogue(network, fresh.schema_name)
        assert ("right", "listings_listing", "sort", "@schema@", "UPDATE") in upgraded
        assert ("right", "payments_payment", "", "@schema@", "UPDATE") not in upgraded
        with in_main():
            (step,) = SchemaUpgrade.objects.all()
        assert not step.old_code_runs  # A right was taken away, and the code before may use it.


class TestDataMigrations:
    def test_run_in_every_schema_on_its_own_rows(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO), ("9002_fill_motto", FILL_MOTTO))

        report = network.upgrade()

        assert (report.moved, report.failed) == (8, [])
        mottos = [network.sql(f"SELECT motto FROM {schema}.shop_shopsettings") for schema in network.schemas]
        assert mottos == [[(f"By Row {number}",)] for number in range(1, 7)]

    def test_one_that_fails_for_a_shop_leaves_that_shop_at_the_step_before(self, network: Network) -> None:
        refuse = FILL_MOTTO.replace("    rows.update(", "    assert rows.get().name != 'Row 3'\n    rows.update(")
        refuse = refuse.replace("    assert", "    if not rows.exists():\n        return\n    assert")
        network.releases.deploy(("9001_add_motto", ADD_MOTTO), ("9002_fill_motto", refuse))

        report = network.upgrade(pauses=(0,))

        (failed,) = report.failed
        assert (failed.unit.shop, failed.problem) == ("row-3", "AssertionError: AssertionError")
        assert report.moved == 7
        assert network.sql(f"SELECT motto FROM {network.schemas[2]}.shop_shopsettings") == [(None,)]

    def test_a_query_that_forgets_which_connection_it_is_on_is_refused(self, network: Network) -> None:
        forgetful = FILL_MOTTO.replace(".using(schema_editor.connection.alias)", "")
        network.releases.deploy(("9001_add_motto", ADD_MOTTO), ("9002_fill_motto", forgetful))

        with pytest.raises(Exception, match="outside a transaction"):
            network.upgrade()

        assert [network.has_column(schema, "motto") for schema in network.schemas] == [False] * 6


class TestAMigrationThatTheTemplateRefuses:
    def test_changes_nothing_anywhere_and_the_mended_one_goes_on_from_there(self, network: Network) -> None:
        before = network.versions()
        broken = "operations = [migrations.RunSQL('ALTER TABLE shop_shopsettings ADD COLUMN motto text')]"
        network.releases.deploy(("9001_add_motto", ADD_MOTTO), ("9002_broken", broken))

        with pytest.raises(Exception, match='column "motto" of relation "shop_shopsettings" already exists'):
            network.upgrade()

        assert network.versions() == before
        assert [network.has_column(schema, "motto") for schema in network.schemas] == [False] * 6

        network.releases.deploy(("9001_add_motto", ADD_MOTTO), ("9002_broken", broken.replace("motto", "motto_2")))
        report = network.upgrade()

        assert (report.moved, report.failed) == (8, [])
        assert all(network.has_column(schema, "motto_2") for schema in network.schemas)

    def test_one_that_wants_no_transaction_is_refused(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", "atomic = False\n" + ADD_MOTTO))

        with pytest.raises(rendering.NotAtomic, match=r"shop\.9001_add_motto says atomic = False"):
            network.upgrade()

        assert not network.has_column("template_substation", "motto")


class TestOlderCode:
    def test_leaves_a_database_that_is_ahead_of_it_alone(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        network.upgrade()
        ahead = network.versions()
        network.releases.roll_back()

        with pytest.raises(rendering.TemplateAhead, match=r"shop\.9001_add_motto, which this code does not know"):
            network.upgrade()

        assert network.versions() == ahead


class TestKilled:
    def test_in_the_middle_leaves_each_schema_whole_and_the_next_run_goes_on(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        old = set(network.versions().values())
        holder = psycopg2.connect(network.superuser_url)
        with holder.cursor() as cursor:
            # Its spares and shops go one after the other, and the fourth shop's table is in somebody's hands.
            cursor.execute(f"LOCK TABLE {network.schemas[3]}.shop_shopsettings IN ACCESS SHARE MODE")
            process = network.start("--jobs", "1", "--lock-timeout", "60")
            blocked = _wait_until_blocked(network, process)
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL
        holder.rollback()
        holder.close()
        _wait_until_gone(network, blocked)

        versions = network.versions()
        new = {template.schema_version()}
        assert {versions[schema] for schema in network.schemas[:3]} == new
        assert {versions[schema] for schema in network.schemas[3:]} == old
        columns = [network.has_column(schema, "motto") for schema in network.schemas]
        assert columns == [True, True, True, False, False, False]

        status, out = network.run()

        assert status == 0
        assert "Upgraded 3 schemas" in out
        assert set(network.versions().values()) == new
        assert all(network.has_column(schema, "motto") for schema in network.schemas)

    # One makes tables, the other is only recorded.
    @pytest.mark.parametrize("moment", ["orders.0001_initial", "stock.0001_initial"])
    def test_in_the_first_template_the_next_run_makes_the_rest(
        self, network: Network, monkeypatch: pytest.MonkeyPatch, moment: str
    ) -> None:
        def made() -> tuple[Any, ...]:
            recorded = network.sql("SELECT app, name FROM template_substation.django_migrations ORDER BY app, name")
            return catalogue(network, "template_substation"), recorded

        def killed(executor: Any, state: Any, migration: Any, **how: Any) -> Any:
            if str(migration) == moment:
                raise KeyboardInterrupt
            return apply(executor, state, migration, **how)

        apply = MigrationExecutor.apply_migration
        whole = made()
        network.sql("DROP SCHEMA template_substation CASCADE")

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(MigrationExecutor, "apply_migration", killed)
            template.migrate_template()
        assert 0 < len(made()[1]) < len(whole[1])

        template.migrate_template()

        assert made() == whole


class TestLocks:
    def test_a_schema_that_is_in_use_is_tried_again(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        holder = psycopg2.connect(network.superuser_url)
        holder.cursor().execute(f"LOCK TABLE {network.schemas[0]}.shop_shopsettings IN ACCESS SHARE MODE")

        def let_go() -> float:
            holder.rollback()
            return 0

        # The pause between the rounds is when the lock is let go.
        report = network.upgrade(lock_timeout_ms=LOCK_MS, pauses=_Lazily(let_go))
        holder.close()

        assert (report.moved, report.retried, report.failed) == (8, 1, [])

    def test_one_that_stays_in_use_is_named_and_not_counted_as_done(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        holder = psycopg2.connect(network.superuser_url)
        holder.cursor().execute(f"LOCK TABLE {network.schemas[0]}.shop_shopsettings IN ACCESS SHARE MODE")

        report = network.upgrade(lock_timeout_ms=LOCK_MS, pauses=(0,))
        holder.close()

        (failed,) = report.failed
        assert failed.unit.shop == "row-1"
        assert failed.problem == ("A lock was in the way in every round: canceling statement due to lock timeout")
        assert report.moved == 7
        assert not network.has_column(network.schemas[0], "motto")

    def test_the_progress_names_what_waits_for_it_and_promises_no_time(
        self, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_upgrade, "LINE_EVERY_S", 0)
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        holder = psycopg2.connect(network.superuser_url)
        holder.cursor().execute(f"LOCK TABLE {network.schemas[5]}.shop_shopsettings IN ACCESS SHARE MODE")

        def let_go() -> float:
            holder.rollback()
            return 0

        out = Console(file=io.StringIO(), width=200)
        with _upgrade._watched(out) as watch:
            network.upgrade(jobs=1, lock_timeout_ms=LOCK_MS, pauses=_Lazily(let_go), watch=watch)
        holder.close()

        lines = [line.strip() for line in out.file.getvalue().splitlines()]  # type: ignore[attr-defined]
        assert lines[-2] == "7 of 8 schemas, waiting for a lock: row-6"
        assert re.fullmatch(r"8 of 8 schemas, [\d,]+/s, 0 s left", lines[-1])

    def test_of_many_that_wait_the_first_few_are_named(self) -> None:
        assert _upgrade._waits(["a", "b", "c", "d", "e"]) == "waiting for a lock: a, b, c and 2 more"


class TestLostConnections:
    @pytest.mark.parametrize(
        ("kind", "code"),
        [
            (OperationalError, "57P01"),  # Somebody ended the connection.
            (OperationalError, "57P02"),  # Another backend crashed, and the server ends all.
            (OperationalError, "57P03"),  # The server is on its way back.
            (OperationalError, None),
            (DatabaseError, None),  # "server closed the connection unexpectedly", as the driver says it at times.
            (InterfaceError, None),  # "connection already closed".
        ],
    )
    def test_a_schema_whose_connection_was_cut_is_tried_again(
        self, network: Network, monkeypatch: pytest.MonkeyPatch, kind: type[Exception], code: str | None
    ) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        cut = [network.schemas[2]]
        _fault(monkeypatch, lambda schema: _lost(kind, code) if schema in cut and not cut.clear() else None)

        report = network.upgrade(pauses=(0,))

        assert (report.moved, report.retried, report.failed) == (8, 1, [])

    def test_one_whose_connection_is_cut_each_time_is_named(
        self, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        _fault(monkeypatch, lambda schema: _lost(OperationalError, "57P02") if schema == network.schemas[2] else None)

        report = network.upgrade(pauses=(0, 0))

        (failed,) = report.failed
        assert (failed.unit.shop, failed.problem) == ("row-3", "The connection was lost in every round: Gone.")
        assert (report.moved, report.retried) == (7, 2)

    def test_what_the_orm_itself_reports_is_no_lost_connection(self) -> None:
        """`save(force_update=True)` that changes no row raises a bare DatabaseError, too, and no driver's behind it."""
        assert not connection_is_lost(DatabaseError("Forced update did not affect any rows."))
        assert not connection_is_lost(_lost(OperationalError, "57014"))  # query_canceled.

    def test_the_database_goes_away_from_the_whole_run_and_the_command_says_what_to_do(self, network: Network) -> None:
        """As in a crash: every connection is cut at once, the run's own with them."""
        once = network.releases.folder / "was-cut"
        cut = FILL_MOTTO.replace(
            "    rows.update(",
            "    import pathlib, psycopg2\n"
            f"    once = pathlib.Path({str(once)!r})\n"
            "    if rows.filter(name='Row 3').exists() and not once.exists():\n"
            "        once.touch()\n"
            f"        superuser = psycopg2.connect({network.superuser_url!r})\n"
            "        superuser.autocommit = True\n"
            "        superuser.cursor().execute('SELECT pg_terminate_backend(pid) FROM pg_stat_activity '\n"
            "            'WHERE datname = current_database() AND pid <> pg_backend_pid()')\n"
            "    rows.update(",
        )
        network.releases.deploy(("9001_add_motto", ADD_MOTTO), ("9002_fill_motto", cut))
        connections.close_all()  # Ours would be cut, too.

        status, out = network.run("--jobs", "1")

        assert once.exists()
        assert status == 1
        assert "Traceback" not in out
        assert out.rstrip().splitlines()[-1].startswith("Error: The database went away: ")
        assert out.rstrip().endswith("Run `kameng migrate` again when the database is back; it goes on from there.")

        status, out = network.run()

        assert status == 0
        assert state.look().is_current


class TestAThreadThatBreaks:
    def test_says_so_of_the_schema_where_asking_for_its_version_fails(
        self, network: Network, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(unit: running.Unit) -> bool:
            raise RuntimeError("Nobody expected this.")

        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        network.sql(f"ALTER TABLE {network.schemas[2]}.shop_shopsettings ADD COLUMN motto integer")
        monkeypatch.setattr(running, "_is_elsewhere_now", fail)

        report = network.upgrade(jobs=1)

        (failed,) = report.failed
        assert (failed.unit.shop, failed.problem) == ("row-3", "RuntimeError: Nobody expected this.")
        assert report.moved == 7

    def test_a_migration_that_ends_the_program_ends_one_schemas_upgrade(self, network: Network) -> None:
        leave = FILL_MOTTO.replace(
            "    rows.update(",
            "    if rows.filter(name='Row 3').exists():\n        raise SystemExit('Enough.')\n    rows.update(",
        )
        network.releases.deploy(("9001_add_motto", ADD_MOTTO), ("9002_fill_motto", leave))

        report = network.upgrade(jobs=1)

        (failed,) = report.failed
        assert (failed.unit.shop, failed.problem) == ("row-3", "SystemExit: Enough.")
        assert report.moved == 7


class TestTwoRunnersAtOnce:
    def test_the_second_is_refused(self, network: Network) -> None:
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        before = network.versions()
        with running.only_runner():
            status, out = network.run()

        assert status == 1
        assert "Another run is bringing this database up to date" in out
        assert network.versions() == before

    def test_without_the_lock_a_step_is_still_taken_once(self, network: Network) -> None:
        """The lock is a courtesy; what holds is the guarded update."""
        network.releases.deploy(("9001_add_motto", ADD_MOTTO))
        before = template.recorded_version()
        network.upgrade(only=network.schemas[:1])
        again = "UPDATE shop_shopsettings SET motto = 'twice'"
        with in_main():
            way = applying.Ways(tuple(SchemaUpgrade.objects.all())).between(before, template.schema_version())
        way[0][0].sql = again

        with pytest.raises(applying.Moved):
            applying.upgrade(network.schemas[0], way, lock_timeout_ms=1000)

        assert network.sql(f"SELECT motto FROM {network.schemas[0]}.shop_shopsettings") == [(None,)]


class _Lazily:
    """A pause that is made when it is asked for."""

    def __init__(self, make: object) -> None:
        self.make = make

    def __iter__(self) -> object:
        yield self.make()  # type: ignore[operator]


def _lost(kind: type[Exception], code: str | None) -> Exception:
    """As Django hands on what the driver raises when its connection is gone."""
    error = kind("Gone.")
    error.__cause__ = type("Cut", (psycopg2.Error,), {"pgcode": code})("Gone.")
    return error


def _fault(monkeypatch: pytest.MonkeyPatch, wanted: Callable[[str], Exception | None]) -> None:
    """Let a schema's upgrade fail with what `wanted` answers for it."""
    upgrade = applying.upgrade

    def faulty(schema: str, *arguments: Any, **wishes: Any) -> None:
        error = wanted(schema)
        if error is not None:
            raise error
        upgrade(schema, *arguments, **wishes)

    monkeypatch.setattr(applying, "upgrade", faulty)


def _wait_until_blocked(network: Network, process: subprocess.Popen[str]) -> int:
    """The backend of `process` that waits for a lock. Fails when the process ends without having waited."""
    while process.poll() is None:
        found = network.sql(
            "SELECT pid FROM pg_stat_activity WHERE datname = %s AND cardinality(pg_blocking_pids(pid)) > 0",
            network.database,
        )
        if found:
            return int(found[0][0])
    raise AssertionError(process.communicate()[0])


def _wait_until_gone(network: Network, pid: int) -> None:
    while network.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid):
        pass
