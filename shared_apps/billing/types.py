"""What crosses billing's border."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice to be. `kind`: "opening", "period", "credit", "rest", "deposit" or "note"."""

    kind: str
    text_zh: str
    text_en: str
    amount_minor: int
    period_start: datetime | None = None
    period_end: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """For a stored quote."""
        return {
            "kind": self.kind, "text_zh": self.text_zh, "text_en": self.text_en, "amount_minor": self.amount_minor,
            "period_start": self.period_start.isoformat() if self.period_start else None,
            "period_end": self.period_end.isoformat() if self.period_end else None,
        }  # fmt: skip

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> Line:
        moments = {
            name: datetime.fromisoformat(kept[name]) if kept[name] else None for name in ("period_start", "period_end")
        }
        return cls(kept["kind"], kept["text_zh"], kept["text_en"], int(kept["amount_minor"]), **moments)


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """Where the payer goes."""

    public_id: str
    url: str


@dataclass(frozen=True, slots=True)
class WayToPay:
    """A way to pay the main station. `renews`: a subscription by card, charged by the channel; else a top-up."""

    account_id: int
    channel: str
    name: str
    renews: bool


@dataclass(frozen=True, slots=True)
class Overview:
    """What the owner sees of their plan. `prepaid_minor`, `deposit_minor`: what the ledger holds for them."""

    subscription: Any
    plan: Any
    prepaid_minor: int
    deposit_minor: int
    due_minor: int
    open_invoices: tuple[Any, ...] = ()
    next_fee_minor: int = 0
    ways: tuple[WayToPay, ...] = ()
