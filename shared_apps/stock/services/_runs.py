"""Imports of codes that a worker does: the uploaded file waits in a private folder and is removed afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import BinaryIO

from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from shared_apps.library import selectors as library
from shared_apps.library import services as runs
from shared_apps.library.models import ImportRun
from shared_apps.stock.services._counting import count_now
from shared_apps.stock.services._importing import import_codes
from shared_apps.stock.types import CodeImport, SkuRef

SUBJECT = "CODES"


def start_import(
    *, sku: SkuRef, stream: BinaryIO, filename: str, by: Actor, now: datetime, note: str = "", dry_run: bool = False
) -> ImportRun:
    """Keep an uploaded file of codes and queue its import; the run's row shows how it goes.

    In the caller's main transaction. Raises: UploadTooLarge.
    """
    run = runs.create_run(
        subject=SUBJECT, stream=stream, filename=filename, by=by, now=now, dry_run=dry_run,
        options={"sku": sku.code, "note": note},
    )  # fmt: skip
    jobs.enqueue(kind="stock.import_run", payload={"run": run.public_id}, dedupe=run.public_id)
    return run


def import_checked(*, run: str, by: Actor, now: datetime) -> ImportRun:
    """Import the codes that a dry run has checked. In the caller's main transaction. Raises: RunUnknown, UploadLost."""
    return runs.follow_up(run=run, kind="stock.import_run", accept_good=True, by=by, now=now)


def execute_run(*, run: str, now: datetime) -> ImportRun:
    """Do what `start_import` queued; safe to repeat after a kill. Opens its own transactions."""
    with runs.executing(run=run, now=now) as work:
        if work is None:
            return runs.find_run(run)
        with in_main():
            sku = library.sku_by_code(work.row.options["sku"])

        def progress(result: CodeImport) -> None:
            work.progress(result.lines, result.imported, result.rejected + result.duplicates, result.fraction)

        with work.open() as stream:
            result = import_codes(
                sku=sku, stream=stream, filename=work.row.filename, by=work.by, now=now,
                note=work.row.options["note"], dry_run=work.row.dry_run, progress=progress,
            )  # fmt: skip
        progress(result)
        work.conclude(result.as_json(problems=0), [error.as_dict() for error in result.problems[: runs.KEPT_PROBLEMS]])
        if not work.row.dry_run:
            count_now(sku_ids=[sku.pk], now=now)
    return runs.find_run(run)
