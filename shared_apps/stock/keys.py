"""The key ring of the codes, and what binds a code to its SKU: the one way in and out of `stock_code.blob`."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from kameng.lib.crypto import KeyRing, Sealed


def ring() -> KeyRing:
    """The installation's key ring. Raises ImproperlyConfigured when none is set."""
    if not settings.CODE_KEYS:
        raise ImproperlyConfigured("KAMENG_CODE_KEYS is not set: codes can be neither stored nor read.")
    return _parsed(settings.CODE_KEYS)


@lru_cache(maxsize=4)
def _parsed(text: str) -> KeyRing:
    return KeyRing.from_json(text)


def aad(sku_id: int) -> bytes:
    """What the cipher of a code is bound to: a blob that is copied to another SKU's row can't be opened there."""
    return b"sku:%d" % sku_id


def open_code(*, sku_id: int, blob: bytes | memoryview, key_version: str) -> str:
    """The code itself. Whoever calls this has recorded who looks and why. Raises: CodeUnreadable."""
    return ring().decrypt(Sealed(key_version, bytes(blob)), aad(sku_id))
