"""A Postgres backend that takes a role and a search_path at the start of every transaction.

django-tenants sets the search_path of the *session*: behind a pooler in transaction mode another tenant's
statements run on it (measured: 1,040 of 1,199 reads were wrong), and the role is always the same. Here:

* `BEGIN`, `SET LOCAL ROLE` and `SET LOCAL search_path` travel in front of the transaction's first statement,
  in the same round trip. psycopg2 stays in autocommit and we send BEGIN and COMMIT ourselves, because its own
  BEGIN is a round trip of its own.
* They are LOCAL: they end with the transaction, whoever uses the connection next.
* A statement outside a transaction is refused. The login role has no right of its own, so what slips past
  this class fails in the database.
* In a tenant, `kameng.db.guard` lets plain DML through and nothing else.

The alias `owner` (migrations, provisioning DDL) logs in as the owner and keeps django-tenants' own behaviour.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db.backends.postgresql import base as postgres
from django.db.backends.utils import CursorDebugWrapper, CursorWrapper, debug_transaction
from django.utils.asyncio import async_unsafe
from django_tenants.postgresql_backend import base as tenants_base

from kameng.db import guard
from kameng.db.scopes import MAIN_ROLE, PUBLIC_SCHEMA, OutsideTransaction, StatementRefused

# Django's own, exactly: they end or move within a transaction, need no rights, and must work where the transaction is
# already broken.
_TRANSACTION_CONTROL = re.compile(r'(?:SAVEPOINT|RELEASE SAVEPOINT|ROLLBACK TO SAVEPOINT) "?[A-Za-z0-9_]+"?')


# A Postgres backend keeps what it has looked up of every table that it saw, about 0.4 MB a schema, and never forgets: a
# kept connection that has served this many schemas is given up at the end of its transaction, and the next one begins
# with nothing. A new one costs milliseconds. `kameng bench memory` measures both.
MOST_SCHEMAS = 100

# What looks on at every statement of the app's, before it is sent: `(scope, sql)`. Empty where shops are served; the tests
# hold here that no statement reaches across schemas.
observers: list[Callable[[Scope, str], None]] = []


class Scope(NamedTuple):
    """Who a transaction is and what it sees."""

    role: str
    schema: str

    @property
    def sql(self) -> str:
        return f'SET LOCAL ROLE "{self.role}"; SET LOCAL search_path = "{self.schema}"; '


class _NoSideDoors:
    """What a driver's cursor can send past `execute`, and so past the guard, is closed in a tenant."""

    db: Any
    cursor: Any

    def _outside_tenants(self, name: str) -> Any:
        if self.db.takes_role and self.db.in_tenant:
            raise StatementRefused(f"{name} is not for a substation's request.")
        return getattr(self.cursor, name)

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        return self._outside_tenants("callproc")(*args, **kwargs)

    def copy_expert(self, *args: Any, **kwargs: Any) -> Any:
        return self._outside_tenants("copy_expert")(*args, **kwargs)

    def copy_from(self, *args: Any, **kwargs: Any) -> Any:
        return self._outside_tenants("copy_from")(*args, **kwargs)

    def copy_to(self, *args: Any, **kwargs: Any) -> Any:
        return self._outside_tenants("copy_to")(*args, **kwargs)


class _Cursor(_NoSideDoors, CursorWrapper):
    pass


class _DebugCursor(_NoSideDoors, CursorDebugWrapper):
    pass


class DatabaseWrapper(tenants_base.DatabaseWrapper):  # type: ignore[misc]
    """One connection. `set_tenant` says which substation; the next statement carries it to the server."""

    include_public_schema = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._begun = False
        self._applied: Scope | None = None
        self._read_only = False
        self._seen: set[str] = set()
        super().__init__(*args, **kwargs)
        self.takes_role = bool(self.settings_dict.get("TAKES_ROLE", True))
        self._guard_wrapper = self._execute_guarded
        if self.takes_role:
            self.execute_wrappers.append(self._guard_wrapper)

    # -- which tenant ------------------------------------------------------------------------------------------

    def set_tenant(self, tenant: Any, include_public: bool = False) -> None:
        """Point the connection at `tenant` (anything with `schema_name`; `db_role` overrides the role)."""
        tenants_base._check_schema_name(tenant.schema_name)
        self.tenant = tenant
        self.schema_name = tenant.schema_name
        self.settings_dict["SCHEMA"] = tenant.schema_name
        self.include_public_schema = False
        self.search_path_set_schemas = None

    @property
    def scope(self) -> Scope:
        """The role and schema that the next statement runs under."""
        role = getattr(self.tenant, "db_role", "") or (
            MAIN_ROLE if self.schema_name == PUBLIC_SCHEMA else self.schema_name
        )
        return Scope(role=role, schema=self.schema_name)

    @property
    def in_tenant(self) -> bool:
        return bool(self.schema_name != PUBLIC_SCHEMA)

    # -- transactions ------------------------------------------------------------------------------------------

    def begin_read_only(self) -> None:
        """Make the transaction that begins next READ ONLY, so that the database refuses its writes."""
        self._read_only = True

    def _set_autocommit(self, autocommit: bool) -> None:
        if not self.takes_role:
            super()._set_autocommit(autocommit)
            return
        with self.wrap_database_errors:
            if not self.connection.autocommit:  # Once, right after connecting.
                self.connection.autocommit = True
        self._begun = False
        self._applied = None
        if autocommit:
            self._read_only = False

    def _commit(self) -> None:
        if not self.takes_role:
            super()._commit()
        else:
            self._finish("COMMIT")

    def _rollback(self) -> None:
        if not self.takes_role:
            super()._rollback()
        else:
            self._finish("ROLLBACK")

    def _finish(self, sql: str) -> None:
        if self.connection is None or not self._begun:  # Nothing was sent, so there is nothing to end.
            return
        with debug_transaction(self, sql), self.wrap_database_errors, self.connection.cursor() as cursor:
            cursor.execute(sql)
        self._begun = False
        self._applied = None

    def make_cursor(self, cursor: Any) -> Any:
        return _Cursor(cursor, self)

    def make_debug_cursor(self, cursor: Any) -> Any:
        return _DebugCursor(cursor, self)

    @async_unsafe
    def savepoint_rollback(self, sid: str) -> None:
        super().savepoint_rollback(sid)
        # A SET LOCAL made after the savepoint is undone with it: forget what we sent.
        self._applied = None

    def close(self) -> None:
        self._begun = False
        self._applied = None
        self._seen.clear()
        super().close()

    @property
    def is_full(self) -> bool:
        """Whether this connection has seen as many schemas as one may."""
        return len(self._seen) >= MOST_SCHEMAS

    def close_if_unusable_or_obsolete(self) -> None:
        """Django asks between requests, and `kameng.celery` between tasks."""
        super().close_if_unusable_or_obsolete()
        self.close_if_full()

    def close_if_full(self) -> None:
        """Give the connection up where it is full and in no transaction; the next statement opens another."""
        if self.connection is not None and self.is_full and not self.in_atomic_block:
            self.close()

    # -- statements --------------------------------------------------------------------------------------------

    def _cursor(self, name: str | None = None) -> Any:
        if not self.takes_role:
            return super()._cursor(name)
        if name is not None:  # A server-side cursor's DECLARE can carry no prefix, so the scope goes ahead of it.
            self.ensure_connection()
            with self._plain_cursor(None) as cursor:
                cursor.execute("SELECT 1")
        return self._plain_cursor(name)

    def _plain_cursor(self, name: str | None) -> Any:
        """Django's own cursor, without the SET that django-tenants puts in front of it."""
        original: Any = postgres.DatabaseWrapper
        return original._cursor(self, name)

    def _execute_guarded(self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
        if self.get_autocommit():
            raise OutsideTransaction(
                f"A statement outside a transaction (schema {self.schema_name}): it would run without a role. "
                "Enter kameng.db.context.in_substation/in_main, or transaction.atomic()."
            )
        if isinstance(sql, str) and self._begun and _TRANSACTION_CONTROL.fullmatch(sql):
            if sql.startswith("ROLLBACK"):
                self._applied = None
            return execute(sql, params, many, context)
        verb = ""
        if self.in_tenant:
            text = sql if isinstance(sql, str) else sql.as_string(self.connection)
            verb = guard.check(text, params is not None)
        for observe in observers:
            observe(self.scope, sql if isinstance(sql, str) else sql.as_string(self.connection))
        prefix = self._prefix()
        if prefix and (not isinstance(sql, str) or many or context["cursor"].name is not None):
            with self.wrap_database_errors, self.connection.cursor() as cursor:
                cursor.execute(prefix)
            prefix = ""
        result = execute(prefix + sql if prefix else sql, params, many, context)
        if verb == "ROLLBACK":
            # Back before a SET LOCAL of ours, perhaps: what we sent may hold no longer, and is sent again.
            self._applied = None
        return result

    def _prefix(self) -> str:
        """What must reach the server before the next statement; notes it as sent."""
        scope = self.scope
        self._seen.add(scope.schema)
        if self._begun:
            if scope == self._applied:
                return ""
            self._applied = scope
            return scope.sql
        self._begun = True
        self._applied = scope
        return ("BEGIN READ ONLY; " if self._read_only else "BEGIN; ") + scope.sql
