"""Refusals of the fake, as the real one words them."""

from __future__ import annotations

from typing import Any

from . import envelopes


class StripeError(Exception):
    """A refusal: HTTP status and the error's body."""

    def __init__(
        self, status: int, type: str, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = envelopes.error(type, message, code=code, param=param)


def invalid(message: str, param: str | None = None, *, code: str | None = None) -> StripeError:
    """A 400 for what was asked."""
    return StripeError(400, "invalid_request_error", message, code=code, param=param)


def whole(text: Any, param: str, *, least: int) -> int:
    """A parameter that must be a whole number, as it comes in a form. Raises StripeError 400."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        raise invalid(f"Invalid integer: {text}", param, code="parameter_invalid_integer")
    if int(text) < least:
        message = f"This value must be greater than or equal to {least}."
        raise invalid(message, param, code="parameter_invalid_integer")
    return int(text)
