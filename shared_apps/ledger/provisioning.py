"""The step of a substation's making that opens its accounts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import connection

from kameng.db.context import in_main

# Name, class, floor: what the shop is owed may be taken down to nothing and no further; `pending` and `receivable`
# follow sales and refunds, so they are guarded by the arithmetic of the split and not by a floor.
ACCOUNTS: tuple[tuple[str, str, int | None], ...] = (
    ("pending", "LIABILITY", None),
    ("available", "LIABILITY", 0),
    ("withdrawing", "LIABILITY", 0),
    ("prepaid", "LIABILITY", 0),
    ("deposit", "LIABILITY", 0),
    ("receivable", "ASSET", None),
)


def open_accounts(substation: Any, signup: Any, now: datetime) -> None:
    """Open the substation's accounts in its currency; those that are open already are left alone."""
    with in_main(), connection.cursor() as cursor:
        for name, account_class, floor in ACCOUNTS:
            cursor.execute(
                "SELECT public.ledger_open_account(%s, %s, %s, %s, %s, %s)",
                [f"substation:{substation.pk}:{name}", account_class, substation.currency, floor, substation.pk, now],
            )


MAIN_ACCOUNTS = (
    ("main:revenue", "INCOME"),
    ("main:platform_fee", "INCOME"),
    ("main:subsidy", "EXPENSE"),
    # What channels keep of what substations pay us; of a sale it is a leg of the split.
    ("main:channel_fee", "EXPENSE"),
)


def open_main_accounts() -> None:
    """Open the main station's own accounts in the network's currency. Part of `kameng db prepare`."""
    with in_main(), connection.cursor() as cursor:
        for code, account_class in MAIN_ACCOUNTS:
            cursor.execute(
                "SELECT public.ledger_open_account(%s, %s, %s, NULL, NULL, now())",
                [code, account_class, settings.CURRENCY],
            )
