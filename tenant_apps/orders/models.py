"""An order is a snapshot: names, prices and their reasons as the buyer saw them."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q

from tenant_apps.orders.states import DeliveryState, OrderState


class Order(models.Model):
    number = models.CharField(max_length=40)
    # The buyer's secret: SHA-256 of the token in their link, and of the query password they chose or were given.
    token_digest = models.BinaryField(max_length=32)
    lookup_digest = models.BinaryField(max_length=32)
    contact = models.CharField(max_length=120)
    state = models.CharField(max_length=15, choices=OrderState.choices, default=OrderState.PENDING_PAYMENT)
    currency = models.CharField(max_length=3)
    total_minor = models.BigIntegerField()
    cost_minor = models.BigIntegerField()
    buyer_fields = models.JSONField(default=dict)
    language = models.CharField(max_length=10, default="zh-hans")
    ip = models.CharField(max_length=45, blank=True, default="")
    source = models.CharField(max_length=12, default="WEB")  # WEB or API.
    transfer_id = models.CharField(max_length=30, blank=True, default="")  # trf_…, once paid.
    earned_minor = models.BigIntegerField(null=True)
    placed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    delivered_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (
            # Not `unique=True`: Django would add a second index for LIKE, and each sale would pay for it.
            models.UniqueConstraint(fields=("number",), name="order_number_once"),
            models.CheckConstraint(name="order_total_positive", condition=Q(total_minor__gt=0)),
            models.CheckConstraint(
                name="paid_order_has_time",
                condition=Q(state__in=("PENDING_PAYMENT", "EXPIRED", "CANCELLED")) | Q(paid_at__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=("expires_at",), condition=Q(state="PENDING_PAYMENT"), name="order_due"),
            # Few orders are in any other state, and most steps of a sale then touch no index of states.
            models.Index(fields=("state", "-id"), condition=~Q(state__in=("DELIVERED", "EXPIRED")), name="order_open"),
            # Both grow with the table: a range of days is a range of pages, and writing costs next to nothing.
            BrinIndex(fields=("placed_at",), pages_per_range=16, autosummarize=True, name="order_placed"),
            BrinIndex(fields=("paid_at",), pages_per_range=16, autosummarize=True, name="order_paid"),
        )

    def __str__(self) -> str:
        return self.number


class OrderLine(models.Model):
    # Found by the unique index of order and SKU.
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines", db_index=False)
    sku_id = models.BigIntegerField()  # Master SKU and listing; a snapshot beside it, no constraint.
    sku_code = models.CharField(max_length=60)
    product_slug = models.CharField(max_length=80)
    name_zh = models.CharField(max_length=250)
    name_en = models.CharField(max_length=250, blank=True, default="")
    kind = models.CharField(max_length=10)
    delivery = models.CharField(max_length=6)
    quantity = models.PositiveIntegerField()
    unit = models.DecimalField(max_digits=18, decimal_places=4)
    total_minor = models.BigIntegerField()
    supply_unit = models.DecimalField(max_digits=18, decimal_places=4)
    cost_minor = models.BigIntegerField()
    # The price's named stages and reasons, as shown: [{"stage","amount","reason"…}].
    stages = models.JSONField(default=list)
    delivery_state = models.CharField(max_length=9, choices=DeliveryState.choices, default=DeliveryState.WAITING)
    delivery_note = models.TextField(blank=True, default="")  # What a person wrote to the buyer.
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(name="line_quantity_positive", condition=Q(quantity__gt=0)),
            models.UniqueConstraint(fields=("order", "sku_id"), name="line_once_per_sku"),
        )
        indexes = (models.Index(fields=("id",), condition=Q(delivery_state="QUEUED"), name="line_queue"),)


class OrderStep(models.Model):
    """One step of an order's life, its payment's or its delivery's. Append-only.

    No constraint to the order: a sale writes six steps, and the database would look the order up six times.
    """

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="steps", db_constraint=False)
    at = models.DateTimeField()
    subject = models.CharField(max_length=8)  # ORDER, PAYMENT, DELIVERY.
    event = models.CharField(max_length=16)
    from_state = models.CharField(max_length=16, blank=True, default="")
    to_state = models.CharField(max_length=16, blank=True, default="")
    by_kind = models.CharField(max_length=10)
    by_label = models.CharField(max_length=120)
    note = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ("-id",)
