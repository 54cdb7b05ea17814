"""Shops that may hold a city, and cities of one test's own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

_serial = itertools.count()  # Each worker has a database of its own, and China's cities to itself.


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No Celery in the tests: jobs stay in their table until a test runs them."""
    monkeypatch.setattr("kameng.jobs.services._wake", lambda job_id: None)
    return


@pytest.fixture
def city(prepared: None) -> Callable[[], str]:
    """`city()`: the code of a city of China that no other test of this run uses. Grants stay: they are never removed."""
    from kameng.db.context import in_main
    from shared_apps.regions.models import Region

    def next_one() -> str:
        with in_main():
            rows = (
                Region.objects.filter(level="CITY", holdable=True)
                .exclude(code__in=("110100", "440300"))
                .order_by("code")
            )
            return rows[next(_serial)].code

    return next_one
