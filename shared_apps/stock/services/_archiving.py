"""The codes that a shop has sold, in the clear, for the archive that its owner takes along."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.tabular import write_csv
from shared_apps.stock import keys
from tenants.archive.snapshot import Sink, Snapshot
from tenants.archive.writing import Part

REASON = "Archive of the shop, with its codes."
_CODES = """SELECT h.order_number, h.sku_id, c.delivered_at, c.blob, c.key_version
FROM stock_hold h JOIN stock_code c ON c.hold_id = h.id
WHERE h.substation_id = %s AND h.state = 'TAKEN' AND c.state = 'DELIVERED' ORDER BY h.id, c.position"""
_RECORD = """INSERT INTO stock_codereveal (code_id, substation_id, order_number, actor_kind, actor_label, reason, ip, at)
SELECT c.id, h.substation_id, h.order_number, %(kind)s, %(label)s, %(reason)s, %(ip)s, %(at)s
FROM stock_hold h JOIN stock_code c ON c.hold_id = h.id
WHERE h.substation_id = %(shop)s AND h.state = 'TAKEN' AND c.state = 'DELIVERED'"""


def archived_codes(*, substation: Any, codes_for: Actor | None) -> list[Part]:
    """One of settings.ARCHIVE_PARTS: nothing unless somebody proved that they may have the codes."""
    if codes_for is None:
        return []

    def write(moment: Snapshot, out: Sink) -> int:
        _record(substation, codes_for)
        with moment.as_main():
            for chunk in write_csv(["order", "sku_id", "delivered_at", "code"], _codes(moment, substation.pk)):
                out.write(chunk)
        return 0

    return [Part("codes.csv", write)]


def _record(substation: Any, by: Actor) -> None:
    """Every code as seen, committed before the first is written: a look that is cut off was a look."""
    now = clock.utc_now()
    with in_main(), connection.cursor() as cursor:
        cursor.execute(
            _RECORD,
            {"kind": by.kind, "label": by.label[:120], "reason": REASON, "ip": by.ip, "at": now, "shop": substation.pk},
        )
        audit.record(
            action="stock.codes.export", by=by, target=substation.public_id, at=now, reason=REASON,
            codes=cursor.rowcount,
        )  # fmt: skip


def _codes(moment: Snapshot, substation_id: int) -> Iterator[tuple[object, ...]]:
    for number, sku_id, delivered_at, blob, key_version in moment.pages(_CODES, [substation_id]):
        yield number, sku_id, delivered_at, keys.open_code(sku_id=sku_id, blob=blob, key_version=key_version)
