"""The fake Stripe as an HTTP server on 127.0.0.1, in a thread of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from . import pages
from .errors import StripeError
from .expand import expanded
from .form import parse_form
from .objects import Json
from .routes import route
from .state import Fault, Merchant
from .webhooks import Webhooks


class FakeStripe:
    """`with FakeStripe(clock=…) as fake:` then `fake.base_url`, `fake.merchant("sk_test_…")`.

    Any key that begins with `sk_test_` is a merchant of its own, made when it is first seen. Its time is the clock's;
    `advance` moves it ahead of that, and lives through what subscriptions have due.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._ahead_s = clock, 0.0
        self._merchants: dict[str, Merchant] = {}
        self._webhooks: dict[str, Webhooks] = {}
        self._lock = threading.Lock()
        self._faults: list[tuple[str, Fault]] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []  # Method, path, headers in lower case.
        self.silent = threading.Event()  # A fault keeps a request silent, from now on.
        self.closing = threading.Event()
        handler = type("Handler", (_Handler,), {"fake": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> FakeStripe:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()  # Lets go of requests that a fault keeps silent.
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def merchant(self, key: str) -> Merchant:
        """The account behind a key."""
        with self._lock:
            if key not in self._merchants:
                self._merchants[key] = Merchant(self.base_url, lambda: self._clock() + self._ahead_s)
                self._webhooks[key] = Webhooks(self._merchants[key], self._clock)
            return self._merchants[key]

    def webhooks(self, key: str) -> Webhooks:
        """The webhook endpoint of the account behind a key."""
        self.merchant(key)
        return self._webhooks[key]

    def advance(self, seconds: float) -> None:
        """Move the fake's time on, and let every merchant's subscriptions live through it, moment by moment.

        Webhooks are still signed by the clock: the receiver's time has not moved.
        """
        self._ahead_s += seconds
        for merchant in list(self._merchants.values()):
            merchant.billing.catch_up()

    def fail_next(self, call: str, fault: Fault) -> None:
        """The next request whose "METHOD /path" begins with `call` meets `fault`."""
        self._faults.append((call, fault))

    def has_fault(self, call: str) -> bool:
        """Whether a fault waits for this request."""
        with self._lock:
            return any(call.startswith(entry[0]) for entry in self._faults)

    def take_fault(self, call: str) -> Fault | None:
        """The fault that waits for this request, once."""
        with self._lock:
            for entry in self._faults:
                if call.startswith(entry[0]):
                    self._faults.remove(entry)
                    return entry[1]
        return None

    def merchant_of(self, id: str) -> Merchant:
        """Whose session, invoice or portal a hosted page shows. Raises StripeError 404."""
        for merchant in list(self._merchants.values()):
            if id in merchant.sessions or id in merchant.billing.invoices or id in merchant.billing.portals:
                return merchant
        raise StripeError(404, "invalid_request_error", "No such page")


class _Handler(BaseHTTPRequestHandler):
    fake: FakeStripe
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # An answer goes out in one piece: in two, the second waits 40 ms for an acknowledgement.

    def log_message(self, format: str, *args: Any) -> None:
        """Tests have their own output."""

    def do_GET(self) -> None:
        self._handle(b"")

    def do_POST(self) -> None:
        self._handle(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def do_DELETE(self) -> None:
        self._handle(b"")

    def _handle(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.requests.append((self.command, parts.path, headers))
        if not parts.path.startswith("/v1/"):
            self._page(parts.path, body)
            return
        fault = self.fake.take_fault(f"{self.command} {parts.path}")
        if fault is Fault.SILENT_BEFORE:
            self._keep_silent()
            return
        try:
            status, answer = self._api(parts.path, parts.query, body, headers, fault)
        except StripeError as error:
            status, answer = error.status, error.body
        if fault is Fault.SILENT_AFTER:
            self._keep_silent()
            return
        self._send(status, json.dumps(answer).encode(), "application/json")

    def _api(
        self, path: str, query: str, body: bytes, headers: dict[str, str], fault: Fault | None
    ) -> tuple[int, Json]:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key.startswith("sk_test_"):
            raise StripeError(401, "invalid_request_error", "Invalid API Key provided")
        if fault is Fault.BROKEN:
            raise StripeError(500, "api_error", "An error occurred internally with Stripe's API.")
        if fault is Fault.RATE_LIMITED:
            raise StripeError(429, "invalid_request_error", "Request rate limit exceeded.", code="rate_limit")
        if fault is Fault.KEY_IN_USE:
            raise StripeError(409, "idempotency_error", "Keys in use.", code="idempotency_key_in_use")
        merchant = self.fake.merchant(key)
        try:
            params = parse_form(body.decode() if self.command == "POST" else query)
        except ValueError as error:
            raise StripeError(400, "invalid_request_error", str(error)) from error
        with merchant.lock:
            return self._once(merchant, path, params, headers.get("idempotency-key", ""))

    def _once(self, merchant: Merchant, path: str, params: Json, key: str) -> tuple[int, Json]:
        """Answer, or answer again what was answered to this idempotency key."""
        asked = json.dumps([path, params], sort_keys=True)
        if self.command == "POST" and key in merchant.replays:
            known, status, answer = merchant.replays[key]
            if known != asked:
                message = (
                    "Keys for idempotent requests can only be used with the same parameters they were first used with."
                )
                raise StripeError(400, "idempotency_error", message)
            return status, answer
        paths = params.pop("expand", [])
        try:
            answer = expanded(merchant, route(merchant, self.command, path, params), paths)
        except StripeError as error:
            if error.status == 402 and key:  # A declined card was tried: the same key gets the same answer again.
                merchant.replays[key] = (asked, 402, error.body)
            raise
        if self.command == "POST" and key:  # Other refusals are not kept: nothing was carried out.
            merchant.replays[key] = (asked, 200, answer)
        return 200, answer

    def _page(self, path: str, body: bytes) -> None:
        try:
            merchant = self.fake.merchant_of(path.split("/")[-1])
            with merchant.lock:
                page = pages.answer(merchant, path, self.command, body)
        except (StripeError, KeyError) as error:
            self._send(400, str(error).encode(), "text/plain")
            return
        if isinstance(page, pages.Gone):
            self.send_response(303)
            self.send_header("Location", page.to)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(200, page.encode(), "text/html; charset=utf-8")

    def _keep_silent(self) -> None:
        self.fake.silent.set()
        self.fake.closing.wait()
        self.close_connection = True

    def _send(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Request-Id", "req_fake")
        self.end_headers()
        self.wfile.write(body)
