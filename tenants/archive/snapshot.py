"""One moment of one shop: a connection of its own, REPEATABLE READ and READ ONLY, under the shop's own role.

The role is what keeps an export from another shop's rows: the database would refuse it. The guard of the request's
connection lets no COPY through, so this one is apart from it; it is used by nothing that a visitor can reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, Protocol

from django.db import DEFAULT_DB_ALIAS, connections

from kameng.db.scopes import MAIN_ROLE, PUBLIC_SCHEMA
from tenants.archive.form import LEFT_OUT, Table, tenant_tables

# Found by the names that the models give, each by the catalogue's own index: the catalogue is as large as the network,
# and listing a schema's tables would read all of it.
COLUMNS = """SELECT t.name, array_agg(a.attname::text ORDER BY a.attnum)
FROM unnest(%(tables)s::text[]) AS t(name)
JOIN pg_attribute a ON a.attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, t.name))
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '' GROUP BY t.name"""


class Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Snapshot:
    """What can be read of the moment."""

    def __init__(self, connection: Any, schema: str) -> None:
        self._connection = connection
        self.schema = schema

    def copy(self, sql: str, out: Sink | BinaryIO) -> int:
        """Stream a COPY … TO STDOUT; answers the number of rows."""
        with self._connection.cursor() as cursor:
            cursor.copy_expert(sql, out)
            return int(cursor.rowcount)

    def rows(self, sql: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def pages(self, sql: str, values: Any, size: int = 2_000) -> Iterator[Sequence[Any]]:
        """Rows of a long answer, by a cursor of the server's: memory holds `size` of them."""
        with self._connection.cursor(name="archive") as cursor:
            cursor.itersize = size
            cursor.execute(sql, values)
            yield from cursor

    @contextmanager
    def as_main(self) -> Iterator[Snapshot]:
        """The same moment as the main station sees it: for what the shared schema holds of this shop."""
        self._enter(MAIN_ROLE, PUBLIC_SCHEMA)
        try:
            yield self
        finally:
            self._enter(self.schema, self.schema)

    def _enter(self, role: str, schema: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(f'SET LOCAL ROLE "{role}"; SET LOCAL search_path = "{schema}"')

    def tables(self) -> list[Table]:
        """The shop's tables with their columns, those apart that never leave it."""
        keys = tenant_tables()
        wanted = [name for name in keys if name not in LEFT_OUT]
        found = dict(self.rows(COLUMNS, {"schema": self.schema, "tables": wanted}))
        # A schema that has not taken the newest step yet lacks its tables.
        return [Table(name, keys[name], tuple(found[name])) for name in wanted if name in found]


@contextmanager
def of(schema: str) -> Iterator[Snapshot]:
    """Open the moment; it ends with the block. Rows that are written meanwhile are in it whole or not at all."""
    wrapper: Any = connections[DEFAULT_DB_ALIAS]
    connection = wrapper.get_new_connection(wrapper.get_connection_params())
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True, autocommit=False)
        with connection.cursor() as cursor:
            cursor.execute(
                f'SET LOCAL ROLE "{schema}"; '
                f"SET LOCAL search_path = \"{schema}\"; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; "
                "SET LOCAL bytea_output = 'hex'"
            )
            cursor.execute("SELECT 1")  # The snapshot is taken by the first query, not by BEGIN.
        yield Snapshot(connection, schema)
    finally:
        connection.close()
