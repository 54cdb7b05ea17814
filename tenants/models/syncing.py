"""How far each shop has read what the main station says."""

from __future__ import annotations

from django.db import models

from tenants.models.shops import Substation


class SyncFeed(models.TextChoices):
    LIBRARY = "LIBRARY"  # Categories, products, SKUs, supply prices.
    STOCK = "STOCK"  # Availability by SKU.
    STATEMENT = "STATEMENT"  # The substation's own ledger entries.


class SyncState(models.Model):
    """How far one substation has come with one feed.

    `watermark` is a transaction id: rows stamped before it have been seen. It is only ever set to the horizon
    (`pg_snapshot_xmin`) of the snapshot that read the rows, so a writer that commits late is not skipped.
    """

    substation = models.ForeignKey(Substation, on_delete=models.CASCADE, related_name="syncs")
    feed = models.CharField(max_length=10, choices=SyncFeed.choices)
    watermark = models.BigIntegerField(default=0)
    # The moment as of which the library's feed was last fetched: terms that began or ended since are due (none: all are).
    prices_at = models.DateTimeField(null=True)
    ran_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)
    rows_changed = models.BigIntegerField(default=0)
    duration_ms = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("substation", "feed"), name="sync_state_once"),)
