"""Bring the template to the version of the code, and record the way there for every other schema.

Each migration is one transaction: its statements in the template, Django's record of it, the step in
`tenants_schemaupgrade` and the template's new version commit together. Killed anywhere, the next run goes on with the
migration that is missing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState
from django.utils.translation import gettext_lazy as _

from kameng.db.scopes import PUBLIC_SCHEMA, SYNC_ROLE, TEMPLATE_SCHEMA
from kameng.lib.errors import Refused
from kameng.lib.words import worded
from tenants import template
from tenants.models import SchemaScript, SchemaUpgrade
from tenants.states import UpgradeKind
from tenants.upgrades import declarations
from tenants.upgrades.recording import RecordingEditor

Say = Callable[[str], None]
_ON_TABLE = re.compile(r'^GRANT (?P<rights>.+) ON (?P<object>(?:SEQUENCE )?"@schema@"\."[^"]+") TO (?P<who>.+)$')
_ONE_RIGHT = re.compile(r"([A-Z]+)(?: \(([^)]*)\))?")


class TemplateAhead(Refused):
    """The template has taken migrations that this code does not know: an older release, started on purpose or not."""

    code = "template_ahead"


class NotAtomic(Refused):
    """A tenant migration wants to run outside a transaction, where a kill would leave a schema in between."""

    code = "migration_not_atomic"


def bring_forward(say: Say = lambda line: None) -> list[SchemaUpgrade]:
    """Bring the template to the code's version; answers the steps that were recorded, in order.

    Raises: TemplateAhead, NotAtomic. An error of a migration leaves the template at the version before it.
    """
    wanted = template.schema_version()
    standing = template.recorded_version() or _version_before_it_was_recorded()
    if not standing:
        template.migrate_template()
    if standing in ("", wanted):
        template.record_version(wanted)
        return []
    wrapper = template.owner()
    wrapper.set_schema(TEMPLATE_SCHEMA)
    try:
        made = _migrate(wrapper, standing, say)
    finally:
        wrapper.set_schema(PUBLIC_SCHEMA)
    made.append(_rights(made[-1].to_version if made else standing, base=standing, wanted=wanted))
    return made


def _version_before_it_was_recorded() -> str:
    """A database that was prepared before templates said their version: it is the last script's."""
    last = SchemaScript.objects.using(settings.OWNER_ALIAS).order_by("-created_at", "-id").first()
    return last.version if last else ""


def _migrate(wrapper: Any, standing: str, say: Say) -> list[SchemaUpgrade]:
    executor = MigrationExecutor(wrapper)
    loader = executor.loader
    loader.check_consistent_history(wrapper)
    labels = declarations.tenant_labels()
    unknown = sorted(f"{app}.{name}" for app, name in loader.applied_migrations if _is_gone(loader, app, name, labels))
    if unknown:
        raise TemplateAhead(
            worded(
                _("The tenant schemas have taken %(names)s, which this code does not know. Start the newer code."),
                names=", ".join(unknown),
            )
        )
    state = loader.project_state([key for key in loader.graph.nodes if key in loader.applied_migrations])
    made: list[SchemaUpgrade] = []
    for migration, _backwards in executor.migration_plan(loader.graph.leaf_nodes()):
        if migration.app_label in labels:
            say(declarations.name_of(migration))
        state, step = _take(executor, migration, state, standing, is_tenant=migration.app_label in labels)
        if step is not None:
            made.append(step)
            standing = step.to_version
    return made


def _is_gone(loader: Any, app: str, name: str, labels: frozenset[str]) -> bool:
    return app in labels and (app, name) not in loader.graph.nodes and (app, name) not in loader.disk_migrations


def _take(
    executor: MigrationExecutor, migration: Migration, state: ProjectState, standing: str, *, is_tenant: bool
) -> tuple[ProjectState, SchemaUpgrade | None]:
    """Let the template take one migration; answers the state after it, and the step where it concerns tenants."""
    if is_tenant and not migration.atomic:
        raise NotAtomic(
            worded(
                _(
                    "%(name)s says atomic = False. A tenant migration is one transaction; take the concurrent index out."
                ),
                name=declarations.name_of(migration),
            )
        )
    with transaction.atomic(using=settings.OWNER_ALIAS):
        with RecordingEditor(executor.connection) as editor:
            state = migration.apply(state, editor)
        for app, name in migration.replaces or [(migration.app_label, migration.name)]:
            executor.recorder.record_applied(app, name)
        if not is_tenant:
            return state, None
        step = _step(migration, editor.recorded, standing)
        executor.connection.set_schema(PUBLIC_SCHEMA)  # type: ignore[attr-defined]  # Our backend's.
        step.save(using=settings.OWNER_ALIAS)
        executor.connection.set_schema(TEMPLATE_SCHEMA)  # type: ignore[attr-defined]
        template.record_version(step.to_version)
    return state, step


def _step(migration: Migration, statements: list[str], standing: str) -> SchemaUpgrade:
    name = declarations.name_of(migration)
    declared = declarations.of(migration)
    in_python = declarations.is_data_migration(migration)
    nothing = not statements and not in_python  # It changes what Django knows, and no schema.
    return SchemaUpgrade(
        from_version=standing,
        to_version=hashlib.sha256(f"{standing}\n{name}".encode()).hexdigest()[:32],
        kind=UpgradeKind.PYTHON if in_python else UpgradeKind.SQL,
        migration=name,
        sql="" if in_python else ";\n".join(statements),
        old_code_runs=declared.old_code_runs,
        code_runs_without=declared.code_runs_without or nothing,
    )


# -- Rights. The matrix is code (kameng.db.roles); what changed in it is found by comparing the statements that the
# -- last script ended with and those that a script of today would.


def _rights(standing: str, *, base: str, wanted: str) -> SchemaUpgrade:
    """Record the step that gives new tables their rights and leads to the version of the code."""
    before = _grants_of_script(base)
    after = template.grants()
    old, new = _by_object(before), _by_object(after)
    statements = [line for line in after if not _ON_TABLE.match(line) and line not in before]
    narrowed = False
    for thing, lines in new.items():
        had = old.get(thing, [])
        if set(had) == set(lines):
            continue
        narrowed = narrowed or not _rights_in(had) <= _rights_in(lines)
        statements.append(f'REVOKE ALL ON {thing} FROM "{template.PLACEHOLDER}", {SYNC_ROLE}')
        statements += lines
    changes_old_things = any(old.get(thing) for thing in new if set(old.get(thing, [])) != set(new[thing]))
    with transaction.atomic(using=settings.OWNER_ALIAS):
        step, _made = SchemaUpgrade.objects.using(settings.OWNER_ALIAS).update_or_create(
            from_version=standing,
            to_version=wanted,
            defaults={
                "kind": UpgradeKind.RIGHTS,
                "sql": ";\n".join(statements),
                "old_code_runs": not narrowed,
                # Rights on what is new only matter to who uses it, and that step has said whether code runs without.
                "code_runs_without": not changes_old_things,
            },
        )
        template.record_version(wanted)
    return step


def _grants_of_script(version: str) -> list[str]:
    """The grants of the schemas at `version`; of a run that was killed half-way, those of the script before it."""
    steps = SchemaUpgrade.objects.using(settings.OWNER_ALIAS)
    seen: set[str] = set()
    while version and version not in seen:
        seen.add(version)
        script = SchemaScript.objects.using(settings.OWNER_ALIAS).filter(version=version).first()
        if script is not None:
            return [line for line in script.sql.rstrip(";\n").split(";\n") if line.startswith(("GRANT ", "REVOKE "))]
        before = steps.filter(to_version=version).order_by("-id").first()
        version = before.from_version if before else ""
    return []


def _by_object(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        match = _ON_TABLE.match(line)
        if match:
            found.setdefault(match["object"], []).append(line)
    return found


def _rights_in(lines: list[str]) -> set[tuple[str, str, str]]:
    """(right, column or nothing, role) of each grant."""
    found = set()
    for line in lines:
        match = _ON_TABLE.match(line)
        assert match is not None
        for right, columns in _ONE_RIGHT.findall(match["rights"]):
            for column in columns.split(", ") if columns else [""]:
                found.add((right, column, match["who"]))
    return found


__all__ = ["NotAtomic", "TemplateAhead", "bring_forward"]
