"""The template schema, and the SQL script rendered from it that makes any number of schemas like it.

Django migrates the template alone (`tenants.upgrades.rendering`). The script is read out of the catalogue, keyed by
the set of migration leaves, kept in `tenants_schemascript`, and runs in one round trip. `@schema@` stands for the new
schema's name.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.commands.migrate import Command as DjangoMigrate
from django.db import connections, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from kameng.db import roles
from kameng.db.scopes import PUBLIC_SCHEMA, TEMPLATE_SCHEMA
from tenants.upgrades import declarations

PLACEHOLDER = "@schema@"
# Django's own record of migrations stands in the template only; a substation records the version it is at.
LEFT_OUT = ("django_migrations",)


def owner() -> Any:
    """The owner's connection: DDL and nothing else."""
    return connections[settings.OWNER_ALIAS]


@cache
def schema_version() -> str:
    """A digest of the tenant apps' migration leaves and of the grants: what a schema of this code looks like.

    Read from the files once a process: code does not change while it runs.
    """
    loader = MigrationLoader(None)
    labels = declarations.tenant_labels()
    leaves = sorted(f"{app}.{name}" for app, name in loader.graph.leaf_nodes() if app in labels)
    rights = repr((roles.OWN_COLUMNS, roles.TENANT_APPEND_ONLY, roles.SYNCED_TABLES))
    return hashlib.sha256("\n".join([*leaves, rights]).encode()).hexdigest()[:32]


def migrate_shared(verbosity: int = 0) -> None:
    """Django's migrate on the shared schema."""
    wrapper = owner()
    wrapper.set_schema(PUBLIC_SCHEMA)
    call_command(DjangoMigrate(), database=settings.OWNER_ALIAS, interactive=False, verbosity=verbosity)


def recorded_version() -> str:
    """The version that the template schema is at; empty when there is no template, or none that says so.

    It stands in the schema's comment: the catalogue itself says it, and it commits with the template's DDL.
    """
    with owner().cursor() as cursor:
        cursor.execute("SELECT obj_description(to_regnamespace(%s)::oid, 'pg_namespace')", [TEMPLATE_SCHEMA])
        words = (cursor.fetchone()[0] or "").split()
    return words[1] if len(words) == 2 and words[0] == "version" else ""


def record_version(version: str) -> None:
    """Note the template's version, inside the caller's transaction."""
    with owner().cursor() as cursor:
        cursor.execute(f"COMMENT ON SCHEMA {TEMPLATE_SCHEMA} IS 'version {version}'")


def migrate_template() -> None:
    """Make the tenant apps' tables in a template schema that no other schema was made of yet.

    Not by Django's command: it would render the models of every shared app once more, migration by migration, and make
    nothing of them (kameng.db.router). They are recorded, as the command would, and that is all.
    """
    wrapper = owner()
    with wrapper.cursor() as cursor:
        cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {TEMPLATE_SCHEMA}")
        cursor.execute(f"REVOKE ALL ON SCHEMA {TEMPLATE_SCHEMA} FROM PUBLIC")
    wrapper.set_schema(TEMPLATE_SCHEMA)
    try:
        executor = MigrationExecutor(wrapper)
        executor.loader.check_consistent_history(wrapper)
        leaves = executor.loader.graph.leaf_nodes()
        tenants = [leaf for leaf in leaves if leaf[0] in declarations.tenant_labels()]
        made, everything = executor.migration_plan(tenants), executor.migration_plan(leaves)
        executor.migrate(tenants, plan=made)
        executor.migrate(leaves, plan=[step for step in everything if step not in made], fake=True)
    finally:
        wrapper.set_schema(PUBLIC_SCHEMA)


def render_script() -> str:
    """The statements that make one schema like the template, read out of the catalogue."""
    wrapper = owner()
    with transaction.atomic(using=settings.OWNER_ALIAS), wrapper.cursor() as cursor:
        # An empty search_path makes the catalogue's functions print every name with its schema.
        cursor.execute("SET LOCAL search_path = pg_catalog")
        tables = _tables(cursor)
        statements = [f'CREATE SCHEMA "{PLACEHOLDER}"']
        for oid, name in tables:
            statements.append(_table_sql(cursor, oid, name))
        for kind in ("p", "u", "c", "f"):  # Keys before the foreign keys that need them.
            for oid, name in tables:
                statements += _constraint_sql(cursor, oid, name, kind)
        for oid, _ in tables:
            statements += _index_sql(cursor, oid)
    statements += grants()
    return ";\n".join(statements).replace(f"{TEMPLATE_SCHEMA}.", f'"{PLACEHOLDER}".') + ";\n"


def grants() -> list[str]:
    """The statements that give the roles their rights in a schema like the template."""
    with owner().cursor() as cursor:
        tables = [name for _, name in _tables(cursor)]
        sequences = _rows(
            cursor,
            "SELECT oid, relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'S' "
            "AND relname <> ALL(%s) AND relname NOT LIKE 'django_migrations%%' ORDER BY relname",
        )
    return roles.tenant_grants(PLACEHOLDER, tables, [name for _, name in sequences])


def _tables(cursor: Any) -> list[tuple[int, str]]:
    return _rows(
        cursor,
        "SELECT oid, relname FROM pg_class WHERE relnamespace = %s::regnamespace AND "
        "relkind = 'r' AND relname <> ALL(%s) ORDER BY relname",
    )


def _rows(cursor: Any, sql: str) -> list[tuple[int, str]]:
    cursor.execute(sql, [TEMPLATE_SCHEMA, list(LEFT_OUT)])
    return list(cursor.fetchall())


def _table_sql(cursor: Any, oid: int, name: str) -> str:
    cursor.execute(
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, "
        "pg_get_expr(d.adbin, d.adrelid), n.conname FROM pg_attribute a "
        "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
        # From PostgreSQL 18 on NOT NULL has a name, which a renamed column keeps.
        "LEFT JOIN pg_constraint n ON n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey = ARRAY[a.attnum] "
        "WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        [oid],
    )
    columns = []
    for column, kind, required, identity, default, constraint in cursor.fetchall():
        text = f'"{column}" {kind}'
        if identity:
            text += " GENERATED BY DEFAULT AS IDENTITY" if identity == "d" else " GENERATED ALWAYS AS IDENTITY"
        elif default is not None:
            text += f" DEFAULT {default}"
        named = f' CONSTRAINT "{constraint}"' if constraint else ""
        columns.append(text + (f"{named} NOT NULL" if required else ""))
    cursor.execute("SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = %s", [oid])
    options = cursor.fetchone()[0]
    kept = f" WITH ({options})" if options else ""
    return f'CREATE TABLE "{PLACEHOLDER}"."{name}" ({", ".join(columns)}){kept}'


def _constraint_sql(cursor: Any, oid: int, name: str, kind: str) -> list[str]:
    cursor.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %s AND contype = %s "
        "ORDER BY conname",
        [oid, kind],
    )
    return [
        f'ALTER TABLE "{PLACEHOLDER}"."{name}" ADD CONSTRAINT "{constraint}" {definition}'
        for constraint, definition in cursor.fetchall()
    ]


def _index_sql(cursor: Any, oid: int) -> list[str]:
    cursor.execute(
        "SELECT pg_get_indexdef(i.indexrelid) FROM pg_index i WHERE i.indrelid = %s AND NOT EXISTS "
        "(SELECT 1 FROM pg_constraint c WHERE c.conindid = i.indexrelid AND c.contype IN ('p', 'u', 'x')) "
        "ORDER BY i.indexrelid",
        [oid],
    )
    return [definition for (definition,) in cursor.fetchall()]
