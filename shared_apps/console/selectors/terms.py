"""Private terms as the console and the API list them: each beside what the shop's plan pays."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import models
from django.db.models import Case, CharField, Count, F, OuterRef, Q, QuerySet, Subquery, Value, When

from shared_apps.library import selectors as library
from shared_apps.library.models import PrivatePrice, SupplyPrice
from shared_apps.library.types import difference
from tenants.models import Substation


class TermState(models.TextChoices):
    """Where a private price stands at a moment; its words are the console's."""

    IN_FORCE = "IN_FORCE"
    TO_COME = "TO_COME"
    ENDED = "ENDED"


def private_prices(
    substation: Substation, *, now: datetime, query: str = "", state: str = ""
) -> QuerySet[PrivatePrice]:
    """A shop's private prices with SKU and product, `state`, `plan_unit` (None: its plan has no price) and `change`, the
    difference between the two in money. `query`: parts of a SKU's code or names, or of the note."""
    plan = SupplyPrice.objects.filter(sku_id=OuterRef("sku_id"), level=substation.plan.supply_level)
    rows = PrivatePrice.objects.select_related("sku__product").filter(substation=substation)
    rows = rows.annotate(plan_unit=Subquery(plan.values("unit")[:1]), state=_state(now))
    rows = rows.annotate(change=F("unit") - F("plan_unit"))
    for word in query.split():
        rows = rows.filter(
            Q(sku__code__icontains=word) | Q(sku__name_zh__icontains=word) | Q(sku__name_en__icontains=word)
            | Q(sku__product__name_zh__icontains=word) | Q(sku__product__name_en__icontains=word)
            | Q(note__icontains=word)
        )  # fmt: skip
    return rows.filter(state=state) if state else rows


def _state(now: datetime) -> Case:
    # Taken back before it began: the span is empty, and it never was in force.
    return Case(
        When(ends_at__lte=now, then=Value(TermState.ENDED.value)),
        When(ends_at=F("starts_at"), then=Value(TermState.ENDED.value)),
        When(starts_at__gt=now, then=Value(TermState.TO_COME.value)),
        default=Value(TermState.IN_FORCE.value),
        output_field=CharField(),
    )


def state_counts(substation: Substation, now: datetime) -> dict[str, int]:
    """How many private prices of a shop are in force, to come, ended."""
    rows = PrivatePrice.objects.filter(substation=substation).annotate(state=_state(now)).order_by()
    return dict(rows.values_list("state").annotate(count=Count("pk")))


def private_price(substation: Substation, public_id: str, now: datetime) -> PrivatePrice | None:
    return private_prices(substation, now=now).filter(public_id=public_id).first()


def percent(row: PrivatePrice) -> Decimal | None:
    """By how many percent a row of `private_prices` differs from the plan's price; None where the plan has none."""
    plan: Decimal | None = row.plan_unit  # type: ignore[attr-defined]
    return None if plan is None else difference(row.unit, plan)


def with_warnings(rows: list[Any]) -> list[Any]:
    """Rows of `private_prices` with `percent` and `warnings`, in one more statement."""
    cheapest = library.cheapest_plan_prices([row.sku_id for row in rows])
    for row in rows:
        row.percent = percent(row)
        row.warnings = list(
            library.private_price_warnings(row.sku, row.unit, plan=row.plan_unit, cheapest=cheapest.get(row.sku_id))
        )
    return rows
