"""What each role can do with each thing in the database, asked of Postgres itself, a line a thing.

`python -m tests.isolation.rights` is not needed to change `matrix.txt`: the test says which lines are missing or too many.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import connections

from kameng.db.scopes import (
    APP_ROLE,
    GATE_SCHEMA,
    LEDGER_ROLE,
    MAIN_ROLE,
    OWNER_ROLE,
    SYNC_ROLE,
    TEMPLATE_SCHEMA,
    TENANT_ROLE,
)

MATRIX = Path(__file__).with_name("matrix.txt")
# `shop` is the role of the shop whose schema is called `shop`; `neighbour` is another shop's, and must stand nowhere in
# it. `public` is everybody.
GROUPS = (APP_ROLE, MAIN_ROLE, SYNC_ROLE, LEDGER_ROLE, TENANT_ROLE, "public")
TABLE_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
COLUMN_RIGHTS = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
SEQUENCE_RIGHTS = ("USAGE", "SELECT", "UPDATE")
Lines = set[str]


def written() -> Lines:
    """The matrix as it stands in the file: its comments and empty lines are for the reader."""
    lines = MATRIX.read_text(encoding="utf-8").splitlines()
    return {" ".join(line.split()) for line in lines if line.strip() and not line.startswith("#")}


def found(shop: str, neighbour: str) -> Lines:
    """The same out of the catalogue. `shop`, `neighbour`: two shops' schemas, which are their roles' names."""
    reader = _Reader(shop, neighbour)
    return {
        *reader.schemas(),
        *reader.tables(),
        *reader.sequences(),
        *reader.functions(),
        *reader.roles(),
        *reader.rest(),
    }


def unlike(shop: str) -> list[str]:
    """What the roles may in any other tenant's schema and not in `shop`'s, or the other way round, and what anybody but the
    owner may in the template. One query over all of them; a table that `shop` has not is not compared.

    "s_0000007: shop DELETE on accounts_auditrecord".
    """
    with connections["owner"].cursor() as cursor:
        cursor.execute(_GIVEN)
        rows = cursor.fetchall()
    given: dict[str, Lines] = {schema: set() for schema, *_ in rows}
    for schema, thing, who, right in rows:
        if right:
            given[schema].add(f"{who} {right} on {thing}")
    ours = given.pop(shop)
    tables = {_table(line) for line in ours}
    template = given.pop(TEMPLATE_SCHEMA)
    return sorted(
        [f"{TEMPLATE_SCHEMA}: {line}" for line in template]
        + [f"{schema}: {line}" for schema, lines in given.items() for line in lines ^ ours if _table(line) in tables]
    )


def _table(line: str) -> str:
    """Which table a line is about, of a column's too."""
    return line.rpartition(" on ")[2].partition(".")[0]


# Every right on a schema, a table, a column and a sequence of the tenants' and the template: by name, "shop" for the role of
# the schema itself. A thing that nobody was given stands there with no right.
_GIVEN = """
SELECT given.schema, given.thing, CASE WHEN given.grantee = 0 THEN 'public' WHEN r.rolname = given.schema THEN 'shop'
    ELSE r.rolname END, CASE WHEN given.grantee = given.owner THEN NULL ELSE given.privilege_type END
FROM (
    SELECT n.nspname AS schema, 'the schema' AS thing, n.nspowner AS owner, a.grantee, a.privilege_type
    FROM pg_namespace n LEFT JOIN LATERAL aclexplode(n.nspacl) a ON true
    UNION ALL
    SELECT n.nspname, c.relname, c.relowner, a.grantee, a.privilege_type
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN LATERAL aclexplode(c.relacl) a ON true
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT n.nspname, c.relname || '.' || t.attname, c.relowner, a.grantee, a.privilege_type
    FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
    LATERAL aclexplode(t.attacl) a
) given LEFT JOIN pg_roles r ON r.oid = given.grantee
WHERE given.schema ~ '^s_[0-9]+$' OR given.schema = 'template_substation'"""


class _Reader:
    def __init__(self, shop: str, neighbour: str) -> None:
        self.shop = shop
        self.roles_of = {**{role: role for role in GROUPS}, "shop": shop, "neighbour": neighbour}
        self.places = ("public", GATE_SCHEMA, shop)

    def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with connections["owner"].cursor() as cursor:
            cursor.execute(sql, list(values))
            return list(cursor.fetchall())

    def named(self, schema: str) -> str:
        return "shop" if schema == self.shop else schema

    def line(self, kind: str, name: str, held: dict[str, list[str]]) -> str:
        """`table public.x main=SELECT,INSERT`; what a role has by everybody's right or its group's is not repeated."""
        parts = [f"{label}={','.join(rights)}" for label, rights in held.items() if rights]
        return " ".join([kind, name, *(parts or ["nobody"])])

    def held(self, function: str, oid: Any, rights: tuple[str, ...]) -> dict[str, list[str]]:
        """Label → rights of one thing, by one of the has_…_privilege functions."""
        asked = [(label, role, right) for label, role in self.roles_of.items() for right in rights]
        answers = self.read(
            f"SELECT label, one FROM unnest(%s::text[], %s::text[], %s::text[]) AS t(label, role, one) "
            f"WHERE {function}(role, %s::oid, one)",
            *[list(column) for column in zip(*asked, strict=True)], oid,
        )  # fmt: skip
        out: dict[str, list[str]] = {label: [] for label in self.roles_of}
        for label, right in answers:
            out[label].append(right)
        return out

    def schemas(self) -> Lines:
        rows = self.read(
            "SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY (%s) OR nspname IN ('pg_catalog', "
            "'information_schema') OR (nspname NOT LIKE 'pg\\_%%' AND nspname NOT LIKE 's\\_%%' "
            "AND nspname <> 'template_substation')",
            list(self.places),
        )
        return {self.line("schema", self.named(name), self.held("has_schema_privilege", oid, ("USAGE", "CREATE")))
                for oid, name in rows}  # fmt: skip

    def tables(self) -> Lines:
        lines = set()
        for oid, schema, table, owner in self.read(
            "SELECT c.oid, n.nspname, c.relname, r.rolname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_roles r ON r.oid = c.relowner WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname = ANY (%s)",
            list(self.places),
        ):
            held = self.held("has_table_privilege", oid, TABLE_RIGHTS)
            if owner in held:  # An owner's own rights say nothing.
                held[owner] = ["OWNER"]
            for label, right, column in self.columns(oid):
                if right not in held[label] and held[label] != ["OWNER"]:
                    held[label].append(f"{right}({column})")
            lines.add(self.line("table", f"{self.named(schema)}.{table}", held))
        return lines

    def columns(self, oid: Any) -> list[tuple[str, str, str]]:
        """Label, right and column of what is given column by column, beside the table's own."""
        asked = [(label, role, right) for label, role in self.roles_of.items() for right in COLUMN_RIGHTS]
        rows = self.read(
            "SELECT label, one, a.attname FROM unnest(%s::text[], %s::text[], %s::text[]) AS t(label, role, one) "
            "CROSS JOIN pg_attribute a WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped "
            "AND has_column_privilege(role, a.attrelid, a.attnum, one) ORDER BY a.attnum",
            *[list(column) for column in zip(*asked, strict=True)], oid,
        )  # fmt: skip
        return [(label, right, column) for label, right, column in rows]

    def sequences(self) -> Lines:
        rows = self.read(
            "SELECT c.oid, n.nspname, c.relname, r.rolname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_roles r ON r.oid = c.relowner WHERE c.relkind = 'S' AND n.nspname = ANY (%s)", list(self.places)
        )  # fmt: skip
        lines = set()
        for oid, schema, name, owner in rows:
            held = self.held("has_sequence_privilege", oid, SEQUENCE_RIGHTS)
            if owner in held:
                held[owner] = ["OWNER"]
            lines.add(self.line("sequence", f"{self.named(schema)}.{name}", held))
        return lines

    def functions(self) -> Lines:
        """Ours by name and arguments; of a trigger's, which nobody calls, as well."""
        lines = set()
        for oid, name, owner, definer in self.read(
            "SELECT p.oid, p.oid::regprocedure::text, r.rolname, p.prosecdef FROM pg_proc p JOIN pg_namespace n "
            "ON n.oid = p.pronamespace JOIN pg_roles r ON r.oid = p.proowner WHERE n.nspname = ANY (%s)", list(self.places)
        ):  # fmt: skip
            held = self.held("has_function_privilege", oid, ("EXECUTE",))
            if owner in held:
                held[owner] = ["OWNER"]
            kind = "function-as-owner" if definer else "function"
            lines.add(self.line(kind, name.replace(" ", "").replace(f"{self.shop}.", "shop."), held))
        return lines

    def roles(self) -> Lines:
        """What a role is, and whose rights it has or may take."""
        names = [*self.roles_of.values(), OWNER_ROLE]
        labels = {role: label for label, role in self.roles_of.items()}
        lines = set()
        for role, *flags in self.read(
            "SELECT rolname, rolcanlogin, rolinherit, rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls "
            "FROM pg_roles WHERE rolname = ANY (%s)", names
        ):  # fmt: skip
            words = (
                "login",
                "inherits",
                "superuser",
                "creates-roles",
                "creates-databases",
                "replication",
                "bypasses-rls",
            )
            # The tests' own server lets the owner make databases (kameng.local.testing); a shop's does not.
            said = [word for word, flag in zip(words, flags, strict=True) if flag and word != "creates-databases"]
            lines.add(" ".join(["role", labels.get(role, role), *(said or ["nothing"])]))
        for member, group, inherits, sets, admin in self.read(
            "SELECT m.rolname, g.rolname, a.inherit_option, a.set_option, a.admin_option FROM pg_auth_members a "
            "JOIN pg_roles m ON m.oid = a.member JOIN pg_roles g ON g.oid = a.roleid "
            "WHERE g.rolname = ANY (%s) AND m.rolname = ANY (%s)", names, names
        ):  # fmt: skip
            held = [word for word, flag in (("inherits", inherits), ("may-become", sets), ("admits", admin)) if flag]
            lines.add(" ".join(["member", labels.get(member, member), "of", labels.get(group, group), *held]))
        return lines

    def rest(self) -> Lines:
        """The database itself, languages, and everything that a superuser may have opened to everybody."""
        [(database,)] = self.read("SELECT oid FROM pg_database WHERE datname = current_database()")
        rights = ("CONNECT", "CREATE", "TEMP")
        lines = {self.line("database", "itself", self.held("has_database_privilege", database, rights))}
        for oid, name in self.read("SELECT oid, lanname FROM pg_language WHERE lanpltrusted"):
            lines.add(self.line("language", name, self.held("has_language_privilege", oid, ("USAGE",))))
        for (name,) in self.read("SELECT extname FROM pg_extension"):
            lines.add(f"extension {name}")
        for (policy,) in self.read("SELECT polname FROM pg_policy"):
            lines.add(f"policy {policy}")
        return lines
