"""Everything that writes an order."""

from tenant_apps.orders.services._delivering import deliver_by_hand, is_undelivered, reveal_codes
from tenant_apps.orders.services._errors import (
    ChannelTooDear,
    CurrenciesMixed,
    LinesInvalid,
    NotHeld,
    OffShelf,
    OrderInvalid,
    OrderMissing,
    OrderTransitionRefused,
    PriceMoved,
    PriceOutOfBounds,
    QuantityInvalid,
    RevealRefused,
    SettlementRefused,
    ShopClosed,
    SkuMissing,
    SoldOut,
)
from tenant_apps.orders.services._expiring import cancel_order, expire_due, expire_order
from tenant_apps.orders.services._locking import Payable, lock_payable
from tenant_apps.orders.services._paying import pay_order
from tenant_apps.orders.services._placing import Prepared, place_order, prepare_order, read_shelves, write_order
from tenant_apps.orders.services._refunding import mark_refunded
from tenant_apps.orders.services._splitting import expected_margin
from tenant_apps.orders.services._sql import SETTLE_ARGUMENTS, GateRefused, through_the_gate

__all__ = [
    "SETTLE_ARGUMENTS",
    "ChannelTooDear",
    "CurrenciesMixed",
    "GateRefused",
    "LinesInvalid",
    "NotHeld",
    "OffShelf",
    "OrderInvalid",
    "OrderMissing",
    "OrderTransitionRefused",
    "Payable",
    "Prepared",
    "PriceMoved",
    "PriceOutOfBounds",
    "QuantityInvalid",
    "RevealRefused",
    "SettlementRefused",
    "ShopClosed",
    "SkuMissing",
    "SoldOut",
    "cancel_order",
    "deliver_by_hand",
    "expected_margin",
    "expire_due",
    "expire_order",
    "is_undelivered",
    "lock_payable",
    "mark_refunded",
    "pay_order",
    "place_order",
    "prepare_order",
    "read_shelves",
    "reveal_codes",
    "through_the_gate",
    "write_order",
]  # fmt: skip
