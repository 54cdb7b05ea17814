"""Codes and counts. Tenants reach them through the functions of schema `gate` alone (sql/gate.sql)."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _


class CodeState(models.TextChoices):
    AVAILABLE = "AVAILABLE", _("Available")
    HELD = "HELD", _("Held for an order")
    DELIVERED = "DELIVERED", _("Delivered")  # Final: a trigger refuses the way back.
    VOID = "VOID", _("Withdrawn")  # Taken out of stock by the main station; final as well.


class HoldState(models.TextChoices):
    HELD = "HELD", _("Held")
    TAKEN = "TAKEN", _("Delivered")
    RELEASED = "RELEASED", _("Given back")


class CodeBatch(models.Model):
    """One import of codes for one SKU."""

    public_id = models.CharField(max_length=30, unique=True)
    sku_id = models.BigIntegerField(db_index=True)  # library.Sku; no constraint, so that imports stay fast.
    source = models.CharField(max_length=200, blank=True, default="")
    note = models.CharField(max_length=200, blank=True, default="")
    imported = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    by = models.CharField(max_length=120, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-id",)


class Hold(models.Model):
    """A quantity of one SKU kept for one order until `expires_at`. `round` counts re-holds of a late payment."""

    substation_id = models.BigIntegerField()
    order_number = models.CharField(max_length=40)
    sku_id = models.BigIntegerField()
    quantity = models.PositiveIntegerField()
    state = models.CharField(max_length=8, choices=HoldState.choices, default=HoldState.HELD)
    # What the main station is owed for it, fixed when the order was placed; minor units.
    cost_minor = models.BigIntegerField()
    supply_unit = models.DecimalField(max_digits=18, decimal_places=4)
    policy = models.CharField(max_length=9)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("substation_id", "order_number", "sku_id"), name="hold_once_per_line"),
            models.CheckConstraint(name="hold_quantity_positive", condition=Q(quantity__gt=0)),
        )
        indexes = (models.Index(fields=("expires_at",), condition=Q(state="HELD"), name="hold_due"),)


class Code(models.Model):
    """One secret. `blob` is AES-GCM; `blind_index` finds its double without decrypting."""

    batch_id = models.BigIntegerField()
    sku_id = models.BigIntegerField()
    # The order of selling. Only the partial index `code_next` has it, so a claim never walks over sold codes.
    position = models.BigIntegerField()
    state = models.CharField(max_length=9, choices=CodeState.choices, default=CodeState.AVAILABLE)
    blob = models.BinaryField()
    key_version = models.CharField(max_length=12)
    blind_index = models.BinaryField(max_length=16)
    hold_id = models.BigIntegerField(null=True)
    delivered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("sku_id", "blind_index"), name="code_once_per_sku"),
            models.CheckConstraint(
                name="code_state_and_hold",
                condition=Q(state__in=("AVAILABLE", "VOID"), hold_id__isnull=True)
                | Q(state__in=("HELD", "DELIVERED"), hold_id__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=("sku_id", "position"), condition=Q(state="AVAILABLE"), name="code_next"),
            models.Index(fields=("hold_id",), condition=Q(hold_id__isnull=False), name="code_by_hold"),
            models.Index(fields=("key_version",), name="code_by_key"),
        )


class CodeReveal(models.Model):
    """Somebody saw a code. Append-only."""

    code_id = models.BigIntegerField(db_index=True)
    substation_id = models.BigIntegerField(null=True)
    order_number = models.CharField(max_length=40, blank=True, default="")
    actor_kind = models.CharField(max_length=10)
    actor_label = models.CharField(max_length=120)
    reason = models.CharField(max_length=200)
    ip = models.CharField(max_length=45, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)


class StockCount(models.Model):
    """Stock of a COUNTED SKU; taken by a guarded update that can't go below zero."""

    sku_id = models.BigIntegerField(primary_key=True)
    available = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = (models.CheckConstraint(name="stock_count_not_negative", condition=Q(available__gte=0)),)


class StockLevel(models.Model):
    """What pages show: rolled up by a worker for the SKUs that moved, so no sale waits for a counter.

    `changed_xid` (added by SQL) is stamped when `available` or `state` changes, for the substations' syncs.
    """

    sku_id = models.BigIntegerField(primary_key=True)
    available = models.BigIntegerField(default=0)
    state = models.CharField(max_length=9)  # IN_STOCK, LOW, OUT.
    counted_at = models.DateTimeField()


class StockMove(models.Model):
    """A note that a SKU's stock moved, consumed by the roll-up. Append-only between roll-ups."""

    sku_id = models.BigIntegerField()
