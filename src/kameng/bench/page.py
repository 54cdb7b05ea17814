"""The shop's pages beside a one-query hello page on the same server: with little stock and with much.

Two shops in two databases of one Postgres, each served by gunicorn as `make run` starts it: one with 60 listings and
10 codes of each SKU, one with 100,000 listings and 100,000 codes of each of the 60 SKUs that are on its home page. Every
round asks all pages of both in turn, over kept connections, a bounded number of times; the ratios are made within a
round and their median counts.
"""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kameng.bench import _page_shop as shop
from kameng.bench._apart import Apart
from kameng.bench._common import Report, database, environment, postgres_in, redis_in, say
from kameng.bench._programs import web
from kameng.local.errors import LocalError
from kameng.local.house import WEB_WORKERS
from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis

PAGES = {"hello": "/bench/hello/", "home": "/", "product": f"/p/{shop.HOT_PRODUCT}/"}
# The same pages at addresses that nobody has asked for: nothing is remembered of them.
ANEW = ("home_anew", "product_anew")
# Issue 2, "Speed", page: shares of the hello page's rate.
ASKED = {"product": 0.30, "home": 0.15}
# "Neither slower with more stock": what two runs of the very same page differ by on a shared machine.
SAME_AT_LEAST = 0.90
CLIENTS = 4
# Pages a second by size of shop and page, a value a round.
Rates = dict[str, dict[str, list[float]]]
Sizes = dict[str, tuple[int, int]]


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in servers of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    rounds, requests, workers = (1, 16, 1) if quick else (15, 200, WEB_WORKERS)
    sizes: Sizes = {"small": (60, 10), "large": (200, 50) if quick else (100_000, 100_000)}
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(postgres_in(data_dir))
        redis = stack.enter_context(redis_in(data_dir))
        (data_dir / "static").mkdir()
        ports = {}
        for number, (size, (listings, codes)) in enumerate(sizes.items()):
            env = _environment(postgres, redis, data_dir, size, number)
            say(f"a shop with {listings:,} listings, {codes:,} codes of each SKU of its home page")
            with Apart(env) as process:
                process.call("kameng.bench._page_shop:fill", listings, codes)
                if number == 0:  # The files are the same ones for both.
                    process.call("django.core.management:call_command", "collectstatic", "--noinput", "--verbosity=0")
            served = web(env, data_dir / f"{size}.log", workers=workers, ready=_answers)
            ports[size] = stack.enter_context(served)
        rates, weights = _measure(ports, rounds, requests, workers)
        report = Report("page", postgres, "django", "gunicorn")
    report.figures |= {"rounds": rounds, "requests_each": requests, "clients": CLIENTS, "sizes": sizes}
    return judge(report, rates, weights, sizes)


def _environment(
    postgres: EmbeddedPostgres, redis: EmbeddedRedis, data_dir: Path, size: str, number: int
) -> dict[str, str]:
    """A database and a Redis number of this size's own."""
    return environment(
        database(postgres, f"page_{size}"),
        data_dir,
        settings="kameng.bench._page_settings",
        more={"REDIS_URL": f"{redis.url.rsplit('/', 1)[0]}/{number}"},
    )


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):  # Not up yet.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", PAGES["hello"], headers=_headers(port))
        return connection.getresponse().status == http.client.OK
    return False


def _headers(port: int) -> dict[str, str]:
    return {"Host": f"{shop.SLUG}.localhost:{port}", "Accept-Language": "zh-CN"}


def _measure(ports: dict[str, int], rounds: int, requests: int, workers: int) -> tuple[Rates, dict[str, float]]:
    """The rates, and each page's weight in kB."""
    # The same page of both shops one right after the other: that is the closest comparison.
    turns = [(size, page) for page in (*PAGES, *ANEW) for size in ports]
    rates: Rates = {size: {page: [] for page in (*PAGES, *ANEW)} for size in ports}
    weights: dict[str, float] = {}
    for size, page in turns:  # Every worker has seen every page once.
        weights[page] = _ask(ports[size], page, max(requests // 4, 8 * workers), "warm")[1] / 1000
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}")
        shift = number % len(turns)
        for size, page in (*turns[shift:], *turns[:shift]):
            rates[size][page].append(_ask(ports[size], page, requests, str(number))[0])
    return rates, weights


def _ask(port: int, page: str, requests: int, salt: str) -> tuple[float, int]:
    """(pages per second, bytes of one) of `requests` requests by CLIENTS threads, each over one kept connection."""
    kind, _, anew = page.partition("_")
    path = PAGES[kind]
    lengths: list[int] = []
    problems: list[BaseException] = []
    each = requests // CLIENTS

    def client(number: int) -> None:
        try:
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                for turn in range(each):
                    query = f"?x={salt}-{number}-{turn}" if anew else ""
                    connection.request("GET", path + query, headers=_headers(port))
                    response = connection.getresponse()
                    body = response.read()
                    if response.status != http.client.OK:
                        raise LocalError(f"{path} answered {response.status}")
                    lengths.append(len(body))
        except BaseException as error:  # Raised again by the thread that waits.
            problems.append(error)

    threads = [threading.Thread(target=client, args=(number,), daemon=True) for number in range(CLIENTS)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - start
    if problems:
        raise problems[0]
    return len(lengths) / took, lengths[-1]


def judge(report: Report, rates: Rates, weights: Mapping[str, float], sizes: Sizes) -> dict[str, Any]:
    """The result of these rates."""
    report.figures |= {f"{page}_kb": round(weight, 1) for page, weight in weights.items()}
    for size, pages in rates.items():
        for page, values in pages.items():
            report.figure(f"{size}_{page}_per_s", values)
    for page, least in ASKED.items():
        for size, (listings, codes) in sizes.items():
            got = report.ratio(f"{page}_to_hello_{size}", rates[size][page], rates[size]["hello"])
            what = f"{page} page as a share of hello, {listings:,} listings, {codes:,} codes per SKU"
            report.ask(what, "≥", least, got)
        got = report.ratio(f"{page}_large_to_small", rates["large"][page], rates["small"][page])
        report.ask(f"{page} page with much stock as a share of it with little", "≥", SAME_AT_LEAST, got)
    for page in ANEW:
        report.ratio(f"{page}_to_hello_large", rates["large"][page], rates["large"]["hello"])
    return report.result()
