"""A report that needs no server, and figures put in by hand."""

from __future__ import annotations

from typing import Any

import pytest

from kameng.bench import _common


class _NoServer:
    superuser_dsn = ""


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> _common.Report:
    """An empty report of a bench called "planted"."""
    monkeypatch.setattr(_common, "_server_version", lambda dsn: "18.4")
    return _common.Report("planted", _NoServer(), "django")  # type: ignore[arg-type]


def holds(result: dict[str, Any]) -> list[bool]:
    """Whether each thing that is asked holds, in the order of the issue."""
    return [line["holds"] for line in result["asked"]]


def got(result: dict[str, Any]) -> list[float]:
    """What each came out as."""
    return [line["got"] for line in result["asked"]]
