"""In which city a shop is. The tree of regions stands above this room and is reached by the name in the settings."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from django.conf import settings


class Book(Protocol):
    """What the module named by settings.REGION_BOOK offers. Main scope."""

    def code_of(self, text: str) -> str:
        """The code of the city that is meant by a code or a name. Raises: an Invalid of `region`."""

    def label_of(self, code: str) -> str:
        """Its name in the active language; empty where there is none."""

    def suggestions(self) -> list[str]:
        """Names that a browser may offer while somebody types."""


def book() -> Book:
    """The tree, as the composition named it."""
    return cast(Book, import_module(settings.REGION_BOOK))


def code_of(text: str) -> str:
    """The code of the city that is meant; empty where nothing was said. Raises: an Invalid of `region`."""
    return book().code_of(text) if text.strip() else ""
