"""The count that every pause and every throttle stands on."""

from __future__ import annotations

import pytest
from django.core.cache import cache

from kameng.lib.ids import public_id
from kameng.web import counting
from tests.tenant_apps.racing import all_at_once


@pytest.fixture
def key() -> str:
    return public_id("tst")


def test_answers_how_many_there_were(key: str) -> None:
    assert [counting.count(key, 60) for _ in range(3)] == [1, 2, 3]
    assert counting.count(f"{key}:other", 60) == 1


def test_a_window_begins_anew_when_it_is_over_or_forgotten(key: str) -> None:
    counting.count(key, 60)
    counting.forget(key)

    assert counting.count(key, 60) == 1


def test_one_that_ends_between_the_two_steps_counts_as_the_first(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "add", lambda *_: False)  # It stood a moment ago, and is gone now.
    cache.delete(key)

    assert counting.count(key, 60) == 1


def test_of_tries_at_the_same_moment_none_is_the_same(key: str) -> None:
    assert sorted(all_at_once([lambda: counting.count(key, 60)] * 8)) == list(range(1, 9))
