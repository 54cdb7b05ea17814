"""What crosses the ledger's border."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any


@dataclass(frozen=True)
class Leg:
    """One leg to be: an account's code and a signed amount in minor units, debit positive."""

    code: str
    amount_minor: int


@dataclass(frozen=True)
class Request:
    """One transfer to be, for a batch. `key` is unique in the batch; `event_at` is the fact's own time."""

    key: str
    kind: str
    legs: tuple[Leg, ...]
    event_at: datetime
    reference_type: str = ""
    reference: str = ""
    substation_id: int | None = None
    rule_version: int | None = None
    memo: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Posted:
    """A transfer that stands. `created` is false when this key had posted it before."""

    id: int
    public_id: str
    created: bool


@dataclass(frozen=True)
class StatementLine:
    """One leg on an account, from the account's own side, and the balance after it."""

    transfer: str
    kind: str
    reference: str
    event_at: datetime
    amount_minor: int
    balance_minor: int


@dataclass(frozen=True)
class Statement:
    """An account's lines of a period. `opening_minor` + the lines = `closing_minor`."""

    code: str
    currency: str
    since: date
    until: date
    opening_minor: int
    lines: tuple[StatementLine, ...]
    closing_minor: int


@dataclass(frozen=True)
class Broken:
    """One thing that does not hold, and where."""

    what: str
    block: int | None = None
    transfer: str = ""
    legs: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"block {self.block}: " if self.block is not None else ""
        legs = f", legs {', '.join(map(str, self.legs))}" if self.legs else ""
        return f"{where}{self.what}{f' ({self.transfer}{legs})' if self.transfer else ''}"


@dataclass(frozen=True)
class Verdict:
    """What `verify` found. Sound when nothing is broken."""

    transfers: int
    entries: int
    blocks: int
    unsealed: int
    head: str
    broken: tuple[Broken, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        return not self.broken
