"""The shops of the memory bench, and a walk through them on one kept connection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.db import close_old_connections, connection

from kameng.bench._common import say
from kameng.db.backend import base
from kameng.db.context import SchemaScope, in_substation

# What a page of each shop reads: tables whose rows, indexes and columns a backend looks up once and keeps.
READS = (
    "shop_shopsettings", "listings_listing", "listings_listedproduct", "listings_listedcategory", "listings_markuprule",
    "orders_order", "orders_orderline", "orders_orderstep", "payments_payment", "accounts_user",
)  # fmt: skip
BATCH = 50


def fill(shops: int) -> None:
    """So many schemas with their roles, as ready spares are."""
    from tenants import prepare, spares

    prepare.prepare(spare_count=0)
    for made in range(BATCH, shops + BATCH, BATCH):
        spares.fill(min(made, shops))
        say(f"{min(made, shops)} of {shops} schemas")


def walk(shops: int, limit: int) -> dict[str, float]:
    """Read ten tables of each shop, as requests would; `limit` 0: the rule as it is."""
    if limit:
        base.MOST_SCHEMAS = limit
    schemas = _schemas()
    assert len(schemas) == shops, f"{len(schemas)} schemas instead of {shops}"
    largest, pids = 0.0, set()
    for schema in schemas:
        with in_substation(SchemaScope(schema)), connection.cursor() as cursor:
            for table in READS:
                cursor.execute(f"SELECT * FROM {table} ORDER BY 1 LIMIT 1")
                cursor.fetchall()
            cursor.execute("SELECT pg_backend_pid()")
            pid = int(cursor.fetchone()[0])
            largest = max(largest, _own_mb(pid))
        pids.add(pid)
        close_old_connections()  # What Django does between requests.
    return {"backend_mb": largest, "program_mb": _own_mb("self"), "connections": len(pids)}


def _schemas() -> list[str]:
    from kameng.db.context import in_main

    with in_main(), connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 's\\_%' ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


def _own_mb(pid: Any) -> float:
    """Megabytes that belong to the process alone: what it shares with others (the server's buffers) is not its own."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return 0.0
