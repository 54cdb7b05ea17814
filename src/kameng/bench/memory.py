"""What one kept connection costs after 500 shops: of the Postgres backend behind it, and of the program in front.

A backend keeps what it has looked up of every table that it saw. The rule (`kameng.db.backend.base.MOST_SCHEMAS`) gives a
connection up after so many schemas; the same walk through all shops is made without the rule and with it, in a process and on
connections of its own each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kameng.bench._apart import Apart
from kameng.bench._common import Report, database, environment, postgres_in, redis_in, say

CALLS = "kameng.bench._memory_shops"
# Issue 3, "Speed": bounded. Without the rule it grows with every shop; with it, it must stay below half of that.
ASKED_SHARE = 0.5
NO_RULE = 1_000_000
Walks = dict[str, dict[str, float]]


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in servers of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    shops, most = (12, 4) if quick else (500, 0)
    with postgres_in(data_dir) as postgres, redis_in(data_dir) as redis:
        env = environment(database(postgres), data_dir, redis=redis)
        with Apart(env) as process:
            say(f"{shops} shops")
            process.call(f"{CALLS}:fill", shops)
        walks: Walks = {}
        for name, limit in (("without", NO_RULE), ("with", most)):
            say(f"a walk through all of them, {name} the rule")
            with Apart(env) as process:
                walks[name] = process.call(f"{CALLS}:walk", shops, limit)
        report = Report("memory", postgres, "django", "psycopg2-binary")
    report.figures |= {"shops": shops}
    return judge(report, walks)


def judge(report: Report, walks: Walks) -> dict[str, Any]:
    """The result of these walks: megabytes of a backend at its largest and of the program, and connections used."""
    for name, found in walks.items():
        report.figures |= {f"{name}_{what}": round(value, 1) for what, value in found.items()}
    got = report.ratio("backend_with_to_without", [walks["with"]["backend_mb"]], [walks["without"]["backend_mb"]])
    report.ask("a backend's memory with the rule as a share of it without", "≤", ASKED_SHARE, got)
    return report.result()
