"""One import of a file by a worker: the file kept, its progress, its report. Shared by rows of the library and codes.

Uploaded files lie in DATA/imports, readable by the server's user alone, and are removed when the run ends however it
ends: a file of codes is the stock in the clear. The file of a dry run waits, a day at most, for the import itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from django.conf import settings
from django.utils.translation import get_language, override
from django.utils.translation import gettext_lazy as _

from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock
from kameng.lib.errors import DomainError, Invalid, Missing
from kameng.lib.ids import public_id
from kameng.lib.tabular import FileTooLarge
from kameng.lib.words import shorten
from shared_apps.library.models import ImportRun
from shared_apps.library.states import RunState

KEPT_PROBLEMS = 1_000
MAX_UPLOAD = 1024 * 1024 * 1024
KEPT_FOR = timedelta(days=1)


class RunUnknown(Missing):
    """No such import."""

    code = "import_unknown"


class UploadLost(Invalid):
    """The file of this import is gone: it ran before, or the server's folder was cleared."""

    code = "upload_lost"


def create_run(
    *,
    subject: str,
    stream: BinaryIO,
    filename: str,
    by: Actor,
    now: datetime,
    dry_run: bool = False,
    accept_good: bool = False,
    options: dict[str, Any] | None = None,
) -> ImportRun:
    """Keep the file and write the run's row, PENDING. In the caller's main transaction. Raises: FileTooLarge."""
    row = ImportRun(
        public_id=public_id("imp"),
        subject=subject,
        filename=shorten(os.path.basename(filename) or "paste.txt", 200),
        dry_run=dry_run,
        accept_good=accept_good,
        by=shorten(by.label, 120),
        options={
            **(options or {}),
            "language": get_language() or settings.LANGUAGE_CODE,
            "actor": _asked_by(by),
        },
    )
    sweep_uploads(now)
    _keep(stream, path_of(row))
    row.save()
    return row


def _asked_by(by: Actor) -> dict[str, Any]:
    return {"kind": by.kind, "label": by.label, "id": by.id, "ip": by.ip, "request_id": by.request_id}


def _keep(stream: BinaryIO, path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "wb") as out:
        shutil.copyfileobj(stream, out, 1024 * 1024)
        if out.tell() > MAX_UPLOAD:
            path.unlink()
            raise FileTooLarge(_("The file is larger than 1 GB. Split it and import the parts one after the other."))


def path_of(row: ImportRun) -> Path:
    """Where the run's file lies while it waits."""
    return Path(settings.DATA_DIR) / "imports" / row.public_id


def find_run(run: str) -> ImportRun:
    """Raises: RunUnknown."""
    with in_main():
        row = ImportRun.objects.filter(public_id=run).first()
    if row is None:
        raise RunUnknown(_("There is no such import."))
    return row


class Work:
    """What an importer needs while it runs: the file, who asked, and a place to say how far it is."""

    def __init__(self, row: ImportRun) -> None:
        self.row = row
        actor = row.options["actor"]
        self.by = Actor(ActorKind(actor["kind"]), actor["label"], actor["id"], actor["ip"], actor["request_id"])

    @contextlib.contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """The uploaded file. Raises: UploadLost."""
        try:
            stream = path_of(self.row).open("rb")
        except FileNotFoundError:
            raise UploadLost(_("The file of this import is no longer on the server. Please upload it again.")) from None
        with stream:
            yield stream

    def progress(self, done: int, good: int, bad: int, fraction: float) -> None:
        """Show how far it is, at once."""
        with in_main():
            self.row.rows_done, self.row.rows_good, self.row.rows_bad = done, good, bad
            self.row.options = {**self.row.options, "fraction": round(fraction, 3)}
            self.row.save(update_fields=["rows_done", "rows_good", "rows_bad", "options"])

    def conclude(self, result: dict[str, Any], problems: list[dict[str, Any]], state: str = RunState.DONE) -> None:
        """End the run with its result and the first of what was wrong."""
        with in_main():
            self.row.state, self.row.report, self.row.finished_at = state, problems, clock.utc_now()
            self.row.options = {**self.row.options, "result": result, "fraction": 1}
            self.row.save(update_fields=["state", "report", "finished_at", "options"])


@contextlib.contextmanager
def executing(*, run: str, now: datetime) -> Iterator[Work | None]:
    """Run an import in the language of whoever asked; yields None when it has ended already.

    A refusal of the file ends the run as REFUSED, with its sentence. Anything else is raised for the job to be tried
    again, and the file stays for that.
    """
    row = find_run(run)
    if row.state not in (RunState.PENDING, RunState.RUNNING):
        yield None
        return
    with in_main():
        ImportRun.objects.filter(pk=row.pk).update(state=RunState.RUNNING)
    row.state = RunState.RUNNING
    with override(row.options["language"]):
        try:
            yield Work(row)
        except DomainError as refusal:
            with in_main():
                ImportRun.objects.filter(pk=row.pk).update(
                    state=RunState.REFUSED, problem=str(refusal)[:300], finished_at=clock.utc_now()
                )
    if not row.dry_run:
        path_of(row).unlink(missing_ok=True)


def follow_up(*, run: str, kind: str, accept_good: bool, by: Actor, now: datetime) -> ImportRun:
    """Do for real what a dry run has checked, with the same file; `kind` is the job that does it.

    In the caller's main transaction. Raises: RunUnknown, UploadLost (begun or thrown away already, or too old).
    """
    checked = find_run(run)
    row = ImportRun(
        public_id=public_id("imp"),
        subject=checked.subject,
        filename=checked.filename,
        accept_good=accept_good,
        by=shorten(by.label, 120),
        options={
            **{name: value for name, value in checked.options.items() if name not in ("result", "fraction")},
            "checked_by": checked.public_id,
            "language": get_language() or settings.LANGUAGE_CODE,
            "actor": _asked_by(by),
        },
    )
    # Race: two clicks. The file can be moved once; whoever comes second finds it gone.
    try:
        path_of(checked).replace(path_of(row))
    except FileNotFoundError:
        raise UploadLost(_("The file of this import is no longer on the server. Please upload it again.")) from None
    row.save()
    jobs.enqueue(kind=kind, payload={"run": row.public_id}, dedupe=row.public_id)
    return row


def is_kept(row: ImportRun) -> bool:
    """Does the file of a dry run still wait?"""
    return row.dry_run and path_of(row).exists()


def discard(*, run: str) -> None:
    """Throw the file of a dry run away. Safe to repeat. Raises: RunUnknown."""
    row = find_run(run)
    if row.dry_run:
        path_of(row).unlink(missing_ok=True)


def sweep_uploads(now: datetime) -> None:
    """Throw away files that nobody came back for."""
    folder = Path(settings.DATA_DIR) / "imports"
    for path in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(FileNotFoundError):  # Another process swept it, or took it into its import.
            if path.stat().st_mtime < (now - KEPT_FOR).timestamp():
                path.unlink()
