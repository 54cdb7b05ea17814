"""The walls between shops, tried before anything is served: web and worker don't start while one of them is down.

Each wall is asked for by what it keeps out, and not by what was written to keep it out: a grant too many, a role that
may become another, a setting that switches the backend off. A few catalogue queries and a dozen statements in a shop's
scope; nothing is written. `kameng selftest` prints the same; `tests/isolation/test_selftest.py` breaks each.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connection, connections, transaction

from kameng.db.backend.base import DatabaseWrapper
from kameng.db.context import SchemaScope, in_main, in_substation, pointed_at
from kameng.db.scopes import (
    APP_ROLE,
    GATE_SCHEMA,
    PUBLIC_SCHEMA,
    SYNC_ROLE,
    TEMPLATE_SCHEMA,
    TENANT_ROLE,
    OutsideTransaction,
    StatementRefused,
)

EXIT_STATUS = 3  # gunicorn's own for "can't boot": its master ends instead of trying again.
DENIED, NO_TABLE = "42501", "42P01"
TRAIL = "accounts_auditrecord"
_TENANTS = "(n.nspname LIKE 's\\_%%' OR n.nspname = %s)"
SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")


class WallsDown(Exception):
    """At least one wall does not hold. The message names each, and its cure."""

    def __init__(self, broken: list[Finding]) -> None:
        self.broken = broken
        lines = [f"- {one.wall}: {one.problem}\n  {one.cure}" for one in broken]
        super().__init__("\n".join(["Kameng does not serve: shops are not safe from each other.", *lines]))


@dataclass(frozen=True)
class Finding:
    """One wall, and what is wrong with it (empty: it holds) with what helps."""

    wall: str
    problem: str = ""
    cure: str = ""


@dataclass(frozen=True)
class Wall:
    """What is tried. `tried` answers what is wrong, or nothing; `shops` are schemas with roles, at most two."""

    name: str
    cure: str
    tried: Callable[[list[str]], str]


# Whether a wall is being tried: then statements are sent on purpose that must not go through.
trying: ContextVar[bool] = ContextVar("trying", default=False)


def run() -> list[Finding]:
    """Try every wall; one that can't be tried any more because another is down counts as down."""
    token = trying.set(True)
    try:
        return _run()
    finally:
        trying.reset(token)


def _run() -> list[Finding]:
    findings = []
    shops: list[str] = []
    for wall in WALLS:
        if wall.tried is _takes_a_role:
            findings.append(_try(wall, shops))
            if findings[-1].problem:
                return findings  # Without a role nothing below means anything.
            shops = _sample()
        else:
            findings.append(_try(wall, shops))
    return findings


def _try(wall: Wall, shops: list[str]) -> Finding:
    try:
        problem = wall.tried(shops)
    except DatabaseError as error:
        problem = f"it can't be tried: {str(error).strip().splitlines()[0]}"
    return Finding(wall.name, problem, wall.cure if problem else "")


def require() -> None:
    """Raises: WallsDown."""
    broken = [one for one in run() if one.problem]
    if broken:
        raise WallsDown(broken)


def require_or_exit() -> None:
    """For the programs that serve: say what is wrong on standard error and end."""
    try:
        require()
    except WallsDown as down:
        print(down, file=sys.stderr, flush=True)
        sys.exit(EXIT_STATUS)
    finally:
        connection.close()  # Whoever serves opens its own; a process that forks afterwards must not share this one.


# -- The walls ---------------------------------------------------------------------------------------------------------


def _takes_a_role(shops: list[str]) -> str:
    wrapper: Any = connections[DEFAULT_DB_ALIAS]
    if not isinstance(wrapper, DatabaseWrapper):
        return f"DATABASES['default'] has the engine {settings.DATABASES['default']['ENGINE']}"
    if not wrapper.takes_role:
        return "DATABASES['default'] has TAKES_ROLE off"
    with in_main():
        [(user, path)] = _rows("SELECT current_user::text, current_setting('search_path')")
    return "" if path.strip('"') == PUBLIC_SCHEMA and user != APP_ROLE else f"a transaction runs as {user} in {path}"


def _shop_is_itself(shops: list[str]) -> str:
    for shop in shops:
        with in_substation(SchemaScope(shop)):
            [found] = _rows("SELECT current_user::text, current_setting('search_path')")
        if (found[0], found[1].strip('"')) != (shop, shop):
            return f"a transaction of {shop} runs as {found[0]} in {found[1]}"
    return ""


def _outside_is_refused(shops: list[str]) -> str:
    for scope in (SchemaScope(PUBLIC_SCHEMA), *map(SchemaScope, shops)):
        with pointed_at(scope):
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
            except OutsideTransaction:
                continue
        return f"a statement outside a transaction is let through ({scope.schema_name})"
    return ""


def _guard_stands(shops: list[str]) -> str:
    for shop in shops[:1]:
        for statement in ("SET ROLE kameng_main", "RESET ROLE", "DO $$BEGIN END$$", "SELECT 1; SELECT 2"):
            with in_substation(SchemaScope(shop)):
                try:
                    with connection.cursor() as cursor:
                        cursor.execute(statement)
                except StatementRefused:
                    continue
                finally:
                    transaction.set_rollback(True)
            return f"a shop's request may send {statement!r}"
    return ""


def _sees_no_other(shops: list[str]) -> str:
    """What another schema's and the shared one's tables answer to a shop, one of each, and everything by the catalogue."""
    for shop in shops:
        for schema in (PUBLIC_SCHEMA, *[other for other in shops if other != shop]):
            table = _a_table_of(schema)
            said = _answer(shop, f'SELECT 1 FROM "{schema}"."{table}" LIMIT 1')
            if said != DENIED:
                return f"{shop} asks for {schema}.{table} and is not refused ({said or 'it reads'})"
    return ""


def _missing_is_an_error(shops: list[str]) -> str:
    for shop in shops[:1]:
        table = _a_table_of(PUBLIC_SCHEMA, besides=shop)
        said = _answer(shop, f'SELECT 1 FROM "{table}" LIMIT 1')
        if said != NO_TABLE:
            return f"{shop} asks for {table}, which it has not, and gets {said or 'rows'}"
    return ""


def _log_in_has_nothing(shops: list[str]) -> str:
    """The log-in itself, before it takes a role on: no right anywhere, and none that it would inherit."""
    with in_main():
        flags = _rows(
            "SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = session_user"
        )
        open_schemas = _rows(
            "SELECT nspname FROM pg_namespace WHERE has_schema_privilege(session_user, oid, 'USAGE') "
            "AND nspname NOT IN %s AND nspname NOT LIKE 'pg\\_temp%%' AND nspname NOT LIKE 'pg\\_toast%%' LIMIT 3",
            SYSTEM_SCHEMAS,
        )
    words = ("superuser", "INHERIT", "CREATEROLE", "CREATEDB", "BYPASSRLS")
    held = [word for word, flag in zip(words, flags[0], strict=True) if flag]
    if held:
        return f"the log-in role is {', '.join(held)}"
    return f"the log-in role may enter {', '.join(name for (name,) in open_schemas)} by itself" if open_schemas else ""


def _nobody_else_enters(shops: list[str]) -> str:
    """Of all shops, and of the template that they are made of: who may enter a schema or touch a table, beside its owner, its
    own role and the sync."""
    with in_main():
        entering = _rows(
            "SELECT n.nspname, coalesce(r.rolname, 'everybody') FROM pg_namespace n, aclexplode(n.nspacl) a "
            f"LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE {_TENANTS} AND a.grantee <> n.nspowner "
            "AND coalesce(r.rolname, '') NOT IN (n.nspname, %s) LIMIT 3",
            TEMPLATE_SCHEMA, SYNC_ROLE,
        )  # fmt: skip
        touching = _rows(
            "SELECT n.nspname || '.' || c.relname, coalesce(r.rolname, 'everybody') FROM pg_class c "
            "JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(c.relacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee "
            f"WHERE {_TENANTS} AND a.grantee <> c.relowner AND coalesce(r.rolname, '') NOT IN (n.nspname, %s) LIMIT 3",
            TEMPLATE_SCHEMA, SYNC_ROLE,
        )  # fmt: skip
    return "; ".join(f"{who} has rights on {what}" for what, who in [*entering, *touching])


def _trails_stand(shops: list[str]) -> str:
    """Nobody but the owner may change or remove what stands in an audit trail, a shop's or the main station's."""
    with in_main():
        found = _rows(
            "SELECT given.schema, coalesce(r.rolname, 'everybody'), given.privilege_type FROM ("
            " SELECT n.nspname AS schema, c.relowner, (aclexplode(c.relacl)).* FROM pg_class c"
            " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = %s"
            " UNION ALL SELECT n.nspname, c.relowner, (aclexplode(t.attacl)).* FROM pg_attribute t"
            " JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = %s"
            ") given LEFT JOIN pg_roles r ON r.oid = given.grantee WHERE given.grantee <> given.relowner "
            "AND given.privilege_type IN ('UPDATE', 'DELETE', 'TRUNCATE') LIMIT 3",
            TRAIL, TRAIL,
        )  # fmt: skip
    return "; ".join(f"{who} may {right} {schema}.{TRAIL}" for schema, who, right in found)


def _shared_is_closed(shops: list[str]) -> str:
    """Nothing of the shared schema is given to everybody, to the shops as a group, or to one of them."""
    with in_main():
        found = _rows(
            "SELECT what, coalesce(r.rolname, 'everybody') FROM ("
            " SELECT c.relname::text AS what, a.grantee FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = %s::regnamespace"
            " UNION ALL SELECT p.proname::text, a.grantee FROM pg_proc p, aclexplode(p.proacl) a WHERE p.pronamespace = %s::regnamespace"
            " UNION ALL SELECT p.proname::text, 0 FROM pg_proc p WHERE p.pronamespace = %s::regnamespace AND p.proacl IS NULL"
            " UNION ALL SELECT n.nspname::text, a.grantee FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname IN (%s, %s)"
            "   AND (n.nspname = %s OR a.grantee = 0)"
            ") given LEFT JOIN pg_roles r ON r.oid = given.grantee "
            "WHERE given.grantee = 0 OR r.rolname = %s OR r.rolname LIKE 's\\_%%' LIMIT 3",
            *[PUBLIC_SCHEMA] * 4, GATE_SCHEMA, PUBLIC_SCHEMA, TENANT_ROLE,
        )  # fmt: skip
    return "; ".join(f"{who} has rights on {what} of the shared schema" for what, who in found)


def _roles_stay_apart(shops: list[str]) -> str:
    """No shop's role logs in, passes over row security, or is a member of anything but the group of shops."""
    with in_main():
        strong = _rows(
            "SELECT rolname FROM pg_roles WHERE (rolname LIKE 's\\_%%' OR rolname = %s) "
            "AND (rolcanlogin OR rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls) LIMIT 3",
            TENANT_ROLE,
        )
        members = _rows(
            "SELECT m.rolname, g.rolname FROM pg_auth_members a JOIN pg_roles m ON m.oid = a.member "
            "JOIN pg_roles g ON g.oid = a.roleid WHERE (m.rolname LIKE 's\\_%%' AND g.rolname <> %s) OR m.rolname = %s LIMIT 3",
            TENANT_ROLE, TENANT_ROLE,
        )  # fmt: skip
    return "; ".join(
        [
            *(f"{role} may more than a shop's role" for (role,) in strong),
            *(f"{who} may act as {what}" for who, what in members),
        ]
    )


def _cookies_stay_at_home(shops: list[str]) -> str:
    for name in ("SESSION_COOKIE_DOMAIN", "CSRF_COOKIE_DOMAIN", "LANGUAGE_COOKIE_DOMAIN"):
        if getattr(settings, name, None):
            return f"{name} is {getattr(settings, name)!r}: a browser would send it to every shop"
    if not settings.SESSION_COOKIE_HTTPONLY:
        return "SESSION_COOKIE_HTTPONLY is off: a page's script could read it"
    if settings.SCHEME == "https" and not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        return "cookies are sent without https"
    return ""


def _cache_is_keyed(shops: list[str]) -> str:
    """Sessions, throttles and remembered facts: one name is another entry in each schema."""
    keys = []
    for schema in (PUBLIC_SCHEMA, *shops):
        with pointed_at(SchemaScope(schema)):
            keys.append(cache.make_key("selftest"))
    return "" if len(set(keys)) == len(keys) else f"two schemas share the cache's key {keys[0]!r}"


_PREPARE = "Run `kameng db prepare`, which gives the roles what is written in kameng.db.roles"
_REVOKE = "REVOKE what somebody added: in psql, `\\dn+` shows who may enter a schema, `\\dp SCHEMA.*` who may touch its tables."
WALLS = (
    Wall(
        "A transaction takes a role", f"Take the databases of kameng.settings as they are. {_PREPARE}.", _takes_a_role
    ),
    Wall("A shop's transaction is that shop", f"{_PREPARE}.", _shop_is_itself),
    Wall(
        "A statement outside a transaction is refused",
        "Something took the wrapper of kameng.db.backend off the connection, or stands in front of it.",
        _outside_is_refused,
    ),
    Wall(
        "A shop's request sends plain statements alone",
        "kameng.db.guard was changed, or taken out of kameng.db.backend.",
        _guard_stands,
    ),
    Wall(
        "The log-in alone reads nothing",
        f"ALTER ROLE {APP_ROLE} NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB. {_REVOKE}",
        _log_in_has_nothing,
    ),
    Wall("A shop sees no other schema", _REVOKE, _sees_no_other),
    Wall(
        "A missing table is an error",
        "A shop's search_path is its schema alone: look for ALTER ROLE … SET search_path, and at kameng.db.backend.",
        _missing_is_an_error,
    ),
    Wall("Nobody else enters a shop's schema", _REVOKE, _nobody_else_enters),
    Wall("An audit trail is only added to", _REVOKE, _trails_stand),
    Wall("The shared schema is closed to shops", _REVOKE, _shared_is_closed),
    Wall(
        "A shop's role is no more than that",
        "REVOKE the membership, or ALTER ROLE … NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB.",
        _roles_stay_apart,
    ),
    Wall("Cookies stay at their host", "Leave the settings as kameng.settings has them.", _cookies_stay_at_home),
    Wall(
        "The cache is keyed by shop",
        "CACHES['default'] needs KEY_FUNCTION = 'kameng.web.cachekeys.tenant_key'.",
        _cache_is_keyed,
    ),
)


# -- Asking ------------------------------------------------------------------------------------------------------------


def _rows(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, list(values) or None)
        return list(cursor.fetchall())


def _sample() -> list[str]:
    """Two schemas to try with: the youngest shops, or spares where there are none."""
    with in_main():
        return [name for (name,) in _rows(
            "SELECT n.nspname FROM pg_namespace n JOIN pg_roles r ON r.rolname = n.nspname "
            "WHERE n.nspname LIKE 's\\_%%' ORDER BY n.nspname DESC LIMIT 2"
        )]  # fmt: skip


def _a_table_of(schema: str, *, besides: str = "") -> str:
    """The name of one of its tables; of one that `besides` has not."""
    with in_main():
        found = _rows(
            "SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s "
            "AND relkind = 'r' AND relname NOT IN (SELECT o.relname FROM pg_class o JOIN pg_namespace m "
            "ON m.oid = o.relnamespace WHERE m.nspname = %s) ORDER BY 1 LIMIT 1",
            schema, besides,
        )  # fmt: skip
    return str(found[0][0]) if found else "none"


def _answer(shop: str, sql: str) -> str:
    """The code of the error that a shop's statement ends in; empty when it goes through."""
    with in_substation(SchemaScope(shop)):
        try:
            with transaction.atomic():
                _rows(sql)
        except DatabaseError as error:
            return str(getattr(error.__cause__, "pgcode", "") or "?")
    return ""
