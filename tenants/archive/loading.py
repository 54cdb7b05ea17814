"""Make a new substation of an archive: rows, schema, role and data in one transaction of the owner's connection.

A kill at any point leaves nothing, or a shop that is whole and not open yet; the same call then goes on.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.lib import slugs
from kameng.lib.ids import schema_name
from kameng.lib.words import worded
from tenants import addresses, provisioning, spares, template
from tenants.archive import form, reading
from tenants.archive.reading import Archive, ArchiveRefused
from tenants.models import Plan, SpareSchema, Substation, SubstationStep, SyncFeed, SyncState
from tenants.selectors import PlanMissing
from tenants.states import SpareState, SubstationEvent, SubstationState

Say = Callable[[str], None]


class RowsRefused(ArchiveRefused):
    """The database does not take what a table's file says. Nothing was made."""

    code = "archive_rows_refused"


@dataclass(frozen=True)
class Loaded:
    """The new shop, and what was loaded into it."""

    substation: Substation
    rows: int
    files: int
    resumed: bool = False


def load(
    *,
    path: Path,
    slug: str,
    owner_email: str = "",
    plan_code: str = "",
    by: Actor,
    now: datetime,
    say: Say = lambda line: None,
) -> Loaded:
    """Make a substation at `slug` of the archive, and open it. Outside any transaction.

    Ids stay as they are within the schema; public ids that the whole network knows are made anew (`form.RENEWED`); the
    statement begins empty, for money can't be imported. With `owner_email` the shop is that person's: owners of the archive
    who are somebody else can't log in any more. Raises: the ArchiveRefused and AddressRefused families, AddressTaken,
    PlanMissing; nothing is left behind.
    """
    address = slugs.validate(slug)
    say("checking the archive")
    with reading.opened(path) as archive:
        begun = _begun_before(address, archive)
        if begun is None:
            say("loading its tables")
            substation, rows = _made(archive, address, owner_email.strip().lower(), plan_code, now, by)
        else:
            substation, rows = begun, sum(table["rows"] for table in archive.tables)
        say("copying its pictures")
        files = _copy_files(archive, substation.schema_name)
        say("opening the shop")
        with in_main():  # What wrote it was the owner's connection; from here on it is the product's own.
            substation = Substation.objects.select_related("plan").get(pk=substation.pk)
        provisioning.run(substation, None, now)
        with in_main():
            audit.record(
                action="tenants.substation.imported", by=by, target=substation.public_id, at=now,
                archive=archive.sha256, from_shop=str(archive.shop.get("public_id", "")), rows=rows,
            )  # fmt: skip
            made = Substation.objects.select_related("plan").get(pk=substation.pk)
    return Loaded(made, rows, files, begun is not None)


def _begun_before(address: str, archive: Archive) -> Substation | None:
    """The shop of an import of this very archive that was killed before it was opened. Raises: AddressTaken."""
    with in_main():
        row: Substation | None = Substation.objects.select_related("plan").filter(slug=address).first()
        if row is None:
            if addresses.is_taken(address):  # By an application, or for a shop that was erased.
                raise addresses.taken(address)
            return None
        ours = row.lifecycle_steps.filter(event=SubstationEvent.MAKE, reason=_reason(archive)).exists()
    if row.state != SubstationState.PROVISIONING or not ours:
        raise addresses.taken(address)
    return row


def _reason(archive: Archive) -> str:
    return f"Imported from an archive, {archive.sha256}."


def _made(
    archive: Archive, address: str, owner_email: str, plan_code: str, now: datetime, by: Actor
) -> tuple[Substation, int]:
    script = spares.current_script()
    with in_main(), connection.cursor() as cursor:
        plan = Plan.objects.filter(code=plan_code or archive.shop["plan"]).first()
        if plan is None:
            raise PlanMissing(_("There is no such plan."))
        cursor.execute("SELECT nextval('public.substation_schema_serial')")
        schema = schema_name(cursor.fetchone()[0])
    try:
        with transaction.atomic(using=settings.OWNER_ALIAS):
            substation = _rows_of(archive, address, owner_email, plan, schema, script.version, now, by)
            spares.make_schema(schema, script.sql)
            return substation, _load_tables(archive, schema, owner_email)
    except IntegrityError as error:
        # Race: a signup for the same address at the same moment. The unique key lets one of them through.
        if "slug" in str(error):
            raise addresses.taken(address) from error
        raise


def _rows_of(
    archive: Archive, address: str, owner_email: str, plan: Plan, schema: str, version: str, now: datetime, by: Actor
) -> Substation:
    """The shared rows of a shop that is being made, as signup and spare would have written them."""
    facts, using = archive.shop, settings.OWNER_ALIAS
    substation = Substation(
        slug=address, name=str(facts["name"])[:60], plan=plan, state=SubstationState.PROVISIONING,
        preset=str(facts.get("preset", ""))[:20], currency=settings.CURRENCY, language=str(facts["language"])[:10],
        owner_email=owner_email or facts["owner_email"], owner_name="" if owner_email else str(facts["owner_name"])[:80],
        schema_name=schema, schema_version=version,
    )  # fmt: skip
    substation.save(using=using)
    SpareSchema.objects.using(using).create(
        schema_name=schema, version=version, state=SpareState.TAKEN, taken_at=now, substation=substation
    )
    SyncState.objects.using(using).bulk_create(
        [SyncState(substation=substation, feed=feed) for feed in SyncFeed.values]
    )
    SubstationStep.objects.using(using).create(
        substation=substation, event=SubstationEvent.MAKE, from_state=SubstationState.APPLIED,
        to_state=SubstationState.PROVISIONING, reason=_reason(archive), by=by.label[:120], at=now,
    )  # fmt: skip
    return substation


def _load_tables(archive: Archive, schema: str, owner_email: str) -> int:
    """Fill an empty schema. Keys between its tables are checked at the end of the transaction, so order does not matter."""
    total = 0
    keys = form.tenant_tables()
    with template.owner().cursor() as cursor:
        cursor.execute("SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'")
        for table in archive.tables:
            name = table["name"]
            if name in form.NOT_LOADED:
                continue
            if name not in keys or name in form.LEFT_OUT:
                raise _unknown(name, "")
            total += _load_table(cursor, archive, schema, table)
            cursor.execute(
                "SELECT pg_get_serial_sequence(%s, %s)", [f'"{schema}"."{name}"', keys[name]]
            )  # Empty where the key is given by somebody else.
            sequence = cursor.fetchone()[0]
            if sequence:
                cursor.execute(
                    f'SELECT setval(%s, greatest((SELECT max("{keys[name]}") FROM "{schema}"."{name}"), 1), '
                    f'EXISTS (SELECT 1 FROM "{schema}"."{name}"))',
                    [sequence],
                )
        for (name, column), prefix in form.RENEWED.items():
            cursor.execute(
                f'UPDATE "{schema}"."{name}" SET "{column}" = %s || upper(substr(replace(gen_random_uuid()::text, \'-\', \'\'), 1, 20))',
                [f"{prefix}_"],
            )
        if owner_email:
            cursor.execute(
                f"UPDATE \"{schema}\".accounts_user SET is_active = false WHERE role = 'OWNER' AND lower(email) <> %s",
                [owner_email],
            )
            cursor.execute(
                f"UPDATE \"{schema}\".accounts_user SET role = 'OWNER', own_role_id = NULL, is_active = true "
                f"WHERE lower(email) = %s",
                [owner_email],
            )
        try:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except DatabaseError as error:
            raise _rows_refused("*", error) from error
    return total


def _load_table(cursor: Any, archive: Archive, schema: str, table: dict[str, Any]) -> int:
    name = table["name"]
    cursor.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        [f'"{schema}"."{name}"'],
    )
    known = {column for (column,) in cursor.fetchall()}
    columns = [str(column) for column in table["columns"]]
    for column in columns:  # Only names that the catalogue has go into a statement.
        if column not in known:
            raise _unknown(name, column)
    shape = form.Table(name, "", tuple(columns))
    try:
        with archive.entry(f"tables/{name}.csv") as stream, template.owner().wrap_database_errors:
            cursor.copy_expert(shape.insert(schema, columns), stream)
            rows = int(cursor.rowcount)
    except DatabaseError as error:
        raise _rows_refused(name, error) from error
    if rows != table["rows"]:
        message = _("tables/%(table)s.csv holds %(found)s rows, and the manifest says %(said)s. Nothing was made.")
        raise RowsRefused(worded(message, table=name, found=rows, said=table["rows"]))
    return rows


def _rows_refused(table: str, error: DatabaseError) -> RowsRefused:
    """With the rule's own words, and none of the row's: what a buyer wrote stands in no message."""
    message = _("tables/%(table)s.csv holds what the database does not take: %(problem)s. Nothing was made.")
    words = worded(message, table=table, problem=str(error).strip().splitlines()[0])
    return RowsRefused(words, details={"file": f"tables/{table}.csv"})


def _unknown(table: str, column: str) -> ArchiveRefused:
    name = f"{table}.{column}" if column else table
    message = _("This Kameng has no %(name)s. The archive is of another version of it; upgrade, or export anew.")
    return ArchiveRefused(worded(message, name=name), details={"file": f"tables/{table}.csv"})


def _copy_files(archive: Archive, schema: str) -> int:
    """Into the shop's own folder. `form.PATH` has seen every name: one folder and one file, neither with a dot in front."""
    root = Path(settings.MEDIA_ROOT) / schema
    for name in archive.pictures:
        place = root / name.removeprefix("files/")
        place.parent.mkdir(parents=True, exist_ok=True)
        part = place.with_name(f".{place.name}.part")
        with archive.entry(name) as stream, part.open("wb") as out:
            shutil.copyfileobj(stream, out, reading.CHUNK)
        part.replace(place)
    return len(archive.pictures)
