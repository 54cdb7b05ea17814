"""A thousand substations: what one costs in time, relations and disk; and a burst of sign-ups while they are there.

The burst is walked over HTTP, through web and worker as `make run` starts them: each sign-up posts its mail code, asks how
it stands whenever the answer before says that it is worth it, as its page does, and opens the shop once it is live. They
arrive at a steady rate, whoever still waits; a pool of spares as large as the burst is ready, and is filled again meanwhile.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import statistics
import threading
import time
from pathlib import Path
from typing import Any

from kameng.bench._apart import Apart
from kameng.bench._common import Report, database, environment, postgres_in, redis_in, say
from kameng.bench._programs import web, worker
from kameng.local.errors import LocalError
from kameng.local.house import WEB_WORKERS

SHOPS, BURST, PER_SECOND = 1_000, 100, 10.0
ASKED_P95_S = 1.0  # Issue 3, "Speed", tenants.
PATIENCE_S = 60.0
MB = 1_000_000


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in servers of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    shops, burst, rate = (4, 3, 2.0) if quick else (SHOPS, BURST, PER_SECOND)
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(postgres_in(data_dir))
        redis = stack.enter_context(redis_in(data_dir))
        base = database(postgres)
        env = environment(
            base, data_dir, redis=redis, settings="kameng.bench._tenants_settings",
            more={"KAMENG_SPARE_SCHEMAS": str(burst)},
        )  # fmt: skip
        (data_dir / "static").mkdir()
        with Apart(env) as process:
            cost = process.call("kameng.bench._tenants_rounds:build", shops, base.superuser)
            waiting = process.call("kameng.bench._tenants_rounds:apply", burst, burst)
            process.call("django.core.management:call_command", "collectstatic", "--noinput", "--verbosity=0")
        workers = 1 if quick else WEB_WORKERS
        port = stack.enter_context(web(env, data_dir / "web.log", workers=workers, ready=_answers))
        stack.enter_context(worker(env, data_dir / "worker.log"))
        _warm(port)
        waits = _burst(port, waiting, rate)
        report = Report("tenants", postgres, "django", "django-tenants", "celery", "gunicorn")
    report.figures |= {"substations": shops, "burst": burst, "arrivals_per_s": rate}
    return judge(report, cost, waits)


def judge(report: Report, cost: dict[str, float], waits: list[float]) -> dict[str, Any]:
    """The result of what one substation costs and how long each of the burst waited, in seconds."""
    waits = sorted(waits)
    p95 = waits[math.ceil(len(waits) * 0.95) - 1]  # All but one in twenty waited no longer.
    report.figures |= {
        "one_ms_first_tenth": round(cost["first_ms"], 1),
        "one_ms_last_tenth": round(cost["last_ms"], 1),
        "one_relations": round(cost["relations"], 1),
        "one_disk_mb": round(cost["disk_bytes"] / MB, 2),
        "signup_s_median": round(statistics.median(waits), 3),
        "signup_s_p95": round(p95, 3),
        "signup_s_longest": round(waits[-1], 3),
    }
    report.ratios |= {"last_tenth_to_first": round(cost["last_ms"] / cost["first_ms"], 3)}
    report.ask(
        "from the mail code's POST to the live shop's first page, p95 of the burst, seconds", "<", ASKED_P95_S, p95
    )
    return report.result()


def _burst(port: int, waiting: list[dict[str, str]], rate: float) -> list[float]:
    """Seconds that each sign-up took, from its POST to its shop's first page."""
    say(f"{len(waiting)} sign-ups, {rate:.0f} a second")
    waits: list[float] = []
    problems: list[BaseException] = []

    def one(row: dict[str, str], at: float) -> None:
        try:
            time.sleep(max(0.0, at - time.perf_counter()))
            began = time.perf_counter()
            _sign_up(port, row, began)
            waits.append(time.perf_counter() - began)
        except BaseException as error:  # Raised again by the thread that waits.
            problems.append(error)

    start = time.perf_counter() + 0.5
    threads = [
        threading.Thread(target=one, args=(row, start + number / rate), daemon=True)
        for number, row in enumerate(waiting)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return waits


def _sign_up(port: int, row: dict[str, str], began: float) -> None:
    path = f"/api/v1/signups/{row['id']}/"
    headers = {"X-Signup-Token": row["token"], "Content-Type": "application/json", "Host": f"localhost:{port}"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
        state = _json(connection, "POST", path + "verify/", headers, json.dumps({"code": row["code"]}))
        while state["state"] != "LIVE":
            if time.perf_counter() - began > PATIENCE_S:
                raise LocalError(f"{row['slug']} is {state['state']} after {PATIENCE_S:.0f} s.")
            time.sleep(state["ask_again_ms"] / 1000)
            state = _json(connection, "GET", path, headers, None)
        connection.request("GET", "/", headers={"Host": f"{row['slug']}.localhost:{port}"})
        response = connection.getresponse()
        response.read()
        if response.status != http.client.OK:
            raise LocalError(f"The new shop {row['slug']} answered {response.status}.")


def _json(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: str | None
) -> dict[str, Any]:
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    text = response.read()
    if response.status != http.client.OK:
        raise LocalError(f"{method} {path} answered {response.status}: {text[:300]!r}")
    return dict(json.loads(text))


def _warm(port: int) -> None:
    """Every worker has answered once, and has its connections."""
    for number in range(8 * WEB_WORKERS):
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
            connection.request("GET", "/", headers={"Host": f"shop-{number % 4 + 1}.localhost:{port}"})
            connection.getresponse().read()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError, http.client.HTTPException):  # Not up yet.
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/healthz", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == http.client.OK
    return False
