"""The lives of a substation, a signup and a spare schema."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class SubstationState(models.TextChoices):
    PROVISIONING = "PROVISIONING", _("Being made")
    ACTIVE = "ACTIVE", _("Open")
    SUSPENDED = "SUSPENDED", _("Suspended")
    CLOSED = "CLOSED", _("Closed")


class SignupState(models.TextChoices):
    VERIFYING = "VERIFYING", _("Waiting for the mail code")
    VERIFIED = "VERIFIED", _("Mail verified")
    PROVISIONING = "PROVISIONING", _("Being made")
    LIVE = "LIVE", _("Live")
    FAILED = "FAILED", _("Failed; can be tried again")
    EXPIRED = "EXPIRED", _("Expired")


class StepState(models.TextChoices):
    PENDING = "PENDING", _("Waiting")
    RUNNING = "RUNNING", _("Under way")
    DONE = "DONE", _("Done")
    FAILED = "FAILED", _("Failed")


class SpareState(models.TextChoices):
    READY = "READY"  # Made of the current script; a signup may take it.
    TAKEN = "TAKEN"  # Belongs to a substation now.


class UpgradeKind(models.TextChoices):
    SQL = "SQL"  # Statements that were recorded when the template took them; run as they are in every schema.
    PYTHON = "PYTHON"  # A data migration: Django runs it in every schema.
    RIGHTS = "RIGHTS"  # What the roles may do with new tables, and where the matrix changed.


class SupplyLevel(models.TextChoices):
    BASIC = "BASIC", _("Basic")
    PRO = "PRO", _("Professional")
    FLAGSHIP = "FLAGSHIP", _("Flagship")
