"""Servers for a test session: one embedded Postgres and one Redis, in a folder that is gone afterwards."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import psycopg2

from kameng.local import cluster
from kameng.local._state import FolderLock
from kameng.local.endpoint import Endpoint
from kameng.local.errors import LocalError
from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis

VARIABLE = "KAMENG_TEST_SERVERS"
PREFIX = "kameng-test-"
FRESH_S = 60


def shared_postgres() -> Endpoint:
    """The session's servers; started by the first who asks, stopped when that process ends.

    Call it before xdist starts its workers (in `pytest_configure`): they inherit the address by an environment
    variable. fsync is off, and `kameng_owner` may make databases. If the process is killed, the kernel stops
    the servers; the folder is cleared by the next session.
    """
    inherited = os.environ.get(VARIABLE)
    if inherited:
        return Endpoint(**json.loads(inherited))
    _clear_abandoned()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    postgres, redis = EmbeddedPostgres(folder, durable=False), EmbeddedRedis(folder)

    def close() -> None:
        if os.getpid() != owner:  # A fork of this process ends; the servers are not its own.
            return
        redis.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)

    owner = os.getpid()
    atexit.register(close)
    postgres.start()
    redis.start()
    endpoint = Endpoint(
        database_url=postgres.app_url,
        database_owner_url=postgres.owner_url,
        redis_url=redis.url,
        pid=owner,
        superuser_url=postgres.superuser_dsn,
    )
    allow_creating_databases(endpoint)
    os.environ[VARIABLE] = json.dumps(asdict(endpoint))
    return endpoint


def allow_creating_databases(endpoint: Endpoint) -> None:
    """Let `kameng_owner` make databases: for tests and benches, never where shops are served."""
    conn = psycopg2.connect(endpoint.superuser_url)
    try:
        with conn, conn.cursor() as cursor:
            cursor.execute(f"ALTER ROLE {cluster.OWNER} CREATEDB")
    finally:
        conn.close()


def _clear_abandoned() -> None:
    """Remove the folders of sessions that were killed: nobody holds their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if time.time() - folder.stat().st_mtime < FRESH_S:
            continue  # It may be another session, just before it takes its lock.
        lock = FolderLock(folder / "postgres" / "lock")
        try:
            lock.take("A test session")
        except (LocalError, OSError):  # Alive, another user's, or not yet as far as its lock.
            continue
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
