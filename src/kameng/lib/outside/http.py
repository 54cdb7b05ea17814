"""One way to speak HTTP to a channel: bounded in time and size, and honest about what may have happened.

urllib3 itself and not `requests`: it is safe between threads, reads no .netrc, and its exceptions tell
"never left this machine" from "sent, and no answer", which is the one difference that matters with money.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProxyError, SSLError

from kameng.lib.errors import ProviderError

CHUNK = 64 * 1024
READING_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes that one exchange may take. `total_s` bounds a server that answers a byte at a time."""

    connect_s: float = 4.0
    read_s: float = 20.0
    total_s: float = 40.0
    max_bytes: int = 32 * 1024 * 1024  # A day's bill of a busy account is a few megabytes.


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, whole. `headers` has lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """A pool of connections to a channel. Redirects are not followed: no channel's API sends any."""

    def __init__(self, provider: str, limits: Limits | None = None) -> None:
        self.provider = provider
        self.limits = limits or Limits()
        self._timeout = urllib3.Timeout(connect=self.limits.connect_s, read=self.limits.read_s)
        self._direct = self._pool(None)
        self._proxied: dict[str, urllib3.PoolManager] = {}

    def exchange(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | str | None = None) -> Answer:
        """Send one request and read its whole answer, whatever its status.

        Raises ProviderError: not unknown and retryable when nothing was sent (refused, no route, no such host) or
        when the method only reads; unknown and not retryable when a writing request may have arrived.
        """
        deadline = time.monotonic() + self.limits.total_s
        try:
            response = self._pool_for(url).request(
                method, url, headers=dict(headers), body=body, preload_content=False, redirect=False, retries=False
            )
            try:
                content = self._read(response, deadline, method)
                response.release_conn()
            except BaseException:
                response.close()  # Half-read: the connection can't carry another exchange.
                raise
        except HTTPError as error:
            raise self._sorted(error, method) from error
        return Answer(response.status, {name.lower(): value for name, value in response.headers.items()}, content)

    def _read(self, response: urllib3.BaseHTTPResponse, deadline: float, method: str) -> bytes:
        parts: list[bytes] = []
        size = 0
        for chunk in response.stream(CHUNK):
            parts.append(chunk)
            size += len(chunk)
            if size > self.limits.max_bytes:
                raise self._failure("answered with more than it should", method)
            if time.monotonic() > deadline:
                raise self._failure("took too long over its answer", method)
        return b"".join(parts)

    def _sorted(self, error: HTTPError, method: str) -> ProviderError:
        cause = error.original_error if isinstance(error, ProxyError) else error
        if isinstance(cause, ConnectTimeoutError | NewConnectionError):  # Name errors are among the latter.
            return ProviderError(
                f"{self.provider} can't be reached: {type(cause).__name__}", retryable=True, provider=self.provider
            )
        if isinstance(cause, SSLError) and any(isinstance(arg, ssl.SSLCertVerificationError) for arg in cause.args):
            return ProviderError(
                f"{self.provider} shows a certificate that can't be trusted", retryable=False, provider=self.provider
            )
        return self._failure(f"did not answer: {type(cause).__name__}", method)

    def _failure(self, what: str, method: str) -> ProviderError:
        reading = method in READING_METHODS
        return ProviderError(f"{self.provider} {what}", retryable=reading, unknown=not reading, provider=self.provider)

    def _pool_for(self, url: str) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if not proxy or proxy_bypass(parts.hostname or ""):
            return self._direct
        if proxy not in self._proxied:
            self._proxied[proxy] = self._pool(proxy)
        return self._proxied[proxy]

    def _pool(self, proxy: str | None) -> urllib3.PoolManager:
        if proxy is None:
            return urllib3.PoolManager(maxsize=8, timeout=self._timeout, ca_certs=certifi.where())
        return urllib3.ProxyManager(proxy, maxsize=8, timeout=self._timeout, ca_certs=certifi.where())


def unanswered(provider: str, status: int, method: str) -> ProviderError:
    """The error for a 5xx: a writing request may have been carried out before the channel broke."""
    reading = method in READING_METHODS
    return ProviderError(
        f"{provider} answered with an error of its own ({status})",
        retryable=reading,
        unknown=not reading,
        provider=provider,
    )


@contextmanager
def understood(provider: str, *, writing: bool) -> Iterator[None]:
    """Around the reading of an answer: one that lacks what is documented is as good as none."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProviderError(
            f"{provider} answered with something else than it documents: {type(error).__name__}: {error}",
            retryable=not writing,
            unknown=writing,
            provider=provider,
        ) from error
