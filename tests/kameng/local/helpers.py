"""What the tests of the launcher share: asking a server, making a zombie, waiting for an end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg2

WAIT_S = 30.0  # For what ends in a moment; a machine under load takes longer.


def query(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement in its own connection; its rows, or none."""
    conn = psycopg2.connect(url)
    try:
        with conn, conn.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        conn.close()


def can_connect(url: str) -> bool:
    """Whether the server answers now."""
    try:
        psycopg2.connect(url).close()
    except psycopg2.OperationalError:
        return False
    return True


def eventually(condition: Callable[[], bool]) -> bool:
    """Ask until it holds; False when it does not within `WAIT_S`. For other processes' doing only."""
    deadline = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.02)
    return True


def all_gone(pids: Iterable[int]) -> bool:
    """Wait until none of the processes runs; a zombie has ended. False when one still runs after `WAIT_S`."""
    processes = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    _gone, alive = psutil.wait_procs(processes, timeout=WAIT_S)
    return all(process.status() == psutil.STATUS_ZOMBIE for process in alive if process.is_running())


def family(pid: int) -> list[int]:
    """A process and everything below it."""
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


@contextmanager
def zombie() -> Iterator[int]:
    """The number of a process that has ended and was not waited for."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert psutil.Process(child.pid).status() == psutil.STATUS_ZOMBIE
    yield child.pid
    child.wait()
