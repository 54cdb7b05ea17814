"""Posting a five-leg sale, beside single-row INSERT commits and beside django-hordak, on one server in one run.

S is the rate of single-row INSERTs, each a commit of its own: the most that this machine's disk and cores allow to a
program that commits once per thing. Every client is a process of its own; all four legs of main station and channel
are hot accounts that every sale touches.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
import time
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg2

from kameng.bench import _ledger_clients as clients
from kameng.local import cluster
from kameng.local.postgres import EmbeddedPostgres

CLIENTS = (2, 8, 16)
KINDS = ("insert", "post", "batch", "hordak")
# Issue 2, "Speed", ledger: shares of S at 2, 8 and 16 clients; of django-hordak; of batches of 100.
ASKED_SHARES = {2: 0.40, 8: 0.30, 16: 0.25}
ASKED_HORDAK = 4.0
ASKED_BATCH = 2.5
HORDAK_DATABASE = "hordak"
_spawn = multiprocessing.get_context("spawn")


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in a server of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    rounds, seconds = (1, 0.5) if quick else (5, 3.0)
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    try:
        addresses = _prepare(postgres, data_dir)
        rates = _measure(addresses, rounds, seconds)
        server = _server_version(postgres.superuser_dsn)
    finally:
        postgres.stop()
    return _result(rates, server, rounds, seconds)


def _prepare(postgres: EmbeddedPostgres, data_dir: Path) -> clients.Addresses:
    """The product's database as `kameng db prepare` makes it, and hordak's own beside it."""
    addresses = clients.Addresses(
        app=postgres.app_url, owner=postgres.owner_url, hordak=_renamed(postgres.owner_url, HORDAK_DATABASE)
    )
    conn = psycopg2.connect(postgres.superuser_url("postgres"))
    try:
        cluster.create_database(conn, HORDAK_DATABASE)
    finally:
        conn.close()
    for step in (clients.prepare_kameng, clients.prepare_hordak):  # Two Djangos: each in a process of its own.
        worker = _spawn.Process(target=step, args=(addresses, str(data_dir)))
        worker.start()
        worker.join()
        if worker.exitcode != 0:
            raise RuntimeError(f"{step.__name__} failed.")
    return addresses


def _renamed(url: str, database: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{database}?{query}"


def _measure(addresses: clients.Addresses, rounds: int, seconds: float) -> dict[tuple[str, int], list[float]]:
    """Things per second by kind and number of clients, a value a round. The kinds take turns within each round."""
    pipes: list[Connection] = []
    workers = []
    rates: dict[tuple[str, int], list[float]] = {(kind, count): [] for kind in KINDS for count in CLIENTS}
    try:
        for number in range(max(CLIENTS)):
            ours, theirs = _spawn.Pipe()
            worker = _spawn.Process(target=clients.serve, args=(number, addresses, theirs), daemon=True)
            worker.start()
            theirs.close()
            workers.append(worker)
            pipes.append(ours)
        for pipe in pipes:
            pipe.recv()  # Ready.
        for kind in KINDS:  # Plans, caches, first pages.
            _together(pipes[:2], kind, min(seconds, 0.5))
        for turn in range(rounds):
            for count in CLIENTS:
                for kind in KINDS[turn % len(KINDS) :] + KINDS[: turn % len(KINDS)]:
                    rates[kind, count].append(_together(pipes[:count], kind, seconds))
    finally:
        for pipe in pipes:
            pipe.close()  # The clients end when nobody talks to them.
        for worker in workers:
            worker.join(10)
    return rates


def _together(pipes: list[Connection], kind: str, seconds: float) -> float:
    start = time.monotonic() + 0.1  # One clock for all processes of a machine.
    for pipe in pipes:
        pipe.send((kind, start, seconds))
    answers = [pipe.recv() for pipe in pipes]
    return float(sum(done for done, _ in answers) / (max(end for _, end in answers) - start))


def _result(rates: dict[tuple[str, int], list[float]], server: str, rounds: int, seconds: float) -> dict[str, Any]:
    def ratio(kind: str, beside: str, count: int) -> list[float]:
        """Round by round, for a machine's mood changes between rounds."""
        return [one / other for one, other in zip(rates[kind, count], rates[beside, count], strict=True)]

    figures: dict[str, Any] = {"rounds": rounds, "seconds_each": seconds}
    ratios: dict[str, Any] = {}
    asked = []
    for count in CLIENTS:
        for kind in KINDS:
            figures[f"{kind}_per_s_{count}"] = round(statistics.median(rates[kind, count]), 1)
            figures[f"{kind}_spread_{count}"] = _spread(rates[kind, count])
        for name, kind, beside, least in (
            ("sale as a share of S", "post", "insert", ASKED_SHARES[count]),
            ("sale beside django-hordak", "post", "hordak", ASKED_HORDAK),
            ("batch of 100, sales as a share of S", "batch", "insert", ASKED_BATCH),
        ):
            got = round(statistics.median(ratio(kind, beside, count)), 3)
            ratios[f"{kind}_to_{beside}_{count}"] = got
            ratios[f"{kind}_to_{beside}_{count}_spread"] = _spread(ratio(kind, beside, count))
            asked.append({"what": f"{name}, {count} clients", "asked": f"≥ {least}", "got": got, "holds": got >= least})
    versions = {
        "postgres": server,
        "python": platform.python_version(),
        "psycopg2": version("psycopg2-binary"),
        "django-hordak": version("django-hordak"),
        "cores": os.cpu_count(),
    }
    return {"name": "ledger", "versions": versions, "figures": figures, "ratios": ratios, "asked": asked}


def _spread(values: list[float]) -> str:
    return f"{min(values):.3g} – {max(values):.3g}"


def _server_version(dsn: str) -> str:
    conn = psycopg2.connect(dsn)
    try:
        with conn.cursor() as cursor:
            cursor.execute("SHOW server_version")
            row = cursor.fetchone()
            assert row is not None
            return str(row[0])
    finally:
        conn.close()
