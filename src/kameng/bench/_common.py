"""What every bench needs: a folder and servers of its own, an environment for its Django, and one shape of result."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import psycopg2

from kameng.lib import crypto
from kameng.local import cluster
from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis

# Of the person's environment nothing that steers a copy of Kameng reaches a bench: its figures are its own.
STEERING = ("KAMENG_", "DATABASE_", "REDIS_", "DJANGO_", "EMAIL_", "PG")


def say(text: str) -> None:
    """One line of progress. On stderr: stdout is for the result."""
    print(f"  {text}", file=sys.stderr, flush=True)


# -- A place to work ---------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def workplace(name: str) -> Iterator[Path]:
    """A new folder that is gone afterwards, with everything that still works in it; after a kill -9 of us, too.

    It is removed by a process that outlives us and waits for our end (`kameng.bench._janitor`).
    """
    folder = Path(tempfile.mkdtemp(prefix=f"kameng-bench-{name}-"))
    janitor = subprocess.Popen(
        [sys.executable, "-m", "kameng.bench._janitor", str(folder)], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        yield folder
    finally:
        assert janitor.stdin is not None
        janitor.stdin.close()
        janitor.wait()


@contextlib.contextmanager
def postgres_in(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A Postgres of its own under `folder`, as the product starts it."""
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    sockets = postgres.address.socket_dir
    try:
        yield postgres
    finally:
        postgres.stop()
        shutil.rmtree(sockets, ignore_errors=True)  # Outside of `folder` when its path is a long one.


@contextlib.contextmanager
def redis_in(folder: Path) -> Iterator[EmbeddedRedis]:
    """A Redis of its own under `folder`."""
    redis = EmbeddedRedis(folder)
    redis.start()
    try:
        yield redis
    finally:
        redis.stop()


@dataclass(frozen=True)
class Database:
    """The URLs of one database: the app's log-in, the owner's and the superuser's."""

    app: str
    owner: str
    superuser: str


def database(postgres: EmbeddedPostgres, name: str = cluster.DATABASE) -> Database:
    """The database `name` of `postgres`, made when it is missing, as closed to PUBLIC as the product's own."""
    for target, act in (("postgres", lambda conn: cluster.create_database(conn, name)), (name, _close_to_public)):
        conn = psycopg2.connect(postgres.superuser_url(target))
        try:
            act(conn)
        finally:
            conn.close()
    return Database(renamed(postgres.app_url, name), renamed(postgres.owner_url, name), postgres.superuser_url(name))


def _close_to_public(conn: Any) -> None:
    conn.autocommit = True
    cluster.prepare_database(conn)


def renamed(url: str, name: str) -> str:
    """The same URL with another database's name."""
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{name}?{query}"


def environment(
    base: Database, data: Path, *, redis: EmbeddedRedis | None = None, settings: str = "kameng.settings",
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:  # fmt: skip
    """What a process needs for a Django of its own on `base`, with its files in `data`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(STEERING)}
    return {
        **kept,
        "DATABASE_URL": base.app,
        "DATABASE_OWNER_URL": base.owner,
        "KAMENG_DATA": str(data),
        "KAMENG_SECRET_KEY": "of a bench alone, and long enough",
        "KAMENG_CODE_KEYS": crypto.fresh_ring_json(),
        "KAMENG_SPARE_SCHEMAS": "0",
        "KAMENG_LOG_LEVEL": "ERROR",
        "DJANGO_SETTINGS_MODULE": settings,
        **({"REDIS_URL": redis.url} if redis is not None else {}),
        **(more or {}),
    }


# -- The result --------------------------------------------------------------------------------------------------------


class Report:
    """Gathers what a bench found; `result` is what `kameng bench NAME --json` prints.

    Args:
        name: The bench's.
        postgres: The server that was measured, still running.
        packages: Distributions whose versions matter to the figures, beside Python and Postgres.
    """

    def __init__(self, name: str, postgres: EmbeddedPostgres, *packages: str) -> None:
        self.name = name
        self.versions: dict[str, Any] = {
            "postgres": _server_version(postgres.superuser_dsn),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            **{package: version(package) for package in packages},
        }
        self.figures: dict[str, Any] = {}
        self.ratios: dict[str, Any] = {}
        self.asked: list[dict[str, Any]] = []

    def figure(self, key: str, values: Sequence[float]) -> float:
        """Note a measured figure: the median of its rounds, and beside it their lowest and highest."""
        return _note(self.figures, key, values)

    def ratio(self, key: str, ours: Sequence[float], theirs: Sequence[float]) -> float:
        """Note a ratio, made round by round, for a machine's mood changes between rounds; answers its median."""
        return _note(self.ratios, key, [one / other for one, other in zip(ours, theirs, strict=True)])

    def ask(self, what: str, sign: Literal["≥", "≤", "<", "="], bound: float, got: float) -> None:
        """Note what the issue asks for, and whether it holds. `got` is compared as measured and shown rounded."""
        holds = {"≥": got >= bound, "≤": got <= bound, "<": got < bound, "=": got == bound}[sign]
        self.asked.append({"what": what, "asked": f"{sign} {bound:,}", "got": _short(got), "holds": holds})

    def result(self) -> dict[str, Any]:
        """{name, versions, figures, ratios, asked}, ready for JSON."""
        return {
            "name": self.name, "versions": self.versions, "figures": self.figures, "ratios": self.ratios,
            "asked": self.asked,
        }  # fmt: skip


def _note(into: dict[str, Any], key: str, values: Sequence[float]) -> float:
    middle = statistics.median(values)
    into[key] = _short(middle)
    into[f"{key}_spread"] = [_short(min(values)), _short(max(values))]
    return middle


def _short(value: float) -> float:
    """Four digits say more than a machine can repeat."""
    return value if isinstance(value, int) else float(f"{value:.4g}")


def _server_version(dsn: str) -> str:
    conn = psycopg2.connect(dsn)
    try:
        return str(conn.info.parameter_status("server_version"))
    finally:
        conn.close()
