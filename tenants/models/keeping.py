"""What is left of a shop: its archives, the proof of its erasure, the address that is held."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from kameng.lib.ids import public_id
from tenants.models.shops import Substation
from tenants.states import ErasureState, ExportState


def _export_id() -> str:
    return public_id("exp")


class ShopExport(models.Model):
    """An archive of everything that a substation owns: asked for, written by a worker, kept for some days."""

    public_id = models.CharField(max_length=30, unique=True, default=_export_id)
    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="exports")
    state = models.CharField(max_length=7, choices=ExportState.choices, default=ExportState.PENDING)
    with_codes = models.BooleanField(default=False)
    for_owner = models.BooleanField(help_text="Asked for in the shop's panel; else by the main station.")
    by = models.CharField(max_length=120)
    # Who they were, for the record of the codes that they see.
    by_kind = models.CharField(max_length=10)
    by_id = models.BigIntegerField(null=True)
    by_ip = models.CharField(max_length=45, blank=True, default="")
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    parts_done = models.PositiveSmallIntegerField(default=0)
    parts_total = models.PositiveSmallIntegerField(default=0)
    rows_done = models.BigIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    problem = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ("-id",)
        constraints = (
            # Race: two clicks at once. One file at a time is written for a shop.
            models.UniqueConstraint(
                fields=("substation",), condition=Q(state__in=("PENDING", "RUNNING")), name="export_one_under_way"
            ),
            models.CheckConstraint(
                name="export_done_has_digest",
                condition=~Q(state="DONE") | (~Q(sha256="") & Q(expires_at__isnull=False)),
            ),
        )


class ErasureRecord(models.Model):
    """The proof that a substation was erased: what, how much, by whom, when. Holds nothing of what it was."""

    substation = models.OneToOneField(Substation, on_delete=models.PROTECT, related_name="erasure")
    state = models.CharField(max_length=7, choices=ErasureState.choices, default=ErasureState.RUNNING)
    schema_name = models.CharField(max_length=63)
    reason = models.CharField(max_length=200)
    by = models.CharField(max_length=120)
    begun_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    tables = models.JSONField(default=dict, help_text="Table → rows and SHA-256 of its rows, as an archive has them.")
    shared = models.JSONField(default=dict, help_text="Shared table → rows that lost their personal data.")
    counts = models.JSONField(default=dict, help_text="Files, cache entries, jobs, signups, domains, archives.")
    digest = models.CharField(max_length=64, blank=True, default="", help_text="SHA-256 of the three above.")


class HeldAddress(models.Model):
    """An erased shop's address: for some time nobody gets it, nor one that the eye takes for it."""

    slug = models.CharField(max_length=30, unique=True)
    skeleton = models.CharField(max_length=60, db_index=True)
    substation = models.OneToOneField(Substation, on_delete=models.PROTECT, related_name="held_address")
    until = models.DateTimeField()
