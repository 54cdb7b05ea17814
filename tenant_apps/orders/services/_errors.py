"""The refusals of this app, named for the failed act."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Forbidden, Invalid, Missing, Refused
from kameng.lib.money import format_minor
from kameng.lib.words import Sentence, worded


class OrderInvalid(Invalid):
    """A field of the checkout can't be used; `field` names it."""

    code = "order_invalid"


class QuantityInvalid(OrderInvalid):
    code = "quantity_invalid"

    def __init__(self, *, sku_id: int, limit: int) -> None:
        super().__init__(
            worded(_("The quantity must be a whole number from 1 to %(limit)s."), limit=limit),
            field="quantity",
            details={"sku_id": sku_id, "limit": limit},
        )


class LinesInvalid(OrderInvalid):
    code = "lines_invalid"

    def __init__(self, limit: int) -> None:
        super().__init__(worded(_("An order has 1 to %(limit)s different products."), limit=limit), field="lines")


class CurrenciesMixed(OrderInvalid):
    code = "currencies_mixed"

    def __init__(self) -> None:
        super().__init__(_("These products are sold in different currencies. Order them one by one."), field="lines")


class SkuMissing(Missing):
    """Not a SKU of this shop: never was, or belongs elsewhere. The answer is the same."""

    code = "sku_not_found"

    def __init__(self, sku_id: int) -> None:
        super().__init__(_("This product is not in this shop."), field="sku_id", details={"sku_id": sku_id})


class OffShelf(Refused):
    code = "off_shelf"

    def __init__(self, *, sku_id: int, name: str) -> None:
        super().__init__(
            worded(_("“%(name)s” is not on sale now. Nothing was ordered."), name=name),
            field="sku_id",
            details={"sku_id": sku_id},
        )


class SoldOut(Refused):
    code = "sold_out"

    def __init__(self, *, sku_id: int, name: str) -> None:
        super().__init__(
            worded(_("“%(name)s” is sold out in this quantity. Nothing was ordered."), name=name),
            field="quantity",
            details={"sku_id": sku_id},
        )


class PriceMoved(Refused):
    """The buyer saw another total; `details["total_minor"]` is the present one, to be shown and confirmed."""

    code = "price_moved"

    def __init__(self, *, total_minor: int, expected_minor: int, currency: str) -> None:
        super().__init__(
            worded(
                _("The price has changed to %(total)s. Please confirm it; nothing was ordered yet."),
                total=format_minor(total_minor, currency),
            ),
            field="expected_total_minor",
            details={"total_minor": total_minor, "expected_total_minor": expected_minor, "currency": currency},
        )


class PriceOutOfBounds(Refused):
    """Below cost plus fees, or outside what the main station allows: an old price that its cost has overtaken."""

    code = "price_out_of_bounds"

    def __init__(self, *, sku_id: int, name: str) -> None:
        super().__init__(
            worded(_("The price of “%(name)s” is being updated. Please try again in a few minutes."), name=name),
            field="sku_id",
            details={"sku_id": sku_id},
        )


class ChannelTooDear(Refused):
    """The channel that was chosen would keep more than the order brings; another one may carry it."""

    code = "channel_too_dear"

    def __init__(self) -> None:
        super().__init__(_("This way to pay is not offered here."))


class ShopClosed(Refused):
    code = "shop_closed"

    def __init__(self) -> None:
        super().__init__(_("This shop takes no orders now."))


class OrderMissing(Missing):
    """No such order, or not the right secret: the answer is the same."""

    code = "order_not_found"

    def __init__(self, message: Sentence = "") -> None:
        super().__init__(message or _("No order was found with this number and secret."))


class OrderTransitionRefused(Refused):
    """Another worker, a second callback or a person got here first; nothing was changed."""

    code = "order_state"

    def __init__(self, *, number: str, event: str, state: str = "") -> None:
        super().__init__(
            worded(_("This can't be done with order %(number)s in its present state."), number=number),
            details={"number": number, "event": event, "state": state},
        )


class NotHeld(Refused):
    """The order's stock is not held for it any more, so its sale can't be posted as it is."""

    code = "stock_not_held"

    def __init__(self, number: str) -> None:
        super().__init__(
            worded(_("The stock of order %(number)s is not held any more."), number=number), details={"number": number}
        )


class SettlementRefused(Refused):
    """The database would not post this sale: receipt, holds and legs don't agree. `details["reason"]` says where."""

    code = "settlement_refused"

    def __init__(self, *, number: str, reason: str) -> None:
        super().__init__(
            worded(_("Order %(number)s can't be settled with this payment."), number=number),
            details={"number": number, "reason": reason},
        )


class RevealRefused(Forbidden):
    code = "reveal_refused"

    def __init__(self, details: dict[str, Any] | None = None) -> None:
        super().__init__(_("Say why the codes are to be shown. Nothing was shown."), field="reason", details=details)
