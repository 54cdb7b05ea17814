"""Two connections at once, in an order that a test decides: no sleeping, no luck."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import psycopg2
from django.db import connection, connections

WAIT_S = 120  # Who waits so long has hung; nothing is decided by it.


class Runner(threading.Thread):
    """Runs `work` in a thread with a connection of its own; `result()` is what it answered or raised."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._value: Any = None
        self._error: BaseException | None = None
        self.pid = 0
        self._connected = threading.Event()
        self.start()

    def run(self) -> None:
        try:
            connection.ensure_connection()
            self.pid = connection.connection.info.backend_pid
            self._connected.set()
            self._value = self._work()
        except BaseException as error:
            self._error = error
        finally:
            self._connected.set()
            connections.close_all()

    def wait_until_blocked(self) -> None:
        """Return once its connection waits for another's lock. Fails when it ends without having waited."""
        assert self._connected.wait(WAIT_S)
        watcher = psycopg2.connect(os.environ["DATABASE_OWNER_URL"])
        watcher.autocommit = True
        try:
            with watcher.cursor() as cursor:
                while self.is_alive():
                    cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [self.pid])
                    if cursor.fetchone()[0]:
                        return
        finally:
            watcher.close()
        raise AssertionError(f"It never waited; it ended with {self._error or self._value!r}.")

    def result(self) -> Any:
        self.join(WAIT_S)
        assert not self.is_alive(), "It hangs."
        if self._error is not None:
            raise self._error
        return self._value


def all_at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """Run them from a common start; answers results and errors in order."""
    gate = threading.Barrier(len(works))

    def held(work: Callable[[], Any]) -> Callable[[], Any]:
        def run() -> Any:
            gate.wait(WAIT_S)
            return work()

        return run

    runners = [Runner(held(work)) for work in works]
    answers: list[Any] = []
    for runner in runners:
        try:
            answers.append(runner.result())
        except Exception as error:
            answers.append(error)
    return answers
