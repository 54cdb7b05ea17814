"""Accounts and postings of the ledger's tests: every name is its test's own, and everything is committed."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime
from typing import Any

import psycopg2
from django.conf import settings
from django.db import connection

from kameng.db.context import in_main
from kameng.local.testing import shared_postgres
from shared_apps.ledger import selectors, services
from shared_apps.ledger.types import Leg, Posted

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
_serial = itertools.count(1)


def fresh(prefix: str = "case") -> str:
    return f"{prefix}:f{os.getpid()}-{next(_serial)}"


def account(account_class: str = "LIABILITY", floor: int | None = None, currency: str = "CNY") -> str:
    code = fresh("test")
    with in_main():
        services.open_account(code=code, account_class=account_class, currency=currency, floor_minor=floor, now=NOON)
    return code


def post(*legs: tuple[str, int], event_at: datetime = NOON, key: str = "", kind: str = "adjustment") -> Posted:
    with in_main():
        return services.post_transfer(
            key=key or fresh("key"), kind=kind, legs=[Leg(*leg) for leg in legs], currency="CNY", event_at=event_at
        )


def balance(code: str) -> int:
    """On the account's own side."""
    with in_main():
        return selectors.balance_minor(code)


def counts() -> tuple[int, int]:
    with in_main(), connection.cursor() as cursor:
        cursor.execute("SELECT (SELECT count(*) FROM ledger_transfer), (SELECT count(*) FROM ledger_entry)")
        transfers, entries = cursor.fetchone()
        return int(transfers), int(entries)


def second_connection() -> Any:
    """Another session of the app's, in the main station's scope, whose transactions the test ends itself."""
    default = settings.DATABASES["default"]
    conn = psycopg2.connect(
        dbname=default["NAME"], user=default["USER"], password=default["PASSWORD"], host=default["HOST"],
        port=default["PORT"],
    )  # fmt: skip
    with conn.cursor() as cursor:
        cursor.execute("SET ROLE kameng_main; SET search_path = public")
    conn.commit()
    return conn


def superuser() -> Any:
    """A superuser's session in this worker's database."""
    head, _, query = shared_postgres().superuser_url.partition("?")
    return psycopg2.connect(f"{head.rsplit('/', 1)[0]}/{settings.DATABASES['default']['NAME']}?{query}")


POST = (
    "SELECT transfer_id FROM public.ledger_post(%s, 'adjustment', '', '', NULL, %s, %s::text[], %s::bigint[], "
    "ARRAY['CNY'], NULL, '{}', NULL, NULL)"
)
