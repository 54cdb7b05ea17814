"""The little of a web framework that the test channel needs: a request, a response, a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from .channel import TestpayError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

MAX_BODY = 64 * 1024
REASONS = {
    200: "OK", 201: "Created", 303: "See Other", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
    404: "Not Found", 405: "Method Not Allowed", 409: "Conflict", 413: "Content Too Large",
    422: "Unprocessable Content", 500: "Internal Server Error",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `target` is the path and query as sent, which signatures cover."""

    method: str
    path: str
    target: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # Lower-case names.
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The fields of a posted form; a name that comes twice counts by its last value."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))

    def json(self) -> Any:
        """The body as JSON. Raises TestpayError 400."""
        try:
            return json.loads(self.body or b"{}")
        except (UnicodeDecodeError, ValueError, RecursionError) as error:
            raise TestpayError(400, "bad_json", "The body is not JSON.") from error

    def cookie(self, name: str) -> str:
        """A cookie's value, "" when it is absent."""
        for part in self.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass(frozen=True, slots=True)
class Response:
    """What goes back."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = field(default=())

    def send(self, start_response: StartResponse, *, head: bool = False) -> Iterable[bytes]:
        """Hand it to the WSGI server."""
        start_response(
            f"{self.status} {REASONS[self.status]}",
            [
                ("Content-Type", self.content_type),
                ("Content-Length", str(len(self.body))),
                ("Cache-Control", "no-store"),
                ("X-Content-Type-Options", "nosniff"),
                ("Referrer-Policy", "no-referrer"),
                *self.headers,
            ],
        )
        return [b"" if head else self.body]


def json_response(status: int, data: Any) -> Response:
    """A JSON answer."""
    return Response(status, json.dumps(data, ensure_ascii=False).encode())


def redirect(url: str, *headers: tuple[str, str]) -> Response:
    """See other: after a form, or away to a shop."""
    return Response(303, headers=(("Location", url), *headers))


def read_request(environ: WSGIEnvironment) -> Request:
    """The WSGI environment as a `Request`. Raises TestpayError for a body that is too long or of unknown length."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError as error:
        raise TestpayError(400, "bad_length", "Content-Length is not a number.") from error
    if not 0 <= length <= MAX_BODY:
        raise TestpayError(413, "too_long", f"A body may have {MAX_BODY} bytes.")
    # PATH_INFO comes decoded as Latin-1; every path of ours is ASCII, so anything else simply is not found.
    path = environ["PATH_INFO"] or "/"
    query = environ.get("QUERY_STRING", "")
    headers = {key[5:].replace("_", "-").lower(): value for key, value in environ.items() if key.startswith("HTTP_")}
    return Request(
        method=environ["REQUEST_METHOD"],
        path=path,
        target=f"{path}?{query}" if query else path,
        query=dict(parse_qsl(query, keep_blank_values=True)),
        headers=headers,
        body=environ["wsgi.input"].read(length) if length else b"",
    )
