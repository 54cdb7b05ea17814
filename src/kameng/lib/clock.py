"""Time comes from here, so that tests can set it and services can be handed it."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(tz=UTC)
