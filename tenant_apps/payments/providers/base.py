"""The contract between us and a payment channel: create, query, verify a callback, refund, bill.

An adapter is pure HTTP. It knows no table, decides nothing about an order, and holds no state that matters.
What it hands back are facts as the channel tells them; the payments services append those and derive the rest.

Errors, for every call:
    ProviderError(unknown=False, retryable=True)   weather: nothing was done, the same call may be made again.
    ProviderError(unknown=True, retryable=False)   a create, close or refund was sent and not answered. Ask with
                                                   `query` / `query_refund`. The same call with the same id is safe
                                                   too, for every one of them is idempotent, but ask first.
    ChannelRefused                                 the channel understood and said no: nothing was done.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from typing import Any, Protocol

# What an adapter raises and reads with is shared with billing; an adapter finds all of it here.
from kameng.lib.outside.refusals import CALLBACK_TOLERANCE_S as CALLBACK_TOLERANCE_S
from kameng.lib.outside.refusals import BadSignature as BadSignature
from kameng.lib.outside.refusals import CallbackRefused as CallbackRefused
from kameng.lib.outside.refusals import ChannelRefused as ChannelRefused
from kameng.lib.outside.refusals import Malformed as Malformed
from kameng.lib.outside.refusals import StaleCallback as StaleCallback
from kameng.lib.outside.refusals import WrongAccount as WrongAccount
from kameng.lib.outside.refusals import from_timestamp as from_timestamp
from kameng.lib.outside.refusals import header as header


class ChannelStatus(enum.StrEnum):
    """Where a payment stands, in the channel's own view. The money is in the facts, not here."""

    PENDING = "PENDING"  # The buyer can still pay, or has paid by a method that settles later.
    PAID = "PAID"  # At least one PAID fact exists. Not necessarily of the right amount.
    FAILED = "FAILED"  # The channel gave up on it, or the buyer did. Nothing will come, as far as it knows.
    EXPIRED = "EXPIRED"  # The channel closed it for lack of payment.
    NOT_FOUND = "NOT_FOUND"  # The channel has never heard of it. Just after a time-out this may still change.


class FactKind(enum.StrEnum):
    """What happened to money."""

    PAID = "PAID"  # Came in.
    REFUNDED = "REFUNDED"  # Went back to the buyer by our wish.
    REFUND_FAILED = "REFUND_FAILED"  # Came back to us: the buyer's bank would not take a refund that had gone out.
    DISPUTED = "DISPUTED"  # Taken from us while the buyer's bank looks into it.
    DISPUTE_CLOSED = "DISPUTE_CLOSED"  # The bank decided: `amount_minor` came back to us, 0 when it was lost.


class RefundStatus(enum.StrEnum):
    """Where a refund stands."""

    PENDING = "PENDING"  # Accepted; the buyer does not have it yet.
    SUCCEEDED = "SUCCEEDED"  # Gone to the buyer.
    FAILED = "FAILED"  # Will not go; the money is ours again.
    NOT_FOUND = "NOT_FOUND"  # The channel has never heard of it.


class BillKind(enum.StrEnum):
    """What a line of the channel's bill is about."""

    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    DISPUTE = "DISPUTE"  # Taken by, or given back after, a dispute.
    PAYOUT = "PAYOUT"  # Moved to the merchant's bank.
    OTHER = "OTHER"  # Fees of their own, adjustments, reserves.


@dataclass(frozen=True, slots=True)
class MerchantAccount:
    """One merchant's account at one channel, with what is needed to speak for it.

    Args:
        channel: Name in the registry: "stripe", "testpay".
        account_ref: The account's name at the channel ("acct_…", or the merchant number).
        credentials: Secrets by name. stripe: `api_key`, `webhook_secret`. testpay: `secret`.
        api_base: Address of the channel's API, without a slash at the end.
    """

    channel: str
    account_ref: str
    credentials: Mapping[str, str] = field(repr=False)  # Never in a log line or a trace.
    api_base: str


@dataclass(frozen=True, slots=True)
class PaymentRequest:
    """What we ask a channel to collect. The same `payment_id` must always carry the same request.

    Args:
        payment_id: Ours, "pay_…". It is the idempotency key at the channel.
        amount_minor: Positive, in the minor unit of `currency`.
        currency: ISO 4217, upper case.
        title: What the buyer reads on the cashier's page.
        created_at: When our payment was made, aware. Fixed with it, so that a repeat sends the same bytes.
        expires_at: When we would like the channel to stop collecting, aware. The channel may round it:
            `CreatedPayment.expires_at` is what it promised.
        locale: "zh" or "en".
        buyer_ip: For the channel's risk rules; "" when unknown.
        metadata: Kept by the channel and given back. At most 20 short strings, nothing personal.
        merchant_name: The shop's name, where the channel's page can show one.
    """

    payment_id: str
    order_number: str
    amount_minor: int
    currency: str
    title: str
    return_url: str
    cancel_url: str
    notify_url: str
    created_at: datetime
    expires_at: datetime
    locale: str = "zh"
    buyer_ip: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    merchant_name: str = ""

    def __post_init__(self) -> None:
        if self.amount_minor <= 0:
            raise ValueError("amount_minor must be positive")
        if self.created_at.tzinfo is None or self.expires_at.tzinfo is None:
            raise ValueError("created_at and expires_at must be aware")


@dataclass(frozen=True, slots=True)
class CreatedPayment:
    """The channel's promise to collect.

    `redirect_url` is where the buyer goes; `qr_text` what a desk shows to be scanned, where the channel gives one;
    `expires_at` when the channel really stops collecting, possibly later than asked; `raw` its whole answer.
    """

    channel_ref: str
    redirect_url: str
    qr_text: str | None
    expires_at: datetime
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class MoneyFact:
    """One movement of money, told by the channel. Append it once by `(channel, account, channel_fact_id)`.

    `amount_minor` is what moved, never negative, in `currency`. `fee_minor` is what the channel keeps of it, in the
    same currency; None while the channel has not said, or when it takes its fee in another currency (see its bill).
    `refund_id` is ours, on REFUNDED facts of refunds we asked for. `detail` is a word of the channel: "won", "lost".
    """

    channel_fact_id: str
    kind: FactKind
    amount_minor: int
    currency: str
    fee_minor: int | None
    occurred_at: datetime
    payment_id: str
    channel_ref: str
    refund_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """Everything the channel knows of one payment, oldest fact first. `payment_id` as the channel has it."""

    status: ChannelStatus
    facts: tuple[MoneyFact, ...] = ()
    payment_id: str = ""
    channel_ref: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallbackEvent:
    """A callback whose signature, age and account were checked. It says where to look, not what is true:
    the payment is asked for with `query` before anything counts.

    `payment_id` is None where the channel's object does not carry it; then `channel_ref` can be given to `query`.
    """

    event_id: str
    type: str
    account_ref: str
    payment_id: str | None
    channel_ref: str | None
    created_at: datetime
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The constant reply that tells a channel to stop calling."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class RefundState:
    """A refund as the channel sees it. `amount_minor` is 0 and `channel_refund_ref` "" when it is NOT_FOUND."""

    status: RefundStatus
    refund_id: str
    channel_refund_ref: str
    amount_minor: int
    currency: str
    occurred_at: datetime | None
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BillLine:
    """One line of the channel's own bill: signed amounts, seen from the merchant; `net_minor` is amount less fee.

    `channel_fact_id` is the same id that the MoneyFact of this movement carries. The currency is the one the
    channel settles in. `payment_id` and `refund_id` are ours, "" where the bill does not name them.
    """

    line_id: str
    kind: BillKind
    channel_fact_id: str
    payment_id: str
    refund_id: str
    amount_minor: int
    fee_minor: int
    net_minor: int
    currency: str
    occurred_at: datetime
    raw: Mapping[str, Any] = field(default_factory=dict)


class PaymentChannel(Protocol):
    """What each folder beside this file implements. All arguments by name; every call carries time-outs."""

    @property
    def name(self) -> str:
        """The channel's name in the registry."""
        ...

    @property
    def bill_zone(self) -> tzinfo:
        """Whose midnight the days of `bill` begin at."""
        ...

    def create(self, *, account: MerchantAccount, request: PaymentRequest) -> CreatedPayment:
        """Ask the channel to collect. The same request again gives the same payment.

        Raises: ChannelRefused ("idempotency_conflict" when `payment_id` was used for another request), ProviderError.
        """
        ...

    def query(
        self, *, account: MerchantAccount, payment_id: str, channel_ref: str = "", sent_at: datetime | None = None
    ) -> ChannelState:
        """Everything the channel knows of a payment, by its reference or, after an unanswered create, by our id.

        `sent_at` is when create was sent, for channels that can only search by time. `payment_id` may be "" when
        `channel_ref` is given. An unknown payment is the state NOT_FOUND, not an error. Raises: ProviderError.
        """
        ...

    def close(self, *, account: MerchantAccount, payment_id: str, channel_ref: str) -> ChannelState:
        """Ask the channel to collect no more; the state afterwards, which may be PAID: the buyer can be faster.

        Raises: ProviderError.
        """
        ...

    def verify_callback(
        self, *, account: MerchantAccount, headers: Mapping[str, str], body: bytes, now: datetime
    ) -> CallbackEvent:
        """Check the raw bytes of a callback, then read it. Header names are compared without case.

        Raises: BadSignature, StaleCallback, WrongAccount, Malformed.
        """
        ...

    def acknowledge(self, *, event: CallbackEvent) -> CallbackAnswer:
        """The reply to give once the event is stored; duplicates get the same one."""
        ...

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
        """Give money back. `refund_id` is ours ("rfd_…") and the idempotency key: the same again is the first result.

        Raises: ChannelRefused ("over_refund", "idempotency_conflict", "not_found"), ProviderError.
        """
        ...

    def query_refund(
        self,
        *,
        account: MerchantAccount,
        payment_id: str,
        channel_ref: str,
        refund_id: str,
        channel_refund_ref: str = "",
    ) -> RefundState:
        """A refund by our id, or by the channel's when it is known. Raises: ProviderError."""
        ...

    def bill(self, *, account: MerchantAccount, day: date) -> Iterator[BillLine]:
        """Every movement of `day` (in `bill_zone`), in the channel's order. Raises: ProviderError, also midway."""
        ...
