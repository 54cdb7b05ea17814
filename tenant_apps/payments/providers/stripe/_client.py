"""The SDK's client over our transport, and its errors turned into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

import stripe

from kameng.lib.errors import ProviderError

from .. import _http
from ..base import ChannelRefused, MerchantAccount

NAME = "stripe"
T = TypeVar("T")


class _OurTransport(stripe.HTTPClient):
    """The SDK's own extension point. Its default client neither bounds a slow answer nor says whether a request
    left this machine; and its repeats are off, because repeating is decided where the payment's state is known."""

    name = "kameng"

    def __init__(self, transport: _http.Transport) -> None:
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


def client_for(account: MerchantAccount, transport: _http.Transport) -> stripe.StripeClient:
    """A client that speaks for one account and touches no global of the SDK."""
    return stripe.StripeClient(
        account.credentials["api_key"],
        base_addresses={"api": account.api_base.rstrip("/")},
        http_client=_OurTransport(transport),
        max_network_retries=0,
    )


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
