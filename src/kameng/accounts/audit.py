"""Write to the audit trail, in the transaction of the act."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kameng.accounts.models import AuditRecord
from kameng.accounts.types import Actor
from kameng.lib import clock


def record(*, action: str, by: Actor, target: str = "", at: datetime | None = None, **details: Any) -> None:
    """Note that `by` did `action` ("listings.price.set") to `target` (a public id). `details` must be JSON-safe.

    Call it inside the service's transaction: the act and its record stand or fall together.
    """
    AuditRecord.objects.create(
        at=at or clock.utc_now(),
        actor_kind=by.kind,
        actor_id=by.id,
        actor_label=by.label[:120],
        action=action,
        target=target[:120],
        details=details,
        ip=by.ip,
        request_id=by.request_id,
    )
