"""Codes shown to the main station's people: one or a whole batch, never without a name and a reason."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.lib import reasons
from kameng.lib.errors import Missing
from shared_apps.stock import keys
from shared_apps.stock.models import Code, CodeReveal
from shared_apps.stock.services._batches import find_batch

PAGE = 2_000


class CodeUnknown(Missing):
    """No such code."""

    code = "code_unknown"


def reveal_for_staff(*, code_id: int, by: Actor, reason: str, now: datetime) -> str:
    """One code in the clear. The look is recorded first. In the caller's main transaction.

    Raises: ReasonMissing, CodeUnknown, CodeUnreadable.
    """
    why = reasons.required(reason)
    row = Code.objects.filter(pk=code_id).first()
    if row is None:
        raise CodeUnknown(_("There is no such code."))
    with transaction.atomic():
        CodeReveal.objects.create(
            code_id=row.pk, actor_kind=by.kind, actor_label=by.label[:120], reason=why, ip=by.ip, at=now
        )
        audit.record(action="stock.code.reveal", by=by, target=f"code {row.pk}", at=now, reason=why)
        return keys.open_code(sku_id=row.sku_id, blob=row.blob, key_version=row.key_version)


def export_codes(*, batch: str, reason: str, by: Actor, now: datetime) -> Iterator[tuple[str, str]]:
    """Code and state of each code of a batch, in the order of the file, for a download.

    Every one is recorded as seen, and that is committed, before the first is handed out. Opens its own transactions.
    Raises (at once, not while iterating): ReasonMissing, BatchUnknown.
    """
    why = reasons.required(reason)
    with in_main(), connection.cursor() as cursor:
        row = find_batch(batch)
        cursor.execute(
            "INSERT INTO stock_codereveal (code_id, order_number, actor_kind, actor_label, reason, ip, at) "
            "SELECT id, '', %s, %s, %s, %s, %s FROM stock_code WHERE sku_id = %s AND batch_id = %s",
            [by.kind, by.label[:120], why, by.ip, now, row.sku_id, row.pk],
        )
        audit.record(
            action="stock.codes.export", by=by, target=row.public_id, at=now, reason=why, codes=cursor.rowcount
        )
    return _codes_of(row.pk, row.sku_id)


def _codes_of(batch_id: int, sku_id: int) -> Iterator[tuple[str, str]]:
    after = 0
    while True:
        with in_main():
            rows = list(
                Code.objects.filter(batch_id=batch_id, sku_id=sku_id, position__gt=after)
                .order_by("position")
                .values_list("position", "state", "blob", "key_version")[:PAGE]
            )
        for position, state, blob, key_version in rows:
            yield keys.open_code(sku_id=sku_id, blob=blob, key_version=key_version), state
            after = position
        if len(rows) < PAGE:
            return
