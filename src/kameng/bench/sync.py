"""Bringing 100,000 SKUs into a shop, whole and 1 % changed, beside a bare INSERT … SELECT and beside bulk_create.

All three write the same rows, of the same sources, into tables with the same indexes, each in a schema of its own of one
database; they take turns within each round, with a checkpoint before each. "Bare" is the sync's own SELECT with a plain
INSERT: no conflict to look for, no watermark, no comparison. Where 1 % changed, its tables lack exactly these rows.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg2

from kameng.lib import crypto
from kameng.local import cluster
from kameng.local._processes import die_with_parent
from kameng.local.postgres import EmbeddedPostgres

SKUS = 100_000
# Issue 2, "Speed", sync: of the bare INSERT … SELECT, full and 1 % changed.
ASKED_OF_BARE = 0.8
WAYS = ("sync", "bare", "bulk_create")


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in a server of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    skus, rounds = (2_000, 1) if quick else (SKUS, 7)
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    try:
        measured = in_process(postgres, data_dir, "kameng.bench._sync_rounds", str(skus), str(rounds))
        server = server_version(postgres)
    finally:
        postgres.stop()
    return _result(measured, server, skus, rounds)


def in_process(postgres: EmbeddedPostgres, data_dir: Path, module: str, *arguments: str, settings: str = "") -> Any:
    """Run a module of measurements in a process with a Django of its own; its last line is its answer, in JSON."""
    own = psycopg2.connect(postgres.superuser_url("kameng"))
    try:
        own.autocommit = True
        cluster.prepare_database(own)
    finally:
        own.close()
    env = {
        **os.environ,
        "DATABASE_URL": postgres.app_url,
        "DATABASE_OWNER_URL": postgres.owner_url,
        "KAMENG_SUPERUSER_URL": postgres.superuser_url("kameng"),
        "KAMENG_DATA": str(data_dir),
        "KAMENG_SECRET_KEY": "bench",
        "KAMENG_CODE_KEYS": crypto.fresh_ring_json(),
        "KAMENG_SPARE_SCHEMAS": "0",
        "DJANGO_SETTINGS_MODULE": settings or "kameng.settings",
        "KAMENG_LOG_LEVEL": "ERROR",
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], env=env, stdout=subprocess.PIPE, text=True, check=True,
        preexec_fn=partial(die_with_parent, signal.SIGTERM),
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def server_version(postgres: EmbeddedPostgres) -> str:
    """As the server says it."""
    conn = psycopg2.connect(postgres.superuser_dsn)
    try:
        with conn.cursor() as cursor:
            cursor.execute("SHOW server_version")
            return str(cursor.fetchone()[0])  # type: ignore[index]
    finally:
        conn.close()


def spread(values: list[float]) -> str:
    """The lowest and the highest of a figure's rounds."""
    return f"{min(values):.3g} – {max(values):.3g}"


def _result(measured: dict[str, dict[str, list[float]]], server: str, skus: int, rounds: int) -> dict[str, Any]:
    """`measured`: rows per second by amount ("full", "changed") and way, a value a round."""
    figures: dict[str, Any] = {"skus": skus, "rounds": rounds}
    ratios: dict[str, Any] = {}
    asked = []
    for amount, rates in measured.items():
        for way in WAYS:
            figures[f"{amount}_{way}_rows_per_s"] = round(statistics.median(rates[way]))
            figures[f"{amount}_{way}_spread"] = spread(rates[way])
        for beside in WAYS[1:]:
            shares = [one / other for one, other in zip(rates["sync"], rates[beside], strict=True)]
            ratios[f"{amount}_sync_to_{beside}"] = round(statistics.median(shares), 3)
            ratios[f"{amount}_sync_to_{beside}_spread"] = spread(shares)
        got = ratios[f"{amount}_sync_to_bare"]
        asked.append(
            {
                "what": f"{'all rows' if amount == 'full' else '1 % changed'}, as a share of a bare INSERT … SELECT",
                "asked": f"≥ {ASKED_OF_BARE}",
                "got": got,
                "holds": got >= ASKED_OF_BARE,
            }
        )
    versions = {
        "postgres": server,
        "python": platform.python_version(),
        "django": version("django"),
        "psycopg2": version("psycopg2-binary"),
        "cores": os.cpu_count(),
    }
    return {"name": "sync", "versions": versions, "figures": figures, "ratios": ratios, "asked": asked}
