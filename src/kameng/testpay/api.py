"""The merchants' API: signed requests in, JSON out.

    POST /v1/payments                    open a payment (idempotent by payment_id)
    GET  /v1/payments/tp_…               one payment; GET /v1/payments?payment_id=… by the merchant's id
    POST /v1/payments/tp_…/close         collect no more
    POST /v1/refunds                     give back (idempotent by refund_id); GET /v1/refunds?refund_id=…
    GET  /v1/bill?day=2026-01-31         the day's movements; &after= pages, &format=csv gives one file for people

Headers: X-Testpay-Account, -Timestamp (Unix seconds, ± 60), -Nonce (used once), -Signature (`keys.sign_request`).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from datetime import date
from typing import Any

from . import keys
from .channel import Channel, TestpayError
from .http_types import Request, Response, json_response
from .requests import BadRequest, parse_create, parse_refund
from .store import Store

CSV_COLUMNS = (
    "line_id", "time", "kind", "payment", "payment_id", "refund_id",
    "amount_minor", "fee_minor", "net_minor", "currency",
)  # fmt: skip
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")
_PAYMENT = re.compile(r"/v1/payments/(tp_[0-9a-f]{24})(/close)?")


class Api:
    """Routes and checks of `/v1`."""

    def __init__(self, channel: Channel, store: Store, master: str, clock: Callable[[], float]) -> None:
        self._channel = channel
        self._store = store
        self._master = master
        self._clock = clock

    def answer(self, request: Request) -> Response:
        """Authenticate, route, answer. Raises TestpayError."""
        account = self._authenticate(request)
        try:
            return self._route(account, request)
        except BadRequest as error:
            raise TestpayError(422, "invalid", str(error)) from error

    def _route(self, account: str, request: Request) -> Response:
        match = _PAYMENT.fullmatch(request.path)
        reading = request.method == "GET"
        if match and match[2] and not reading:
            return json_response(200, self._channel.close(account, match[1]))
        if match and not match[2] and reading:
            return json_response(200, self._channel.find(account, payment=match[1]))
        match request.path, request.method:
            case "/v1/payments", "POST":
                return json_response(200, self._channel.create(account, parse_create(request.json())))
            case "/v1/payments", "GET":
                return json_response(200, self._channel.find(account, payment_id=request.query.get("payment_id", "")))
            case "/v1/refunds", "POST":
                return json_response(200, self._channel.refund(account, parse_refund(request.json())))
            case "/v1/refunds", "GET":
                return json_response(200, self._channel.find_refund(account, request.query.get("refund_id", "")))
            case "/v1/bill", "GET":
                return self._bill(account, request)
        raise TestpayError(404, "no_such_address", "There is nothing at this address.")

    def _authenticate(self, request: Request) -> str:
        account = request.headers.get("x-testpay-account", "")
        nonce = request.headers.get("x-testpay-nonce", "")
        try:
            timestamp = int(request.headers.get("x-testpay-timestamp", ""))
            secret = keys.merchant_secret(self._master, account)
        except ValueError as error:
            raise TestpayError(401, "bad_signature", "Account or timestamp is missing or malformed.") from error
        expected = keys.sign_request(
            secret, method=request.method, target=request.target, timestamp=timestamp, nonce=nonce, body=request.body
        )
        if not _NONCE.fullmatch(nonce) or not keys.same(expected, request.headers.get("x-testpay-signature", "")):
            raise TestpayError(401, "bad_signature", "The signature does not match.")
        now = self._clock()
        if abs(now - timestamp) > keys.REQUEST_WINDOW_S:
            raise TestpayError(401, "stale_request", f"Signed more than {keys.REQUEST_WINDOW_S} seconds from now.")
        with self._store.transaction():
            self._store.run("DELETE FROM nonce WHERE at < ?", (now - 2 * keys.REQUEST_WINDOW_S,))
            if not self._store.run("INSERT OR IGNORE INTO nonce VALUES (?, ?, ?)", (account, nonce, now)):
                raise TestpayError(401, "replayed_nonce", "This nonce was used already.")
        return account

    def _bill(self, account: str, request: Request) -> Response:
        try:
            day = date.fromisoformat(request.query.get("day", ""))
            after = int(request.query.get("after", "0"))
        except ValueError as error:
            raise BadRequest("day must be a date such as 2026-01-31, after a number") from error
        if request.query.get("format", "json") == "csv":
            return Response(200, self._bill_csv(account, day), "text/csv; charset=utf-8")
        page = self._channel.bill(account, day, after)
        return json_response(200, {"object": "bill", "day": day.isoformat(), "lines": page.lines, "after": page.after})

    def _bill_csv(self, account: str, day: date) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, CSV_COLUMNS, extrasaction="ignore")
        writer.writeheader()
        after = -1
        while after:
            page = self._channel.bill(account, day, max(after, 0))
            writer.writerows(page.lines)
            after = page.after
        return text.getvalue().encode("utf-8-sig")  # With a mark, so that spreadsheets in China read it as UTF-8.


def error_body(error: TestpayError) -> dict[str, Any]:
    """The one shape of a refusal."""
    return {"error": {"code": error.code, "message": str(error)}}
