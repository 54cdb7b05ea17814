"""What crosses the app's border: tenant apps see these, never the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """A merchant account. `credentials` only where they were asked for. `substation_id` None: the main station's."""

    id: int
    public_id: str
    channel: str
    account_ref: str
    name: str
    substation_id: int | None
    api_base: str
    enabled: bool
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A callback in the inbox. `fresh` False: it had been stored before."""

    id: int
    account_id: int
    channel: str
    event_id: str
    kind: str
    payment_id: str
    channel_ref: str
    state: str
    attempts: int
    body: bytes = field(default=b"", repr=False)
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """A movement of money as a channel tells it; the tables' side of `providers.base.MoneyFact`."""

    account_id: int
    channel: str
    fact_id: str
    kind: str
    amount_minor: int
    currency: str
    fee_minor: int | None
    occurred_at: datetime
    payment_id: str
    channel_ref: str
    refund_id: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ReceiptInfo:
    """A recorded fact, and whose it is. `substation_id` None: no shop announced this payment on this account.

    `fresh` False: it had been recorded before, and has been dealt with if `used_for` says so.
    """

    id: int
    public_id: str
    account_id: int
    channel: str
    kind: str
    payment_id: str
    channel_ref: str
    substation_id: int | None
    schema_name: str
    order_number: str
    amount_minor: int
    currency: str
    fee_minor: int | None
    occurred_at: datetime
    refund_id: str
    detail: str
    used_for: str
    fresh: bool


@dataclass(frozen=True, slots=True)
class CaseInfo:
    """A payment case with its receipt, as services hand it about."""

    id: int
    public_id: str
    kind: str
    state: str
    resolution: str
    outward: bool
    receipt: ReceiptInfo
    amount_minor: int
    expected_minor: int | None
    currency: str
    substation_id: int | None
    order_number: str


@dataclass(frozen=True, slots=True)
class RefundInfo:
    """A refund that was asked for, with what the channel must be told."""

    id: int
    public_id: str
    purpose: str
    state: str
    amount_minor: int
    currency: str
    reason: str
    receipt: ReceiptInfo
    case_id: int | None
    channel_refund_ref: str
    ask_count: int
    by: str


@dataclass(frozen=True, slots=True)
class Announcement:
    """A payment attempt of some shop that has not ended, as far as the main station knows."""

    payment_id: str
    schema_name: str
    account_id: int
    ask_count: int


@dataclass(frozen=True, slots=True)
class OrderRef:
    """An order of some shop, as the main station points at it."""

    substation_id: int
    schema_name: str
    order_number: str
