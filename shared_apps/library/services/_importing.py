"""The library's flat file in: every row is checked first, then good rows are written in batches.

Nothing is written before the last row was checked, so a file that is refused changes nothing. Batches are committed one
by one: a single transaction over 200,000 rows would hold back the horizon that the shops' syncs wait for. A run that is
killed between two batches is simply run again; what is there already is not touched.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import IO, Any, BinaryIO

from django.db import connection
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib.tabular import FileRefused, read_rows
from kameng.lib.words import worded
from shared_apps.library import flat
from shared_apps.library.models import ImportRun
from shared_apps.library.services import _import_sql as sql
from shared_apps.library.services import _runs as runs
from shared_apps.library.services._checking import Checker
from shared_apps.library.services._editing import nudge
from shared_apps.library.states import RunState
from shared_apps.library.types import LibraryImport

SUBJECT = "LIBRARY"
BATCH = 2_000
# Reading and checking is about this part of the work.
CHECKING_PART = 0.6
Progress = Callable[[LibraryImport, float], None]


def import_library(
    *,
    stream: BinaryIO,
    filename: str,
    by: Actor,
    now: datetime,
    dry_run: bool = False,
    accept_good: bool = False,
    progress: Progress | None = None,
) -> LibraryImport:
    """Import a CSV or XLSX file of SKUs. With bad rows in it nothing is written, unless `accept_good`.

    Rows are matched by SKU code and product slug. A column that the file does not have leaves what is there; a blank
    cell empties it, or keeps it where a value is needed. Opens its own transactions.
    Raises: the FileRefused family (nothing is written).
    """
    reader = read_rows(stream, filename, flat.COLUMNS)
    result = LibraryImport(reader.report)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as spool:
        with in_main():
            checker = Checker(reader.present, reader.report)
        for count, (number, values) in enumerate(reader, start=1):
            if checker.check(number, values):
                spool.write(json.dumps(values, default=_jsonable, ensure_ascii=False) + "\n")
            if progress is not None and count % BATCH == 0:
                progress(result, reader.fraction() * CHECKING_PART)
        if checker.supply_above_floor:
            message = _("%(count)s SKUs have a supply price above their floor.")
            reader.report.warn(worded(message, count=checker.supply_above_floor))
        if dry_run or not (reader.report.ok or accept_good):
            return result
        spool.seek(0)
        _apply(spool, reader.present, result, now, progress)
    result.applied = True
    with in_main():
        audit.record(
            action="library.import",
            by=by,
            target=reader.report.filename,
            at=now,
            **_counts(result),
            bad=result.report.bad,
        )
        nudge()
    return result


def _jsonable(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)


def _counts(result: LibraryImport) -> dict[str, int]:
    return {name: value for name, value in vars(result).items() if type(value) is int}


def _apply(
    spool: IO[str], present: frozenset[str], result: LibraryImport, now: datetime, progress: Progress | None
) -> None:
    statements = sql.Statements(present)
    good = result.report.good or 1
    done = 0
    for batch in _batches(spool):
        rows = [json.loads(line) for line in batch]
        with in_main(), connection.cursor() as cursor:
            result.categories_made += _make_categories(cursor, rows)
            if "brand" in present:
                result.brands_made += _upserted(cursor, statements.brands, _once(rows, "brand"), now)[0]
            made, changed = _upserted(cursor, statements.products, _once(rows, "product"), now)
            result.products_made, result.products_changed = (
                result.products_made + made,
                result.products_changed + changed,
            )
            made, changed = _upserted(cursor, statements.skus, rows, now)
            result.skus_made, result.skus_changed = result.skus_made + made, result.skus_changed + changed
            text = json.dumps(rows)
            for statement, level in statements.prices:
                cursor.execute(statement, {"rows": text, "level": level})
                result.prices_changed += cursor.rowcount
        done += len(rows)
        if progress is not None:
            progress(result, CHECKING_PART + (1 - CHECKING_PART) * done / good)


def _batches(lines: IO[str]) -> Iterator[list[str]]:
    while batch := list(itertools.islice(lines, BATCH)):
        yield batch


def _once(rows: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    """The first row of each value: an upsert may not meet the same key twice."""
    return list({row[key]: row for row in reversed(rows) if row.get(key)}.values())


def _upserted(cursor: Any, statement: str, rows: list[dict[str, Any]], now: datetime) -> tuple[int, int]:
    """How many rows were made and how many changed; what was the same already is neither."""
    cursor.execute(statement, {"rows": json.dumps(rows), "now": now})
    made = [row[0] for row in cursor.fetchall()]
    return sum(made), len(made) - sum(made)


def _make_categories(cursor: Any, rows: list[dict[str, Any]]) -> int:
    """Make the categories of these rows that are not there, the topmost first. Those that are there stay."""
    wanted: dict[str, tuple[str | None, str, str]] = {}
    for row in rows:
        if not row.get("category") or not row.get("category_zh"):
            continue
        slugs, names = row["category"][0], row["category_zh"][0]
        english = (row.get("category_en") or [[]])[0]
        if len(names) != len(slugs):  # Checked: then all of them are there.
            continue
        english = english if len(english) == len(slugs) else [""] * len(slugs)
        for parent, slug, name, name_en in zip((None, *slugs), slugs, names, english, strict=False):
            wanted.setdefault(slug, (parent, name, name_en))
    made = 0
    for slug, (parent, name, name_en) in wanted.items():  # Few; a parent always stands before its children.
        cursor.execute(sql.CATEGORY, [slug, name, name_en, parent])
        made += cursor.rowcount
    return made


def start_import(
    *, stream: BinaryIO, filename: str, by: Actor, now: datetime, dry_run: bool = False, accept_good: bool = False
) -> ImportRun:
    """Keep an uploaded file and queue its import; the run's row shows how it goes. In the caller's main transaction.

    Raises: FileTooLarge.
    """
    run = runs.create_run(
        subject=SUBJECT, stream=stream, filename=filename, by=by, now=now, dry_run=dry_run, accept_good=accept_good
    )
    jobs.enqueue(kind="library.import_run", payload={"run": run.public_id}, dedupe=run.public_id)
    return run


def import_checked(*, run: str, accept_good: bool, by: Actor, now: datetime) -> ImportRun:
    """Import the file that a dry run has checked. In the caller's main transaction. Raises: RunUnknown, UploadLost."""
    return runs.follow_up(run=run, kind="library.import_run", accept_good=accept_good, by=by, now=now)


def execute_run(*, run: str, now: datetime) -> ImportRun:
    """Do what `start_import` queued; safe to repeat after a kill. Opens its own transactions."""
    with runs.executing(run=run, now=now) as work:
        if work is None:
            return runs.find_run(run)

        def progress(result: LibraryImport, fraction: float) -> None:
            work.progress(result.report.rows, result.report.good, result.report.bad, fraction)

        with work.open() as stream:
            result = import_library(
                stream=stream, filename=work.row.filename, by=work.by, now=now, dry_run=work.row.dry_run,
                accept_good=work.row.accept_good, progress=progress,
            )  # fmt: skip
        progress(result, 1)
        refused = not (result.applied or work.row.dry_run)
        problems = [error.as_dict() for error in result.report.errors[: runs.KEPT_PROBLEMS]]
        work.conclude(result.as_json(errors=0), problems, RunState.REFUSED if refused else RunState.DONE)
    return runs.find_run(run)


__all__ = ["FileRefused", "execute_run", "import_checked", "import_library", "start_import"]
