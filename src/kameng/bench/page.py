"""The shop's pages beside a one-query hello page on the same server: with little stock and with much.

Two shops in two databases of one Postgres, each served by gunicorn as `make run` starts it: one with 60 listings and
10 codes per SKU, one with 100,000 listings and 100,000 codes. Every round asks all pages of both in turn, over kept
connections, a bounded number of times; the ratios are made within a round and their median counts.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import platform
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg2

from kameng.bench import _page_shop as shop
from kameng.lib import crypto
from kameng.local import cluster
from kameng.local._processes import die_with_parent
from kameng.local._state import free_port
from kameng.local.house import WEB_THREADS, WEB_WORKERS
from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis

PAGES = {"hello": "/bench/hello/", "home": "/", "product": f"/p/{shop.HOT_PRODUCT}/"}
# Issue 2, "Speed", page: shares of the hello page's rate.
ASKED = {"product": 0.30, "home": 0.15}
# "Neither slower with more stock": what two runs of the very same page differ by on a shared machine.
SAME_AT_LEAST = 0.90
CLIENTS = 4
START_S = 60.0


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in servers of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    rounds, requests = (1, 40) if quick else (15, 200)
    sizes = {"small": (60, 10), "large": (2_000, 1_000) if quick else (100_000, 100_000)}
    postgres, redis = EmbeddedPostgres(data_dir), EmbeddedRedis(data_dir)
    postgres.start()
    try:
        redis.start()
        with contextlib.ExitStack() as servers:
            ports: dict[str, int] = {}
            for number, (size, (listings, codes)) in enumerate(sizes.items()):
                env = _environment(postgres, redis, data_dir, size, number)
                _make(env, "-m", "kameng.bench._page_shop", str(listings), str(codes))
                _make(env, "-m", "django", "collectstatic", "--noinput", "--verbosity", "0", "--skip-checks")
                ports[size] = servers.enter_context(_served(env, data_dir / f"{size}.log"))
            rates, sizes_kb = _measure(ports, rounds, requests)
        server = _server_version(postgres.superuser_dsn)
    finally:
        redis.stop()
        postgres.stop()
    return _result(rates, sizes_kb, server, {"rounds": rounds, "requests_each": requests, "sizes": sizes})


def _environment(
    postgres: EmbeddedPostgres, redis: EmbeddedRedis, data_dir: Path, size: str, number: int
) -> dict[str, str]:
    """A database, a Redis number and a data folder of this size's own."""
    conn = psycopg2.connect(postgres.superuser_url("postgres"))
    try:
        cluster.create_database(conn, f"page_{size}")
    finally:
        conn.close()
    own = psycopg2.connect(postgres.superuser_url(f"page_{size}"))
    try:
        own.autocommit = True
        cluster.prepare_database(own)
    finally:
        own.close()
    data = data_dir / size
    (data / "static").mkdir(parents=True)
    return {
        **os.environ,
        "DATABASE_URL": _renamed(postgres.app_url, f"page_{size}"),
        "DATABASE_OWNER_URL": _renamed(postgres.owner_url, f"page_{size}"),
        "REDIS_URL": f"{redis.url.rsplit('/', 1)[0]}/{number}",
        "KAMENG_DATA": str(data),
        "KAMENG_SECRET_KEY": "of a bench alone, and long enough",
        "KAMENG_CODE_KEYS": crypto.fresh_ring_json(),
        "KAMENG_LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "kameng.bench._page_settings",
    }


def _renamed(url: str, database: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rsplit('/', 1)[0]}/{database}?{query}"


def _make(env: dict[str, str], *arguments: str) -> None:
    """Run one preparing step in a process of its own: it needs a Django of its own."""
    done = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(arguments)} failed:\n{(done.stdout + done.stderr)[-3000:]}")


@contextlib.contextmanager
def _served(env: dict[str, str], log: Path) -> Iterator[int]:
    """gunicorn as `kameng run` starts it (kameng.local.house), on a free port; answers the port."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "kameng.wsgi:application", "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--workers", str(WEB_WORKERS), "--threads", str(WEB_THREADS)]
    command += ["--access-logfile", str(log.with_suffix(".access")), "--error-logfile", "-", "--no-control-socket"]
    with log.open("wb") as out:
        # Nothing is left behind when the bench is killed.
        process = subprocess.Popen(
            command,
            env=env,
            stdout=out,
            stderr=out,
            preexec_fn=partial(die_with_parent, signal.SIGTERM),
        )
    try:
        _wait_for(process, port, log)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):  # Not up yet.
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("GET", PAGES["hello"], headers=_headers(port))
            if connection.getresponse().status == http.client.OK:
                return
        time.sleep(0.1)
    raise RuntimeError(f"The server did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _headers(port: int) -> dict[str, str]:
    return {"Host": f"{shop.SLUG}.localhost:{port}", "Accept-Language": "zh-CN"}


def _measure(
    ports: dict[str, int], rounds: int, requests: int
) -> tuple[dict[tuple[str, str], list[float]], dict[str, float]]:
    """Pages per second by size and page, a value a round; and each page's weight in kB."""
    # The same page of both shops one right after the other: that is the closest comparison.
    turns = [(size, page) for page in (*PAGES, "home_anew", "product_anew") for size in ports]
    rates: dict[tuple[str, str], list[float]] = {turn: [] for turn in turns}
    weights: dict[str, float] = {}
    for size, page in turns:  # Every worker has seen every page once.
        weights[page] = _ask(ports[size], page, max(requests // 4, 8 * WEB_WORKERS), "warm")[1] / 1000
    for number in range(rounds):
        for size, page in turns[number % len(turns) :] + turns[: number % len(turns)]:
            rates[size, page].append(_ask(ports[size], page, requests, str(number))[0])
    return rates, weights


def _ask(port: int, page: str, requests: int, salt: str) -> tuple[float, int]:
    """(pages per second, bytes of one) of `requests` requests by CLIENTS threads, each over one kept connection.

    "home_anew" and "product_anew" ask for an address that nobody has asked for: nothing is remembered of it.
    """
    kind, _, anew = page.partition("_")
    path = PAGES[kind]
    lengths: list[int] = []
    problems: list[BaseException] = []
    each = requests // CLIENTS

    def client(number: int) -> None:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            for turn in range(each):
                query = f"?x={salt}-{number}-{turn}" if anew else ""
                connection.request("GET", path + query, headers=_headers(port))
                response = connection.getresponse()
                body = response.read()
                if response.status != http.client.OK:
                    raise RuntimeError(f"{path} answered {response.status}")
                lengths.append(len(body))
            connection.close()
        except BaseException as error:  # Raised again by the thread that waits.
            problems.append(error)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    if problems:
        raise problems[0]
    return len(lengths) / took, lengths[-1]


def _result(
    rates: dict[tuple[str, str], list[float]], weights: dict[str, float], server: str, setting: dict[str, Any]
) -> dict[str, Any]:
    def ratio(one: tuple[str, str], other: tuple[str, str]) -> list[float]:
        """Round by round: a machine's mood changes between rounds."""
        return [mine / theirs for mine, theirs in zip(rates[one], rates[other], strict=True)]

    figures: dict[str, Any] = {**setting, "clients": CLIENTS}
    figures |= {f"{page}_kb": round(weight, 1) for page, weight in weights.items()}
    for (size, page), values in rates.items():
        figures[f"{size}_{page}_per_s"] = round(statistics.median(values), 1)
        figures[f"{size}_{page}_spread"] = _spread(values)
    ratios: dict[str, Any] = {}
    asked = []

    def note(key: str, what: str, values: list[float], least: float) -> None:
        got = ratios[key] = round(statistics.median(values), 3)
        ratios[f"{key}_spread"] = _spread(values)
        asked.append({"what": what, "asked": f"≥ {least}", "got": got, "holds": got >= least})

    for page, least in ASKED.items():
        for size in ("small", "large"):
            listings, codes = setting["sizes"][size]
            what = f"{page} page as a share of hello, {listings:,} listings, {codes:,} codes"
            note(f"{page}_to_hello_{size}", what, ratio((size, page), (size, "hello")), least)
        note(f"{page}_large_to_small", f"{page} page with much stock as a share of it with little",
             ratio(("large", page), ("small", page)), SAME_AT_LEAST)  # fmt: skip
    for page in ASKED:
        values = ratio(("large", f"{page}_anew"), ("large", "hello"))
        ratios[f"{page}_anew_to_hello_large"] = round(statistics.median(values), 3)
    versions = {
        "postgres": server,
        "python": platform.python_version(),
        "django": version("django"),
        "gunicorn": version("gunicorn"),
        "cores": os.cpu_count(),
    }
    return {"name": "page", "versions": versions, "figures": figures, "ratios": ratios, "asked": asked}


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
