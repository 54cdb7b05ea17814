"""One sale in the service layer, beside the least that any program must do for it; and 64 buyers for the last 10 codes.

Ours: the checkout's transaction (price, order, line, held code, payment attempt, its announcement) and the callback's
(receipt, guarded transition, delivered code, five legs, steps, outbox), two commits, every rule on. The least: psycopg2
alone, one commit, a statement per step: order, line, claimed code, five legs. Buyers are processes; all want one SKU.
What the channel itself costs (its HTTP, its callback's row in the inbox) and the wake-up of workers are not in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kameng.bench import _sale_buyers as buyers
from kameng.bench._apart import Apart
from kameng.bench._common import Report, database, environment, postgres_in, redis_in, say

CODES = 100_000
ASKED_SHARE = 0.3  # Issue 2, "Speed", sale.


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in servers of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    codes, rounds, seconds, last_rounds = (2_000, 1, 0.2, 2) if quick else (CODES, 5, 3.0, 1_000)
    with postgres_in(data_dir) as postgres, redis_in(data_dir) as redis:
        base = database(postgres)
        with Apart(environment(base, data_dir, redis=redis)) as process:
            measured = process.call(
                "kameng.bench._sale_buyers:measure", base.owner, codes, rounds, seconds, last_rounds
            )
        report = Report("sale", postgres, "django", "psycopg2-binary")
    report.figures |= {"rounds": rounds, "seconds_each": seconds, "codes": codes}
    return judge(report, measured)


def judge(report: Report, measured: dict[str, Any]) -> dict[str, Any]:
    """The result of what `_sale_buyers.measure` answered."""
    statements, last = measured["statements"], measured["last"]
    say(f"one sale sends {len(statements)} statements and 2 commits; the least 8 and 1")
    report.figures |= {
        "statements_of_ours": len(statements), "commits_of_ours": 2, "statements": statements, "last_codes": last,
    }  # fmt: skip
    for count in buyers.COUNTS:
        ours, least = (measured["rates"][kind][str(count)] for kind in buyers.KINDS)
        for kind, values in (("sale", ours), ("least", least)):
            report.figure(f"{kind}_per_s_{count}", values)
        got = report.ratio(f"sale_to_least_{count}", ours, least)
        report.ask(f"sale as a share of the least, {count} buyers", "≥", ASKED_SHARE, got)
    for what, key in (
        ("codes sold twice", "sold_twice"),
        ("buyers told “sold out” falsely", "falsely_sold_out"),
        ("buyers charged without a code", "charged_without_code"),
        ("buyers who got another error", "errors"),
    ):
        report.ask(f"{what}, 64 buyers for 10 codes, {last['rounds']:,} rounds", "=", 0, last[key])
    return report.result()
