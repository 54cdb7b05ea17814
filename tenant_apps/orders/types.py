"""What crosses the app's border."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class PlacedOrder:
    """An order as its buyer gets it. `token` and `lookup_secret` are shown now and can't be read back later.

    Args:
        number: The order's name, unguessable; with `lookup_secret` it finds the order again.
        token: The secret of the buyer's link.
        lookup_secret: The query password: the buyer's own, or the one made for them.
        pay_by: Until when a payment may be started.
    """

    id: int
    number: str
    token: str
    lookup_secret: str
    total_minor: int
    currency: str
    pay_by: datetime


@dataclass(frozen=True, slots=True)
class PaidReceipt:
    """Money that a channel says it took for one order of this shop (`shared_apps.receipts`).

    `from_suspense`: a person approved its case, so the money comes out of `suspense:{channel}` instead of the
    channel's clearing account.
    """

    public_id: str
    order_number: str
    channel: str
    amount_minor: int
    currency: str
    fee_minor: int | None
    occurred_at: datetime
    from_suspense: bool = False


@dataclass(frozen=True, slots=True)
class SettledOrder:
    """An order after its sale was posted. `queued` counts the lines that a person has to deliver."""

    id: int
    number: str
    state: str
    transfer_id: str
    earned_minor: int
    queued: int


@dataclass(frozen=True, slots=True)
class RevealedCode:
    """One delivered code in plain text: never to be logged, mailed or cached."""

    sku_id: int
    code_id: int
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One day of the shop, in its own time zone. Money in minor units of the shop's currency.

    `gmv_minor` is what buyers paid for orders paid today, refunded ones left out; `earned_minor` the shop's part.
    """

    day: str
    orders_placed: int
    orders_paid: int
    gmv_minor: int
    earned_minor: int
    queued_lines: int
    waiting_orders: int


@dataclass(frozen=True, slots=True)
class WantedLine:
    """A line of a checkout, priced: what the order's row will say."""

    sku_id: int
    quantity: int
    sku_code: str
    product_slug: str
    name_zh: str
    name_en: str
    kind: str
    delivery: str
    unit: Decimal
    total_minor: int
    stages: Sequence[Mapping[str, Any]]

    def for_gate(self) -> dict[str, Any]:
        """As `gate.place_order` and the order's insert read it."""
        return {
            "sku_id": self.sku_id,
            "quantity": self.quantity,
            "unit": str(self.unit),
            "total_minor": self.total_minor,
            "sku_code": self.sku_code,
            "name": self.name_zh,
        }
