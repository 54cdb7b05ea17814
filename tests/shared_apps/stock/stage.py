"""Goods of the stock's tests, and orders for them as a shop places them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import DatabaseError, connection

from kameng.db.context import in_main
from kameng.lib.ids import public_id
from shared_apps.stock.models import Code
from tests.tenant_apps.market import NOW, Goods, make_goods


def goods(codes: int = 0, **changes: Any) -> Goods:
    with in_main():
        return make_goods(codes=codes, **changes)


def states(sku: int) -> dict[str, int]:
    with in_main():
        rows = list(Code.objects.filter(sku_id=sku).values_list("state", flat=True))
    return {state: rows.count(state) for state in sorted(set(rows))}


def place(shop: Any, lines: list[dict[str, Any]], total: int | None = None, number: str = "") -> list[tuple[Any, ...]]:
    """gate.place_order as the shop's own role, in the transaction that is open."""
    import json

    number = number or public_id("t")
    sum_minor = sum(round(Decimal(line["unit"] or 0) * 100 * line["quantity"]) for line in lines)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sku_id, policy, supply_unit, cost_minor FROM gate.place_order(%s, %s, %s, 'CNY', '', %s, %s)",
            [number, json.dumps(lines), sum_minor if total is None else total, NOW, NOW],
        )
        return cursor.fetchall()


def line(goods: Goods, quantity: int = 1, unit: str = "12") -> dict[str, Any]:
    return {"sku_id": goods.sku_id, "quantity": quantity, "unit": unit}


def refusal(error: DatabaseError) -> str:
    return str(getattr(error.__cause__, "pgcode", ""))
