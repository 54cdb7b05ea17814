"""One sale in the service layer, beside the least that any program must do for it; and 64 buyers for the last 10 codes.

Ours: the checkout's transaction (price, order, line, held code, payment attempt, its announcement) and the callback's
(receipt, guarded transition, delivered code, five legs, steps, outbox), two commits, every rule on. The least: psycopg2
alone, one commit, a statement per step: order, line, claimed code, five legs. Buyers are processes; all want one SKU.
What the channel itself costs (its HTTP, its callback's row in the inbox) and the wake-up of workers are not in it.
"""

from __future__ import annotations

import multiprocessing
import os
import platform
import statistics
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg2

from kameng.bench import _sale_buyers as buyers
from kameng.local.postgres import EmbeddedPostgres

ASKED_SHARE = 0.3  # Issue 2, "Speed", sale.
_spawn = multiprocessing.get_context("spawn")


def run(data_dir: Path, quick: bool = False) -> dict[str, Any]:
    """Measure in a server of its own under `data_dir`; answers {name, versions, figures, ratios, asked}."""
    plan = buyers.Plan(rounds=1, seconds=0.5, last_rounds=20) if quick else buyers.Plan(rounds=5, seconds=3.0)
    postgres = EmbeddedPostgres(data_dir)
    postgres.start()
    try:
        server = _server_version(postgres.superuser_dsn)
        ours, theirs = _spawn.Pipe()
        # Django is set up in a process of its own, so that benches don't share its settings.
        conductor = _spawn.Process(
            target=buyers.conduct, args=(postgres.app_url, postgres.owner_url, str(data_dir), plan, theirs)
        )
        conductor.start()
        theirs.close()
        try:
            measured: buyers.Measured = ours.recv()
        except EOFError:
            raise RuntimeError("The bench's process ended without an answer; its error is above.") from None
        conductor.join()
    finally:
        postgres.stop()
    return _result(measured, server, plan)


def _result(measured: buyers.Measured, server: str, plan: buyers.Plan) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "rounds": plan.rounds, "seconds_each": plan.seconds, "codes": plan.codes,
        "statements_of_ours": len(measured.statements), "commits_of_ours": 2, "statements": measured.statements,
        "last_codes": asdict(measured.last),
    }  # fmt: skip
    ratios: dict[str, Any] = {}
    asked = []
    for count in buyers.COUNTS:
        ours, least = measured.rates["sale", count], measured.rates["least", count]
        shares = [one / other for one, other in zip(ours, least, strict=True)]  # Round by round.
        got = round(statistics.median(shares), 3)
        for kind in buyers.KINDS:
            figures[f"{kind}_per_s_{count}"] = round(statistics.median(measured.rates[kind, count]), 1)
            figures[f"{kind}_spread_{count}"] = _spread(measured.rates[kind, count])
        ratios[f"sale_to_least_{count}"] = got
        ratios[f"sale_to_least_{count}_spread"] = _spread(shares)
        asked.append({"what": f"sale as a share of the least, {count} buyers", "asked": f"≥ {ASKED_SHARE}", "got": got,
                      "holds": got >= ASKED_SHARE})  # fmt: skip
    last = measured.last
    for what, count in (
        ("codes sold twice", last.sold_twice),
        ("buyers told “sold out” falsely", last.falsely_sold_out),
        ("buyers charged without a code", last.charged_without_code),
        ("buyers who got another error", last.errors),
    ):
        asked.append({"what": f"{what}, 64 buyers for 10 codes, {last.rounds} rounds", "asked": "0", "got": count,
                      "holds": count == 0})  # fmt: skip
    versions = {
        "postgres": server, "python": platform.python_version(), "psycopg2": version("psycopg2-binary"),
        "django": version("django"), "cores": os.cpu_count(),
    }  # fmt: skip
    return {"name": "sale", "versions": versions, "figures": figures, "ratios": ratios, "asked": asked}


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
