"""The stock as the console lists it: levels by SKU, batches, codes without their secrets, who saw which."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.db import connection
from django.db.models import Case, Exists, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce

from shared_apps.library.models import Sku
from shared_apps.stock.models import Code, CodeBatch, CodeReveal, Hold, StockLevel

URGENCY = {"OUT": 0, "LOW": 1, "IN_STOCK": 2}


def levels(*, query: str = "", state: str = "", policy: str = "") -> QuerySet[Sku]:
    """SKUs with `available`, `level_state` (OUT, LOW, IN_STOCK), `counted_at` and `urgency` (sold out first)."""
    level = StockLevel.objects.filter(sku_id=OuterRef("pk"))
    rows = Sku.objects.select_related("product").annotate(
        available=Subquery(level.values("available")[:1]),
        counted_at=Subquery(level.values("counted_at")[:1]),
        level_state=Case(
            When(stock_policy="UNLIMITED", then=Value("IN_STOCK")),
            default=Coalesce(Subquery(level.values("state")[:1]), Value("OUT")),
        ),
    )
    rows = rows.annotate(
        urgency=Case(
            *[When(level_state=name, then=Value(rank)) for name, rank in URGENCY.items()], output_field=IntegerField()
        )
    )
    for word in query.split():
        rows = rows.filter(
            Q(code__icontains=word) | Q(name_zh__icontains=word) | Q(name_en__icontains=word)
            | Q(product__name_zh__icontains=word)
        )  # fmt: skip
    if state:
        rows = rows.filter(level_state=state)
    return rows.filter(stock_policy=policy) if policy else rows


def level_counts() -> dict[str, int]:
    """How many supplied SKUs with a stock are sold out, low, and in stock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(l.state, 'OUT'), count(*) FROM library_sku k "
            "LEFT JOIN stock_stocklevel l ON l.sku_id = k.id "
            "WHERE k.active AND k.stock_policy <> 'UNLIMITED' GROUP BY 1"
        )
        return dict(cursor.fetchall())


def batches(*, query: str = "", sku_id: int | None = None) -> QuerySet[CodeBatch]:
    """Batches of codes with their SKU's code and names and their product's; `query`: parts of these, a source, a note."""
    sku = Sku.objects.filter(pk=OuterRef("sku_id"))
    rows = CodeBatch.objects.annotate(
        sku_code=Subquery(sku.values("code")[:1]),
        sku_name_zh=Subquery(sku.values("name_zh")[:1]),
        sku_name_en=Subquery(sku.values("name_en")[:1]),
        product_name_zh=Subquery(sku.values("product__name_zh")[:1]),
        product_name_en=Subquery(sku.values("product__name_en")[:1]),
    )
    for word in query.split():
        rows = rows.filter(
            Q(public_id=word) | Q(source__icontains=word) | Q(note__icontains=word) | Q(sku_code__icontains=word)
            | Q(sku_name_zh__icontains=word) | Q(product_name_zh__icontains=word)
        )  # fmt: skip
    return rows if sku_id is None else rows.filter(sku_id=sku_id)


def codes_by_state(batch: CodeBatch) -> dict[str, int]:
    """How many codes of a batch are available, held, delivered, withdrawn."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT state, count(*) FROM stock_code WHERE batch_id = %s AND sku_id = %s GROUP BY state",
            [batch.pk, batch.sku_id],
        )
        return dict(cursor.fetchall())


def codes(batch: CodeBatch, state: str = "") -> QuerySet[Code]:
    """The codes of a batch in the order of the file, without their secrets, with the order that a sold one went to."""
    hold = Hold.objects.filter(pk=OuterRef("hold_id"))
    rows = (
        Code.objects.filter(batch_id=batch.pk, sku_id=batch.sku_id).defer("blob", "blind_index")
        .annotate(
            order_number=Subquery(hold.values("order_number")[:1]),
            substation_id=Subquery(hold.values("substation_id")[:1]),
            seen=Exists(CodeReveal.objects.filter(code_id=OuterRef("pk"))),
        )
        .order_by("position")
    )  # fmt: skip
    return rows.filter(state=state) if state else rows


@dataclass(frozen=True)
class SoldCode:
    """A code of an order, without its secret."""

    id: int
    sku_code: str
    batch: str
    state: str
    delivered_at: datetime | None


def codes_of_order(*, substation_id: int, order_number: str) -> list[SoldCode]:
    """Which codes an order holds or got."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id, k.code, b.public_id, c.state, c.delivered_at FROM stock_hold h "
            "JOIN stock_code c ON c.hold_id = h.id JOIN library_sku k ON k.id = h.sku_id "
            "JOIN stock_codebatch b ON b.id = c.batch_id "
            "WHERE h.substation_id = %s AND h.order_number = %s ORDER BY c.id",
            [substation_id, order_number],
        )
        return [SoldCode(*row) for row in cursor.fetchall()]


def reveals(*, query: str = "", since: datetime | None = None, until: datetime | None = None) -> QuerySet[CodeReveal]:
    """Who saw which code, newest first. Buyers' looks at their own codes among them."""
    rows = CodeReveal.objects.all()
    for word in query.split():
        number = Q(code_id=int(word)) if word.isdecimal() and len(word) < 18 else Q(pk__in=())
        rows = rows.filter(
            Q(actor_label__icontains=word) | Q(reason__icontains=word) | Q(order_number=word.upper()) | number
        )
    if since is not None:
        rows = rows.filter(at__gte=since)
    return rows if until is None else rows.filter(at__lt=until)


def places_of_codes(code_ids: Collection[int]) -> dict[int, tuple[str, str]]:
    """SKU code and batch of each code."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.id, k.code, b.public_id FROM stock_code c JOIN library_sku k ON k.id = c.sku_id "
            "JOIN stock_codebatch b ON b.id = c.batch_id WHERE c.id = ANY (%s)",
            [list(code_ids)],
        )
        return {pk: (sku_code, batch) for pk, sku_code, batch in cursor.fetchall()}
