"""What sharding by schema asks of the database and of every statement (docs/scaling.md), read out of the catalogue.

Each rule answers the names of what breaks it. `crossing` judges a statement; `tests/conftest.py` lets it judge every
statement that the suite sends through our backend.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from django.db import connections

from kameng import selftest
from kameng.db.backend.base import Scope
from kameng.db.scopes import PUBLIC_SCHEMA, SYNC_ROLE

TENANTS = "(n.nspname LIKE 's\\_%%' OR n.nspname = 'template_substation')"
OURS = f"(n.nspname IN ('public', 'gate') OR {TENANTS})"
# Whole numbers that are no ids of ours: a version that people say aloud; a table's only row; tables of Django's and of
# its apps, which no tenant refers to and which stay on one node.
SMALL_IDS = ("splits_splitrule", "ledger_control", "django_", "auth_", "axes_")
# The main station's own functions that change something of the ledger: an account's end, and how far it is rolled up and
# sealed. No other function may, and no door of a tenant's may call one of them.
LEDGER_KEEPERS = ("ledger_close_account", "ledger_roll_up", "ledger_roll_days", "ledger_rebase", "ledger_seal")
OWNER_ALIAS = "owner"
Rule = Callable[[], list[str]]


def read(sql: str, *values: Any) -> list[tuple[Any, ...]]:
    with connections[OWNER_ALIAS].cursor() as cursor:
        cursor.execute(sql, list(values))
        return list(cursor.fetchall())


def keys_across() -> list[str]:
    """A foreign key from one schema to another: between tenants, from a tenant to a shared table, or back."""
    rows = read(
        "SELECT a.relnamespace::regnamespace || '.' || a.relname || '.' || c.conname || ' -> ' || "
        "b.relnamespace::regnamespace || '.' || b.relname FROM pg_constraint c JOIN pg_class a ON a.oid = c.conrelid "
        "JOIN pg_class b ON b.oid = c.confrelid WHERE c.contype = 'f' AND a.relnamespace <> b.relnamespace"
    )
    return [name for (name,) in rows]


def without_primary_key() -> list[str]:
    rows = read(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ('r', 'p') AND {OURS} "
        "AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'p')"
    )
    return [name for (name,) in rows]


def small_ids() -> list[str]:
    """A key, or a column that is called an id, of a whole number smaller than bigint."""
    rows = read(
        "SELECT c.relname, n.nspname || '.' || c.relname || '.' || a.attname FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE c.relkind IN ('r', 'p') AND {OURS} AND a.attnum > 0 AND NOT a.attisdropped "
        "AND a.atttypid IN ('int4'::regtype, 'int2'::regtype) AND (a.attname = 'id' OR a.attname LIKE '%%\\_id' "
        "OR EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conrelid = c.oid "
        "AND (k.contype = 'f' OR cardinality(k.conkey) = 1) AND k.contype IN ('p', 'f') AND a.attnum = ANY (k.conkey)))"
    )
    return [name for table, name in rows if not table.startswith(SMALL_IDS)]


def triggers() -> list[str]:
    """A trigger, or a rule, on a tenant's table."""
    rows = read(
        "SELECT n.nspname || '.' || c.relname || '.' || t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
        f"JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND {TENANTS} "
        "UNION ALL SELECT n.nspname || '.' || c.relname || '.' || r.rulename FROM pg_rewrite r "
        f"JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {TENANTS}"
    )
    return [name for (name,) in rows]


def other_things() -> list[str]:
    """A tenant's schema holds tables, their indexes and their numbers: nothing that a shard could not carry along."""
    rows = read(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE {TENANTS} AND c.relkind NOT IN ('r', 'i', 'S', 't') "
        "UNION ALL SELECT n.nspname || '.' || p.proname || '()' FROM pg_proc p "
        f"JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {TENANTS} "
        "UNION ALL SELECT n.nspname || '.' || t.typname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace "
        f"WHERE {TENANTS} AND t.typtype IN ('e', 'd')"
    )
    return [name for (name,) in rows]


def strange_numbers() -> list[str]:
    """A column whose numbers come from a sequence of another schema."""
    rows = read(
        "SELECT n.nspname || '.' || c.relname || '.' || a.attname FROM pg_attrdef d JOIN pg_attribute a "
        "ON a.attrelid = d.adrelid AND a.attnum = d.adnum JOIN pg_class c ON c.oid = d.adrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_depend e ON e.objid = d.oid AND e.classid = 'pg_attrdef'::regclass "
        f"JOIN pg_class s ON s.oid = e.refobjid AND s.relkind = 'S' WHERE {TENANTS} AND s.relnamespace <> c.relnamespace"
    )
    return [name for (name,) in rows]


def ledger_changes() -> list[str]:
    """A function that changes or removes what stands in the ledger, beside those of the main station that may; a way from
    the gate to one of those; or a right to do so."""
    functions = read(
        "SELECT p.proname, p.prosrc, n.nspname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE n.nspname IN ('gate', 'public')"
    )
    changing = re.compile(
        r"\b(?:UPDATE(?!\s+OF\b)|DELETE\s+FROM|TRUNCATE)\s+(?:ONLY\s+)?(?:public\.)?(ledger_\w+)", re.IGNORECASE
    )
    keeper = re.compile(rf"\b(?:{'|'.join(LEDGER_KEEPERS)})\b")
    found = [
        f"{name}: {match[0]}"
        for name, source, schema in functions
        if schema == "gate" or name not in LEDGER_KEEPERS
        for pattern in (changing, keeper)
        for match in pattern.finditer(source)
    ]
    rights = read(
        "SELECT r.rolname || ': ' || p || ' on ' || c.relname FROM pg_class c, unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) p, "
        "pg_roles r WHERE c.relname LIKE 'ledger\\_%%' AND c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace "
        "AND (r.rolname = 'kameng_tenant' OR r.rolname LIKE 's\\_%%') AND has_table_privilege(r.oid, c.oid, p)"
    )
    return [*found, *(name for (name,) in rights)]


RULES: dict[str, Rule] = {
    "no foreign key leaves its schema": keys_across,
    "every table has a primary key": without_primary_key,
    "ids are bigint": small_ids,
    "no trigger and no rule on a tenant's table": triggers,
    "a tenant's schema holds tables and their numbers alone": other_things,
    "a tenant's numbers come from its own schema": strange_numbers,
    "a tenant's way into the ledger inserts": ledger_changes,
}


# -- Statements.

_SCHEMA = re.compile(r'(?<![\w.])"?(public|template_substation|s_[0-9]{7,})"?\s*\.\s*"?[a-z_]')
_TEXT = re.compile(r"'(?:[^']|'')*'")


def crossing(scope: Scope, sql: str) -> str:
    """What a statement reaches beside its own schema, in words; empty where it stays in.

    The sync is the one that reads shared tables into a tenant's, by INSERT … SELECT: that was tried on Citus, and joins
    the shared schema with one tenant's at most.
    """
    named = _named(sql) - {scope.schema}
    if scope.role == SYNC_ROLE:
        named -= {PUBLIC_SCHEMA}
    return f"from {scope.schema} into {', '.join(sorted(named))}: {sql[:200]}" if named else ""


@lru_cache(maxsize=8192)
def _named(sql: str) -> frozenset[str]:
    """The schemas that a statement names, but not in its texts. A function of the shared schema's is no table."""
    bare = _TEXT.sub("''", sql)
    return frozenset(
        match[1] for match in _SCHEMA.finditer(bare) if not re.match(r"\w*\"?\s*\(", bare[match.end() - 1 :])
    )


def joined_by_owner(sql: str) -> str:
    """The tenants that a statement of the owner's brings together, in words; empty where it is about one at most.

    The owner takes no role and belongs to no schema: it makes, upgrades and erases them, one after the other.
    """
    named = sorted(name for name in _named(sql) if name.startswith("s_"))
    return f"from the owner into {', '.join(named)}: {sql[:200]}" if len(named) > 1 else ""


# What crossed, since somebody looked last; filled by `observe` and `watch_owner`, on every thread.
crossings: list[str] = []


def observe(scope: Scope, sql: str) -> None:
    """For `kameng.db.backend.base.observers`. The self-test tries the walls, and is left alone."""
    found = "" if selftest.trying.get() else crossing(scope, sql)
    if found:
        crossings.append(found)


def watch_owner(connection: Any, **_: Any) -> None:
    """For Django's signal `connection_created`: have each of the owner's connections looked at as well."""
    if connection.alias == OWNER_ALIAS and _observe_owner not in connection.execute_wrappers:
        connection.execute_wrappers.append(_observe_owner)


def _observe_owner(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any) -> Any:
    text = sql if isinstance(sql, str) else sql.as_string(context["connection"].connection)
    found = "" if selftest.trying.get() else joined_by_owner(text)
    if found:
        crossings.append(found)
    return execute(sql, params, many, context)
