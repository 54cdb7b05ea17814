"""Let one schema take the steps to a version: each in a transaction together with the record of the version.

Whoever kills us, a schema is at one version or at the next. Two runners at one schema: both change its row, guarded by
the version that they came from; the second changes nothing and takes its statements back.
"""

from __future__ import annotations

import functools
from collections import deque
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connections, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState

from kameng.db.scopes import PUBLIC_SCHEMA
from tenants import template
from tenants.models import SchemaUpgrade
from tenants.states import UpgradeKind
from tenants.upgrades.recording import RecordingEditor

Transaction = list[SchemaUpgrade]


class NoWay(Exception):
    """No recorded steps lead from the schema's version to the one that is wanted."""


class Moved(Exception):
    """Somebody else moved the schema to another version while we were at it; our changes are taken back."""


@dataclass(frozen=True)
class Ways:
    """All recorded steps, read once a run."""

    steps: tuple[SchemaUpgrade, ...]

    def between(self, standing: str, wanted: str) -> list[Transaction]:
        """The shortest way, cut into transactions. Raises: NoWay.

        A step that changes nothing in the schema rides with the one before it; every other is a transaction of its own,
        as it is in Django: what adds a constraint and what validates it must not hold one lock.
        """
        out: list[Transaction] = []
        for step in self._shortest(standing, wanted):
            rides = step.kind == UpgradeKind.RIGHTS or (step.kind == UpgradeKind.SQL and not step.sql)
            if out and rides:
                out[-1].append(step)
            else:
                out.append([step])
        return out

    def _shortest(self, standing: str, wanted: str) -> list[SchemaUpgrade]:
        came_by: dict[str, SchemaUpgrade] = {}
        waiting = deque([standing])
        while waiting and wanted not in came_by:
            here = waiting.popleft()
            for step in self.steps:
                if step.from_version == here and step.to_version not in came_by and step.to_version != standing:
                    came_by[step.to_version] = step
                    waiting.append(step.to_version)
        if wanted not in came_by:
            raise NoWay(f"No recorded way leads from version {standing} to {wanted}.")
        way = [came_by[wanted]]
        while way[0].from_version != standing:
            way.insert(0, came_by[way[0].from_version])
        return way


def upgrade(schema: str, way: list[Transaction], *, lock_timeout_ms: int) -> None:
    """Let `schema` take every transaction of `way`, as the owner, on this thread's connection.

    Raises the database's errors, and Moved; the schema is then at the version of the last transaction that went through.
    """
    for steps in way:
        if any(step.kind == UpgradeKind.PYTHON for step in steps):
            _take_in_python(schema, steps, lock_timeout_ms)
        else:
            _take_sql(schema, steps, lock_timeout_ms)


def _take_sql(schema: str, steps: Transaction, lock_timeout_ms: int) -> None:
    """The limits, the statements and the first of the two records travel in one round trip."""
    statements = [_limits(schema, lock_timeout_ms), *(_sql_of(step, schema) for step in steps if step.sql)]
    with transaction.atomic(using=settings.OWNER_ALIAS), template.owner().cursor() as cursor:
        _record(cursor, schema, steps, ahead=";\n".join(statements) + ";\n")


def _take_in_python(schema: str, steps: Transaction, lock_timeout_ms: int) -> None:
    wrapper = template.owner()
    wrapper.set_schema(schema)  # For the router, and for who asks the connection where it is.
    try:
        with transaction.atomic(using=settings.OWNER_ALIAS), wrapper.cursor() as cursor:
            cursor.execute(_limits(schema, lock_timeout_ms))
            for step in steps:
                if step.kind == UpgradeKind.PYTHON:
                    _run_operations(wrapper, step.migration)
                elif step.sql:
                    cursor.execute(_sql_of(step, schema))
            _record(cursor, schema, steps)
    finally:
        wrapper.set_schema(PUBLIC_SCHEMA)


def _run_operations(wrapper: Any, name: str) -> None:
    label = name.split(".", 1)[0]
    with RecordingEditor(wrapper) as editor:
        for operation, before, after in operations(name):
            operation.database_forwards(label, editor, before, after)


@functools.lru_cache(maxsize=64)
def operations(name: str) -> list[tuple[Operation, ProjectState, ProjectState]]:
    """A migration's operations with the models before and after each, made once and used for every schema.

    The caller asks for them once before it starts threads. Raises: NoWay, when the code has this migration no more.
    """
    loader = MigrationLoader(None)
    label, _, short = name.partition(".")
    migration = loader.disk_migrations.get((label, short))
    if migration is None:
        raise NoWay(f"The data migration {name} is no longer in the code.")
    state = loader.project_state((label, short), at_end=False)
    out = []
    for operation in migration.operations:
        after = state.clone()
        operation.state_forwards(label, after)
        out.append((operation, state, after))
        state = after
    for _operation, before, after in out:
        _ = before.apps, after.apps  # Rendered here, so that threads only read them.
    return out


def _sql_of(step: SchemaUpgrade, schema: str) -> str:
    return str(step.sql).replace(template.PLACEHOLDER, schema)


def _limits(schema: str, lock_timeout_ms: int) -> str:
    return f'SET LOCAL lock_timeout = {lock_timeout_ms:d}; SET LOCAL search_path = "{schema}"'


def _record(cursor: Any, schema: str, steps: Transaction, ahead: str = "") -> None:
    """Move the schema's rows to the new version, after the statements `ahead`. Raises: Moved.

    The spare's row first, as a signup does: it locks the spare that it takes, then writes the version it read into the
    substation. Either we wait for it and then find both rows, or it skips the spare that we hold.
    """
    before, after = steps[0].from_version, steps[-1].to_version
    cursor.execute(
        f"{ahead}UPDATE public.tenants_spareschema SET version = '{after}' "
        f"WHERE schema_name = '{schema}' AND version = '{before}'"
    )
    moved = cursor.rowcount
    cursor.execute(
        f"UPDATE public.tenants_substation SET schema_version = '{after}', schema_problem = '' "
        f"WHERE schema_name = '{schema}' AND schema_version = '{before}'"
    )
    if not moved + cursor.rowcount:
        raise Moved(f"{schema} is at another version already.")


def close_connection() -> None:
    """End this thread's connection: one that has touched hundreds of schemas holds their catalogue in memory."""
    connections[settings.OWNER_ALIAS].close()
