"""Archives on demand: asked for, written in the background, fetched by a link, taken away after some days."""

from __future__ import annotations

import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from django.conf import settings
from django.core import signing
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue
from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.jobs.registry import JobNotRetryable
from kameng.lib import clock
from kameng.lib.errors import DomainError, Forbidden, Missing, Refused
from tenants.archive import writing
from tenants.models import ShopExport, Substation
from tenants.states import UNREACHABLE, ExportState, SubstationState

JOB = "tenants.export"
KEPT = timedelta(days=7)
KEPT_AT_ONCE = 3  # Of one shop; a newer one takes the oldest's place, so that no one fills the disk.
LINK_LIFE_S = 24 * 3600
UNDER_WAY = (ExportState.PENDING, ExportState.RUNNING)
_SALT = "tenants.archive.exports"
log = structlog.get_logger("tenants.exports")


class ExportUnderWay(Refused):
    """One archive of a shop is written at a time."""

    code = "export_under_way"


class ExportMissing(Missing):
    """No such archive, or one of another shop."""

    code = "export_missing"


class NothingToExport(Refused):
    """The shop is not made yet, or erased."""

    code = "export_nothing"


class LinkRefused(Forbidden):
    """Too old, of another host, or never ours: the answer is the same."""

    code = "export_link_refused"

    def __init__(self) -> None:
        super().__init__(_("This link is too old or was made for another address. Fetch the archive from its list."))


def folder() -> Path:
    """Where archives lie: beside the public files, never among them."""
    return Path(settings.DATA_DIR) / "exports"


def path_of(export: ShopExport) -> Path:
    return folder() / f"{export.public_id}.zip"


def filename(export: ShopExport) -> str:
    """What a browser calls it."""
    return f"{export.substation.slug}-{export.asked_at:%Y%m%d}.zip"


def ask(*, substation_id: int, by: Actor, now: datetime, for_owner: bool, codes: bool = False) -> ShopExport:
    """Have an archive written. `codes`: with the sold codes in the clear; the caller has proved who asks, and the main
    station's people never get them. Raises: ExportUnderWay, NothingToExport.
    """
    assert for_owner or not codes, "Codes are for the shop's own people alone."
    if codes:
        by.must(catalogue.ARCHIVE_CODES)
    with in_main():
        shop = Substation.objects.get(pk=substation_id)
        if shop.state in UNREACHABLE:
            raise NothingToExport(_("There is nothing to export: the shop is not made yet, or was erased."))
        try:
            with transaction.atomic():
                export: ShopExport = ShopExport.objects.create(
                    substation=shop,
                    with_codes=codes,
                    for_owner=for_owner,
                    by=by.label[:120],
                    by_kind=by.kind,
                    by_id=by.id,
                    by_ip=by.ip,
                    asked_at=now,
                )
        except IntegrityError as error:
            raise ExportUnderWay(_("An archive of this shop is being written. Wait until it is ready.")) from error
        audit.record(
            action="tenants.substation.export",
            by=by,
            target=shop.public_id,
            at=now,
            archive=export.public_id,
            codes=codes,
        )
        jobs.enqueue(kind=JOB, payload={"export": export.public_id}, dedupe=export.public_id)
    return export


def run(*, public_id: str, now: datetime | None = None) -> None:
    """Write one archive that was asked for; a worker's. Safe to repeat: a killed one is written anew."""
    at = now or clock.utc_now()
    with in_main():
        export = ShopExport.objects.select_related("substation__plan").filter(public_id=public_id).first()
        if export is None or export.state not in UNDER_WAY:
            return
        ShopExport.objects.filter(pk=export.pk).update(state=ExportState.RUNNING)
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    # A name of this run's own: where a worker was taken for dead, two write, and the later one's file stands.
    part = folder() / f".{public_id}.{secrets.token_hex(4)}"
    try:
        by = Actor(ActorKind(export.by_kind), export.by, export.by_id, export.by_ip)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            written = writing.write(
                substation=export.substation, out=out, now=at, codes_for=by if export.with_codes else None,
                progress=lambda done: _note(export.pk, done),
            )  # fmt: skip
            out.flush()
            os.fsync(out.fileno())
        kept = _finish(export, part, written, now or clock.utc_now())
    except DomainError as error:
        _fail(export.pk, str(error))
        raise JobNotRetryable(str(error)) from error
    except Exception as error:  # Whatever it was, the page that waits must say that it failed; the job names the cure.
        _fail(export.pk, f"{type(error).__name__}: {error}")
        log.exception("tenants.export.failed", export=public_id)
        raise JobNotRetryable(f"{public_id} was not written; it can be asked for again.") from error
    finally:
        part.unlink(missing_ok=True)
    if not kept:
        log.warning("tenants.export.too_late", export=public_id)
        return
    with in_main():
        rows = ShopExport.objects.filter(
            substation=export.substation, for_owner=export.for_owner, state=ExportState.DONE
        )
        old = list(rows.order_by("-id")[KEPT_AT_ONCE:])
    _take_away(old)


def _finish(export: ShopExport, part: Path, written: writing.Written, at: datetime) -> bool:
    """Put the file in its place and say so; False when nobody waits for it any more.

    Race: the shop is erased, or the archive is taken away, while it was written. Erasure locks the substation's row as this
    does: what is put in place before it is found by it, and after it nothing is put in place.
    """
    with in_main():
        shop = Substation.objects.select_for_update(no_key=True).get(pk=export.substation_id)
        if shop.state == SubstationState.ERASED:
            return False
        waited_for = ShopExport.objects.filter(pk=export.pk, state__in=UNDER_WAY).update(
            state=ExportState.DONE, finished_at=at, expires_at=at + KEPT, rows_done=written.rows,
            size_bytes=written.size_bytes, sha256=written.sha256,
        )  # fmt: skip
        if waited_for:
            part.replace(path_of(export))
    return bool(waited_for)


def _note(pk: int, done: writing.Progress) -> None:
    """How far it is, in a transaction of its own: the page that watches sees it at once."""
    with in_main():
        ShopExport.objects.filter(pk=pk).update(parts_done=done.done, parts_total=done.total, rows_done=done.rows)


def _fail(pk: int, problem: str) -> None:
    with in_main():
        ShopExport.objects.filter(pk=pk, state__in=UNDER_WAY).update(
            state=ExportState.FAILED, problem=problem[:300], finished_at=clock.utc_now()
        )


def exports_of(substation_id: int, *, for_owner: bool | None = None) -> QuerySet[ShopExport]:
    """A shop's archives, newest first. Main scope. `for_owner`: those asked for in its panel, or those that were not."""
    rows = ShopExport.objects.select_related("substation").filter(substation_id=substation_id)
    return rows if for_owner is None else rows.filter(for_owner=for_owner)


def make_link(export: ShopExport, host: str) -> str:
    """A pass for one archive on one host, good for a day."""
    return signing.dumps({"export": export.public_id, "host": host}, salt=_SALT)


def open_link(token: str, host: str, *, substation_id: int | None) -> ShopExport:
    """The archive that a pass opens. `substation_id`: of the host's shop; None on the main station's, where archives that an
    owner asked for stay closed. Raises: LinkRefused, ExportMissing (its file was taken away).
    """
    try:
        claim = signing.loads(token, salt=_SALT, max_age=LINK_LIFE_S)
    except signing.BadSignature as error:
        raise LinkRefused() from error
    if claim["host"] != host:
        raise LinkRefused()
    with in_main():
        export = ShopExport.objects.select_related("substation").filter(public_id=claim["export"]).first()
    if export is None or (export.for_owner if substation_id is None else export.substation_id != substation_id):
        raise LinkRefused()
    if export.state != ExportState.DONE or not path_of(export).is_file():
        raise ExportMissing(_("This archive was taken away after some days. Make a new one."))
    return export


def _take_away(old: list[ShopExport]) -> None:
    with in_main():
        ShopExport.objects.filter(pk__in=[export.pk for export in old]).update(state=ExportState.EXPIRED)
    for export in old:
        path_of(export).unlink(missing_ok=True)


def sweep(now: datetime | None = None) -> int:
    """Take away what is kept no longer; answers how many. Parts that a killed worker left go with it."""
    at = now or clock.utc_now()
    with in_main():
        old = list(ShopExport.objects.filter(state=ExportState.DONE, expires_at__lte=at))
        # A row whose worker died without a word, long ago: it must not keep the next one from being asked for.
        ShopExport.objects.filter(Q(state__in=UNDER_WAY), asked_at__lt=at - timedelta(days=1)).update(
            state=ExportState.FAILED, problem="The worker was stopped.", finished_at=at
        )
    _take_away(old)
    if folder().is_dir():
        for part in folder().glob(".exp_*"):
            if at.timestamp() - part.stat().st_mtime > 24 * 3600:
                part.unlink(missing_ok=True)
    return len(old)
