"""An order's row locked for its payment: whoever holds it decides what the money does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from tenant_apps.orders.services import _sql
from tenant_apps.orders.states import ORDER_TRANSITIONS, OrderEvent, OrderState


@dataclass(frozen=True, slots=True)
class Payable:
    """An order whose row this transaction has locked, with what its sale is made of."""

    id: int
    number: str
    state: str
    total_minor: int
    currency: str
    lines: Sequence[Mapping[str, Any]]  # [{"delivery", "total_minor", "cost_minor"}]
    terms: Mapping[str, Any]

    @property
    def waits(self) -> bool:
        return self.state == OrderState.PENDING_PAYMENT

    @property
    def ended_unpaid(self) -> bool:
        """Expired or cancelled: its money came late."""
        return self.state in ORDER_TRANSITIONS[OrderEvent.REVIVE][0]


def lock_payable(number: str, *, paid_at: datetime) -> Payable | None:
    """Lock an order for its payment and read what that takes, in one statement; None when there is no such order.
    The terms are those in force at `paid_at`, the channel's own time of the payment.

    Race: two callbacks, a callback and the expiry, a callback and a person. Whoever locks the row first decides;
    the others wait here and then read the state that was left.
    """
    with connection.cursor() as cursor:
        cursor.execute(_sql.LOCK_PAYABLE, {"number": number, "terms_at": paid_at})
        row = cursor.fetchone()
    if row is None:
        return None
    order_id, state, total, currency, lines, substation_id, rule, platform_bps, terms = row
    known = {"substation_id": substation_id, "rule": rule, "platform_bps": platform_bps, "terms": _loaded(terms) or {}}
    return Payable(order_id, number, state, total, currency, _loaded(lines), known)


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
