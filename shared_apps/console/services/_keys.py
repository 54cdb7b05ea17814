"""Have every secret encrypted again under the current key."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue
from kameng.lib.errors import Refused
from shared_apps.receipts import selectors as receipts
from shared_apps.stock import selectors as stock

ROTATION_JOB = "console.rotate_keys"


class RotationRefused(Refused):
    """Everything is under the current key already."""

    code = "nothing_to_rotate"


def rotate_keys(*, by: Actor, now: datetime) -> int:
    """Queue the rotation of codes and merchant accounts; answers how many are under other keys. Asking twice queues
    it once.

    Raises: RotationRefused.
    """
    with transaction.atomic():
        status = stock.key_status()
        remaining = status.remaining + receipts.accounts_under_other_keys(status.current)
        if not remaining:
            raise RotationRefused(_("Everything is under the current key already. Nothing was changed."))
        enqueue(kind=ROTATION_JOB, payload={}, dedupe="rotate")
        audit.record(action="console.keys.rotate", by=by, target=status.current, at=now, remaining=remaining)
    return remaining
