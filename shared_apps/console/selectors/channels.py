"""Merchant accounts as the console lists them: what they took lately, and what of it failed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Q, QuerySet

from shared_apps.receipts import selectors as receipts
from shared_apps.receipts.models import MerchantAccount


@dataclass(frozen=True)
class Taken:
    """What one merchant account did over a span of time, in one currency."""

    payments: int
    paid_minor: int
    back_minor: int  # Refunds and disputes.
    currency: str


def merchants(*, query: str = "", channel: str = "", state: str = "") -> QuerySet[MerchantAccount]:
    """Merchant accounts without their credentials; `query`: parts of a name, a reference, or an id; `state`: on, off."""
    rows = receipts.merchant_accounts()
    for word in query.split():
        rows = rows.filter(Q(name__icontains=word) | Q(account_ref__icontains=word) | Q(public_id=word))
    if channel:
        rows = rows.filter(channel=channel)
    return rows.filter(enabled=state == "on") if state else rows


def merchant(public_id: str) -> MerchantAccount | None:
    return receipts.merchant_accounts().filter(public_id=public_id).first()


def taken_since(since: datetime) -> dict[int, list[Taken]]:
    """What each account took and gave back since a moment, by currency."""
    out: dict[int, list[Taken]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT account_id, count(*) FILTER (WHERE kind = 'PAID'), "
            "coalesce(sum(amount_minor) FILTER (WHERE kind = 'PAID'), 0)::bigint, "
            "coalesce(sum(amount_minor) FILTER (WHERE kind IN ('REFUNDED', 'DISPUTED')), 0)::bigint, currency "
            "FROM receipts_receipt WHERE occurred_at >= %s GROUP BY account_id, currency ORDER BY account_id, currency",
            [since],
        )
        for account_id, *rest in cursor.fetchall():
            out.setdefault(account_id, []).append(Taken(*rest))
    return out


def failed_events() -> dict[int, int]:
    """Callbacks that failed for good, by account."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT account_id, count(*) FROM receipts_inboxevent WHERE state = 'FAILED' GROUP BY 1")
        return dict(cursor.fetchall())
