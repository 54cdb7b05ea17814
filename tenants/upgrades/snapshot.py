"""What a migration did to a schema, told by the catalogue before and after it and not by its words.

A table that was written anew has another file; an index that was built has one that was not there. So the lint judges
what PostgreSQL did, and a new way of spelling a slow statement is no way round it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple


class Relation(NamedTuple):
    name: str
    file: int


class Column(NamedTuple):
    name: str
    required: bool
    has_default: bool  # Of the database; an identity is one, too.


class Index(NamedTuple):
    name: str
    table: int
    file: int


class Constraint(NamedTuple):
    name: str
    table: int
    kind: str  # As in pg_constraint: c(heck), f(oreign), n(ot null), p, u, x.
    columns: tuple[int, ...]
    validated: bool
    definition: str


@dataclass(frozen=True)
class Snapshot:
    """Everything by its oid; columns by table and number, which a rename leaves as they are."""

    tables: dict[int, Relation]
    columns: dict[tuple[int, int], Column]
    indexes: dict[int, Index]
    constraints: dict[int, Constraint]

    @property
    def files(self) -> set[int]:
        return {table.file for table in self.tables.values()} | {index.file for index in self.indexes.values()}

    def must_be_there(self, table: int, number: int, *, of_new_rows: bool = False) -> bool:
        """Whether a CHECK says already that this column is never NULL: a validated one, or, of new rows, any."""
        wanted = f"CHECK (({self.columns[table, number].name} IS NOT NULL))"
        return any(
            one.table == table
            and (one.validated or of_new_rows)
            and one.definition.replace('"', "").removesuffix(" NOT VALID") == wanted
            for one in self.constraints.values()
        )


_TABLES = """SELECT oid, relname::text, pg_relation_filenode(oid) FROM pg_class
WHERE relnamespace = %(schema)s::regnamespace AND relkind IN ('r', 'p')"""
_COLUMNS = """SELECT a.attrelid, a.attnum, a.attname::text, a.attnotnull, a.atthasdef OR a.attidentity <> ''
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = %(schema)s::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped"""
_INDEXES = """SELECT i.indexrelid, c.relname::text, i.indrelid, pg_relation_filenode(i.indexrelid)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = %(schema)s::regnamespace"""
_CONSTRAINTS = """SELECT oid, conname::text, conrelid, contype::text, conkey, convalidated, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace AND conrelid <> 0"""


def take(cursor: Any, schema: str) -> Snapshot:
    """Read the catalogue of one schema."""

    def rows(sql: str) -> list[tuple[Any, ...]]:
        cursor.execute(sql, {"schema": schema})
        return list(cursor.fetchall())

    return Snapshot(
        tables={oid: Relation(*rest) for oid, *rest in rows(_TABLES)},
        columns={(table, number): Column(*rest) for table, number, *rest in rows(_COLUMNS)},
        indexes={oid: Index(*rest) for oid, *rest in rows(_INDEXES)},
        constraints={
            oid: Constraint(name, table, kind, tuple(columns or ()), validated, definition)
            for oid, name, table, kind, columns, validated, definition in rows(_CONSTRAINTS)
        },
    )
