"""What others read of the stock. For the main station's scope. Nothing here shows a code."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection
from django.db.models import Count, QuerySet

from kameng.lib.crypto import CodeUnreadable, mask
from shared_apps.library.models import Sku, StockPolicy
from shared_apps.stock import keys
from shared_apps.stock.models import Code, CodeBatch, CodeReveal, StockLevel


@dataclass(frozen=True)
class LevelRow:
    """A SKU's stock as it was counted last."""

    sku: Sku
    available: int
    state: str


@dataclass(frozen=True)
class MaskedCode:
    """A code as staff may see it without a reason: its last characters."""

    id: int
    position: int
    state: str
    masked: str
    key_version: str


@dataclass(frozen=True)
class KeyStatus:
    """How the codes stand with the key ring."""

    current: str
    remaining: int


def levels(*, state: str = "") -> QuerySet[StockLevel]:
    """Counted levels, the scarcest first; `state`: OUT, LOW or IN_STOCK."""
    rows = StockLevel.objects.order_by("available", "sku_id")
    return rows.filter(state=state) if state else rows


def low_stock(*, limit: int = 50) -> list[LevelRow]:
    """Active SKUs that are sold out or nearly so, the scarcest first; two statements."""
    active = Sku.objects.filter(active=True, product__active=True).exclude(stock_policy=StockPolicy.UNLIMITED)
    rows = list(
        StockLevel.objects.filter(state__in=("OUT", "LOW"), sku_id__in=active.values("id")).order_by(
            "available", "sku_id"
        )[:limit]
    )
    skus = Sku.objects.select_related("product").in_bulk([row.sku_id for row in rows])
    return [LevelRow(skus[row.sku_id], row.available, row.state) for row in rows]


def level_of(sku_ids: list[int]) -> dict[int, StockLevel]:
    """The counted levels of some SKUs, by id."""
    return StockLevel.objects.in_bulk(sku_ids)


def batches(*, sku_id: int | None = None) -> QuerySet[CodeBatch]:
    """Batches of codes, the newest first."""
    return CodeBatch.objects.all() if sku_id is None else CodeBatch.objects.filter(sku_id=sku_id)


def states_of_batch(batch: CodeBatch) -> dict[str, int]:
    """How many codes of a batch are in each state. Reads all of its SKU's codes: for one batch's page."""
    rows = Code.objects.filter(sku_id=batch.sku_id, batch_id=batch.pk).values_list("state")
    return dict(rows.annotate(count=Count("id")).order_by())


def codes_page(batch: CodeBatch, *, after: int = 0, limit: int = 50) -> list[MaskedCode]:
    """Codes of a batch, masked, in their order; `after` is the last position seen."""
    rows = Code.objects.filter(sku_id=batch.sku_id, batch_id=batch.pk, position__gt=after).order_by("position")
    return [
        MaskedCode(
            row.pk,
            row.position,
            row.state,
            mask(keys.open_code(sku_id=row.sku_id, blob=row.blob, key_version=row.key_version)),
            row.key_version,
        )
        for row in rows[:limit]
    ]


def reveals(*, code_id: int | None = None) -> QuerySet[CodeReveal]:
    """Who saw which code, the latest first."""
    return CodeReveal.objects.all() if code_id is None else CodeReveal.objects.filter(code_id=code_id)


def key_status() -> KeyStatus:
    """Which key is current and how many codes are under older ones."""
    current = keys.ring().current
    return KeyStatus(current, codes_under_other_keys(current))


def codes_by_key() -> dict[str, int]:
    """How many codes are under each version of the key; delivered and withdrawn ones too."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT key_version, count(*) FROM stock_code GROUP BY 1 ORDER BY 1")
        return dict(cursor.fetchall())


def keys_fit() -> bool:
    """Whether the ring opens the newest code: not where a database was given the keys of another installation."""
    newest = Code.objects.order_by("-id").first()
    if newest is None:
        return True
    try:
        keys.open_code(sku_id=newest.sku_id, blob=newest.blob, key_version=newest.key_version)
    except CodeUnreadable:
        return False
    return True


def codes_under_other_keys(current: str) -> int:
    """How many codes are not under this key. Two ranges instead of <>: they can use the index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM stock_code WHERE key_version < %s OR key_version > %s", [current, current])
        return int(cursor.fetchone()[0])


def available_now(sku_id: int) -> int:
    """The codes of one SKU that can be sold at this moment, counted over the partial index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM stock_code WHERE sku_id = %s AND state = 'AVAILABLE'", [sku_id])
        return int(cursor.fetchone()[0])
