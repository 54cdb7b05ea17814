"""The step of a substation's making that begins its subscription."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from kameng.db.context import in_main
from shared_apps.billing import services


def begin_subscription(substation: Any, signup: Any, now: datetime) -> None:
    """On the plan and interval of the signup; one that was begun with the opening payment is left alone. Where nobody
    asked for payment before (an import), the first period is due now."""
    with in_main():
        services.begin_unpaid(substation=substation, interval=getattr(signup, "interval", ""), now=now)
