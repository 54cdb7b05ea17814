"""Who may open a page that opens its own transactions."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from kameng.db.context import in_main
from kameng.web.transactions import own_transactions

View = Callable[..., HttpResponseBase]


def in_own_transactions(guarded: View) -> View:
    """`own_transactions` for a view behind `allowed`: the user is loaded first, in a transaction of its own."""

    @own_transactions
    @wraps(guarded)
    def view(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with in_main():
            # Lazy: read here, so that no later look at it is a query outside every transaction.
            bool(request.user.is_authenticated)
        return guarded(request, *args, **kwargs)

    return view
