"""A network of six shops and two spares, in a database that each test has to itself; and code that comes and goes.

"New code" is a package of migrations that a test writes: `deploy(("9001_add_motto", ADD_MOTTO))` adds them to those of
the shop app, as a release would. `roll_back()` is the code before.
"""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.core.cache import cache
from django.db import connections
from django.test import Client, override_settings

from kameng.db.context import in_main
from kameng.lib.ids import public_id
from kameng.local.testing import shared_postgres
from tests.api.conftest import an_order

REPO = Path(__file__).resolve().parents[3]
APP = "shop"
SHOPS = 6
SPARES = 2
_serial = itertools.count(1)

HEADER = """\
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "{previous}")]

"""
ADD_MOTTO = """\
operations = [migrations.AddField("shopsettings", "motto", models.CharField(max_length=40, null=True))]
"""


class Releases:
    """The code that runs: this one's migrations, or these and more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._override: Any = None
        self.modules: dict[str, str] = {}

    def deploy(self, *migrations: tuple[str, str]) -> None:
        """Start code that has these migrations of the shop app after its own: (name, body of the class)."""
        package = f"release_{next(_serial)}"
        folder = self.folder / package
        folder.mkdir()
        (folder / "__init__.py").touch()
        own = sorted(path.stem for path in (REPO / "tenant_apps" / APP / "migrations").glob("0*.py"))
        for name in own:
            source = f"tenant_apps.{APP}.migrations.{name}"
            (folder / f"{name}.py").write_text(
                f"import importlib\nMigration = importlib.import_module({source!r}).Migration\n"
            )
        previous = own[-1]
        for name, body in migrations:
            indented = "".join(f"    {line}\n" if line else "\n" for line in body.splitlines())
            (folder / f"{name}.py").write_text(HEADER.format(previous=previous) + indented)
            previous = name
        importlib.invalidate_caches()
        self._run({APP: package})

    def roll_back(self) -> None:
        """Start the code as it is in the repository."""
        self._run({})

    def _run(self, modules: dict[str, str]) -> None:
        from tenants.upgrades import applying, versions

        if self._override is not None:
            self._override.disable()
            self._override = None
        self.modules = modules
        if modules:
            self._override = override_settings(MIGRATION_MODULES=modules)
            self._override.enable()
        versions.forget()
        applying.operations.cache_clear()


@dataclass
class Network:
    """Six shops and two spares at the version of the repository's code."""

    database: str
    superuser_url: str
    releases: Releases
    shops: list[Any] = field(default_factory=list)

    @property
    def schemas(self) -> list[str]:
        return [shop.schema_name for shop in self.shops]

    def versions(self) -> dict[str, str]:
        """The recorded version of each shop's schema, and of each ready spare."""
        from tenants.upgrades import running

        return {unit.schema: unit.version for unit in running.standing()}

    def sql(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        """As the superuser, committed; the rows when there are any."""
        connection = psycopg2.connect(self.superuser_url)
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(text, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def has_column(self, schema: str, column: str, table: str = "shop_shopsettings") -> bool:
        return bool(
            self.sql(
                "SELECT 1 FROM information_schema.columns WHERE table_schema = %s AND table_name = %s AND column_name = %s",
                schema,
                table,
                column,
            )
        )

    def visit(self, shop: Any, path: str = "/", **headers: Any) -> Any:
        given = {"HTTP_HOST": f"{shop.slug}.localhost", "HTTP_ACCEPT_LANGUAGE": "en", **headers}
        return Client(**given).get(path)

    def order(self, shop: Any, goods: Any) -> Any:
        """A buyer's order over the API."""
        return Client(HTTP_HOST=f"{shop.slug}.localhost", HTTP_ACCEPT_LANGUAGE="en").post(
            "/api/v1/orders/", an_order(goods), content_type="application/json", HTTP_IDEMPOTENCY_KEY=public_id("key")
        )

    def upgrade(self, **wishes: Any) -> Any:
        """What `kameng migrate` does with the tenant schemas, without the pauses; answers the report."""
        from tenants import prepare
        from tenants.upgrades import running

        with running.only_runner():
            prepare.prepare_template(lambda line: None)
            return running.fan_out(**{"pauses": (), "jobs": 2, **wishes})

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join([str(self.releases.folder), str(REPO)])
        return {
            **os.environ,
            **{name: renamed(os.environ[name], self.database) for name in ("DATABASE_URL", "DATABASE_OWNER_URL")},
            "DJANGO_SETTINGS_MODULE": "tests.tenants.upgrades.settings",
            "KAMENG_TEST_MIGRATIONS": json.dumps(self.releases.modules),
            "PYTHONPATH": path,
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`kameng migrate …` of the deployed code, in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "kameng.cli", "migrate", "--spares", "0", *arguments],
            env=self.environment(), cwd=REPO, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def run(self, *arguments: str) -> tuple[int, str]:
        """The same, to its end: (status, output)."""
        process = self.start(*arguments)
        out, _ = process.communicate()
        return process.returncode, out


def renamed(url: str, database: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{database}" + (f"?{query}" if query else "")


class elsewhere:  # noqa: N801  # Used like a function.
    """Point both of Django's aliases at another database, and back."""

    def __init__(self, database: str) -> None:
        self.database = database

    def __enter__(self) -> None:
        self.before = {alias: connections.settings[alias]["NAME"] for alias in ("default", "owner")}
        self._point(dict.fromkeys(self.before, self.database))

    def __exit__(self, *_: object) -> None:
        self._point(self.before)

    @staticmethod
    def _point(names: dict[str, str]) -> None:
        from tenants.upgrades import versions

        connections.close_all()
        for alias, name in names.items():
            connections.settings[alias]["NAME"] = name
        cache.clear()
        versions.forget()


def as_superuser(sql: str) -> None:
    connection = psycopg2.connect(shared_postgres().superuser_url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql)
    connection.close()


@pytest.fixture(scope="session")
def original(prepared: None) -> Iterator[str]:
    """The database that each test's is a copy of, with nobody connected to it."""
    from kameng.local import cluster
    from tenants import prepare, provisioning, template
    from tenants.models import Plan, Substation

    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    name = f"kameng_{worker}_upgrades"
    as_superuser(f"CREATE DATABASE {name} OWNER kameng_owner")
    own = psycopg2.connect(renamed(shared_postgres().superuser_url, name))
    own.autocommit = True
    cluster.prepare_database(own)
    own.close()
    with elsewhere(name):
        prepare.prepare(spare_count=0)
        with template.owner().cursor() as cursor:
            first = (int(worker.removeprefix("gw")) + 1) * 100_000 + 50_000
            cursor.execute("SELECT setval('public.substation_schema_serial', %s)", [first])
        with in_main():
            plan = Plan.objects.create(code="basic", name_zh="基础版", name_en="Basic", supply_level="BASIC")
        for number in range(1, SHOPS + 1):
            with in_main():
                shop = Substation(slug=f"row-{number}", name=f"Row {number}", plan=plan, owner_email="o@example.com")
                shop.schema_name = provisioning.schema_placeholder(shop.public_id)
                shop.save()
            provisioning.run(shop)
        prepare.fill_spares(lambda line: None, SPARES)
    yield name
    as_superuser(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def network(original: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    """A copy of the network, for this test alone."""
    from tenants.models import Substation

    name = f"{original}_{next(_serial)}"
    as_superuser(f"CREATE DATABASE {name} TEMPLATE {original} OWNER kameng_owner")
    monkeypatch.syspath_prepend(str(tmp_path))
    releases = Releases(tmp_path)
    with elsewhere(name):
        made = Network(name, renamed(shared_postgres().superuser_url, name), releases)
        with in_main():
            made.shops = list(Substation.objects.select_related("plan").order_by("id"))
        yield made
        releases.roll_back()
    as_superuser(f"DROP DATABASE {name} WITH (FORCE)")
