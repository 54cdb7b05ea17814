"""Web and worker of a bench, started as `make run` starts them (`kameng.local.house`), on the bench's own servers."""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kameng.local._state import free_port
from kameng.local.house import WEB_THREADS, WORKER_THREADS, worker_answers
from kameng.local.supervisor import Process

WAIT_S = 120.0


@contextlib.contextmanager
def web(env: Mapping[str, str], log: Path, *, workers: int, ready: Callable[[int], bool]) -> Iterator[int]:
    """gunicorn on a free port, until `ready(port)`; answers the port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "kameng.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--workers", str(workers), "--threads", str(WEB_THREADS)]
    command += ["--access-logfile", str(log.with_suffix(".access")), "--error-logfile", "-", "--no-control-socket"]
    server = Process("web", command, env, log, ready=lambda: ready(port), mark=str(log.parent))
    try:
        server.start()
        yield port
    finally:
        server.stop()


@contextlib.contextmanager
def worker(env: Mapping[str, str], log: Path) -> Iterator[None]:
    """Celery's worker, until it takes messages."""
    name = f"bench-{os.getpid()}@{socket.gethostname()}"
    command = [sys.executable, "-m", "celery", "-A", "kameng.celery", "worker", "--pool=threads"]
    command += [f"--concurrency={WORKER_THREADS}", "--loglevel=WARNING", f"--hostname={name}"]
    ready = functools.partial(worker_answers, env["REDIS_URL"], name)
    process = Process("worker", command, env, log, ready=ready, ready_wait_s=WAIT_S, mark=str(log.parent))
    try:
        process.start()
        yield
    finally:
        process.stop()
