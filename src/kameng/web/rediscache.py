"""Django's Redis cache with its clients kept, and the look-up of hosts kept in the process for a second.

Django makes a new `redis.Redis` for each call, and each fills a table of 170 callbacks first: more work than the call.
A client is safe to share between threads; its connections are the pool's.

Every request asks which shop its host leads to. That answer alone is kept beside, for `NEAR_S`: what changes it drops it
here at once, and other processes see the change a second later at most.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from django.core.cache.backends import redis as djangos

NEAR = ":global:1:global:host:"  # In the whole key, as `kameng.web.cachekeys.tenant_key` makes it; no shop makes such a one.
NEAR_S = 1.0
NEAR_MOST = 4096  # Hosts; anybody may ask for any name.
_NOTHING = object()
# Key: until when, value (which nobody changes). Of the process: Django gives each thread a cache of its own.
_near: dict[str, tuple[float, Any]] = {}


class _KeptClients(djangos.RedisCacheClient):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._kept: Any = None

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        """The client of the one server that CACHES names."""
        if self._kept is None:  # Two threads may make one each; either is as good.
            self._kept = super().get_client(key, write=write)
        return self._kept

    def get(self, key: Any, default: Any) -> Any:
        if NEAR not in key:
            return super().get(key, default)
        until, value = _near.get(key, (0.0, None))
        if time.monotonic() < until:
            return value
        found = super().get(key, _NOTHING)
        if found is _NOTHING:
            return default
        _keep(key, found)
        return found

    def set(self, key: Any, value: Any, timeout: Any) -> Any:
        done = super().set(key, value, timeout)
        if NEAR in key:
            _keep(key, value)
        return done

    def delete(self, key: Any) -> Any:
        done = super().delete(key)
        _near.pop(key, None)  # Afterwards: else another thread could bring the old value back from Redis in between.
        return done

    def delete_many(self, keys: Iterable[Any]) -> Any:
        gone = list(keys)
        done = super().delete_many(gone)
        for key in gone:
            _near.pop(key, None)
        return done

    def clear(self) -> Any:
        done = super().clear()
        _near.clear()
        return done


def _keep(key: str, value: Any) -> None:
    if len(_near) >= NEAR_MOST:
        _near.clear()
    _near[key] = (time.monotonic() + NEAR_S, value)


class RedisCache(djangos.RedisCache):
    """The `BACKEND` of CACHES."""

    def __init__(self, server: Any, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = _KeptClients
