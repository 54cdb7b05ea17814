"""The life of an import."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class RunState(models.TextChoices):
    PENDING = "PENDING", _("Waiting")
    RUNNING = "RUNNING", _("Under way")
    DONE = "DONE", _("Done")
    REFUSED = "REFUSED", _("Refused")  # Nothing was changed.
    FAILED = "FAILED", _("Failed")
