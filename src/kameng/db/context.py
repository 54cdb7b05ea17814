"""Enter a schema and a transaction in it, in one `with`.

    with in_substation(substation): ...   # its role, its schema
    with in_main(): ...                   # the main station
    with in_sync(substation): ...         # the sync role, in the substation's schema

Each may be nested in another: the role goes with the statements, the transaction is the outer one's.
`tenant.__enter__` of django-tenants is not used: it keeps its stack on the class, shared by all threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import DEFAULT_DB_ALIAS, connection, connections, transaction

from kameng.db.scopes import PUBLIC_SCHEMA, SYNC_ROLE, NoTenant


class HasSchema(Protocol):
    @property
    def schema_name(self) -> str: ...


@dataclass(frozen=True)
class SchemaScope:
    """The least that the backend needs of a tenant. `db_role` empty: the role of the schema's own name."""

    schema_name: str
    db_role: str = ""


MAIN = SchemaScope(PUBLIC_SCHEMA)


@contextmanager
def pointed_at(tenant: HasSchema) -> Iterator[None]:
    """Point the default connection at `tenant`, without a transaction; for requests that open their own."""
    wrapper: Any = connections[DEFAULT_DB_ALIAS]  # Looked up once; the proxy would do it for each attribute.
    previous = wrapper.tenant
    wrapper.set_tenant(tenant)
    try:
        yield
    finally:
        wrapper.set_tenant(previous)


@contextmanager
def in_substation(tenant: HasSchema) -> Iterator[None]:
    """A transaction (or savepoint) in one substation's schema under its own role. Raises NoTenant for the main one."""
    if not tenant.schema_name or tenant.schema_name == PUBLIC_SCHEMA:
        raise NoTenant("A substation was wanted, and the main station was given.")
    with pointed_at(tenant), transaction.atomic():
        yield
    _give_up_if_full()


@contextmanager
def in_main() -> Iterator[None]:
    """A transaction (or savepoint) in the shared schema, as the main station."""
    with pointed_at(MAIN), transaction.atomic():
        yield


@contextmanager
def in_sync(tenant: HasSchema) -> Iterator[None]:
    """A transaction in one substation's schema under the role that may fill its synced tables."""
    with pointed_at(SchemaScope(tenant.schema_name, SYNC_ROLE)), transaction.atomic():
        yield
    _give_up_if_full()


def _give_up_if_full() -> None:
    """Work that goes from shop to shop has no end of a request at which Django would ask."""
    wrapper: Any = connections[DEFAULT_DB_ALIAS]
    wrapper.close_if_full()


@contextmanager
def read_only() -> Iterator[None]:
    """An outermost transaction in which the database refuses every write."""
    wrapper: Any = connection
    if not wrapper.in_atomic_block:
        wrapper.begin_read_only()
    with transaction.atomic():
        yield


@contextmanager
def long_statements(seconds: int) -> Iterator[None]:
    """A transaction of the main station's whose statements may each take up to `seconds`; others are ended after a minute.

    For work that reads or writes everything: what a shop's request sends has no business taking longer.
    """
    with in_main():
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL statement_timeout = '{int(seconds)}s'")
        yield


def current_schema() -> str:
    """The schema that the next statement sees."""
    wrapper: Any = connection
    return str(wrapper.schema_name)


def current_tenant() -> Any:
    """What the connection points at: a Substation, its cached info, or the main station."""
    wrapper: Any = connection
    return wrapper.tenant


def require_tenant() -> str:
    """The current substation's schema. Raises NoTenant in the main station's."""
    schema = current_schema()
    if schema == PUBLIC_SCHEMA:
        raise NoTenant("This belongs to a substation, and none is set.")
    return schema
