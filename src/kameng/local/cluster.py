"""What a Postgres needs before Kameng can use it: two log-in roles, a database, and fewer rights for everybody.

Used on the embedded server, on one that DATABASE_URL names (`kameng.local.external`) and on test databases.
Everything here may be repeated at any time.
"""

from __future__ import annotations

from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names the class in lower case.
from psycopg2.extensions import cursor as Cursor  # noqa: N812

OWNER = "kameng_owner"
APP = "kameng_app"
DATABASE = "kameng"
MAINTENANCE = ("postgres", "template1")  # Nobody but the superuser has business there.
# What the app's log-in brings into every session, and with it into every shop's: a statement that runs too long is ended
# instead of holding its locks, and a transaction that nobody goes on with instead of holding the ledger's roll-ups back.
# On the log-in, because SET ROLE takes over no setting of the role, and each transaction would pay for a SET of its own.
# Whatever needs longer says so (kameng.db.context.long_statements); owner and superuser have no limit.
APP_LIMITS = {"statement_timeout": "60s", "idle_in_transaction_session_timeout": "5min"}
# Functions that every role may call by default and no shop's page needs. What they would be good for: rows of others
# counted (pg_stat_*, sizes), whose transaction waits for whom (pg_locks), a lock that outlives the transaction and holds
# up the stock's roll-up (advisory locks), files on the server's disk that belong to no schema (large objects), a
# connection kept busy (pg_sleep), the log and the channels of everybody (pg_logical_emit_message, pg_notify).
CLOSED_FUNCTIONS = (
    "^(lo_.*|loread|lowrite|pg_(try_)?advisory_.*|pg_sleep.*|pg_stat_get_.*|pg_lock_status|pg_notify"
    "|pg_logical_emit_message|pg_export_snapshot|pg_(relation|total_relation|table|indexes|database|tablespace)_size)$"
)
_CLOSE_FUNCTIONS = """
DO $close$
DECLARE
    open record;
BEGIN
    FOR open IN
        SELECT p.oid::regprocedure AS name FROM pg_proc p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname ~ {functions}
          AND has_function_privilege('public', p.oid, 'EXECUTE')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', open.name);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I WITH GRANT OPTION', open.name, {owner_name});
    END LOOP;
END
$close$"""


def prepare_cluster(conn: Connection, *, owner_password: str, app_password: str) -> None:
    """Make or correct the two log-in roles.

    `conn` is a superuser's. Passwords are set each time, so that a lost state file heals.
    `kameng_owner` makes the substations' roles (CREATEROLE) and works as each of them; `kameng_app` is NOINHERIT:
    until it takes a role on, it can do nothing.
    """
    with conn, conn.cursor() as cursor:
        ensure_login(cursor, OWNER, owner_password, "CREATEROLE")
        ensure_login(cursor, APP, app_password, "NOINHERIT")
        # Whom it creates, it may also SET ROLE to: a schema is made with AUTHORIZATION of its substation's role.
        self_grant = sql.SQL("ALTER ROLE {} SET createrole_self_grant = 'set, inherit'")
        cursor.execute(self_grant.format(sql.Identifier(OWNER)))


def ensure_login(cursor: Cursor, role: str, password: str, options: str) -> None:
    """The role with exactly this password and these options (`CREATEROLE`, `NOINHERIT`)."""
    name = sql.Identifier(role)
    cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,))
    if cursor.fetchone() is None:
        cursor.execute(sql.SQL("CREATE ROLE {}").format(name))
    # The password travels as a SCRAM verifier's source over our own socket, and statements are not logged.
    cursor.execute(sql.SQL("ALTER ROLE {} LOGIN {} PASSWORD %s").format(name, sql.SQL(options)), (password,))
    # The guard of the tenants' statements (kameng.db.guard) reads texts by this rule, which a server may have switched off.
    cursor.execute(sql.SQL("ALTER ROLE {} SET standard_conforming_strings = on").format(name))
    for setting, value in APP_LIMITS.items() if role == APP else ():
        limit = sql.SQL("ALTER ROLE {} SET {} = {}").format(name, sql.Identifier(setting), sql.Literal(value))
        cursor.execute(limit)


def create_database(conn: Connection, name: str) -> bool:
    """Make the database `name`, owned by `kameng_owner`, unless it is there. True when it was made.

    `conn` is a superuser's, to any database, in no transaction.
    """
    conn.autocommit = True
    with conn.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
        if cursor.fetchone() is not None:
            return False
        cursor.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(OWNER)))
    return True


def prepare_database(conn: Connection) -> None:
    """Close to PUBLIC the database that `conn`, a superuser's, is connected to. See `closing_statements`."""
    with conn, conn.cursor() as cursor:
        cursor.execute("SELECT current_database()")
        row = cursor.fetchone()
        assert row is not None
        for statement in closing_statements(owner=OWNER, database=row[0]):
            cursor.execute(statement)


def closing_statements(*, owner: str, database: str) -> list[sql.Composed]:
    """What takes from PUBLIC the ways by which a tenant's SQL could climb out, leaving them to `owner`.

    Without `set_config` no SELECT changes role or search_path; without plpgsql no DO block runs one; without TEMP no
    temporary table stands in front of a real one. For the rest see CLOSED_FUNCTIONS.
    """
    entering = () if database in MAINTENANCE else ("GRANT CONNECT ON DATABASE {database} TO {owner}, {app}",)
    names = {
        "owner": sql.Identifier(owner),
        "app": sql.Identifier(APP),
        "database": sql.Identifier(database),
        "owner_name": sql.Literal(owner),
        "functions": sql.Literal(CLOSED_FUNCTIONS),
    }
    return [
        sql.SQL(text).format(**names)
        for text in (
            "REVOKE EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) FROM PUBLIC",
            "GRANT EXECUTE ON FUNCTION pg_catalog.set_config(text, text, boolean) TO {owner}",
            "REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC",
            "GRANT USAGE ON LANGUAGE plpgsql TO {owner}",
            _CLOSE_FUNCTIONS,
            "REVOKE ALL ON SCHEMA public FROM PUBLIC",
            "GRANT ALL ON SCHEMA public TO {owner} WITH GRANT OPTION",
            "REVOKE ALL ON DATABASE {database} FROM PUBLIC",
            *entering,
        )
    ]
