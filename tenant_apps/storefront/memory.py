"""Pages remembered by the facts they were made from.

Rendering is two thirds of what a page of the shop costs, and most visitors see the same page as the one before them.
So the facts are read anew at every visit (prices, stock, settings: nothing is ever stale), and only when the very same
facts were rendered before, for the same address, language and shop, is that text sent again. What is a visitor's own
(the nonce, the form token) is left open in the text and filled in.

Kept in the process, a few hundred pages at most: a look here costs microseconds, and a text is forgotten by itself
when others are asked for more often.
"""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.middleware.csrf import get_token
from django.utils.translation import get_language

from kameng.db.context import require_tenant

PAGES = 256  # Of 15 to 60 kB each.
# Fresh for each process, so that no text of a shop can contain them.
NONCE_PLACE = f"nonce-{secrets.token_hex(16)}"
TOKEN_PLACE = f"token-{secrets.token_hex(16)}"

_pages: OrderedDict[Hashable, str] = OrderedDict()
_lock = threading.Lock()


def remembered(request: HttpRequest, facts: Hashable, render: Callable[[dict[str, Any]], str]) -> str:
    """The page made of `facts`, remembered or rendered.

    Args:
        facts: Everything that the page shows but for its address, language and shop. Left out, it would be stale.
        render: Makes the page; it is handed context variables that it must pass on.

    A visitor with a session (somebody of the shop's staff) may have messages waiting: nothing is remembered for them.
    """
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        return render({})
    where = (require_tenant(), get_language(), request.scheme, request.get_host(), request.get_full_path())
    key = (where, facts)
    with _lock:
        text = _pages.get(key)
        if text is not None:
            _pages.move_to_end(key)
    if text is None:
        text = _rendered(request, render)
        with _lock:
            _pages[key] = text
            while len(_pages) > PAGES:
                _pages.popitem(last=False)
    nonce: str = request.csp_nonce  # type: ignore[attr-defined]
    return text.replace(NONCE_PLACE, nonce).replace(TOKEN_PLACE, get_token(request))


def forget_all() -> None:
    """Begin with nothing: for tests."""
    with _lock:
        _pages.clear()


def _rendered(request: HttpRequest, render: Callable[[dict[str, Any]], str]) -> str:
    nonce = request.csp_nonce  # type: ignore[attr-defined]
    request.csp_nonce = NONCE_PLACE  # type: ignore[attr-defined]
    try:
        return render({"csrf_token": TOKEN_PLACE})
    finally:
        request.csp_nonce = nonce  # type: ignore[attr-defined]
