"""What merchants may send, checked field by field before anything is done with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from kameng.lib.money import EXPONENTS

MAX_AMOUNT_MINOR = 10**11  # A thousand million: beyond it somebody's unit is wrong.
ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


class BadRequest(ValueError):
    """A field that can't be taken; the message names it."""


@dataclass(frozen=True, slots=True)
class Create:
    """A request for a payment."""

    payment_id: str
    order_number: str
    amount_minor: int
    currency: str
    title: str
    return_url: str
    cancel_url: str
    notify_url: str
    expires_at: int
    locale: str
    merchant_name: str
    metadata: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        """The request as it is stored and compared."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Refund:
    """A request for a refund of `payment` (the channel's id)."""

    payment: str
    refund_id: str
    amount_minor: int
    currency: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """The request as it is compared."""
        return asdict(self)


def parse_create(data: Any) -> Create:
    """A JSON body to a `Create`. Raises BadRequest."""
    fields = _object(data)
    metadata = fields.get("metadata", {})
    if not isinstance(metadata, dict) or len(metadata) > 20:
        raise BadRequest("metadata must be an object of at most 20 strings")
    return Create(
        payment_id=_id(fields, "payment_id"),
        order_number=_text(fields, "order_number", 64),
        amount_minor=_amount(fields),
        currency=_currency(fields),
        title=_text(fields, "title", 200),
        return_url=_url(fields, "return_url"),
        cancel_url=_url(fields, "cancel_url"),
        notify_url=_url(fields, "notify_url"),
        expires_at=_integer(fields, "expires_at", 0, 2**40),
        locale="en" if fields.get("locale") == "en" else "zh",
        merchant_name=_text(fields, "merchant_name", 80, required=False),
        metadata={str(key)[:40]: _text(metadata, key, 500, required=False) for key in metadata},
    )


def parse_refund(data: Any) -> Refund:
    """A JSON body to a `Refund`. Raises BadRequest."""
    fields = _object(data)
    return Refund(
        payment=_id(fields, "payment"),
        refund_id=_id(fields, "refund_id"),
        amount_minor=_amount(fields),
        currency=_currency(fields),
        reason=_text(fields, "reason", 200, required=False),
    )


def _object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise BadRequest("the body must be a JSON object")
    return data


def _text(fields: Mapping[str, Any], name: str, longest: int, *, required: bool = True) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str) or len(value) > longest or (required and not value.strip()):
        raise BadRequest(f"{name} must be a string of {'1' if required else '0'} to {longest} characters")
    return value


def _id(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise BadRequest(f"{name} must be 1 to 64 letters, digits, _ or -")
    return value


def _integer(fields: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = fields.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BadRequest(f"{name} must be an integer from {least} to {most}")
    return value


def _amount(fields: Mapping[str, Any]) -> int:
    return _integer(fields, "amount_minor", 1, MAX_AMOUNT_MINOR)


def _currency(fields: Mapping[str, Any]) -> str:
    value = fields.get("currency")
    if not isinstance(value, str) or value not in EXPONENTS:
        raise BadRequest(f"currency must be one of {', '.join(EXPONENTS)}")
    return value


def _url(fields: Mapping[str, Any], name: str) -> str:
    """An http(s) address that is safe in a Location header: no other scheme, no control characters."""
    value = _text(fields, name, 2000)
    if not value.isascii() or not value.isprintable() or " " in value:
        raise BadRequest(f"{name} must be an http or https address")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError as error:
        raise BadRequest(f"{name} must be an http or https address") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadRequest(f"{name} must be an http or https address")
    return value
