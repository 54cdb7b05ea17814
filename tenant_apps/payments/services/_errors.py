"""The refusals of this app, named for the failed act."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Missing, Refused, Unavailable
from kameng.lib.words import worded


class OrderNotPayable(Refused):
    """Paid already, expired or cancelled; `details["state"]`."""

    code = "order_not_payable"

    def __init__(self, *, number: str, state: str) -> None:
        super().__init__(
            worded(_("Order %(number)s can't be paid any more. Nothing was charged."), number=number),
            details={"number": number, "state": state},
        )


class ChannelMissing(Missing):
    """No such channel, or not for this shop."""

    code = "channel_not_found"

    def __init__(self) -> None:
        super().__init__(_("This way to pay is not offered here."))


class ChannelAway(Unavailable):
    """The channel did not answer; the attempt is kept and asked about. Nothing was charged as far as anybody knows."""

    code = "channel_away"

    def __init__(self) -> None:
        super().__init__(_("The payment service does not answer. Try again in a moment, or choose another way to pay."))


class ChannelDeclined(Refused):
    """The channel will not collect this; nothing was charged."""

    code = "channel_declined"

    def __init__(self) -> None:
        super().__init__(_("The payment service would not open this payment. Choose another way to pay."))


class NotSettled(Refused):
    """Why a payment could not be used for its order. Opens a case of `kind`; never reaches a person."""

    code = "not_settled"

    def __init__(self, kind: str, *, expected_minor: int | None = None, note: str = "") -> None:
        super().__init__(note or kind, details={"kind": kind, "expected_minor": expected_minor})
        self.kind = kind
        self.expected_minor = expected_minor
        self.note = note


class RefundFailed(Refused):
    """The channel refused to give money back; nothing was changed."""

    code = "refund_failed"

    def __init__(self, problem: str) -> None:
        super().__init__(
            worded(_("The payment service refused the refund: %(problem)s"), problem=problem),
            details={"problem": problem},
        )


class OrderNotRefundable(Refused):
    code = "order_not_refundable"

    def __init__(self, number: str) -> None:
        super().__init__(
            worded(_("Order %(number)s has no payment that could be refunded."), number=number),
            details={"number": number},
        )
