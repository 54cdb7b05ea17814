"""The SDK's client over our transport, and its errors turned into ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NoReturn, TypeVar

import stripe

from kameng.lib.errors import ProviderError
from kameng.lib.outside import http
from kameng.lib.outside.refusals import (
    CALLBACK_TOLERANCE_S,
    BadSignature,
    ChannelRefused,
    Malformed,
    StaleCallback,
    WrongAccount,
)

NAME = "stripe"
T = TypeVar("T")


class _OurTransport(stripe.HTTPClient):
    """The SDK's own extension point. Its default client neither bounds a slow answer nor says whether a request
    left this machine; and its repeats are off, because repeating is decided where the payment's state is known."""

    name = "kameng"

    def __init__(self, transport: http.Transport) -> None:
        super().__init__()
        self._transport = transport

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """One exchange. Raises: ProviderError, which the SDK lets through."""
        answer = self._transport.exchange(method.upper(), url, headers=headers or {}, body=post_data)
        return answer.body.decode("utf-8", "replace"), answer.status, answer.headers

    def close(self) -> None:
        """Nothing to close: the connections belong to the adapter and are shared."""


def client_for(*, api_key: str, api_base: str, transport: http.Transport) -> stripe.StripeClient:
    """A client that speaks for one account and touches no global of the SDK."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_base.rstrip("/")},
        http_client=_OurTransport(transport),
        max_network_retries=0,
    )


def verified_event(
    client: stripe.StripeClient, *, body: bytes, signature: str, secret: str, now: datetime, api_key: str,
    account_ref: str,
) -> dict[str, Any]:  # fmt: skip
    """A webhook's event, once its signature, its age, its account and its mode (live, test) are checked.

    The age is checked here and not by the SDK: it reads the machine's clock, and does not mind a signature from the
    future. Raises: BadSignature, StaleCallback, WrongAccount, Malformed.
    """
    try:
        event: dict[str, Any] = client.construct_event(body, signature, secret, tolerance=0).to_dict()  # type: ignore[no-untyped-call, unused-ignore]
    except stripe.SignatureVerificationError as error:
        raise BadSignature from error
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error
    match = re.search(r"(?:^|,)t=(\d{1,12})(?:,|$)", signature)
    if match is None:
        raise BadSignature
    age_s = int(now.timestamp()) - int(match[1])
    if abs(age_s) > CALLBACK_TOLERANCE_S:
        raise StaleCallback(age_s)
    if event.get("account") not in (None, account_ref) or not _same_mode(event, api_key):
        raise WrongAccount
    return event


def _same_mode(event: Mapping[str, Any], api_key: str) -> bool:
    """Whether an event of live or test mode belongs to this key's mode; unknown kinds of key are not judged."""
    mode = re.match(r"(?:sk|rk)_(live|test)_", api_key)
    return mode is None or event.get("livemode") is (mode[1] == "live")


@contextmanager
def our_errors(*, writing: bool) -> Iterator[None]:
    """Raise ChannelRefused or ProviderError in place of what the SDK raises inside."""
    try:
        yield
    except stripe.StripeError as error:
        _raise_ours(error, writing=writing)


def fetched(call: Callable[[], T]) -> T | None:
    """What a reading call returns, None when Stripe does not know the object. Raises: ProviderError."""
    try:
        with our_errors(writing=False):
            return call()
    except ChannelRefused as refusal:
        if refusal.code == "not_found":
            return None
        raise


def _raise_ours(error: stripe.StripeError, *, writing: bool) -> NoReturn:
    message = error.user_message or type(error).__name__
    code = error.code or _code_in_body(error)
    status = error.http_status or 0
    if code == "idempotency_key_in_use" or status == 409:  # The key's first request still runs: its end is not known.
        raise ProviderError(message, retryable=not writing, unknown=writing, provider=NAME) from error
    if isinstance(error, stripe.RateLimitError) or status == 429:  # Turned away at the door, before anything ran.
        raise ProviderError(message, retryable=True, provider=NAME) from error
    if status >= 500 or not 400 <= status < 500:
        raise ProviderError(message, retryable=not writing, unknown=writing, provider=NAME) from error
    raise ChannelRefused(message, code=_our_code(error, code, status), provider=NAME) from error


def _code_in_body(error: stripe.StripeError) -> str:
    """The code that Stripe sent: the SDK does not hand it on with every kind of error (idempotency is one)."""
    body = error.json_body if isinstance(error.json_body, dict) else {}
    inner = body.get("error")
    return str(inner.get("code") or "") if isinstance(inner, dict) else ""


def _our_code(error: stripe.StripeError, code: str, status: int) -> str:
    if isinstance(error, stripe.IdempotencyError):
        return "idempotency_conflict"
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError):
        return "credentials"
    if status == 404 or code == "resource_missing":
        return "not_found"
    return code or "invalid"
