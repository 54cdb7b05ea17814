"""Sessions in the cache, each bound to the host that it was begun at.

The cache's key holds the schema (`kameng.web.cachekeys`), so that a session of one shop is nothing on another. The host is in
it as well: a shop has several (its subdomain, domains of its own), a browser sends a cookie to one of them only, and a key
that turns up at another host was carried there by somebody.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import cache
from django.contrib.sessions.middleware import SessionMiddleware
from django.http import HttpRequest

# The host of a session that is made beside a request: the tests' client logs somebody in without one.
made_at: ContextVar[str] = ContextVar("made_at", default="")


def host_of(name: str) -> str:
    """A host as the key holds it: without its port, which cookies don't know, and in one spelling."""
    bare = name.rsplit("]", 1)[0] + "]" if name.startswith("[") else name.rsplit(":", 1)[0]
    return bare.lower().rstrip(".")


class SessionStore(cache.SessionStore):
    """The `SESSION_ENGINE`."""

    def __init__(self, session_key: str | None = None, host: str = "") -> None:
        super().__init__(session_key)
        self.cache_key_prefix = f"{cache.KEY_PREFIX}:{host_of(host or made_at.get())}:"


class HostSessions(SessionMiddleware):
    """Django's, with the host of the request for every session that it opens."""

    def process_request(self, request: HttpRequest) -> None:
        key = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        session: Any = SessionStore(key, request.get_host())
        request.session = session
