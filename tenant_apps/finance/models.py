"""Copies of this substation's ledger entries."""

from __future__ import annotations

from django.db import models


class StatementLine(models.Model):
    """One leg of a transfer on one of this substation's accounts. `id` is made of transfer and leg."""

    id = models.BigIntegerField(primary_key=True)  # transfer_id * 256 + leg.
    transfer_id = models.BigIntegerField()
    transfer_public_id = models.CharField(max_length=30)
    leg = models.SmallIntegerField()
    account = models.CharField(max_length=20)  # pending, available, prepaid, deposit, receivable, withdrawing.
    kind = models.CharField(max_length=30)
    reference_type = models.CharField(max_length=20, blank=True, default="")
    reference = models.CharField(max_length=40, blank=True, default="")
    # The substation's point of view: what it is owed grows with a positive amount. Minor units.
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    # All legs of the transfer as the shop may see them: [{"part","amount_minor"}] for the waterfall of a sale.
    parts = models.JSONField(default=list)
    event_at = models.DateTimeField()
    recorded_at = models.DateTimeField()

    class Meta:
        ordering = ("-event_at", "-id")
        indexes = (
            models.Index(fields=("account", "-event_at", "-id"), name="statement_by_account"),
            models.Index(fields=("reference",), name="statement_by_reference"),
        )
