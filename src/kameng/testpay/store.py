"""The test channel's own state: one SQLite file, written in short transactions, good after kill -9.

Times are Unix seconds as REAL. Amounts are integers in minor units. Nothing here decides; see `channel` and `notices`.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS payment (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    merchant_payment_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    request TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    currency TEXT NOT NULL,
    notify_url TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('PENDING', 'PAID', 'FAILED', 'CANCELLED', 'EXPIRED')),
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    UNIQUE (account, merchant_payment_id)
);
CREATE INDEX IF NOT EXISTS payment_open ON payment (expires_at) WHERE status = 'PENDING';
CREATE INDEX IF NOT EXISTS payment_newest ON payment (created_at);
CREATE TABLE IF NOT EXISTS fact (
    id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment (id),
    account TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('PAID', 'REFUNDED')),
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    fee_minor INTEGER NOT NULL,
    method TEXT NOT NULL,
    refund_id TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS fact_payment ON fact (payment_id);
CREATE INDEX IF NOT EXISTS fact_day ON fact (account, at);
CREATE TABLE IF NOT EXISTS refund (
    id TEXT PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment (id),
    account TEXT NOT NULL,
    merchant_refund_id TEXT NOT NULL,
    digest TEXT NOT NULL,
    amount_minor INTEGER NOT NULL CHECK (amount_minor > 0),
    reason TEXT NOT NULL,
    created_at REAL NOT NULL,
    UNIQUE (account, merchant_refund_id)
);
CREATE TABLE IF NOT EXISTS settling (
    id INTEGER PRIMARY KEY,
    payment_id TEXT NOT NULL REFERENCES payment (id),
    amount_minor INTEGER NOT NULL,
    method TEXT NOT NULL,
    due_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS switches (
    payment_id TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS notice (
    seq INTEGER PRIMARY KEY,
    event_id TEXT NOT NULL UNIQUE,
    payment_id TEXT NOT NULL REFERENCES payment (id),
    type TEXT NOT NULL,
    body BLOB NOT NULL,
    created_at REAL NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('PENDING', 'DONE', 'GAVE_UP', 'DROPPED')),
    wanted INTEGER NOT NULL,
    answered INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    next_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS notice_due ON notice (next_at) WHERE state = 'PENDING';
CREATE INDEX IF NOT EXISTS notice_payment ON notice (payment_id);
CREATE TABLE IF NOT EXISTS attempt (
    id INTEGER PRIMARY KEY,
    notice_seq INTEGER NOT NULL REFERENCES notice (seq),
    at REAL NOT NULL,
    status INTEGER NOT NULL,
    answer TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS attempt_notice ON attempt (notice_seq);
CREATE TABLE IF NOT EXISTS nonce (
    account TEXT NOT NULL,
    nonce TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (account, nonce)
) WITHOUT ROWID;
"""


class Store:
    """A connection shared by the server's threads; a lock makes each transaction the only one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(folder / "testpay.sqlite3", isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute(
            "PRAGMA synchronous = NORMAL"
        )  # Safe against kill -9; the last second, not power loss.
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and alone. Inside another transaction it joins that one."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Execute a writing statement; the number of rows it changed."""
        with self._lock:
            return self._connection.execute(sql, parameters).rowcount

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Every row of a query."""
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        found = self.rows(sql, parameters)
        return found[0] if found else None

    def close(self) -> None:
        """Close the file; the next start needs no repair even without this."""
        with self._lock:
            self._connection.close()
