"""Our contract spoken to the test channel's API (`kameng.testpay.api`)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from urllib.parse import quote, urlencode

from kameng.lib.clock import utc_now
from kameng.lib.outside import http
from kameng.testpay import keys

from ..base import (
    CALLBACK_TOLERANCE_S,
    BadSignature,
    BillKind,
    BillLine,
    CallbackAnswer,
    CallbackEvent,
    ChannelRefused,
    ChannelState,
    ChannelStatus,
    CreatedPayment,
    FactKind,
    Malformed,
    MerchantAccount,
    MoneyFact,
    PaymentRequest,
    RefundState,
    RefundStatus,
    StaleCallback,
    WrongAccount,
    from_timestamp,
    header,
)

NAME = "testpay"
# A payment that its buyer or its merchant gave up is FAILED to us: in both cases no money is expected.
_STATUS = {
    "PENDING": ChannelStatus.PENDING,
    "PAID": ChannelStatus.PAID,
    "FAILED": ChannelStatus.FAILED,
    "CANCELLED": ChannelStatus.FAILED,
    "EXPIRED": ChannelStatus.EXPIRED,
}
# Its words to ours; any other word is passed on as it is.
_CODES = {"bad_signature": "credentials", "stale_request": "clock", "invalid": "invalid"}


class TestpayAdapter:
    """See `base.PaymentChannel`."""

    __test__ = False  # For pytest, which collects by name.
    name = NAME
    bill_zone: tzinfo = timezone(timedelta(hours=8), "UTC+08:00")

    def __init__(self, *, limits: http.Limits | None = None, clock: Callable[[], datetime] = utc_now) -> None:
        self._transport = http.Transport(NAME, limits)
        self._clock = clock

    def create(self, *, account: MerchantAccount, request: PaymentRequest) -> CreatedPayment:
        """See the contract."""
        body = {
            "payment_id": request.payment_id,
            "order_number": request.order_number,
            "amount_minor": request.amount_minor,
            "currency": request.currency,
            "title": request.title[:200],
            "return_url": request.return_url,
            "cancel_url": request.cancel_url,
            "notify_url": request.notify_url,
            "expires_at": int(request.expires_at.timestamp()),
            "locale": request.locale,
            "merchant_name": request.merchant_name[:80],
            "metadata": dict(request.metadata),
        }
        data = self._call(account, "POST", "/v1/payments", body)
        with http.understood(NAME, writing=True):
            return CreatedPayment(
                channel_ref=data["id"],
                redirect_url=data["url"],
                qr_text=data["url"],
                expires_at=from_timestamp(data["expires_at"]),
                raw=data,
            )

    def query(
        self, *, account: MerchantAccount, payment_id: str, channel_ref: str = "", sent_at: datetime | None = None
    ) -> ChannelState:
        """See the contract; `sent_at` is not needed here, the channel finds a payment by our id at any time."""
        if channel_ref:
            target = f"/v1/payments/{quote(channel_ref, safe='')}"
        else:
            target = f"/v1/payments?{urlencode({'payment_id': payment_id})}"
        try:
            data = self._call(account, "GET", target)
        except ChannelRefused as refusal:
            if refusal.code == "not_found":
                return ChannelState(ChannelStatus.NOT_FOUND, payment_id=payment_id, channel_ref=channel_ref)
            raise
        with http.understood(NAME, writing=False):
            return _state(data)

    def close(self, *, account: MerchantAccount, payment_id: str, channel_ref: str) -> ChannelState:
        """See the contract."""
        data = self._call(account, "POST", f"/v1/payments/{quote(channel_ref, safe='')}/close", {})
        with http.understood(NAME, writing=True):
            return _state(data)

    def verify_callback(
        self, *, account: MerchantAccount, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> CallbackEvent:
        """See the contract. The order of the checks is part of it: nothing unsigned is parsed."""
        try:
            timestamp, signature = keys.parse_callback_signature(header(headers, keys.CALLBACK_HEADER))
        except ValueError as error:
            raise BadSignature from error
        expected = keys.sign_callback(account.credentials["secret"], timestamp=timestamp, body=body)
        if not keys.same(expected, signature):
            raise BadSignature
        age_s = int(now.timestamp()) - timestamp
        if abs(age_s) > CALLBACK_TOLERANCE_S:
            raise StaleCallback(age_s)
        event = _event(body)
        if event.account_ref != account.account_ref:
            raise WrongAccount
        return event

    def acknowledge(self, *, event: CallbackEvent) -> CallbackAnswer:
        """Exactly `success`, as Alipay wants it: anything else and the channel calls again."""
        return CallbackAnswer(200, "text/plain; charset=utf-8", b"success")

    def refund(
        self,
        *,
        account: MerchantAccount,
        payment_id: str,
        channel_ref: str,
        refund_id: str,
        amount_minor: int,
        currency: str,
        reason: str,
    ) -> RefundState:
        """See the contract."""
        body = {
            "payment": channel_ref,
            "refund_id": refund_id,
            "amount_minor": amount_minor,
            "currency": currency,
            "reason": reason[:200],
        }
        data = self._call(account, "POST", "/v1/refunds", body)
        with http.understood(NAME, writing=True):
            return _refund(data)

    def query_refund(
        self,
        *,
        account: MerchantAccount,
        payment_id: str,
        channel_ref: str,
        refund_id: str,
        channel_refund_ref: str = "",
    ) -> RefundState:
        """See the contract."""
        try:
            data = self._call(account, "GET", f"/v1/refunds?{urlencode({'refund_id': refund_id})}")
        except ChannelRefused as refusal:
            if refusal.code == "not_found":
                return RefundState(RefundStatus.NOT_FOUND, refund_id, "", 0, "", None)
            raise
        with http.understood(NAME, writing=False):
            return _refund(data)

    def bill(self, *, account: MerchantAccount, day: date) -> Iterator[BillLine]:
        """See the contract; a thousand lines to a page."""
        after = 0
        while True:
            query = urlencode({"day": day.isoformat(), "after": after})
            page = self._call(account, "GET", f"/v1/bill?{query}")
            with http.understood(NAME, writing=False):
                lines, after = [_bill_line(line) for line in page["lines"]], int(page["after"])
            yield from lines
            if not after:
                return

    def _call(self, account: MerchantAccount, method: str, target: str, body: Any = None) -> dict[str, Any]:
        """One signed exchange. Raises: ChannelRefused for a 4xx, ProviderError for everything that is not an answer."""
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        timestamp, nonce = int(self._clock().timestamp()), secrets.token_hex(12)
        headers = {
            "Content-Type": "application/json",
            "X-Testpay-Account": account.account_ref,
            "X-Testpay-Timestamp": str(timestamp),
            "X-Testpay-Nonce": nonce,
            "X-Testpay-Signature": keys.sign_request(
                account.credentials["secret"],
                method=method, target=target, timestamp=timestamp, nonce=nonce, body=content,
            ),
        }  # fmt: skip
        answer = self._transport.exchange(method, account.api_base.rstrip("/") + target, headers=headers, body=content)
        try:
            data = json.loads(answer.body)
            error = data.get("error") if answer.status >= 400 else None
        except (ValueError, AttributeError) as problem:
            raise http.unanswered(NAME, answer.status, method) from problem
        if 200 <= answer.status < 300:
            return dict(data)
        if answer.status >= 500 or not isinstance(error, dict):
            raise http.unanswered(NAME, answer.status, method)
        code = str(error.get("code", ""))
        raise ChannelRefused(str(error.get("message", "")), code=_CODES.get(code, code), provider=NAME)


def _state(data: Mapping[str, Any]) -> ChannelState:
    return ChannelState(
        status=_STATUS[data["status"]],
        facts=tuple(_fact(data, fact) for fact in data["facts"]),
        payment_id=data["payment_id"],
        channel_ref=data["id"],
        raw=data,
    )


def _fact(payment: Mapping[str, Any], fact: Mapping[str, Any]) -> MoneyFact:
    return MoneyFact(
        channel_fact_id=fact["id"],
        kind=FactKind(fact["kind"]),
        amount_minor=fact["amount_minor"],
        currency=payment["currency"],
        fee_minor=fact["fee_minor"],
        occurred_at=datetime.fromtimestamp(fact["at"], tz=UTC),
        payment_id=payment["payment_id"],
        channel_ref=payment["id"],
        refund_id=fact["refund_id"],
        detail=fact["method"],
    )


def _event(body: bytes) -> CallbackEvent:
    """The signed body as an event. Raises: Malformed."""
    try:
        data = json.loads(body)
        payment = data["data"]["payment"]
        event = CallbackEvent(
            event_id=data["id"],
            type=data["type"],
            account_ref=data["account"],
            payment_id=payment["payment_id"],
            channel_ref=payment["id"],
            created_at=from_timestamp(data["created"]),
            raw=data,
        )
    except (ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error
    words = (event.event_id, event.type, event.account_ref, event.payment_id, event.channel_ref)
    if not all(isinstance(word, str) and 0 < len(word) <= 200 for word in words):
        raise Malformed("an id is missing or not a string")
    return event


def _refund(data: Mapping[str, Any]) -> RefundState:
    return RefundState(
        status=RefundStatus(data["status"]),
        refund_id=data["refund_id"],
        channel_refund_ref=data["id"],
        amount_minor=data["amount_minor"],
        currency=data["currency"],
        occurred_at=datetime.fromtimestamp(data["created_at"], tz=UTC),
        raw=data,
    )


def _bill_line(line: Mapping[str, Any]) -> BillLine:
    return BillLine(
        line_id=line["line_id"],
        kind=BillKind(line["kind"]),
        channel_fact_id=line["line_id"],
        payment_id=line["payment_id"],
        refund_id=line["refund_id"],
        amount_minor=line["amount_minor"],
        fee_minor=line["fee_minor"],
        net_minor=line["net_minor"],
        currency=line["currency"],
        occurred_at=datetime.fromtimestamp(line["at"], tz=UTC),
        raw=line,
    )


ADAPTER = TestpayAdapter()
