"""Payment attempts of the shop's orders. What the channels told us is in `shared_apps.receipts`."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from tenant_apps.orders.models import Order
from tenant_apps.payments.states import PaymentState


class Payment(models.Model):
    """One attempt to pay one order through one merchant account."""

    public_id = models.CharField(max_length=30)  # pay_…: also the idempotency key at the channel.
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="payments")
    channel = models.CharField(max_length=20)
    account_id = models.BigIntegerField()  # receipts.MerchantAccount.
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    state = models.CharField(max_length=9, choices=PaymentState.choices, default=PaymentState.CREATED)
    channel_ref = models.CharField(max_length=120, blank=True, default="")
    redirect_url = models.TextField(blank=True, default="")
    qr_text = models.TextField(blank=True, default="")
    problem = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("public_id",), name="payment_public_id_once"),
            models.CheckConstraint(name="payment_amount_positive", condition=Q(amount_minor__gt=0)),
            # Two clicks at once open one attempt.
            models.UniqueConstraint(
                fields=("order", "account_id"),
                condition=Q(state__in=("CREATED", "UNKNOWN", "PENDING")),
                name="payment_open_once",
            ),
            models.CheckConstraint(name="pending_payment_has_ref", condition=~Q(state="PENDING") | ~Q(channel_ref="")),
        )
