"""A thousand schemas and a deployment: one that changes nothing, and one that adds a column, beside django-tenants.

All in one server of its own. The schemas are made by the product's script. `kameng migrate` is timed as a person runs it
(the whole command) where nothing is to do; the AddField rounds time the fan-out, several releases one after the other.
Then django-tenants' own executor takes the same kind of release on a sample of the same schemas, which are given the
`django_migrations` table that it needs.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg2

from kameng.lib import crypto
from kameng.local import cluster
from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis

SCHEMAS = 1000
# Issue 3, "Speed", migrate.
ASKED_NOOP_S = 1.0
ASKED_MS = 8.0
ASKED_RATIO = 40


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in servers of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    schemas, rounds, sample = (20, 2, 2) if quick else (SCHEMAS, 3, 10)
    postgres, redis = EmbeddedPostgres(data_dir), EmbeddedRedis(data_dir)
    postgres.start()
    try:
        redis.start()
        own = psycopg2.connect(postgres.superuser_url("kameng"))
        try:
            own.autocommit = True
            cluster.prepare_database(own)
            with own.cursor() as cursor:
                cursor.execute("SHOW server_version")
                server = str(cursor.fetchone()[0])  # type: ignore[index]
        finally:
            own.close()
        for folder in ("releases", "data"):
            (data_dir / folder).mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "kameng.bench._migrate_rounds", str(schemas), str(rounds), str(sample)],
            env=_environment(postgres, redis, data_dir), stdout=subprocess.PIPE, text=True, check=True,
        )  # fmt: skip
    finally:
        redis.stop()
        postgres.stop()
    return _result(json.loads(done.stdout.splitlines()[-1]), server, {"schemas": schemas, "sample": sample})


def _environment(postgres: EmbeddedPostgres, redis: EmbeddedRedis, data_dir: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DATABASE_URL": postgres.app_url,
        "DATABASE_OWNER_URL": postgres.owner_url,
        "REDIS_URL": redis.url,
        "KAMENG_DATA": str(data_dir / "data"),  # A copy that has no secrets yet.
        "KAMENG_SECRET_KEY": "of a bench alone, and long enough",
        "KAMENG_CODE_KEYS": crypto.fresh_ring_json(),
        "KAMENG_SPARE_SCHEMAS": "0",
        "KAMENG_LOG_LEVEL": "ERROR",
        "KAMENG_BENCH_RELEASES": str(data_dir / "releases"),
        "DJANGO_SETTINGS_MODULE": "kameng.bench._migrate_settings",
    }


def _result(measured: dict[str, list[float]], server: str, setting: dict[str, Any]) -> dict[str, Any]:
    """`measured`: the values of each figure, a value a round."""
    figures: dict[str, Any] = dict(setting)
    for name, values in measured.items():
        figures[name] = round(statistics.median(values), 4)
        figures[f"{name}_spread"] = f"{min(values):.3g} – {max(values):.3g}"
    ratio = statistics.median(measured["library_ms"]) / statistics.median(measured["add_field_ms"])
    asked = [
        _asked("a deployment that changes nothing, the whole command", f"< {ASKED_NOOP_S} s",
               figures["noop_command_s"], figures["noop_command_s"] < ASKED_NOOP_S),
        _asked("AddField, a schema", f"≤ {ASKED_MS} ms", figures["add_field_ms"], figures["add_field_ms"] <= ASKED_MS),
        _asked("AddField, times as fast as django-tenants' executor", f"≥ {ASKED_RATIO}", round(ratio, 1),
               ratio >= ASKED_RATIO),
    ]  # fmt: skip
    versions = {
        "postgres": server,
        "python": platform.python_version(),
        "django": version("django"),
        "django-tenants": version("django-tenants"),
        "psycopg2": version("psycopg2-binary"),
        "cores": os.cpu_count(),
    }
    ratios = {"library_to_ours": round(ratio, 1)}
    return {"name": "migrate", "versions": versions, "figures": figures, "ratios": ratios, "asked": asked}


def _asked(what: str, asked: str, got: float, holds: bool) -> dict[str, Any]:
    return {"what": what, "asked": asked, "got": got, "holds": holds}
