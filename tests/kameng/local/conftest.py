"""Servers in folders of their own; pytest's temporary folders may be entered by their owner alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """One that runs, made for this test."""
    server = EmbeddedPostgres(tmp_path / "data", durable=False)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[EmbeddedRedis]:
    """One that runs, made for this test."""
    server = EmbeddedRedis(tmp_path / "data")
    server.start()
    yield server
    server.stop()
