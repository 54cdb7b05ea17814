"""Judge the tenant migrations before a shop has to take them: `kameng migrate --lint`.

Every one is run on an empty schema, and the catalogue tells what it did; its words tell what leaves no trace there
(`tenants.upgrades.statements`). Refused is what would write a table anew or hold its lock for long, and what code of the
version before can't live with. A finding is answered by another way of doing it, by `contract`, or by `allow` with a
reason (kameng `tenants.upgrades.declarations`). Tables that the migration itself makes are empty, and nothing is slow on
them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.migrations import Migration
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import ProjectState

from kameng.db.scopes import PUBLIC_SCHEMA, TEMPLATE_SCHEMA
from tenants import template
from tenants.upgrades import declarations, snapshot, statements
from tenants.upgrades.recording import RecordingEditor
from tenants.upgrades.snapshot import Constraint, Snapshot
from tenants.upgrades.statements import Statement

REASON_CHARS = 12
_NAMED_SCHEMA = re.compile(r'(?<![\w."])"?(public|template_substation|gate)"?\s*\.\s*["\w]')
# What `allow` may be said of.
ALLOWABLE = frozenset({"rewrite", "index", "not-null", "constraint", "fill", "check"})
# What `contract` answers.
CONTRACTED = frozenset({"contract", "check"})


@dataclass(frozen=True)
class Finding:
    """One objection: whose, of which kind, what was done, and what to do instead."""

    migration: str
    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.migration}: [{self.code}] {self.text}"


def judge() -> list[Finding]:
    """Run every tenant migration of the code on an empty schema, and take it all back; answers the objections.

    The owner's connection must lead to a database without a template schema: a scratch one.
    """
    wrapper = template.owner()
    labels = declarations.tenant_labels()
    found: list[Finding] = []
    try:
        with transaction.atomic(using=settings.OWNER_ALIAS):
            with wrapper.cursor() as cursor:
                cursor.execute(f"CREATE SCHEMA {TEMPLATE_SCHEMA}")
            wrapper.set_schema(TEMPLATE_SCHEMA)
            executor = MigrationExecutor(wrapper)
            state = ProjectState(real_apps=executor.loader.unmigrated_apps)
            for migration, _backwards in executor.migration_plan(executor.loader.graph.leaf_nodes(), clean_start=True):
                if migration.app_label in labels:
                    state = _judge(migration, state, found)
                else:
                    # What was rendered would be rendered again, model by model, with each operation.
                    vars(state).pop("apps", None)
                    state = migration.mutate_state(state, preserve=False)
            transaction.set_rollback(True, using=settings.OWNER_ALIAS)
    finally:
        wrapper.set_schema(PUBLIC_SCHEMA)
    return found


def _judge(migration: Migration, state: ProjectState, found: list[Finding]) -> ProjectState:
    """Run one migration and add what is to be said of it; answers the state after it."""
    name = declarations.name_of(migration)
    if not migration.atomic:
        text = "atomic = False: a kill would leave schemas in between. Take out what wants no transaction."
        found.append(Finding(name, "transaction", text))
    wrapper = template.owner()
    with wrapper.cursor() as cursor:
        before = snapshot.take(cursor, TEMPLATE_SCHEMA)
    try:
        with transaction.atomic(using=settings.OWNER_ALIAS), RecordingEditor(wrapper) as editor:
            after_state = migration.apply(state.clone(), editor)
    except DatabaseError as error:
        found.append(Finding(name, "fails", f"It does not run: {str(error).strip().splitlines()[0]}"))
        return migration.mutate_state(state, preserve=False)
    with wrapper.cursor() as cursor:
        after = snapshot.take(cursor, TEMPLATE_SCHEMA)
    said = list(statements.read(editor.recorded))
    objections = [
        *_locks(before, after),
        *_fills_under_a_lock(migration, before, said),
        *_breaks_old_code(before, after),
        *_asks_more_of_old_code(before, after),
        *(("statement", f"{one.objection} {one.text[:80]}") for one in said if one.objection),
        *_names_a_schema(editor.recorded),
    ]
    found += _unanswered(migration, objections)
    found += _needed_after_all(migration, state, after_state)
    return after_state


# -- What holds a table's lock for long.


def _locks(before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    for oid, table in before.tables.items():
        if _is_written_anew(oid, before, after):
            yield (
                "rewrite",
                f"{table.name} is written anew, and nobody reads it meanwhile. Add a new column, fill it by a data "
                "migration, and drop the old one in a contract step. A default must be a constant.",
            )
    known_files = before.files
    for oid, index in after.indexes.items():
        goes_with_its_table = oid in before.indexes and _is_written_anew(index.table, before, after)
        if index.table in before.tables and index.file not in known_files and not goes_with_its_table:
            yield (
                "index",
                f"{index.name} is built on {before.tables[index.table].name}, and nobody writes to it meanwhile. "
                "Say in `allow` why the table is small.",
            )
    for place, column in after.columns.items():
        old = before.columns.get(place)
        if old is None or old.required or not column.required:
            continue
        if not before.must_be_there(*place) and not _is_unproven(after, *place):
            yield (
                "not-null",
                f"{before.tables[place[0]].name}.{column.name} becomes NOT NULL, and every row is read under the lock. "
                "Add a CHECK (… IS NOT NULL) NOT VALID, validate it in a migration of its own, then set it.",
            )
    yield from _checked_constraints(before, after)


def _is_written_anew(table: int, before: Snapshot, after: Snapshot) -> bool:
    known = table in before.tables and table in after.tables
    return known and after.tables[table].file != before.tables[table].file


def _is_unproven(after: Snapshot, table: int, number: int) -> bool:
    """Whether the NOT NULL was added NOT VALID (PostgreSQL 18), so that no row was read."""
    return any(
        one.table == table and one.kind == "n" and one.columns == (number,) and not one.validated
        for one in after.constraints.values()
    )


def _checked_constraints(before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    for oid, one in after.constraints.items():
        if oid in before.constraints or one.table not in before.tables or one.kind not in "cf" or not one.validated:
            continue
        new_and_empty = all(
            (one.table, number) not in before.columns and not after.columns[one.table, number].has_default
            for number in one.columns
        )
        if one.kind == "f" and new_and_empty:
            continue  # PostgreSQL knows that a new column of NULLs breaks no key, and reads nothing.
        yield (
            "constraint",
            f"{one.name} is added to {before.tables[one.table].name}, and every row is read under the lock. Add it "
            "NOT VALID, and validate it in a migration of its own.",
        )


def _fills_under_a_lock(migration: Migration, before: Snapshot, said: list[Statement]) -> Iterator[tuple[str, str]]:
    """Rows that are written in the transaction that holds a table's lock: it is held until the last of them."""
    if not declarations.is_data_migration(migration) and not any(one.writes_rows for one in said):
        return
    relations = {table.name for table in before.tables.values()} | {index.name for index in before.indexes.values()}
    altered = sorted({name for one in said for name in one.alters(relations)})
    if altered:
        yield (
            "fill",
            f"{', '.join(altered)} is altered and rows are written in one transaction, and nobody gets at the table until "
            "the last one is. Fill in a migration of its own.",
        )


# -- What code of the version before can't live with.


def _breaks_old_code(before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    for oid, table in before.tables.items():
        if oid not in after.tables:
            yield "contract", f"The table {table.name} is dropped. {_CONTRACT}"
        elif after.tables[oid].name != table.name:
            yield "contract", f"The table {table.name} is renamed. {_CONTRACT}"
    for place, column in before.columns.items():
        if place[0] not in after.tables:
            continue
        now = after.columns.get(place)
        if now is None:
            yield "contract", f"The column {before.tables[place[0]].name}.{column.name} is dropped. {_CONTRACT}"
        elif now.name != column.name:
            yield "contract", f"The column {before.tables[place[0]].name}.{column.name} is renamed. {_CONTRACT}"
    for place, column in after.columns.items():
        is_new = place[0] in before.tables and place not in before.columns
        if is_new and column.required and not column.has_default:
            yield (
                "contract",
                f"{before.tables[place[0]].name}.{column.name} is required and has no default in the database, so that "
                "code of the version before can't insert. Give it db_default, or null=True.",
            )


def _asks_more_of_old_code(before: Snapshot, after: Snapshot) -> Iterator[tuple[str, str]]:
    """Of columns and tables that it knows: what it left to the database, and what it was free to write."""
    for place, column in before.columns.items():
        now = after.columns.get(place)
        if now is None:
            continue
        name = f"{before.tables[place[0]].name}.{now.name}"
        if column.has_default and not now.has_default:
            yield (
                "contract",
                f"{name} loses its default in the database, and code of the version before may leave it out. {_LATER}",
            )
        if now.required and not column.required and not before.must_be_there(*place, of_new_rows=True):
            yield "contract", f"{name} becomes required, and code of the version before may write NULL. {_LATER}"
    for oid, one in after.constraints.items():
        if oid in before.constraints or one.kind != "c" or one.table not in before.tables:
            continue
        if any((one.table, number) in before.columns for number in one.columns) or _wants_a_value(after, one):
            yield (
                "check",
                f"{one.name} is a new CHECK of {before.tables[one.table].name}, and code of the version before may write "
                f"what it refuses. {_LATER} Where it only permits more than another did, say so in `allow`.",
            )


def _wants_a_value(after: Snapshot, check: Constraint) -> bool:
    """Whether a CHECK that reads new columns alone refuses what a row gets there that doesn't name them."""
    filled = all(after.columns[check.table, number].has_default for number in check.columns)
    return not check.columns or ("IS NOT NULL" in check.definition and not filled)


_LATER = "Release code that does without, then do this in a later release and say so in `contract`."
_CONTRACT = (
    "Code of the version before may still read it. Release code that does not, then do this in a later release and say "
    "so in `contract`."
)


def _names_a_schema(recorded: list[str]) -> Iterator[tuple[str, str]]:
    for statement in recorded:
        match = _NAMED_SCHEMA.search(statement)
        if match:
            yield "schema-name", f"A statement names the schema {match[1]}; it runs in every tenant's: {statement[:80]}"


# -- What the migration says of itself.


def _unanswered(migration: Migration, objections: list[tuple[str, str]]) -> Iterator[Finding]:
    name = declarations.name_of(migration)
    declared = declarations.of(migration)
    codes = {code for code, _ in objections}
    for code, text in objections:
        reason = (declared.allow.get(code, "") if code in ALLOWABLE else "") or (
            declared.contract if code in CONTRACTED else ""
        )
        if not reason:
            yield Finding(name, code, text)
        elif len(reason.strip()) < REASON_CHARS:
            yield Finding(name, code, f"{text} “{reason}” is no reason.")
    for code in sorted(set(declared.allow) - ALLOWABLE):
        yield Finding(name, "declared", f"`allow` knows no “{code}”; it knows {', '.join(sorted(ALLOWABLE))}.")
    for code in sorted(set(declared.allow) & ALLOWABLE - codes):
        yield Finding(name, "declared", f"`allow` answers “{code}”, and nothing of the kind is done. Take it out.")
    if declared.contract and not codes & CONTRACTED and not declarations.is_data_migration(migration):
        yield Finding(name, "declared", "It says `contract`, and takes nothing away from the code before. Take it out.")


def _needed_after_all(migration: Migration, before: ProjectState, after: ProjectState) -> Iterator[Finding]:
    """`code_runs_without` of a step that brings what the models read."""
    if not declarations.of(migration).code_runs_without:
        return
    for key, model in after.models.items():
        known = before.models.get(key)
        new = [field for field in model.fields if known is None or field not in known.fields]
        if new:
            yield Finding(
                declarations.name_of(migration),
                "declared",
                f"It says `code_runs_without`, and the model {model.name} reads what it brings: {', '.join(new)}.",
            )


__all__ = ["Finding", "judge"]
