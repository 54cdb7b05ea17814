"""Ready-made schemas: a pool that is filled in the background, so that a signup only updates rows."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.db import connection, transaction

from kameng.db import roles
from kameng.db.context import in_main
from kameng.lib.ids import schema_name
from tenants import template
from tenants.models import SchemaScript, SpareSchema
from tenants.states import SpareState
from tenants.upgrades import versions


class NoScript(RuntimeError):
    """The template was never rendered: `kameng db prepare` has not run."""


def make_schema(name: str, script: str) -> None:
    """Run the rendered script for a schema called `name`, as the owner, in one transaction and one round trip.

    All or nothing: a kill in the middle leaves neither the schema nor its role.
    """
    wrapper = template.owner()
    with transaction.atomic(using=settings.OWNER_ALIAS), wrapper.cursor() as cursor:
        cursor.execute(roles.tenant_role_sql(name))
        row = cursor.fetchone()
        create_role = f"{row[0]};\n" if row else ""
        cursor.execute(create_role + script.replace(template.PLACEHOLDER, name))


def add_spare(version: str, script: str) -> SpareSchema:
    """Make one spare schema and note it as ready."""
    with in_main(), connection.cursor() as cursor:
        cursor.execute("SELECT nextval('public.substation_schema_serial')")
        name = schema_name(cursor.fetchone()[0])
    make_schema(name, script)
    with in_main():
        return SpareSchema.objects.create(schema_name=name, version=version)


def current_script() -> SchemaScript:
    """The newest script whose schemas this code can serve: while an upgrade runs, that of the code to come.

    Raises NoScript.
    """
    served = versions.served()
    with in_main():
        kept = {script.version: script for script in SchemaScript.objects.filter(version__in=served)}
    for version in served:
        if version in kept:
            return kept[version]
    raise NoScript("No schema script: run `kameng migrate`.")


def fill(target: int) -> int:
    """Make spares until `target` that this code can serve are ready; answers how many were made.

    Two fillers at once may make a few too many; each schema is its own and none is lost.
    """
    script = current_script()
    with in_main():
        ready = SpareSchema.objects.filter(state=SpareState.READY, version__in=versions.served()).count()
    made = 0
    while ready + made < target:
        add_spare(script.version, script.sql)
        made += 1
    return made


def take(substation_id: int, now: datetime) -> SpareSchema | None:
    """Give a ready spare to `substation_id`; None when the pool is empty. Inside the caller's transaction.

    Race: two signups at once. SKIP LOCKED hands each its own row; the one-to-one key on the substation makes a
    repeated call find what it took before.
    """
    mine = SpareSchema.objects.filter(substation_id=substation_id).first()
    if mine is not None:
        return mine
    spare = (
        SpareSchema.objects.select_for_update(skip_locked=True)
        .filter(state=SpareState.READY, version__in=versions.served())
        .order_by("id")
        .first()
    )
    if spare is None:
        return None
    spare.state, spare.substation_id, spare.taken_at = SpareState.TAKEN, substation_id, now
    spare.save(update_fields=["state", "substation_id", "taken_at"])
    return spare
