"""Bringing 100,000 SKUs into a shop, whole and 1 % changed, beside a bare INSERT … SELECT and beside bulk_create.

All three write the same rows, of the same sources, into tables with the same indexes, each in a schema of its own of one
database; they take turns within each round, with a checkpoint before each. "Bare" is the sync's own SELECT with a plain
INSERT: no conflict to look for, no watermark, no comparison. Where 1 % changed, its tables lack exactly these rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kameng.bench._apart import Apart
from kameng.bench._common import Report, database, environment, postgres_in

SKUS = 100_000
# Issue 2, "Speed", sync: of the bare INSERT … SELECT, full and 1 % changed.
ASKED_OF_BARE = 0.8
WAYS = ("sync", "bare", "bulk_create")
AMOUNTS = {"full": "all rows", "changed": "1 % changed"}
Rates = dict[str, dict[str, list[float]]]


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in a server of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    skus, rounds = (1_000, 1) if quick else (SKUS, 7)
    with postgres_in(data_dir) as postgres:
        base = database(postgres)
        with Apart(environment(base, data_dir)) as process:
            rates = process.call("kameng.bench._sync_rounds:measure", base.superuser, skus, rounds)
        report = Report("sync", postgres, "django", "psycopg2-binary")
    report.figures |= {"skus": skus, "rounds": rounds}
    return judge(report, rates)


def judge(report: Report, rates: Rates) -> dict[str, Any]:
    """The result of these rates: rows a second by amount ("full", "changed") and way, a value a round."""
    for amount, words in AMOUNTS.items():
        for way in WAYS:
            report.figure(f"{amount}_{way}_rows_per_s", rates[amount][way])
        got = report.ratio(f"{amount}_sync_to_bare", rates[amount]["sync"], rates[amount]["bare"])
        report.ratio(f"{amount}_sync_to_bulk_create", rates[amount]["sync"], rates[amount]["bulk_create"])
        report.ask(f"{words}, as a share of a bare INSERT … SELECT", "≥", ASKED_OF_BARE, got)
    return report.result()
