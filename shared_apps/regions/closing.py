"""What a shop's closing ends here."""

from __future__ import annotations

from typing import Any

from kameng.accounts.types import SYSTEM
from kameng.lib import clock
from shared_apps.regions import services


def end_grants(substation: Any) -> None:
    """One of settings.CLOSING_STEPS: a closed shop holds no region, and what it was offered goes back."""
    services.end_grants_of(substation_id=substation.pk, by=SYSTEM, now=clock.utc_now())
