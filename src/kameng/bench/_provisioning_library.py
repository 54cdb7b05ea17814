"""django-tenants' side of the provisioning bench, in a Django of its own with its own backend and database."""

from __future__ import annotations

import itertools
import time

from django.core.management import call_command
from django.db import connection, transaction

from kameng.bench._common import say
from kameng.bench._plain_tenant.models import Tenant

_serial = itertools.count(1)


def begin() -> None:
    """Its shared tables."""
    call_command("migrate_schemas", shared=True, run_syncdb=True, interactive=False, verbosity=0)


def grow(schemas: int, script: str) -> None:
    """Make `schemas` tenants with our script, less the grants to roles that are not here: its own way takes too long."""
    statements = [line for line in script.split(";\n") if line and not line.startswith(("GRANT ", "REVOKE "))]
    sql = ";\n".join(statements)
    for number in range(1, schemas + 1):
        tenant = Tenant.objects.create(schema_name=f"t{next(_serial):07}", name="bench")
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(sql.replace("@schema@", tenant.schema_name))
        if number % 50 == 0:
            say(f"django-tenants: {number} of {schemas} schemas")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def create() -> float:
    """Seconds of its `create_schema` for a tenant whose row is there, as its `save` calls it. Afterwards it is gone."""
    tenant = Tenant.objects.create(schema_name=f"t{next(_serial):07}", name="bench")
    began = time.perf_counter()
    tenant.create_schema(check_if_exists=True, sync_schema=True, verbosity=0)
    took = time.perf_counter() - began
    tenant.delete(force_drop=True)
    return took


def present() -> int:
    """How many schemas of tenants there are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^t[0-9]'")
        return int(cursor.fetchone()[0])


def tables() -> list[str]:
    """The tables of a schema that it made, less its own record of migrations."""
    tenant = Tenant.objects.create(schema_name=f"t{next(_serial):07}", name="bench")
    tenant.create_schema(check_if_exists=True, sync_schema=True, verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s AND tablename <> 'django_migrations' "
            "ORDER BY tablename", [tenant.schema_name],
        )  # fmt: skip
        found = [table for (table,) in cursor.fetchall()]
    tenant.delete(force_drop=True)
    return found
