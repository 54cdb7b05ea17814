"""The look-up of hosts is kept in the process for a second; everything else of the cache is Redis' own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache, caches

from kameng.db.context import MAIN, pointed_at
from kameng.web import rediscache

HOST = "global:host:near.example"


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _main() -> Iterator[None]:
    with pointed_at(MAIN):
        cache.delete_many([HOST, "other"])
        yield
        cache.delete_many([HOST, "other"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rediscache, "time", made)
    return made


def behind(key: str, value: Any) -> None:
    """Another process writes to Redis: this one's copies know nothing of it."""
    kept = dict(rediscache._near)
    cache.set(key, value)
    rediscache._near.clear()
    rediscache._near.update(kept)


class TestHosts:
    def test_are_asked_for_once_a_second(self, clock: Clock) -> None:
        cache.set(HOST, "first")
        behind(HOST, "second")

        seen = [cache.get(HOST)]
        clock.now += rediscache.NEAR_S / 2
        seen.append(cache.get(HOST))
        clock.now += rediscache.NEAR_S / 2
        seen.append(cache.get(HOST))

        assert seen == ["first", "first", "second"]

    def test_that_change_here_are_seen_at_once_by_every_thread(self, clock: Clock) -> None:
        cache.set(HOST, "first")
        assert cache.get(HOST) == "first"
        cache.set(HOST, "second")
        assert cache.get(HOST) == "second"
        cache.delete(HOST)
        assert cache.get(HOST) is None
        cache.set(HOST, "third")
        cache.delete_many([HOST])
        assert cache.get(HOST, "nothing") == "nothing"
        cache.set(HOST, False)
        assert cache.get(HOST) is False
        cache.clear()
        assert cache.get(HOST) is None

    def test_that_are_not_there_are_asked_for_each_time(self, clock: Clock) -> None:
        assert cache.get(HOST) is None
        behind(HOST, "made meanwhile")

        assert cache.get(HOST) == "made meanwhile"

    def test_are_kept_in_a_bounded_number(self, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(rediscache, "NEAR_MOST", 3)
        for number in range(10):
            cache.set(f"global:host:{number}.example", number)

        assert len(rediscache._near) <= 3


class TestEverythingElse:
    @pytest.mark.parametrize("key", ["other", "host:near.example"])
    def test_is_asked_for_each_time(self, clock: Clock, key: str) -> None:
        cache.set(key, "first")
        behind(key, "second")

        assert cache.get(key) == "second"

    def test_of_a_shop_is_not_kept_under_the_same_name(self, clock: Clock, alice: Any) -> None:
        with pointed_at(alice):
            cache.set(HOST, "hers")
            behind(HOST, "hers still")
            assert cache.get(HOST) == "hers still"
        assert cache.get(HOST) is None

    def test_keeps_its_client(self) -> None:
        client = caches["default"]._cache  # type: ignore[attr-defined]

        assert client.get_client(None) is client.get_client(None, write=True)
