"""The present."""

from __future__ import annotations

from datetime import UTC, datetime

import time_machine

from kameng.lib.clock import utc_now


class TestUtcNow:
    def test_is_aware_and_in_utc(self) -> None:
        with time_machine.travel(datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC), tick=False):
            now = utc_now()

        assert now == datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
        assert now.tzinfo is UTC
