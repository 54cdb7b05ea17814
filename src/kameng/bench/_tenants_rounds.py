"""What the tenants bench does in the product's own Django: a thousand shops, and sign-ups that wait for their code."""

from __future__ import annotations

import statistics
import time
from typing import Any

import psycopg2

from kameng.bench._common import say
from kameng.bench._page_shop import write_library
from kameng.db.context import in_main
from kameng.lib import clock
from tenants import prepare, provisioning, signup, spares, template
from tenants.models import Plan, Signup, Substation

LIBRARY = 300  # Products, as many as the demonstration network has.
TENTHS = 10
PASSWORD = "a long sentence of a bench"


def build(shops: int, superuser_url: str) -> dict[str, Any]:
    """Make `shops` substations with the script and the product's own steps; answers what they cost.

    {first_ms, last_ms: the median of the first and of the last tenth; relations, disk_bytes: what one adds}
    """
    prepare.prepare(spare_count=0)
    write_library(LIBRARY)
    with in_main():
        Plan.objects.create(code="bench", name_zh="bench", name_en="bench", supply_level="BASIC")
    before = _size(superuser_url)
    times = []
    for number in range(1, shops + 1):
        began = time.perf_counter()
        provisioning.run(_applied(number))
        times.append((time.perf_counter() - began) * 1000)
        if number % 50 == 0:
            say(f"{number:,} of {shops:,} substations, {statistics.median(times[-50:]):.0f} ms each")
    with template.owner().cursor() as cursor:
        cursor.execute("ANALYZE")  # What autovacuum would do within its minute.
    after = _size(superuser_url)
    part = max(1, shops // TENTHS)
    return {
        "first_ms": statistics.median(times[:part]),
        "last_ms": statistics.median(times[-part:]),
        "relations": (after[0] - before[0]) / shops,
        "disk_bytes": (after[1] - before[1]) / shops,
    }


def _applied(number: int) -> Substation:
    with in_main():
        shop = Substation(
            slug=f"shop-{number}", name=f"Shop {number}", plan=Plan.objects.get(), owner_email="bench@example.com"
        )
        shop.schema_name = provisioning.schema_placeholder(shop.public_id)
        shop.save()
    return shop


def _size(superuser_url: str) -> tuple[int, int]:
    """(relations in the catalogue, bytes of the database)."""
    conn = psycopg2.connect(superuser_url)
    with conn, conn.cursor() as cursor:
        cursor.execute("CHECKPOINT")
        cursor.execute("SELECT (SELECT count(*) FROM pg_class), pg_database_size(current_database())")
        relations, size = cursor.fetchone() or (0, 0)
    conn.close()
    return int(relations), int(size)


def apply(burst: int, pool: int) -> list[dict[str, str]]:
    """`burst` sign-ups that wait for their mail code, and `pool` spares; answers {id, token, code, slug} of each."""
    codes: dict[str, str] = {}

    def keep(signup: Signup, code: str) -> None:  # Nobody reads mail here.
        codes[signup.public_id] = code

    signup._mail_code = keep
    begun = []
    for number in range(burst):
        started = signup.begin(
            name=f"Burst {number}", slug=f"burst-{number}", plan_code="bench", email=f"owner-{number}@example.com",
            password=PASSWORD, now=clock.utc_now(),
        )  # fmt: skip
        begun.append((started.signup.public_id, started.token, f"burst-{number}"))
    say(f"{pool} spares")
    spares.fill(pool)
    return [{"id": key, "token": token, "code": codes[key], "slug": slug} for key, token, slug in begun]
