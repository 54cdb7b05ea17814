"""What Stripe wraps its objects in: events, lists, refusals."""

from __future__ import annotations

from .objects import Json

API_VERSION = "2026-10-28.endive"


def event(*, id: str, now: int, type: str, item: Json) -> Json:
    """A snapshot event around a copy of `item`."""
    return {
        "id": id,
        "object": "event",
        "api_version": API_VERSION,
        "created": now,
        "data": {"object": item},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": type,
    }


def listing(url: str, data: list[Json], has_more: bool) -> Json:
    """A page of a list."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def error(type: str, message: str, *, code: str | None = None, param: str | None = None) -> Json:
    """The body of a refusal. Absent words are left out, as Stripe leaves them out."""
    words = {"code": code, "message": message, "param": param, "type": type}
    return {"error": {key: value for key, value in words.items() if value is not None}}
