"""What owners are told about their payments: a step is written once, and its mail goes through the outbox."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection

from kameng.jobs import services as jobs
from shared_apps.billing.models import Subscription
from shared_apps.billing.states import DunningKind

MAIL_JOB = "billing.mail"


def step(
    row: Subscription, kind: DunningKind, *, round_at: datetime, now: datetime, day: int = 0, detail: str = ""
) -> bool:
    """Note one step of a round of dunning and queue its mail, in the caller's transaction; False when it was taken
    before. Race: two ticks take it at once. The unique key lets one of them write, and that one mails."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO billing_dunningstep (substation_id, kind, round, day, detail, at) "
            "VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (substation_id, round, kind, day) DO NOTHING RETURNING id",
            [row.substation_id, str(kind), round_at, day, detail[:200], now],
        )
        made = cursor.fetchone()
    if made is None:
        return False
    mail(row, str(kind).lower(), now=now, invoice=detail, day=day)
    return True


def mail(row: Subscription, what: str, *, now: datetime, **details: Any) -> None:
    """Queue a mail to the owner, in the caller's transaction."""
    jobs.enqueue(
        kind=MAIL_JOB, payload={"substation_id": row.substation_id, "what": what, "at": now.isoformat(), **details}
    )
