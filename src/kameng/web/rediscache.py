"""Django's Redis cache with its clients kept.

Django makes a new `redis.Redis` for each call, and each fills a table of 170 callbacks first: more work than the call.
A client is safe to share between threads; its connections are the pool's.
"""

from __future__ import annotations

from typing import Any

from django.core.cache.backends import redis as djangos


class _KeptClients(djangos.RedisCacheClient):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: Any = None

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        """The client of the one server that CACHES names."""
        if self._kept is None:  # Two threads may make one each; either is as good.
            self._kept = super().get_client(key, write=write)
        return self._kept


class RedisCache(djangos.RedisCache):
    """The `BACKEND` of CACHES."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _KeptClients
