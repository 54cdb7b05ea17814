"""The followers (roll-up, seal, statement, sync) conclude what stands before the oldest transaction that is open anywhere in
the server, and that may be another worker's, in another database. A test that says what they have seen waits for it."""

from __future__ import annotations

import os
import time

import psycopg2

HANGS_S = 120  # A test that waits so long has hung; nothing is decided by it.


def wait_until_concluded() -> None:
    """Return when every transaction that has begun by now has ended. The caller holds none open itself."""
    conn = psycopg2.connect(os.environ["DATABASE_OWNER_URL"])
    conn.autocommit = True
    until = time.monotonic() + HANGS_S
    try:
        with conn.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text::bigint")
            (present,) = cursor.fetchone() or (0,)
            while True:
                cursor.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > %s", [present])
                if cursor.fetchone() == (True,):
                    return
                assert time.monotonic() < until, "A transaction stays open."
    finally:
        conn.close()
