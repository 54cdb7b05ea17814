"""Posting a five-leg sale, beside single-row INSERT commits and beside django-hordak, on one server in one run.

S is the rate of single-row INSERTs, each a commit of its own: the most that this machine's disk and cores allow to a
program that commits once per thing. Every client is a process of its own; all four legs of main station and channel
are hot accounts that every sale touches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kameng.bench import _crowd
from kameng.bench._apart import Apart
from kameng.bench._common import Report, database, environment, postgres_in, say

CLIENTS = (2, 8, 16)
# Issue 2, "Speed", ledger: shares of S at 2, 8 and 16 clients; of django-hordak; of batches of 100.
ASKED_SHARES = {2: 0.40, 8: 0.30, 16: 0.25}
ASKED_HORDAK = 4.0
ASKED_BATCH = 2.5
CALLS = "kameng.bench._ledger_clients"


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in a server of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    rounds, seconds = (1, 0.2) if quick else (5, 3.0)
    with postgres_in(data_dir) as postgres:
        ours, peers = database(postgres), database(postgres, "hordak")
        say("preparing the ledger, and django-hordak's")
        with Apart(environment(ours, data_dir)) as process:
            process.call(f"{CALLS}:prepare_kameng", ours.owner)
        with Apart(environment(peers, data_dir, settings="kameng.bench._hordak_settings")) as process:
            process.call(f"{CALLS}:prepare_hordak")
            rates = process.call(f"{CALLS}:measure", ours.app, ours.owner, CLIENTS, rounds, seconds)
        report = Report("ledger", postgres, "psycopg2-binary", "django", "django-hordak")
    report.figures |= {"rounds": rounds, "seconds_each": seconds}
    return judge(report, rates)


def judge(report: Report, rates: _crowd.Rates) -> dict[str, Any]:
    """The result of these rates: sales a second by kind and number of clients, a value a round."""
    for count in CLIENTS:
        mine = {kind: values[str(count)] for kind, values in rates.items()}
        for kind, values in mine.items():
            report.figure(f"{kind}_per_s_{count}", values)
        for name, kind, beside, least in (
            ("sale as a share of S", "post", "insert", ASKED_SHARES[count]),
            ("sale beside django-hordak", "post", "hordak", ASKED_HORDAK),
            ("batch of 100, sales as a share of S", "batch", "insert", ASKED_BATCH),
        ):
            got = report.ratio(f"{kind}_to_{beside}_{count}", mine[kind], mine[beside])
            report.ask(f"{name}, {count} clients", "≥", least, got)
    return report.result()
