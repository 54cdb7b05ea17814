"""The settings row of a new shop."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kameng.db.context import in_substation
from tenant_apps.shop.models import ShopSettings

DEFAULT_ACCENT = "#3b5bdb"


def write_settings(substation: Any, signup: Any, now: datetime) -> None:
    """Name, colour and language as the owner chose them at signup; an existing row is left alone."""
    with in_substation(substation):
        ShopSettings.objects.get_or_create(
            id=1,
            defaults={
                "name": substation.name,
                "accent": getattr(signup, "accent", "") or DEFAULT_ACCENT,
                "language": substation.language,
                "currency": substation.currency,
                "preset": substation.preset,
                "contact_email": substation.owner_email,
            },
        )
