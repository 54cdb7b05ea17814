"""Whether a request is one transaction (the default) or opens its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

View = TypeVar("View", bound=Callable[..., Any])


def own_transactions(view: View) -> View:
    """Mark a view that calls the outside: it opens short transactions of its own around the calls.

    Everything it reads must be inside `transaction.atomic()`; the backend refuses the rest.
    """
    view.owns_transactions = True  # type: ignore[attr-defined]
    return view


def owns_transactions(view: Any) -> bool:
    """Was the resolved view (or the class behind it) marked?"""
    return bool(
        getattr(view, "owns_transactions", False)
        or getattr(getattr(view, "view_class", None), "owns_transactions", False)
        or getattr(getattr(view, "cls", None), "owns_transactions", False)
    )
