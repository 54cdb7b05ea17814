"""The roles of the database and what each may do. Run by the owner; every function is safe to repeat.

The matrix is written here once; `tests/isolation/` compares it with the catalogue.
"""

from __future__ import annotations

from typing import Any

from kameng.db.scopes import APP_ROLE, GATE_SCHEMA, LEDGER_ROLE, MAIN_ROLE, OWNER_ROLE, SYNC_ROLE, TENANT_ROLE

GROUP_ROLES = (MAIN_ROLE, SYNC_ROLE, LEDGER_ROLE, TENANT_ROLE)

# Shared tables that only the owner's migrations fill. A row may be locked, which wants UPDATE of some column.
LOADED = {"regions_region": ("search",)}
# Shared tables that are written once: the main station's role may add rows, and never change or remove them.
APPEND_ONLY = (
    "accounts_auditrecord",
    "stock_codereveal",
    "receipts_casenote",
    "tenants_substationstep",
    "billing_invoiceline",
    "billing_dunningstep",
)
# Shared tables whose rows are issued: nothing but what becomes of them may change, and none is removed.
ISSUED = {
    "billing_invoice": ("state", "paid_at", "paid_by", "transfer_id", "provider_ref"),
    "regions_regiongrant": ("ends_at", "ended_at", "ended_by"),
    "library_privateprice": ("ends_at", "ended_at", "ended_by"),
}
# Shared tables that the sync role reads; it writes the synced tables of tenant schemas.
SYNC_READS = (
    "library_category",
    "library_brand",
    "library_product",
    "library_sku",
    "library_supplyprice",
    "library_privateprice",
    "stock_stocklevel",
    "tenants_substation",
    "tenants_plan",
)
SYNC_STATE = "tenants_syncstate"
# Tenant tables that the sync role fills.
SYNCED_TABLES = ("listings_listedcategory", "listings_listedproduct", "listings_listing", "finance_statementline")
# Tenant tables in which the shop's own role may change its own columns only, and add or remove nothing.
OWN_COLUMNS = {
    "listings_listedcategory": ("hidden",),
    "listings_listedproduct": ("own_name", "own_description", "own_sort", "seo_title", "seo_description"),
    "listings_listing": ("on_shelf", "waits_for_room"),
    "finance_statementline": (),
}
# Tenant tables that are written once.
TENANT_APPEND_ONLY = ("accounts_auditrecord", "orders_orderstep")


def ensure_roles(cursor: Any) -> None:
    """Create the group roles and their memberships, and close what Postgres leaves open to everybody."""
    for role in GROUP_ROLES:
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role])
        if cursor.fetchone() is None:
            cursor.execute(f"CREATE ROLE {role} NOLOGIN")
    for role in (MAIN_ROLE, SYNC_ROLE):
        cursor.execute(f"GRANT {role} TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE")
    # The owner runs migrations that change the ledger's tables; nobody else is a member.
    cursor.execute(f"GRANT {LEDGER_ROLE} TO CURRENT_USER WITH INHERIT TRUE, SET TRUE")
    cursor.execute("SELECT current_database()")
    database = cursor.fetchone()[0]
    cursor.execute(f'REVOKE ALL ON DATABASE "{database}" FROM PUBLIC')
    cursor.execute(f'GRANT CONNECT ON DATABASE "{database}" TO {APP_ROLE}')
    cursor.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    cursor.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO {LEDGER_ROLE}")
    cursor.execute(f"GRANT USAGE ON SCHEMA public TO {MAIN_ROLE}, {SYNC_ROLE}")
    cursor.execute(f"CREATE SCHEMA IF NOT EXISTS {GATE_SCHEMA}")
    cursor.execute(f"REVOKE ALL ON SCHEMA {GATE_SCHEMA} FROM PUBLIC")
    cursor.execute(f"GRANT USAGE ON SCHEMA {GATE_SCHEMA} TO {TENANT_ROLE}, {MAIN_ROLE}, {SYNC_ROLE}")
    cursor.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {GATE_SCHEMA} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    cursor.execute("ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC")
    # Closed to everybody else (kameng.local.cluster): the stock's roll-up runs once at a time.
    cursor.execute(f"GRANT EXECUTE ON FUNCTION pg_catalog.pg_try_advisory_xact_lock(bigint) TO {MAIN_ROLE}")


def grant_shared(cursor: Any) -> None:
    """Give the main station's and the sync role their rights on the shared tables, as they are now."""
    cursor.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner "
        "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND r.rolname <> %s",
        [LEDGER_ROLE],
    )
    for (table,) in cursor.fetchall():
        if table in APPEND_ONLY:
            rights = "SELECT, INSERT"
        elif table in LOADED:
            rights = f"SELECT, UPDATE ({', '.join(LOADED[table])})"
        elif table in ISSUED:
            rights = f"SELECT, INSERT, UPDATE ({', '.join(ISSUED[table])})"
        else:
            rights = "SELECT, INSERT, UPDATE, DELETE"
        cursor.execute(f'GRANT {rights} ON public."{table}" TO {MAIN_ROLE}')
    cursor.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {MAIN_ROLE}")
    for table in SYNC_READS:
        cursor.execute(f"GRANT SELECT ON public.{table} TO {SYNC_ROLE}")
    cursor.execute(f"GRANT SELECT, UPDATE ON public.{SYNC_STATE} TO {SYNC_ROLE}")


def tenant_role_sql(schema: str) -> str:
    """Make the role of one tenant schema, unless it is there (roles are not part of the schema)."""
    return f"""
        SELECT format('CREATE ROLE %I NOLOGIN', '{schema}')
        WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = '{schema}')"""


def tenant_grants(schema: str, tables: list[str], sequences: list[str]) -> list[str]:
    """The statements that give one tenant's role and the sync role their rights in `schema`."""
    out = [
        f'GRANT {TENANT_ROLE} TO "{schema}" WITH INHERIT TRUE, SET FALSE',
        f'GRANT "{schema}" TO {APP_ROLE} WITH INHERIT FALSE, SET TRUE',
        f'REVOKE ALL ON SCHEMA "{schema}" FROM PUBLIC',
        f'GRANT USAGE ON SCHEMA "{schema}" TO "{schema}", {SYNC_ROLE}',
    ]
    for table in tables:
        name = f'"{schema}"."{table}"'
        if table in OWN_COLUMNS:
            columns = ", ".join(OWN_COLUMNS[table])
            out.append(f'GRANT SELECT ON {name} TO "{schema}"')
            if columns:
                out.append(f'GRANT UPDATE ({columns}) ON {name} TO "{schema}"')
            out.append(f"GRANT SELECT, INSERT, UPDATE ON {name} TO {SYNC_ROLE}")
        elif table in TENANT_APPEND_ONLY:
            out.append(f'GRANT SELECT, INSERT ON {name} TO "{schema}"')
        else:
            out.append(f'GRANT SELECT, INSERT, UPDATE, DELETE ON {name} TO "{schema}"')
    for sequence in sequences:
        out.append(f'GRANT USAGE ON SEQUENCE "{schema}"."{sequence}" TO "{schema}"')
    return out


__all__ = ["GROUP_ROLES", "OWNER_ROLE", "ensure_roles", "grant_shared", "tenant_grants", "tenant_role_sql"]
