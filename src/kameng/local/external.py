"""Servers of the user's. Of the Postgres that DATABASE_URL names, the user is taken as the owner, and the app's own
log-in is made beside it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 names the class in lower case.

from kameng.local import cluster
from kameng.local.errors import LocalError

MINIMUM_VERSION = 16_00_00  # Memberships WITH SET and INHERIT, on which the roles rest.


def database_environment(environ: Mapping[str, str], secret_key: str) -> dict[str, str]:
    """DATABASE_URL and DATABASE_OWNER_URL for settings, from what the user gave; empty when nothing was.

    Both given: taken as they are. DATABASE_URL alone: the owner's; the app's log-in is derived from it.
    Raises LocalError for an address that is not a Postgres URL.
    """
    given, owner = environ.get("DATABASE_URL", ""), environ.get("DATABASE_OWNER_URL", "")
    if not given:
        return {}
    if not owner:
        given, owner = app_url(given, secret_key), given
    return {"DATABASE_URL": given, "DATABASE_OWNER_URL": owner}


def app_url(owner_url: str, secret_key: str) -> str:
    """The same server and database with the app's log-in."""
    parts = urlsplit(owner_url)
    if parts.scheme not in {"postgres", "postgresql"} or len(parts.path) < 2:
        raise LocalError("DATABASE_URL must look like postgresql://user:password@host:port/database.")
    _user, _at, server = parts.netloc.rpartition("@")
    password = app_password(secret_key, parts.path[1:])
    return urlunsplit(parts._replace(netloc=f"{cluster.APP}:{quote(password)}@{server}"))


def app_password(secret_key: str, database: str) -> str:
    """The app's password: derived, so that every machine with the same secret key knows it without being told."""
    message = f"kameng.local.external:{unquote(database)}".encode()
    return hmac.new(secret_key.encode(), message, hashlib.sha256).hexdigest()


def prepare(owner_url: str, secret_key: str) -> list[str]:
    """Make the app's log-in and take from PUBLIC what can be taken; safe to repeat.

    Returns what the owner had no right to do, in sentences for the terminal.
    Raises LocalError when the server does not answer, is too old, serves another network already, or the log-in can
    neither be made nor used.
    """
    try:
        conn = psycopg2.connect(owner_url, connect_timeout=15)
    except psycopg2.Error as error:
        raise LocalError(
            f"The database that DATABASE_URL names does not let us in: {str(error).strip()}\n"
            "Mend it, or leave it out for the embedded one."
        ) from error
    try:
        conn.autocommit = True
        if conn.server_version < MINIMUM_VERSION:
            raise LocalError(
                f"The PostgreSQL {conn.server_version // 10_000} that DATABASE_URL names is too old; 16 is the least, 18 "
                "the best. Leave DATABASE_URL out for the embedded 18."
            )
        password = app_password(secret_key, urlsplit(owner_url).path[1:])
        with conn.cursor() as cursor:
            _refuse_a_second_network(cursor)
            _ensure_app_login(cursor, password, app_url(owner_url, secret_key))
            return [*_self_grant(cursor), *_close_to_public(cursor)]
    finally:
        conn.close()


def check_redis(url: str) -> None:
    """Raises LocalError when no Redis answers at the address, or it does not let us in."""
    import redis  # A tenth of a second, which no command that only asks for the database's address need wait for.

    try:
        with redis.Redis.from_url(url, socket_connect_timeout=15, socket_timeout=15) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        raise LocalError(
            f"The Redis that REDIS_URL names does not let us in: {error} Mend it, or leave it out for the embedded one."
        ) from error


def _refuse_a_second_network(cursor: Cursor) -> None:
    """Roles are the server's: a second network would change the first one's password and share its shops' roles."""
    cursor.execute(
        "SELECT d.datname FROM pg_database d, aclexplode(d.datacl) acl JOIN pg_roles r ON r.oid = acl.grantee"
        " WHERE r.rolname = %s AND d.datname <> current_database() AND d.datname <> ALL (%s) LIMIT 1",
        (cluster.APP, list(cluster.MAINTENANCE)),
    )
    other = cursor.fetchone()
    if other is not None:
        raise LocalError(
            f"The database {other[0]} on this server belongs to another Kameng, and a server's roles can serve one alone. "
            "Name a database on another server with DATABASE_URL=, or leave it out for the embedded one."
        )


def _ensure_app_login(cursor: Cursor, password: str, url: str) -> None:
    try:
        cluster.ensure_login(cursor, cluster.APP, password, "NOINHERIT")
    except psycopg2.errors.InsufficientPrivilege as error:
        try:
            psycopg2.connect(url, connect_timeout=15).close()  # Somebody made it for us, with this password?
        except psycopg2.OperationalError:
            cursor.execute("SELECT rolcreaterole FROM pg_roles WHERE rolname = current_user")
            row = cursor.fetchone()
            if row is not None and row[0]:
                raise LocalError(
                    f"The role {cluster.APP} was made by somebody else, and the user of DATABASE_URL may not change it. Let "
                    f"an administrator run DROP ROLE {cluster.APP}, or GRANT {cluster.APP} TO … WITH ADMIN OPTION."
                ) from error
            raise LocalError(
                f"The user of DATABASE_URL may not create roles. Let an administrator run "
                f"ALTER ROLE … CREATEROLE, or create {cluster.APP} and give both DATABASE_URL and DATABASE_OWNER_URL."
            ) from error


def _self_grant(cursor: Cursor) -> list[str]:
    """The owner may act as the roles it creates; it may set that for itself."""
    try:
        cursor.execute("ALTER ROLE CURRENT_USER SET createrole_self_grant = 'set, inherit'")
    except psycopg2.Error as error:
        return [f"createrole_self_grant could not be set for the owner: {error.diag.message_primary}"]
    return []


def _close_to_public(cursor: Cursor) -> list[str]:
    """Every closing that the owner may do; a sentence for each that is still open afterwards."""
    cursor.execute("SELECT current_user, current_database()")
    row = cursor.fetchone()
    assert row is not None
    for statement in cluster.closing_statements(owner=row[0], database=row[1]):
        try:
            cursor.execute(statement)
        except psycopg2.errors.InsufficientPrivilege:
            continue  # What matters is what is open in the end, and that is read below.
    cursor.execute(
        "SELECT has_function_privilege('public', 'pg_catalog.set_config(text, text, boolean)', 'EXECUTE'),"
        " has_language_privilege('public', 'plpgsql', 'USAGE'), has_schema_privilege('public', 'public', 'CREATE')"
    )
    state = cursor.fetchone()
    assert state is not None
    names = ("EXECUTE on pg_catalog.set_config", "USAGE on language plpgsql", "CREATE on schema public")
    closing = sql.SQL("; ").join(cluster.closing_statements(owner=row[0], database=row[1])).as_string(cursor)
    still_open = [name for name, is_open in zip(names, state, strict=True) if is_open]
    if not still_open:
        return []
    return [
        f"Everybody on this server still has {', '.join(still_open)}: SQL injected into a shop could climb out of it. "
        f"Let a superuser run once: {closing}"
    ]
