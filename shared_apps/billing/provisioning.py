"""The step of a substation's making that begins its subscription."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kameng.db.context import in_main
from shared_apps.billing import services


def begin_subscription(substation: Any, signup: Any, now: datetime) -> None:
    """On the plan and interval of the signup; one that was begun with the opening payment is left alone."""
    with in_main():
        services.begin(substation=substation, interval=getattr(signup, "interval", "") or "MONTH", now=now)
