"""Schemas: spares for the next shop, scripts that make them, upgrades."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from tenants.models.shops import Substation
from tenants.states import SpareState, UpgradeKind


class SpareSchema(models.Model):
    """A schema that is ready for the next signup, and who took it."""

    schema_name = models.CharField(max_length=63, unique=True)
    version = models.CharField(max_length=64)
    state = models.CharField(max_length=6, choices=SpareState.choices, default=SpareState.READY)
    created_at = models.DateTimeField(auto_now_add=True)
    taken_at = models.DateTimeField(null=True)
    substation = models.OneToOneField(Substation, null=True, on_delete=models.PROTECT, related_name="spare")

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="taken_spare_has_owner",
                condition=Q(state="READY", substation__isnull=True) | Q(state="TAKEN", substation__isnull=False),
            ),
        )
        indexes = (models.Index(fields=("version", "id"), condition=Q(state="READY"), name="spare_ready"),)


class SchemaScript(models.Model):
    """The SQL that makes one tenant schema, rendered from the template; one row per set of migration leaves."""

    version = models.CharField(max_length=64, unique=True)
    sql = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)


class SchemaUpgrade(models.Model):
    """One step from a version of the tenant schema to the next: what every schema at the first has to take.

    Written in the transaction in which the template took it, so that there is no version without the way to it.
    `@schema@` in `sql` stands for the schema's name. The two promises are declared by the migration and judged by the
    lint (docs/tenancy.md): code of the version before runs on a schema after it; code of the version after runs on a
    schema before it.
    """

    from_version = models.CharField(max_length=64)
    to_version = models.CharField(max_length=64)
    kind = models.CharField(max_length=6, choices=UpgradeKind.choices)
    migration = models.CharField(max_length=250, blank=True, default="", help_text="As in `orders.0002_add_note`.")
    sql = models.TextField(blank=True, default="")
    old_code_runs = models.BooleanField()
    code_runs_without = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("from_version", "to_version"), name="schema_upgrade_once"),)

    def __str__(self) -> str:
        return self.migration or "rights"
