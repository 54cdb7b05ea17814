"""What the test channel does with money: create, settle, refund, expire, bill. Every rule of it is here.

Amounts are integers in minor units; times are Unix seconds from the injected clock.
"""

from __future__ import annotations

import enum
import hashlib
import json
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from kameng.lib.money import share_bps_minor

from .notices import Notices
from .requests import Create, Refund
from .store import Store

FEE_BPS = 60  # 0.6 %, what WeChat Pay and Alipay charge most merchants. Kept on a refund.
BILL_ZONE = timezone(timedelta(hours=8), "UTC+08:00")  # Days of the bill are China's, as those of the real channels.
BILL_PAGE = 1000
METHODS = ("alipay", "wechat", "card")  # A look on the page; the rules are the same.


class Action(enum.StrEnum):
    """What a buyer (or a test) can do on the hosted page."""

    PAY = "pay"  # The amount, at once.
    LATER = "later"  # The amount, after some seconds: the page returns before the money is there.
    SHORT = "short"  # Half of it.
    TWICE = "twice"  # Two payments of the amount.
    OVER = "over"  # A tenth too much.
    LATE = "late"  # The amount, whatever the payment's state: expired, cancelled, failed, already paid.
    FAIL = "fail"  # The method is declined.
    CANCEL = "cancel"  # The buyer gives up.


class TestpayError(Exception):
    """A refusal of the channel: HTTP `status`, a stable `code`, an English sentence."""

    __test__ = False  # For pytest, which collects by name.

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Page:
    """A page of the bill: its lines, and the cursor of the next one (0 when this is the last)."""

    lines: list[dict[str, Any]]
    after: int


class Channel:
    """The channel's rules over its store."""

    def __init__(self, store: Store, notices: Notices, clock: Callable[[], float], base_url: str) -> None:
        self._store = store
        self._notices = notices
        self._clock = clock
        self._base_url = base_url.rstrip("/")

    # Merchants.

    def create(self, account: str, request: Create) -> dict[str, Any]:
        """Open a payment; the same body again gives the same payment. Raises TestpayError 409 for another body."""
        text = json.dumps(request.as_json(), sort_keys=True, ensure_ascii=False)
        digest = _digest(text)
        now = self._clock()
        with self._store.transaction():
            known = self._store.row(
                "SELECT * FROM payment WHERE account = ? AND merchant_payment_id = ?", (account, request.payment_id)
            )
            if known is not None:
                if known["digest"] != digest:
                    raise TestpayError(409, "idempotency_conflict", "This payment_id was used with another body.")
                return self.view(known)
            if request.expires_at <= now:
                raise TestpayError(422, "expired", "expires_at is in the past.")
            payment = f"tp_{secrets.token_hex(12)}"
            self._store.run(
                "INSERT INTO payment VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'PENDING', ?, ?)",
                (payment, account, request.payment_id, digest, text, request.amount_minor, request.currency,
                 request.notify_url, now, request.expires_at),
            )  # fmt: skip
            return self.view(self.payment(payment))

    def find(self, account: str, *, payment: str = "", payment_id: str = "") -> dict[str, Any]:
        """A merchant's own payment by our id or by theirs. Raises TestpayError 404; another's is not found either."""
        row = self._store.row(
            "SELECT * FROM payment WHERE account = ? AND (id = ? OR merchant_payment_id = ?)",
            (account, payment, payment_id),
        )
        if row is None:
            raise TestpayError(404, "not_found", "There is no such payment.")
        return self.view(self._aged(row))

    def close(self, account: str, payment: str) -> dict[str, Any]:
        """Collect no more, at the merchant's wish. A payment that is over stays as it is."""
        with self._store.transaction():
            if self.find(account, payment=payment)["status"] == "PENDING":
                self._end(payment, "CANCELLED", "payment.cancelled")
            return self.find(account, payment=payment)

    def refund(self, account: str, request: Refund) -> dict[str, Any]:
        """Give back part or all; the same body again gives the same refund.

        Raises TestpayError: 404 unknown payment, 409 other body or more than is left, 422 other currency.
        """
        digest = _digest(json.dumps(request.as_json(), sort_keys=True, ensure_ascii=False))
        with self._store.transaction():
            known = self._store.row(
                "SELECT * FROM refund WHERE account = ? AND merchant_refund_id = ?", (account, request.refund_id)
            )
            if known is not None:
                if known["digest"] != digest:
                    raise TestpayError(409, "idempotency_conflict", "This refund_id was used with another body.")
                return self._refund_view(known)
            payment = self.find(account, payment=request.payment)
            if request.currency != payment["currency"]:
                raise TestpayError(422, "wrong_currency", f"The payment is in {payment['currency']}.")
            left = payment["amount_paid_minor"] - payment["amount_refunded_minor"]
            if request.amount_minor > left:
                raise TestpayError(409, "over_refund", f"Only {left} can still be refunded.")
            refund = f"tr_{secrets.token_hex(12)}"
            now = self._clock()
            self._store.run(
                "INSERT INTO refund VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    refund,
                    request.payment,
                    account,
                    request.refund_id,
                    digest,
                    request.amount_minor,
                    request.reason,
                    now,
                ),
            )
            self._store.run(
                "INSERT INTO fact VALUES (?, ?, ?, 'REFUNDED', ?, 0, '', ?, ?)",
                (refund, request.payment, account, request.amount_minor, request.refund_id, now),
            )
            self._tell(request.payment, "refund.succeeded")
            return self.find_refund(account, request.refund_id)

    def find_refund(self, account: str, refund_id: str) -> dict[str, Any]:
        """A refund by the merchant's id. Raises TestpayError 404."""
        row = self._store.row("SELECT * FROM refund WHERE account = ? AND merchant_refund_id = ?", (account, refund_id))
        if row is None:
            raise TestpayError(404, "not_found", "There is no such refund.")
        return self._refund_view(row)

    def bill(self, account: str, day: date, after: int = 0, limit: int = BILL_PAGE) -> Page:
        """A page of the movements of one day in China, oldest first."""
        start = datetime(day.year, day.month, day.day, tzinfo=BILL_ZONE)
        rows = self._store.rows(
            "SELECT fact.rowid AS cursor, fact.*, payment.merchant_payment_id, payment.currency"
            " FROM fact JOIN payment ON payment.id = fact.payment_id"
            " WHERE fact.account = ? AND fact.at >= ? AND fact.at < ? AND fact.rowid > ? ORDER BY fact.rowid LIMIT ?",
            (account, start.timestamp(), (start + timedelta(days=1)).timestamp(), after, limit),
        )
        return Page([_bill_line(row) for row in rows], rows[-1]["cursor"] if len(rows) == limit else 0)

    # Buyers, and tests in their place.

    def act(
        self, payment: str, action: Action, *, method: str = "card", delay_s: float = 0, amount_minor: int = 0
    ) -> dict[str, Any]:
        """Do what the buyer chose. `amount_minor` overrides the amount of PAY and LATE (for tests).

        Raises TestpayError: 404, 409 when the payment is over (LATE alone ignores that), 422 when it can't be done.
        """
        if method not in METHODS:
            raise TestpayError(422, "unknown_method", f"method is one of {', '.join(METHODS)}.")
        with self._store.transaction():
            row = self._aged(self.payment(payment))
            if action is not Action.LATE and row["status"] != "PENDING":
                raise TestpayError(409, "payment_over", f"This payment is {row['status']}.")
            match action:
                case Action.FAIL:
                    self._end(payment, "FAILED", "payment.failed")
                case Action.CANCEL:
                    self._end(payment, "CANCELLED", "payment.cancelled")
                case Action.LATER:
                    self._settle_later(row, method, delay_s)
                case _:
                    for amount in _amounts(action, row["amount_minor"], amount_minor):
                        self._settle(row, amount, method)
            return self.view(self.payment(payment))

    def payment(self, payment: str) -> sqlite3.Row:
        """The stored row, for whoever has the id: the page's address is the buyer's key. Raises TestpayError 404."""
        row = self._store.row("SELECT * FROM payment WHERE id = ?", (payment,))
        if row is None:
            raise TestpayError(404, "not_found", "There is no such payment.")
        return row

    def view(self, row: sqlite3.Row) -> dict[str, Any]:
        """A payment as the API and the callbacks tell it."""
        request: dict[str, Any] = json.loads(row["request"])
        facts = self._store.rows("SELECT * FROM fact WHERE payment_id = ? ORDER BY rowid", (row["id"],))
        return {
            "object": "payment",
            "id": row["id"],
            "account": row["account"],
            "payment_id": row["merchant_payment_id"],
            "order_number": request["order_number"],
            "title": request["title"],
            "amount_minor": row["amount_minor"],
            "currency": row["currency"],
            "status": row["status"],
            "created_at": row["created_at"],
            "expires_at": row["expires_at"],
            "url": f"{self._base_url}/pay/{row['id']}",
            "amount_paid_minor": sum(fact["amount_minor"] for fact in facts if fact["kind"] == "PAID"),
            "amount_refunded_minor": sum(fact["amount_minor"] for fact in facts if fact["kind"] == "REFUNDED"),
            "facts": [
                {key: fact[key] for key in ("id", "kind", "amount_minor", "fee_minor", "method", "refund_id", "at")}
                for fact in facts
            ],
            "metadata": request["metadata"],
        }

    def tick(self, now: float) -> None:
        """Settle what was to be paid later and expire what nobody paid. Sends nothing."""
        with self._store.transaction():
            for due in self._store.rows("SELECT * FROM settling WHERE due_at <= ? ORDER BY due_at", (now,)):
                self._store.run("DELETE FROM settling WHERE id = ?", (due["id"],))
                self._settle(self.payment(due["payment_id"]), due["amount_minor"], due["method"])
            open_rows = self._store.rows("SELECT * FROM payment WHERE status = 'PENDING' AND expires_at <= ?", (now,))
            for row in open_rows:
                self._aged(row)

    def _settle_later(self, row: sqlite3.Row, method: str, delay_s: float) -> None:
        if not 0 <= delay_s <= 86_400:
            raise TestpayError(422, "bad_delay", "delay_s is between 0 and 86400.")
        self._store.run(
            "INSERT INTO settling (payment_id, amount_minor, method, due_at) VALUES (?, ?, ?, ?)",
            (row["id"], row["amount_minor"], method, self._clock() + delay_s),
        )

    def _settle(self, row: sqlite3.Row, amount_minor: int, method: str) -> None:
        self._store.run(
            "INSERT INTO fact VALUES (?, ?, ?, 'PAID', ?, ?, ?, '', ?)",
            (f"tf_{secrets.token_hex(12)}", row["id"], row["account"], amount_minor,
             share_bps_minor(amount_minor, FEE_BPS), method, self._clock()),
        )  # fmt: skip
        self._store.run("UPDATE payment SET status = 'PAID' WHERE id = ?", (row["id"],))
        self._tell(row["id"], "payment.paid")

    def _aged(self, row: sqlite3.Row) -> sqlite3.Row:
        """The row, expired first when its time is up and nothing is on its way."""
        settling = self._store.row("SELECT 1 FROM settling WHERE payment_id = ?", (row["id"],))
        if row["status"] != "PENDING" or row["expires_at"] > self._clock() or settling is not None:
            return row
        with self._store.transaction():
            self._end(row["id"], "EXPIRED", "payment.expired")
        return self.payment(row["id"])

    def _end(self, payment: str, status: str, event: str) -> None:
        # Guarded: two threads that both saw it open must not tell its end twice.
        if self._store.run("UPDATE payment SET status = ? WHERE id = ? AND status = 'PENDING'", (status, payment)):
            self._tell(payment, event)

    def _tell(self, payment: str, event: str) -> None:
        row = self.payment(payment)
        self._notices.emit(row["id"], event, account=row["account"], payment_view=self.view(row))

    def _refund_view(self, row: sqlite3.Row) -> dict[str, Any]:
        return {
            "object": "refund",
            "id": row["id"],
            "account": row["account"],
            "payment": row["payment_id"],
            "refund_id": row["merchant_refund_id"],
            "amount_minor": row["amount_minor"],
            "currency": self.payment(row["payment_id"])["currency"],
            "status": "SUCCEEDED",
            "reason": row["reason"],
            "created_at": row["created_at"],
        }


def _amounts(action: Action, asked: int, override: int) -> tuple[int, ...]:
    """What comes in, in minor units. Raises TestpayError 422 where there is no less to pay than the least."""
    if override and action in (Action.PAY, Action.LATE):
        return (override,)
    if action is Action.TWICE:
        return (asked, asked)
    if action is Action.OVER:
        return (asked + max(1, asked // 10),)
    if action is Action.SHORT:
        if asked == 1:
            raise TestpayError(422, "too_small", "One minor unit can't be paid short.")
        return (asked // 2,)
    return (asked,)


def _bill_line(row: sqlite3.Row) -> dict[str, Any]:
    amount = row["amount_minor"] if row["kind"] == "PAID" else -row["amount_minor"]
    return {
        "line_id": row["id"],
        "kind": "PAYMENT" if row["kind"] == "PAID" else "REFUND",
        "payment": row["payment_id"],
        "payment_id": row["merchant_payment_id"],
        "refund_id": row["refund_id"],
        "amount_minor": amount,
        "fee_minor": row["fee_minor"],
        "net_minor": amount - row["fee_minor"],
        "currency": row["currency"],
        "at": row["at"],
        "time": datetime.fromtimestamp(row["at"], tz=UTC).astimezone(BILL_ZONE).isoformat(timespec="seconds"),
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
