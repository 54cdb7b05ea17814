"""Our side of the provisioning bench, in the product's own Django: shops, spares, and the script."""

from __future__ import annotations

import itertools
import time

from kameng.bench._common import say
from kameng.db.context import in_main
from kameng.lib import clock, ids
from tenants import prepare, provisioning, spares, template
from tenants.models import Plan, SpareSchema, Substation, SyncState
from tenants.states import SpareState

SPARES = 5  # As many as `make run` keeps.
_serial = itertools.count(1)
_script: list[str] = []


def begin() -> str:
    """The database as `kameng db prepare` makes it; answers the rendered script."""
    prepare.prepare(spare_count=0)
    with in_main():
        Plan.objects.create(code="bench", name_zh="bench", name_en="bench", supply_level="BASIC")
    _script.append(spares.current_script().sql)
    return _script[0]


def grow(schemas: int) -> None:
    """Make `schemas` schemas with the script: spares, and shops that took one."""
    for number in range(1, schemas + 1):
        spares.fill(1 if number <= schemas - SPARES else SPARES)
        if number <= schemas - SPARES:
            provisioning.claim_schema(_substation(), None, clock.utc_now())
        if number % 50 == 0:
            say(f"ours: {number} of {schemas} schemas")
    _settle()


def _settle() -> None:
    """What autovacuum would do within its minute: the catalogue and our own tables have grown."""
    with template.owner().cursor() as cursor:
        cursor.execute("ANALYZE")


def _substation() -> Substation:
    """A shop as signup writes it, without a schema."""
    with in_main():
        substation = Substation(
            slug=f"bench-{next(_serial)}", name="Bench", plan=Plan.objects.get(), owner_email="bench@example.com"
        )
        substation.schema_name = provisioning.schema_placeholder(substation.public_id)
        substation.save()
    return substation


def take() -> float:
    """Seconds that signup's step takes to give a shop a spare. Afterwards it is a spare again."""
    substation = _substation()
    began = time.perf_counter()
    provisioning.claim_schema(substation, None, clock.utc_now())
    took = time.perf_counter() - began
    with in_main():
        SpareSchema.objects.filter(substation=substation).update(state=SpareState.READY, substation=None, taken_at=None)
        SyncState.objects.filter(substation=substation).delete()
        Substation.objects.filter(pk=substation.pk).delete()
    return took


def run_script() -> float:
    """Seconds that the script takes to make a schema and its role. Afterwards they are gone."""
    name = ids.schema_name(900_000_000 + next(_serial))
    began = time.perf_counter()
    spares.make_schema(name, _script[0])
    took = time.perf_counter() - began
    with template.owner().cursor() as cursor:
        cursor.execute(f'DROP SCHEMA "{name}" CASCADE')
        cursor.execute(f'DROP ROLE "{name}"')
    return took


def present() -> int:
    """How many schemas of shops and spares there are."""
    with template.owner().cursor() as cursor:
        cursor.execute(r"SELECT count(*) FROM pg_namespace WHERE nspname LIKE 's\_%'")
        return int(cursor.fetchone()[0])


def tables() -> list[str]:
    """The tables of one shop's schema."""
    with in_main():
        name = SpareSchema.objects.values_list("schema_name", flat=True)[0]
    with template.owner().cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", [name])
        return [table for (table,) in cursor.fetchall()]
