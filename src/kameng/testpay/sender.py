"""Sends a callback and reads the reply: short time-outs, no redirects, no proxy."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from .notices import Reply

TIMEOUT_S = 5.0
LONGEST_REPLY = 4096


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """A redirect is an answer like any other: not "success"."""


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())


def send(url: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """POST `body`. Never raises for what a merchant's server can do: silence is the status 0."""
    target, host = _target(url)
    request = urllib.request.Request(target, data=body, headers={**headers, "Host": host}, method="POST")
    try:
        with _OPENER.open(request, timeout=TIMEOUT_S) as answer:
            return Reply(answer.status, answer.read(LONGEST_REPLY))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, error.read(LONGEST_REPLY))
    except (OSError, http.client.HTTPException) as error:
        return Reply(0, f"{type(error).__name__}: {error}".encode()[:LONGEST_REPLY])


def _target(url: str) -> tuple[str, str]:
    """The address to connect to and the Host to name. Names under .localhost are this machine (RFC 6761), which
    browsers know and the C library's resolver often does not."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.endswith(".localhost"):
        return url, parts.netloc.rpartition("@")[2]
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit(parts._replace(netloc=f"127.0.0.1{port}")), f"{host}{port}"
