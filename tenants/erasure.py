"""Erasing a closed shop: schema, role, files, cache, sessions, tokens and jobs go; ledger and invoices stay without a person.

Each step can be repeated. The proof is written first, as RUNNING; whoever is killed in the middle, the same call, or the
hourly sweep, goes on from there. Of a RUNNING one nothing is served any more: its host answers 410 from the first commit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import structlog
from django.conf import settings
from django.core.cache import caches
from django.db import DatabaseError, transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from kameng.accounts import audit
from kameng.accounts.models import User
from kameng.accounts.types import SYSTEM, Actor
from kameng.db.context import in_main, in_substation
from kameng.jobs.models import Job
from kameng.lib import clock, reasons
from tenants import addresses, closing, hosts, lifecycle, personal, provisioning, template
from tenants.archive import exports, snapshot, writing
from tenants.lifecycle import LifecycleRefused
from tenants.models import ErasureRecord, ShopExport, SpareSchema, Substation
from tenants.states import ErasureState, ExportState, SubstationEvent, SubstationState

log = structlog.get_logger("tenants.erasure")


class NotClosed(LifecycleRefused):
    """Only a closed shop is erased."""

    code = "substation_not_closed"


def erase(*, public_id: str, typed: str, reason: str, by: Actor, now: datetime) -> ErasureRecord:
    """Erase a closed shop for good, and prove it. Outside any transaction. Repeated, it goes on or answers the proof.

    `typed` is its address as the operator wrote it. Raises: SubstationMissing, AddressNotTyped, ReasonMissing, NotClosed.
    """
    why = reasons.required(reason)
    with in_main():
        row = lifecycle.find(public_id)
        closing.check_typed(row, typed)
    return _carry_out(_begun(row, why, by, now), by, now)


def _begun(row: Substation, why: str, by: Actor, now: datetime) -> ErasureRecord:
    """The proof's row, with what is about to go; from its commit on the shop is ERASED and its host is gone."""
    with in_main():
        kept = ErasureRecord.objects.filter(substation_id=row.pk).first()
        if kept is not None:
            return kept
        if row.state != SubstationState.CLOSED:
            raise NotClosed(_("Only a closed shop can be erased. Close it first; nothing was changed."))
    with snapshot.of(row.schema_name) as moment:
        tables = writing.digests(moment)
    with in_main():
        # Race: two operators at once. The second waits for the shop's row, and finds the first one's proof.
        locked = Substation.objects.select_for_update().get(pk=row.pk)
        kept = ErasureRecord.objects.filter(substation_id=row.pk).first()
        if kept is not None:
            return kept
        record: ErasureRecord = ErasureRecord.objects.create(
            substation=locked,
            schema_name=locked.schema_name,
            reason=why,
            by=by.label[:120],
            begun_at=now,
            tables=tables,
        )
        addresses.hold(locked, now=now)
        lifecycle.move(substation_id=locked.pk, event=SubstationEvent.ERASE, by=by, now=now, reason=why)
    return record


def _without_person(row: Substation) -> dict[str, int]:
    """Take what is personal out of the shared schema (`tenants.personal`); answers rows by table.

    As the owner of the tables: some are append-only to everybody else. Before the schema goes, for who the shop's people
    were stands there; in one transaction, so that a kill leaves all of it to be done again or none.
    """
    with in_substation(row):
        users = list(User.objects.values_list("name", "email"))
    people = sorted({text for pair in users for text in pair if text} | {row.owner_email, row.owner_name} - {""})
    values = {"id": row.pk, "public_id": row.public_id, "people": people}
    counts: dict[str, int] = {}
    with transaction.atomic(using=settings.OWNER_ALIAS), template.owner().cursor() as cursor:
        for rule in personal.ERASED:
            cursor.execute(rule.sql, values)
            counts[rule.table] = counts.get(rule.table, 0) + cursor.rowcount
    return counts


def _carry_out(record: ErasureRecord, by: Actor, now: datetime) -> ErasureRecord:
    if record.state == ErasureState.DONE:
        return record
    schema = record.schema_name
    assert schema.startswith("s_"), schema
    with in_main():
        row = Substation.objects.select_related("plan").get(pk=record.substation_id)
    if row.schema_name == schema and _is_there(schema):
        shared = _without_person(row)
        with in_main():
            # Once: whoever goes on after a kill, or beside us, finds less to take away, and would make the proof say less.
            ErasureRecord.objects.filter(pk=record.pk, state=ErasureState.RUNNING, shared={}).update(shared=shared)
            record.refresh_from_db(fields=["shared"])
    counts: dict[str, int] = {}
    counts["schema"], counts["role"] = _drop(schema)
    counts["files"] = _remove_files(schema)
    counts["cache"] = _forget_cache(schema)
    with in_main():
        counts["jobs"] = Job.objects.filter(schema_name=schema).delete()[0]
        counts["archives"] = _remove_archives(row.pk)
        SpareSchema.objects.filter(schema_name=schema).delete()
        # A name that no schema has: whoever still asks for the old one finds nobody.
        Substation.objects.filter(pk=row.pk).update(
            schema_name=provisioning.schema_placeholder(row.public_id), schema_version=""
        )
        body = json.dumps([record.tables, record.shared, counts], sort_keys=True)
        ErasureRecord.objects.filter(pk=record.pk, state=ErasureState.RUNNING).update(
            state=ErasureState.DONE, finished_at=now, counts=counts, digest=hashlib.sha256(body.encode()).hexdigest()
        )
        audit.record(action="tenants.substation.wiped", by=by, target=row.public_id, at=now, counts=counts)
        done = ErasureRecord.objects.get(pk=record.pk)
    hosts.forget(row)
    return done


def _is_there(schema: str) -> bool:
    with template.owner().cursor() as cursor:
        cursor.execute("SELECT to_regnamespace(%s) IS NOT NULL", [schema])
        return bool(cursor.fetchone()[0])


def _drop(schema: str) -> tuple[int, int]:
    """The schema with all its tables, and its role; how many of each went."""
    wrapper, there = template.owner(), _is_there(schema)
    with transaction.atomic(using=settings.OWNER_ALIAS), wrapper.cursor() as cursor:
        cursor.execute(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE')
    try:
        with transaction.atomic(using=settings.OWNER_ALIAS), wrapper.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_roles WHERE rolname = %s", [schema])
            roles = int(cursor.fetchone()[0])
            cursor.execute(f'DROP ROLE IF EXISTS "{schema}"')
    except DatabaseError:
        # Roles are the cluster's: where another database of it uses the name, the role stays, without a right here.
        log.warning("tenants.erasure.role_stays", schema=schema)
        roles = 0
    return int(there), roles


def _remove_files(schema: str) -> int:
    root = Path(settings.MEDIA_ROOT) / schema
    count = sum(path.is_file() for path in root.rglob("*")) if root.is_dir() else 0
    if root.is_dir():
        shutil.rmtree(root)
    return count


def _forget_cache(schema: str) -> int:
    """Every key that begins with the schema: pages, sessions, lock-outs, throttles (kameng.web.cachekeys)."""
    backend: Any = caches["default"]
    client = backend._cache.get_client(None, write=True)
    prefix = f"{settings.CACHES['default']['KEY_PREFIX']}:{schema}:*"
    return sum(int(client.delete(key)) for key in client.scan_iter(match=prefix, count=1_000))


def _remove_archives(substation_id: int) -> int:
    rows = list(ShopExport.objects.filter(substation_id=substation_id).exclude(state=ExportState.EXPIRED))
    for export in rows:
        exports.path_of(export).unlink(missing_ok=True)
    ShopExport.objects.filter(pk__in=[export.pk for export in rows]).update(
        state=ExportState.EXPIRED, finished_at=clock.utc_now()
    )
    return len(rows)


def go_on(now: datetime | None = None) -> int:
    """Finish erasures that were cut off, and begin those whose time has come; answers how many shops were dealt with.

    settings.RETENTION_DAYS after a shop was closed it is erased by itself; 0 leaves that to a person.
    """
    at = now or clock.utc_now()
    with in_main():
        cut_off = Substation.objects.filter(
            erasure__state=ErasureState.RUNNING, erasure__begun_at__lt=at - timedelta(minutes=10)
        )
        due = list(cut_off)
        if settings.RETENTION_DAYS:
            limit = at - timedelta(days=settings.RETENTION_DAYS)
            due += Substation.objects.filter(state=SubstationState.CLOSED, closed_at__lte=limit)
    dealt = 0
    for row in due:
        try:  # Begun before, it answers the record that is there.
            _carry_out(_begun(row, gettext_noop("The time for which it was kept is over."), SYSTEM, at), SYSTEM, at)
            dealt += 1
        except Exception:  # Whatever it was, the next shop's erasure is not to wait for it.
            log.exception("tenants.erasure.failed", substation=row.public_id)
    return dealt
