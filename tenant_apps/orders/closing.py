"""What of a shop's orders has to end before it is closed, and what their buyers are told."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from kameng.db.context import in_substation
from kameng.jobs.services import enqueue
from tenant_apps.orders.models import Order
from tenant_apps.orders.states import OrderState
from tenants.closing import Matter

MAIL_JOB = "orders.mail_closing"
EXAMPLES = 5


def waiting() -> QuerySet[Order]:
    """Orders that are paid and not delivered yet, the oldest first. In the shop's scope."""
    return Order.objects.filter(state=OrderState.PAID).order_by("id")


def unpaid() -> QuerySet[Order]:
    """Orders that may still be paid; they expire by themselves. In the shop's scope."""
    return Order.objects.filter(state=OrderState.PENDING_PAYMENT).order_by("id")


def open_orders(substation: Any) -> list[Matter]:
    """One of settings.CLOSING_CHECKS."""
    with in_substation(substation):
        return [
            Matter(kind, words, rows.count(), tuple(rows.values_list("number", flat=True)[:EXAMPLES]))
            for kind, words, rows in (
                ("orders_to_deliver", _("Paid orders to deliver or refund"), waiting()),
                ("orders_unpaid", _("Orders that may still be paid"), unpaid()),
            )
        ]


def tell_buyers() -> int:
    """Have every buyer with an open order told, a job each, so that a mail that fails is sent again alone; answers how many.

    In the shop's scope.
    """
    with transaction.atomic():
        numbers = list((waiting() | unpaid()).values_list("number", flat=True))
        for number in numbers:
            enqueue(kind=MAIL_JOB, payload={"order_number": number}, dedupe=number)
    return len(numbers)
