"""What crosses the app's border."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

ACCOUNTS = ("pending", "available", "withdrawing", "prepaid", "deposit", "receivable")


@dataclass(frozen=True, slots=True)
class Line:
    """One line, from the shop's point of view: what it is owed grows with a positive amount. Minor units.

    `parts` are the transfer's legs as the shop may see them, [{"part", "amount_minor"}], for the waterfall of a sale.
    `balance_minor` is the balance after this line, of the accounts that the statement is about.
    """

    id: int
    transfer: str
    account: str
    kind: str
    reference_type: str
    reference: str
    amount_minor: int
    balance_minor: int
    currency: str
    parts: Sequence[dict[str, Any]]
    event_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Statement:
    """A period of the shop's money: opening + all lines of the period = closing. `lines` is one page, newest first."""

    account: str  # "" for all of them.
    since: datetime
    until: datetime  # Exclusive.
    opening_minor: int
    closing_minor: int
    in_minor: int
    out_minor: int
    line_count: int
    lines: Sequence[Line]
    recorded_to: datetime | None  # The newest entry that has reached the shop.
