"""A page with ten queries: through our backend, through django-tenants' own, and without tenancy at all.

One view, the same table and rows, three Djangos in processes of their own, each with its own database on one server and
with the middleware that its tenancy wants and no other. Statements are counted in the server's log: one entry for what one
message brought, whatever number of statements stand in it. Time is a request from the WSGI call to the closed response, on
a kept connection, in turns within a round; the ratios are made round by round.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import psycopg2

from kameng.bench._apart import Apart
from kameng.bench._common import Database, Report, database, environment, postgres_in, redis_in, say
from kameng.local.postgres import EmbeddedPostgres

QUERIES = 10
CALLS = "kameng.bench._request_pages"
# Who is measured: its settings and the host that it is asked for.
SIDES = {
    "kameng": ("kameng.bench._request_settings", "bench.localhost"),
    "django_tenants": ("kameng.bench._request_library_settings", "bench.example"),
    "no_tenancy": ("kameng.bench._request_plain_settings", "bench.example"),
}
# Issue 3, "Speed", request.
ASKED_STATEMENTS = 12
ASKED_TIME = 1.15
# An entry of the log: its line and those that go on with it, which begin with a tab.
_ENTRY = re.compile(r"LOG:  statement: (.*(?:\n\t.*)*)")
Seconds = dict[str, list[float]]
Counts = dict[str, dict[str, int]]


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in servers of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    rounds, requests = (1, 20) if quick else (25, 200)
    counts: Counts = {}
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(postgres_in(data_dir))
        redis = stack.enter_context(redis_in(data_dir))
        processes: dict[str, Apart] = {}
        for side, (settings, _host) in SIDES.items():
            say(f"{side}: its database and the page")
            base = database(postgres, f"request_{side}")
            env = environment(base, data_dir, redis=redis, settings=settings)
            with Apart(env) as process:
                process.call(f"{CALLS}:fill_{side}")
            counts[side] = _count(postgres, base, env, side)
            processes[side] = stack.enter_context(Apart(env))
        seconds = _measure(processes, rounds, requests)
        report = Report("request", postgres, "django", "django-tenants", "psycopg2-binary")
    report.figures |= {"rounds": rounds, "requests_each": requests, "queries": QUERIES}
    return judge(report, seconds, counts)


def _count(postgres: EmbeddedPostgres, base: Database, env: dict[str, str], side: str) -> dict[str, int]:
    """What one request sends, when the process has answered some already: messages, and statements within them."""
    _host = SIDES[side][1]
    with _logged(base), Apart(env) as process:
        process.call(f"{CALLS}:ask", _host, 3)
        before = postgres.log.stat().st_size
        process.call(f"{CALLS}:ask", _host, 1)
        with postgres.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(before)
            entries = _ENTRY.findall(log.read())
    return {
        "sent": len(entries),
        "statements": sum(len([part for part in text.split(";") if part.strip()]) for text in entries),
    }


@contextlib.contextmanager
def _logged(base: Database) -> Any:
    """Every message to this database in the server's log, for connections that begin now."""
    for setting in ("SET log_statement = 'all'", "RESET log_statement"):
        conn = psycopg2.connect(base.superuser)
        conn.autocommit = True
        with conn.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{conn.info.dbname}" {setting}')
        conn.close()
        if setting.startswith("SET"):
            yield


def _measure(processes: dict[str, Apart], rounds: int, requests: int) -> Seconds:
    """Milliseconds a request by side, a value a round; each round begins with another side."""
    seconds: Seconds = {side: [] for side in processes}
    sides = list(processes)
    for side in sides:
        processes[side].call(f"{CALLS}:ask", SIDES[side][1], requests)  # Warm.
    for number in range(rounds):
        if number % 5 == 0:
            say(f"round {number + 1} of {rounds}")
        shift = number % len(sides)
        for side in (*sides[shift:], *sides[:shift]):
            took = processes[side].call(f"{CALLS}:ask", SIDES[side][1], requests)
            seconds[side].append(1000 * took / requests)
    return seconds


def judge(report: Report, milliseconds: Seconds, counts: Counts) -> dict[str, Any]:
    """The result of these times, and of these counts of one request."""
    for side, found in counts.items():
        report.figures |= {f"{side}_{name}": count for name, count in found.items()}
    for side, values in milliseconds.items():
        report.figure(f"{side}_ms", values)
    got = report.ratio("kameng_to_no_tenancy", milliseconds["kameng"], milliseconds["no_tenancy"])
    report.ratio("django_tenants_to_no_tenancy", milliseconds["django_tenants"], milliseconds["no_tenancy"])
    report.ask(f"statements sent by a page with {QUERIES} queries", "≤", ASKED_STATEMENTS, counts["kameng"]["sent"])
    report.ask("its time as a share of no tenancy", "≤", ASKED_TIME, got)
    return report.result()
