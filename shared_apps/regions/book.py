"""What the signup asks about cities (`tenants.regions`): which there are, and which one somebody means."""

from __future__ import annotations

from shared_apps.regions import selectors


def code_of(text: str) -> str:
    """The code of the region that is meant. Raises: RegionUnclear."""
    return selectors.resolve(text).code


def label_of(code: str) -> str:
    """A region's name in the active language; empty where there is no such region."""
    return selectors.labels([code]).get(code, "")


def suggestions() -> list[str]:
    """China's cities by their names, for a browser's own list."""
    return selectors.city_labels()
