"""Ready-made schemas: a pool that is filled in the background, so that a signup only updates rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.core.cache import cache
from django.db import connection, transaction

from kameng.db import roles
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.ids import schema_name
from tenants import template
from tenants.models import SchemaScript, Signup, SpareSchema, SyncFeed
from tenants.states import SignupState, SpareState
from tenants.upgrades import versions

FILL_AT_ONCE = 5  # About a second's work: the worker has other things to do.
FILLING_KEY = "tenants:filling-spares"
FILLING_SECONDS = 60
BURST = timedelta(minutes=1)


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


def refill(target: int) -> int:
    """`fill`, one worker at a time and a few schemas a turn; answers how many were made. For the background.

    Sign-ups that wait to be made come first: while there is a spare for each of them, none is made. A schema costs a
    hundred times what it costs to take one, and in a burst they all wait for the same processor.

    Race: many sign-ups end at once, and each would fill the whole pool. `add` lets one of them begin; should it be
    killed, the next begins when the mark has run out. Main scope.
    """
    if not cache.add(FILLING_KEY, 1, FILLING_SECONDS):
        return 0
    made = 0
    try:
        while made < FILL_AT_ONCE and _is_wanted(target):
            script = current_script()
            add_spare(script.version, script.sql)
            made += 1
        return made
    finally:
        cache.delete(FILLING_KEY)


def _is_wanted(target: int) -> bool:
    """Whether to make one more spare now. A sign-up that has stood still for long is no burst, and holds nothing up."""
    with in_main():
        ready = SpareSchema.objects.filter(state=SpareState.READY, version__in=versions.served()).count()
        waiting = Signup.objects.filter(
            state__in=(SignupState.VERIFIED, SignupState.PROVISIONING), updated_at__gte=clock.utc_now() - BURST
        ).count()
    return ready < target and (not waiting or ready < waiting)


@dataclass(frozen=True)
class Taken:
    """A schema that belongs to a substation now, and the version it was made at."""

    schema_name: str
    version: str


# One statement, so that a signup waits for one round trip and one commit, however slow its way to the database is.
TAKE = """
WITH mine AS (
    SELECT schema_name, version FROM tenants_spareschema WHERE substation_id = %(substation)s
), spare AS (
    SELECT id FROM tenants_spareschema
    WHERE state = %(ready)s AND version = ANY(%(versions)s) AND NOT EXISTS (SELECT 1 FROM mine)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
), taken AS (
    UPDATE tenants_spareschema t SET state = %(taken)s, substation_id = %(substation)s, taken_at = %(now)s
    FROM spare WHERE t.id = spare.id RETURNING t.schema_name, t.version
), got AS (
    SELECT schema_name, version FROM mine UNION ALL SELECT schema_name, version FROM taken
), named AS (
    UPDATE tenants_substation s SET schema_name = got.schema_name, schema_version = got.version
    FROM got WHERE s.id = %(substation)s
), fed AS (
    INSERT INTO tenants_syncstate (substation_id, feed, watermark, rows_changed, duration_ms, error)
    SELECT %(substation)s, feed, 0, 0, 0, '' FROM got, unnest(%(feeds)s) AS feed
    ON CONFLICT (substation_id, feed) DO NOTHING
)
SELECT schema_name, version FROM got"""


def take(substation_id: int, now: datetime) -> Taken | None:
    """Give a ready spare to `substation_id`, name it on its row and begin its feeds; None when the pool is empty.

    Inside the caller's transaction. Repeated, it answers what was taken before and changes nothing.

    Race: two signups at once. SKIP LOCKED hands each its own row. Two runs of one signup's step: the one-to-one key on
    the substation refuses the second, which is tried again and finds what the first took.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            TAKE,
            {
                "substation": substation_id,
                "versions": list(versions.served()),
                "ready": SpareState.READY.value,
                "taken": SpareState.TAKEN.value,
                "now": now,
                "feeds": SyncFeed.values,
            },
        )
        row = cursor.fetchone()
    return None if row is None else Taken(*row)
