"""How often something happened lately: a count in the cache, of the current shop or of the main station.

A window begins with the first of a row and ends `window_s` later, whatever happens meanwhile.
"""

from __future__ import annotations

from django.core.cache import cache


def count(key: str, window_s: int) -> int:
    """Count one more, and answer how many there were in this window, this one with them.

    Count first and compare then: `incr` is one atomic step, so that tries at the same moment don't slip through together.
    """
    cache.add(key, 0, window_s)
    try:
        return int(cache.incr(key))
    except ValueError:  # It ran out between the two.
        cache.set(key, 1, window_s)
        return 1


def forget(key: str) -> None:
    """Begin anew: what was counted is worth nothing."""
    cache.delete(key)
