"""Codes taken out of the stock."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Count

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.lib import reasons
from shared_apps.stock.models import Code, CodeState
from shared_apps.stock.services._batches import find_batch
from shared_apps.stock.services._counting import note_moves
from shared_apps.stock.types import VoidedCodes


def void_codes(*, batch: str, reason: str, by: Actor, now: datetime) -> VoidedCodes:
    """Withdraw what is left of a batch, for good. Held and delivered codes stay what they are.

    In the caller's main transaction. Raises: BatchUnknown, ReasonMissing.
    """
    why = reasons.required(reason)
    row = find_batch(batch)
    with transaction.atomic():
        # Race: a buyer holds a code at this moment. The update waits for the row, sees its new state, and passes by.
        # In the order in which buyers take them, so that neither waits for the other crosswise.
        mine = Code.objects.filter(batch_id=row.pk, sku_id=row.sku_id, state=CodeState.AVAILABLE)
        ids = list(mine.order_by("position").select_for_update().values_list("pk", flat=True))
        voided = Code.objects.filter(pk__in=ids, state=CodeState.AVAILABLE).update(state=CodeState.VOID)
        left = dict(
            Code.objects.filter(batch_id=row.pk, sku_id=row.sku_id).values_list("state").annotate(count=Count("id"))
        )
        note_moves([row.sku_id])
        audit.record(action="stock.codes.void", by=by, target=row.public_id, at=now, reason=why, voided=voided)
    return VoidedCodes(voided, left.get(CodeState.HELD, 0), left.get(CodeState.DELIVERED, 0))
