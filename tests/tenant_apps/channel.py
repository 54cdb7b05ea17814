"""A payment channel in memory: the test channel's adapter, with its network replaced by a dictionary."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from kameng.lib.errors import ProviderError
from kameng.testpay import keys
from tenant_apps.payments.providers.base import (
    ChannelRefused,
    ChannelState,
    ChannelStatus,
    CreatedPayment,
    FactKind,
    MoneyFact,
    RefundState,
    RefundStatus,
)
from tenant_apps.payments.providers.testpay.adapter import TestpayAdapter


@dataclass
class MemoryChannel(TestpayAdapter):
    """What it was asked is in `calls`; an error in `fails` is raised by the next call of that name."""

    payments: dict[str, list[MoneyFact]] = field(default_factory=dict)
    statuses: dict[str, ChannelStatus] = field(default_factory=dict)
    refunds: dict[str, RefundState] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    fails: dict[str, ProviderError] = field(default_factory=dict)
    refund_status: RefundStatus = RefundStatus.SUCCEEDED

    def __post_init__(self) -> None:
        self._clock = None  # type: ignore[assignment]

    def _called(self, name: str) -> None:
        self.calls.append(name)
        error = self.fails.pop(name, None)
        if error is not None:
            raise error

    def create(self, *, account: Any, request: Any) -> CreatedPayment:
        self._called("create")
        self.payments.setdefault(request.payment_id, [])
        return CreatedPayment(
            f"ref-{request.payment_id}", f"http://pay/{request.payment_id}", None, request.expires_at, {}
        )

    def query(self, *, account: Any, payment_id: str, channel_ref: str = "", sent_at: Any = None) -> ChannelState:
        self._called("query")
        wanted = payment_id or channel_ref.removeprefix("ref-")
        if wanted not in self.payments:
            return ChannelState(ChannelStatus.NOT_FOUND, payment_id=wanted)
        facts = tuple(self.payments[wanted])
        status = self.statuses.get(wanted, ChannelStatus.PAID if facts else ChannelStatus.PENDING)
        return ChannelState(status, facts, payment_id=wanted, channel_ref=f"ref-{wanted}")

    def refund(self, *, refund_id: str, amount_minor: int, currency: str, **_: Any) -> RefundState:
        self._called("refund")
        made = RefundState(self.refund_status, refund_id, f"ch-{refund_id}", amount_minor, currency, None)
        return self.refunds.setdefault(refund_id, made)

    def query_refund(self, *, refund_id: str, **_: Any) -> RefundState:
        self._called("query_refund")
        return self.refunds.get(refund_id) or RefundState(RefundStatus.NOT_FOUND, refund_id, "", 0, "", None)

    def pays(
        self,
        payment_id: str,
        amount: int,
        *,
        at: datetime,
        currency: str = "CNY",
        kind: FactKind = FactKind.PAID,
        **more: Any,
    ) -> MoneyFact:
        """The buyer paid (or the money went): a fact that queries tell from now on."""
        facts = self.payments.setdefault(payment_id, [])
        fee = amount * 6 // 1000 if kind == FactKind.PAID else None
        fact = MoneyFact(
            f"fact-{payment_id}-{len(facts)}", kind, amount, currency, fee, at, payment_id, f"ref-{payment_id}", **more
        )
        facts.append(fact)
        return fact


def time_out() -> ProviderError:
    return ProviderError("no answer", retryable=False, unknown=True, provider="testpay")


def weather() -> ProviderError:
    return ProviderError("refused connection", retryable=True, provider="testpay")


def said_no(code: str) -> ChannelRefused:
    return ChannelRefused("no", code=code, provider="testpay")


def callback(
    account: Any, secret: str, payment_id: str, *, at: datetime, event_id: str = "", age_s: int = 0
) -> tuple[bytes, str]:
    """The bytes and the signature header of a callback about a payment."""
    signed_at = int((at - timedelta(seconds=age_s)).timestamp())
    body = json.dumps(
        {"id": event_id or f"evt-{payment_id}", "type": "payment.paid", "account": account.account_ref, "created": signed_at,
         "data": {"payment": {"payment_id": payment_id, "id": f"ref-{payment_id}"}}}
    ).encode()  # fmt: skip
    return body, keys.callback_signature(secret, timestamp=signed_at, body=body)
