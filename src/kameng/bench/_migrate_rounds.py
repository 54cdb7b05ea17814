"""The measurements of `bench migrate`, in a process whose Django is set up for the bench's own server."""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import django

from kameng.local._processes import die_with_parent

LOOKS = 5
MAKERS = 3
SAY_EVERY = 50
_BODY = """from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "{previous}")]
    operations = [migrations.AddField("shopsettings", "{column}", models.CharField(max_length=40, null=True))]
"""


class Releases:
    """Code with one column more than the release before."""

    def __init__(self) -> None:
        self.folder = Path(os.environ["KAMENG_BENCH_RELEASES"])
        here = Path(importlib.import_module("tenant_apps.shop.migrations").__file__ or "").parent
        self.own = sorted(path.stem for path in here.glob("0*.py"))
        self.columns: list[str] = []

    def next(self) -> None:
        """Start code that adds one more column."""
        from django.conf import settings

        from tenants.upgrades import versions

        self.columns.append(f"bench_{len(self.columns) + 1}")
        package = f"release_{len(self.columns)}"
        folder = self.folder / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        for name in self.own:
            source = f"tenant_apps.shop.migrations.{name}"
            (folder / f"{name}.py").write_text(
                f"import importlib\n\nMigration = importlib.import_module({source!r}).Migration\n"
            )
        previous = self.own[-1]
        for number, column in enumerate(self.columns, start=9001):
            (folder / f"{number}_{column}.py").write_text(_BODY.format(previous=previous, column=column))
            previous = f"{number}_{column}"
        (self.folder / "present").write_text(package)
        importlib.invalidate_caches()
        settings.MIGRATION_MODULES = {"shop": package}
        versions.forget()


def main(count: int, rounds: int, sample: int) -> dict[str, list[float]]:
    from tenants import prepare
    from tenants.upgrades import running

    prepare.prepare(spare_count=0)
    made_ms = _make(count)
    measured: dict[str, list[float]] = {"make_ms": [made_ms], **_noop(count)}
    releases = Releases()
    for name, jobs, times in (("add_field_ms", running.JOBS, rounds), ("add_field_one_job_ms", 1, 1)):
        measured[name] = []
        for _round in range(times):
            releases.next()
            began = time.perf_counter()
            prepare.prepare_template(lambda line: None)
            measured.setdefault("template_s", []).append(time.perf_counter() - began)
            began = time.perf_counter()
            report = running.fan_out(jobs=jobs)
            measured[name].append(1000 * (time.perf_counter() - began) / count)
            assert (report.moved, report.failed) == (count, []), report
            _progress(f"AddField with {jobs} connections: {measured[name][-1]:.1f} ms a schema")
    measured["library_ms"] = _library(releases, sample)
    return measured


def _make(count: int) -> float:
    """`count` live substations with a schema each, by the product's script; answers ms a schema."""
    from django.conf import settings
    from django.db import connections

    from kameng.db.context import in_main
    from kameng.lib import clock
    from kameng.lib.ids import schema_name
    from tenants import spares
    from tenants.models import Plan, Substation

    script = spares.current_script()
    with in_main():
        plan = Plan.objects.create(code="bench", name_zh="基准", name_en="Bench", supply_level="BASIC")
    waiting = deque(range(1, count + 1))
    problems: list[BaseException] = []
    began = time.perf_counter()

    def make() -> None:
        try:
            while waiting:
                number = waiting.popleft()
                spares.make_schema(schema_name(number), script.sql)
                if number % SAY_EVERY == 0:
                    _progress(f"{number:,} of {count:,} schemas, {number / (time.perf_counter() - began):.1f}/s")
                if number % 200 == 0:
                    connections[settings.OWNER_ALIAS].close()
        except IndexError:
            pass  # Another maker took the last.
        except BaseException as error:  # Raised again by the thread that waits.
            problems.append(error)
        finally:
            connections.close_all()

    makers = [threading.Thread(target=make) for _ in range(MAKERS)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    if problems:
        raise problems[0]
    took = time.perf_counter() - began
    with in_main():
        Substation.objects.bulk_create(
            Substation(
                slug=f"bench-{number}", name=f"Bench {number}", plan=plan, owner_email="bench@example.com",
                schema_name=schema_name(number), schema_version=script.version, state="ACTIVE",
                live_at=clock.utc_now(),
            )
            for number in range(1, count + 1)
        )  # fmt: skip
    return 1000 * took / count


def _noop(count: int) -> dict[str, list[float]]:
    """Seconds of finding out that nothing is to do: the look alone, and the whole command in a process of its own.

    Beside it, the processor's seconds of the command, and what a bare Django takes to start in the same round: on a busy
    machine that is nearly all of it.
    """
    from tenants.upgrades import state

    figures: dict[str, list[float]] = {
        name: [] for name in ("noop_look_s", "noop_command_s", "noop_command_cpu_s", "django_start_s")
    }
    for _ in range(LOOKS):
        began = time.perf_counter()
        assert state.look().is_current
        figures["noop_look_s"].append(time.perf_counter() - began)
        wall, cpu, said = _timed("-m", "kameng.cli", "migrate")
        assert f"Nothing to do: {count:,} substations" in said, said
        figures["noop_command_s"].append(wall)
        figures["noop_command_cpu_s"].append(cpu)
        figures["django_start_s"].append(_timed("-c", "import django; django.setup()")[0])
    return figures


def _timed(*arguments: str) -> tuple[float, float, str]:
    """(seconds, processor's seconds, output) of a Python process."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return took, cpu, done.stdout + done.stderr


def _library(releases: Releases, sample: int) -> list[float]:
    """ms a schema of django-tenants' standard executor taking one more release, on schemas of ours."""
    from django.conf import settings
    from django_tenants.migration_executors.standard import StandardExecutor

    from kameng.db.scopes import TEMPLATE_SCHEMA
    from kameng.lib.ids import schema_name
    from tenants import template

    names = [schema_name(number) for number in range(1, sample + 1)]
    with template.owner().cursor() as cursor:
        for name in names:
            cursor.execute(
                f"CREATE TABLE {name}.django_migrations (LIKE {TEMPLATE_SCHEMA}.django_migrations INCLUDING ALL);"
                f"INSERT INTO {name}.django_migrations (app, name, applied) "
                f"SELECT app, name, applied FROM {TEMPLATE_SCHEMA}.django_migrations ORDER BY id"
            )
    releases.next()
    options: dict[str, Any] = {
        "database": settings.OWNER_ALIAS, "verbosity": 0, "interactive": False, "app_label": None,
        "migration_name": None, "run_syncdb": False, "check_unapplied": False, "plan": False, "fake": False,
        "fake_initial": False, "prune": False, "force_color": False, "no_color": True, "skip_checks": True,
    }  # fmt: skip
    out = []
    for name in names:
        began = time.perf_counter()
        StandardExecutor((), options).run_migrations(tenants=[name])
        out.append(1000 * (time.perf_counter() - began))
        with template.owner().cursor() as cursor:
            cursor.execute(
                "SELECT 1 FROM information_schema.columns WHERE table_schema = %s AND column_name = %s",
                [name, releases.columns[-1]],
            )
            assert cursor.fetchone(), f"The executor did nothing in {name}."
        _progress(f"django-tenants: {out[-1]:.0f} ms in {name}")
    return out


def _progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    die_with_parent(signal.SIGTERM)
    django.setup()
    print(json.dumps(main(*(int(argument) for argument in sys.argv[1:]))))
