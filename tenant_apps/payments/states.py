"""The life of one payment attempt."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class PaymentState(models.TextChoices):
    CREATED = "CREATED", _("Begun")  # Written; the channel has not been called yet.
    UNKNOWN = "UNKNOWN", _("Unknown")  # The channel was called and did not answer: the janitor asks.
    PENDING = "PENDING", _("Waiting for the payer")
    SUCCEEDED = "SUCCEEDED", _("Paid")
    FAILED = "FAILED", _("Failed")
    EXPIRED = "EXPIRED", _("Expired")
    REFUNDED = "REFUNDED", _("Refunded")


class PaymentEvent(models.TextChoices):
    OPEN = "OPEN", _("The channel opened a payment")
    TIME_OUT = "TIME_OUT", _("The channel did not answer")
    SUCCEED = "SUCCEED", _("The channel says it is paid")
    FAIL = "FAIL", _("The channel says it failed")
    EXPIRE = "EXPIRE", _("The channel says it expired")
    REFUND = "REFUND", _("Refunded")


_P = PaymentState
_OPEN = frozenset({_P.CREATED, _P.UNKNOWN, _P.PENDING})

PAYMENT_TRANSITIONS: dict[PaymentEvent, tuple[frozenset[PaymentState], PaymentState]] = {
    PaymentEvent.OPEN: (frozenset({_P.CREATED, _P.UNKNOWN}), _P.PENDING),
    PaymentEvent.TIME_OUT: (frozenset({_P.CREATED}), _P.UNKNOWN),
    # Money that arrives counts, whatever we believed before: failed and expired attempts can still succeed.
    PaymentEvent.SUCCEED: (_OPEN | {_P.FAILED, _P.EXPIRED}, _P.SUCCEEDED),
    PaymentEvent.FAIL: (_OPEN, _P.FAILED),
    PaymentEvent.EXPIRE: (_OPEN, _P.EXPIRED),
    PaymentEvent.REFUND: (frozenset({_P.SUCCEEDED}), _P.REFUNDED),
}
