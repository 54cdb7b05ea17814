"""The rules by which sales are split, by version."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from kameng.lib.money import BPS


class SplitRule(models.Model):
    """One version of the terms. A row is never changed: other terms are another version.

    The version in force at a moment is, of those effective by then, the one that became effective last (of two at the
    same moment, the higher version). Shares in basis points are of what is left after supply cost, tax and channel fee.
    """

    version = models.AutoField(primary_key=True)
    effective_at = models.DateTimeField()
    platform_fee_bps = models.PositiveIntegerField()  # For plans that `plan_fees` does not name.
    plan_fees = models.JSONField(default=dict)  # {"basic": 300, …} by plan code.
    # {"stripe": {"bps": 290, "fixed_minor": 200}, …} of the gross amount; a channel that is not named takes nothing.
    channel_fees = models.JSONField(default=dict)
    partner_bps = models.PositiveIntegerField(default=0)
    outlet_bps = models.PositiveIntegerField(default=0)
    agent_bps = models.PositiveIntegerField(default=0)
    tax_bps = models.PositiveIntegerField(default=0)  # Of the gross amount, which includes it.
    note = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        ordering = ("-effective_at", "-version")
        constraints = (
            models.CheckConstraint(
                name="splits_rule_shares_fit",
                condition=Q(
                    platform_fee_bps__lte=BPS - models.F("partner_bps") - models.F("outlet_bps") - models.F("agent_bps")
                ),
            ),
            models.CheckConstraint(name="splits_rule_tax_fits", condition=Q(tax_bps__lte=BPS)),
        )
        indexes = (models.Index(fields=("-effective_at", "-version"), name="splits_rule_in_force"),)

    def __str__(self) -> str:
        return f"v{self.version}"
