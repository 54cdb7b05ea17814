"""Names of work and who does it. Apps register in their `tasks.py`, which is imported at start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

Handler = Callable[..., None]


class NotATenants(ImproperlyConfigured):
    """A programmer's mistake, or a forged row: the main station's work was wished for from a substation."""


class JobNotRetryable(Exception):
    """Raised by a handler whose work can't succeed however often it is tried."""


@dataclass(frozen=True)
class Registered:
    kind: str
    handler: Handler
    wants_tenant: bool


_jobs: dict[str, Registered] = {}
_periodic: dict[str, Callable[[], Any]] = {}
_holds: list[Callable[[str], bool]] = []


def job(kind: str, *, tenant: bool = True) -> Callable[[Handler], Handler]:
    """Register the handler of a job kind. `tenant` False: it belongs to the main station."""

    def register(handler: Handler) -> Handler:
        assert kind not in _jobs or _jobs[kind].handler.__qualname__ == handler.__qualname__, kind
        _jobs[kind] = Registered(kind, handler, tenant)
        return handler

    return register


def periodic(name: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register what beat calls by `name`; it runs in the main station's scope, without a transaction."""

    def register(function: Callable[[], Any]) -> Callable[[], Any]:
        _periodic[name] = function
        return function

    return register


def find(kind: str) -> Registered:
    """Raises KeyError for a name that nobody registered."""
    return _jobs[kind]


def hold_while(asked: Callable[[str], bool]) -> None:
    """Register who says, by a schema's name, that work in it has to wait. The schema is being upgraded, for one."""
    _holds.append(asked)


def is_held(schema_name: str) -> bool:
    """Whether somebody says that work in this schema has to wait."""
    return any(asked(schema_name) for asked in _holds)


def kinds() -> frozenset[str]:
    return frozenset(_jobs)


def periodic_work() -> dict[str, Callable[[], Any]]:
    return dict(_periodic)
