"""Every code under the current key: after a new key was put into the ring."""

from __future__ import annotations

from collections.abc import Callable

from django.db import connection

from kameng.db.context import in_main
from kameng.lib.crypto import Sealed
from shared_apps.stock import keys
from shared_apps.stock.selectors import codes_under_other_keys
from shared_apps.stock.services._importing import bytea_array
from shared_apps.stock.types import Rotation

BATCH = 2_000


def rotate(*, progress: Callable[[Rotation], None] | None = None, limit: int | None = None) -> Rotation:
    """Encrypt again, in batches, what is not under the current key. Safe to kill and to run again or twice at once.

    `limit` bounds how many rows this call takes. Codes that a sale has locked at the moment are passed over; they
    stay in `remaining`, readable with their old key, until the next run. Raises: CodeUnreadable (its batch stays).
    """
    ring = keys.ring()
    rotated = 0
    while limit is None or rotated < limit:
        done = _rotate_batch(ring.current, BATCH if limit is None else min(BATCH, limit - rotated))
        if not done:
            break
        rotated += done
        if progress is not None:
            progress(Rotation(ring.current, rotated, _remaining(ring.current)))
    return Rotation(ring.current, rotated, _remaining(ring.current))


def _remaining(current: str) -> int:
    with in_main():
        return codes_under_other_keys(current)


def _rotate_batch(current: str, size: int) -> int:
    ring = keys.ring()
    with in_main(), connection.cursor() as cursor:
        # Two ranges instead of <>: they can use the index.
        cursor.execute(
            "SELECT id, sku_id, blob, key_version FROM stock_code WHERE key_version < %s OR key_version > %s "
            "LIMIT %s FOR UPDATE SKIP LOCKED",
            [current, current, size],
        )
        rows = cursor.fetchall()
        if not rows:
            return 0
        sealed = [
            (row_id, ring.rotate(Sealed(version, bytes(blob)), keys.aad(sku_id)))
            for row_id, sku_id, blob, version in rows
        ]
        cursor.execute(
            "UPDATE stock_code c SET blob = n.blob, key_version = %s "
            "FROM unnest(%s::bigint[], %s::bytea[]) AS n (id, blob) WHERE c.id = n.id",
            [current, [row_id for row_id, _ in sealed], bytea_array(new.blob for _, new in sealed)],
        )
        return len(rows)
