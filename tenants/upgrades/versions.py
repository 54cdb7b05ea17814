"""Which versions of the tenant schema the running code can serve.

Its own; a later one, when every step from its own to that one says that old code runs on it (expand); an earlier one,
when every step from that one to its own says that new code runs without it. Asked on every request, so the answer is
kept in the process: a steps' promises never change.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable

from kameng.db.context import in_main
from tenants import template
from tenants.models import SchemaUpgrade, Substation

# A version that can't be served now may be a moment later: `kameng migrate` writes the way to it first.
REFUSAL_S = 5.0
_served: set[str] = set()
_refused: dict[str, float] = {}


def serves(version: str) -> bool:
    """Whether this code can answer for a schema at `version`. A set look-up, but for the first time of a version."""
    return version in _served or _judged(version)


def served() -> list[str]:
    """Every version that this code can serve, the newest first. One query."""
    steps = _steps()
    own = template.schema_version()
    later = _reached(own, [(one, other) for one, other, old_code_runs, _ in steps if old_code_runs])
    earlier = _reached(own, [(other, one) for one, other, _, runs_without in steps if runs_without])
    return [*reversed(later), own, *(version for version in earlier if version not in later)]


def forget() -> None:
    """Drop what this process keeps: for tests, which are the only place where code changes while it runs."""
    _served.clear()
    _refused.clear()
    template.schema_version.cache_clear()


def holds_jobs(schema_name: str) -> bool:
    """Whether background work in this schema has to wait: it is not at a version that this code serves.

    A schema of no substation holds nothing; its work fails by itself.
    """
    with in_main():
        found = Substation.objects.filter(schema_name=schema_name).values_list("schema_version", flat=True).first()
    return bool(found) and not serves(found)


def _judged(version: str) -> bool:
    now = time.monotonic()
    if _refused.get(version, 0.0) > now:
        return False
    if version in served():
        _served.add(version)
        return True
    _refused[version] = now + REFUSAL_S
    return False


def _steps() -> list[tuple[str, str, bool, bool]]:
    with in_main():
        rows = SchemaUpgrade.objects.values_list("from_version", "to_version", "old_code_runs", "code_runs_without")
        return list(rows)


def _reached(start: str, ways: Iterable[tuple[str, str]]) -> list[str]:
    """What can be reached from `start`, the nearest first, without it."""
    onward: dict[str, list[str]] = {}
    for one, other in ways:
        onward.setdefault(one, []).append(other)
    found: list[str] = []
    waiting = deque([start])
    while waiting:
        for version in onward.get(waiting.popleft(), []):
            if version != start and version not in found:
                found.append(version)
                waiting.append(version)
    return found
