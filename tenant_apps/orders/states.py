"""The whole life of an order and of a line's delivery. Nothing else assigns `state`."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class OrderState(models.TextChoices):
    PENDING_PAYMENT = "PENDING_PAYMENT", _("Waiting for payment")
    PAID = "PAID", _("Paid")  # The money is ours; something is still to be delivered.
    DELIVERED = "DELIVERED", _("Delivered")
    EXPIRED = "EXPIRED", _("Expired")  # Not paid in time; its stock went back.
    CANCELLED = "CANCELLED", _("Cancelled")  # By the buyer or the shop, before payment.
    REFUNDED = "REFUNDED", _("Refunded")


class OrderEvent(models.TextChoices):
    PAY = "PAY", _("Payment received")
    DELIVER = "DELIVER", _("Everything delivered")
    EXPIRE = "EXPIRE", _("Payment time ran out")
    CANCEL = "CANCEL", _("Cancelled")
    REVIVE = "REVIVE", _("Paid late, and delivered all the same")
    REFUND = "REFUND", _("Refunded")


_S = OrderState

# event: (from, to).
ORDER_TRANSITIONS: dict[OrderEvent, tuple[frozenset[OrderState], OrderState]] = {
    OrderEvent.PAY: (frozenset({_S.PENDING_PAYMENT}), _S.PAID),
    OrderEvent.DELIVER: (frozenset({_S.PAID}), _S.DELIVERED),
    OrderEvent.EXPIRE: (frozenset({_S.PENDING_PAYMENT}), _S.EXPIRED),
    OrderEvent.CANCEL: (frozenset({_S.PENDING_PAYMENT}), _S.CANCELLED),
    OrderEvent.REVIVE: (frozenset({_S.EXPIRED, _S.CANCELLED}), _S.PAID),
    OrderEvent.REFUND: (frozenset({_S.PAID, _S.DELIVERED}), _S.REFUNDED),
}


class DeliveryState(models.TextChoices):
    WAITING = "WAITING", _("Waiting for payment")
    QUEUED = "QUEUED", _("In the queue, by hand")
    DELIVERED = "DELIVERED", _("Delivered")
    CANCELLED = "CANCELLED", _("Cancelled")


class DeliveryEvent(models.TextChoices):
    QUEUE = "QUEUE", _("Queued for a person")
    DELIVER = "DELIVER", _("Delivered")
    CANCEL = "CANCEL", _("Cancelled")
    REQUEUE = "REQUEUE", _("Wanted again")  # A late payment revived the order.


_D = DeliveryState

DELIVERY_TRANSITIONS: dict[DeliveryEvent, tuple[frozenset[DeliveryState], DeliveryState]] = {
    DeliveryEvent.QUEUE: (frozenset({_D.WAITING}), _D.QUEUED),
    DeliveryEvent.DELIVER: (frozenset({_D.WAITING, _D.QUEUED}), _D.DELIVERED),
    DeliveryEvent.CANCEL: (frozenset({_D.WAITING, _D.QUEUED}), _D.CANCELLED),
    DeliveryEvent.REQUEUE: (frozenset({_D.CANCELLED}), _D.WAITING),
}
