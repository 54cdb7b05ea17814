"""Is there anything to do? One query over what the database says of itself, compared with what the files say.

A deployment that changes nothing must cost nothing, however many shops there are.
"""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.migrations.loader import MigrationLoader

from kameng.db import definitions, roles
from kameng.db.scopes import GATE_SCHEMA, TEMPLATE_SCHEMA
from tenants import template

_LOOK = f"""
SELECT obj_description(to_regnamespace('{GATE_SCHEMA}')::oid, 'pg_namespace'),
    obj_description(to_regnamespace('{TEMPLATE_SCHEMA}')::oid, 'pg_namespace'),
    ARRAY(SELECT app || '.' || name FROM public.django_migrations),
    (SELECT json_object_agg(version, count) FROM (SELECT schema_version AS version, count(*)
        FROM public.tenants_substation WHERE schema_version <> '' GROUP BY 1) AS v),
    (SELECT json_object_agg(version, count) FROM (SELECT version, count(*)
        FROM public.tenants_spareschema WHERE state = 'READY' GROUP BY 1) AS v)
"""


@dataclass(frozen=True)
class Standing:
    """What the database is at. `missing` names what has to be done, for a person; empty: nothing."""

    version: str
    shops: dict[str, int]
    spares: dict[str, int]
    missing: tuple[str, ...]

    @property
    def is_current(self) -> bool:
        return not self.missing


def look() -> Standing:
    """Compare the database with the code."""
    wanted = template.schema_version()
    if not _is_prepared():
        return Standing(wanted, {}, {}, ("everything: this database was never prepared",))
    with template.owner().cursor() as cursor:
        cursor.execute(_LOOK)
        gate, template_says, applied, shops, spares = cursor.fetchone()
    shops, spares = shops or {}, spares or {}
    missing = [f"shared: {name}" for name in sorted(_shared_migrations() - set(applied))]
    if gate != _words(definitions_digest()):
        missing.append("functions, rules and rights of the shared schema")
    if template_says != f"version {wanted}":
        missing.append("the template schema")
    for what, counts in (("substations", shops), ("spare schemas", spares)):
        behind = sum(count for version, count in counts.items() if version != wanted)
        if behind:
            missing.append(f"{behind:,} of {sum(counts.values()):,} {what}")
    return Standing(wanted, shops, spares, tuple(missing))


def record_definitions() -> None:
    """Note, in the caller's transaction, that functions, rules and rights are those of this code."""
    with template.owner().cursor() as cursor:
        cursor.execute(f"COMMENT ON SCHEMA {GATE_SCHEMA} IS '{_words(definitions_digest())}'")


def definitions_digest() -> str:
    """Of everything that `prepare` lays over the shared schema beside its migrations."""
    digest = hashlib.sha256(inspect.getsource(roles).encode())
    for path in definitions.files():
        digest.update(path.read_bytes())
    digest.update(repr(settings.PREPARE_STEPS).encode())
    return digest.hexdigest()[:32]


def _words(digest: str) -> str:
    return f"definitions {digest}"


def _is_prepared() -> bool:
    with transaction.atomic(using=settings.OWNER_ALIAS), template.owner().cursor() as cursor:
        cursor.execute("SELECT to_regclass('public.tenants_schemaupgrade') IS NOT NULL")
        return bool(cursor.fetchone()[0])


def _shared_migrations() -> set[str]:
    """Every migration that Django's record of the shared schema should hold; it notes those of tenant apps, too."""
    loader = MigrationLoader(None)
    return {f"{app}.{name}" for app, name in loader.graph.nodes}
