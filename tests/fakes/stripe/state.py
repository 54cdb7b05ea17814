"""What the fake Stripe knows and allows: one `Merchant` per API key, in memory, behind one lock."""

from __future__ import annotations

import copy
import enum
import itertools
import threading
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from . import envelopes, objects
from .objects import Json

FEE_RATE, FEE_FIXED = Decimal("0.029"), 30  # Stripe's published price in the United States.
_NUMBERS = itertools.count(1)  # Ids are unique among all merchants, as Stripe's are.
SHORTEST_S, LONGEST_S = 30 * 60, 24 * 3600


class StripeError(Exception):
    """A refusal: HTTP status and the error's body."""

    def __init__(
        self, status: int, type: str, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = envelopes.error(type, message, code=code, param=param)


class Fault(enum.Enum):
    """What goes wrong with a request that a test singled out."""

    SILENT_BEFORE = "silent before"  # Never answered and never carried out.
    SILENT_AFTER = "silent after"  # Carried out, never answered.
    BROKEN = "broken"  # Answered with 500, not carried out.
    RATE_LIMITED = "rate limited"  # Answered with 429.
    KEY_IN_USE = "key in use"  # Answered with 409: another request with the same idempotency key is running.


class Merchant:
    """One Stripe account in test mode."""

    def __init__(self, base_url: str, clock: Callable[[], float], settles_in: str = "", rate: str = "1") -> None:
        self.base_url = base_url
        self.lock = threading.RLock()
        self.sessions: dict[str, Json] = {}
        self.items: dict[str, list[Json]] = {}
        self.intents: dict[str, Json] = {}
        self.charges: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.transactions: dict[str, Json] = {}
        self.disputes: dict[str, Json] = {}
        self.events: dict[str, Json] = {}
        self.replays: dict[str, tuple[str, int, Json]] = {}  # Idempotency key: what was asked, status, body.
        self.settles_in, self.rate = settles_in, Decimal(rate)
        self._labels: dict[str, tuple[Json, str | None]] = {}  # Session: metadata and description of its intent to be.
        self._clock = clock

    # What the API does.

    def create_session(self, params: Json) -> Json:
        """POST /v1/checkout/sessions. Raises StripeError 400."""
        if params.get("mode") != "payment":
            raise _invalid("mode must be payment here.", "mode")
        for name in ("success_url", "line_items"):
            if not params.get(name):
                raise _invalid(f"Missing required param: {name}.", name, code="parameter_missing")
        (line,) = params["line_items"]
        price = line["price_data"]
        currency, amount = price["currency"], _positive(price["unit_amount"], "line_items[0][price_data][unit_amount]")
        now = self._now()
        expires_at = int(params.get("expires_at", now + LONGEST_S))
        if not now + SHORTEST_S <= expires_at <= now + LONGEST_S:
            raise _invalid("The `expires_at` timestamp must be 30 minutes to 24 hours from now.", "expires_at")
        if currency != currency.lower() or len(currency) != 3:
            raise _invalid(f"Invalid currency: {currency}.", "line_items[0][price_data][currency]")
        session = objects.session(
            id=self._id("cs_test_"), now=now, amount=amount, currency=currency, expires_at=expires_at, params=params,
            base_url=self.base_url,
        )  # fmt: skip
        self.sessions[session["id"]] = session
        data = params.get("payment_intent_data", {})
        self._labels[session["id"]] = (data.get("metadata", {}), data.get("description"))
        self.items[session["id"]] = [
            objects.line_item(
                id=self._id("li_"), now=now, amount=amount, currency=currency, name=price["product_data"]["name"],
                product=self._id("prod_"), price=self._id("price_"),
            )
        ]  # fmt: skip
        return session

    def expire_session(self, id: str) -> Json:
        """POST …/expire, and what time does by itself. Raises StripeError 400 when it is over already."""
        session = self.find(self.sessions, id, "checkout.session")
        if session["status"] != "open":
            raise _invalid(f"Only an open Checkout Session can be expired; this one is {session['status']}.")
        session.update(status="expired", url=None)
        self._tell("checkout.session.expired", session)
        return session

    def create_refund(self, params: Json) -> Json:
        """POST /v1/refunds. Raises StripeError 400 for more than is left, 404 for what does not exist."""
        if params.get("charge"):
            charge = self.find(self.charges, params["charge"], "charge")
        else:
            intent = self.find(self.intents, params.get("payment_intent", ""), "payment_intent")
            charge = self.find(self.charges, intent["latest_charge"] or "", "charge")
        if charge["refunded"]:
            message = f"Charge {charge['id']} has already been refunded."
            raise StripeError(400, "invalid_request_error", message, code="charge_already_refunded")
        left = charge["amount_captured"] - charge["amount_refunded"]
        amount = _positive(params.get("amount", str(left)), "amount")
        if amount > left:
            raise _invalid(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", "amount")
        id = self._id("re_")
        transaction = self._move(-amount, 0, charge["currency"], id, "refund", "refund")
        refund = objects.refund(
            id=id, now=self._now(), charge=charge, amount=amount, reason=params.get("reason"),
            metadata=params.get("metadata", {}), transaction=transaction,
        )  # fmt: skip
        self.refunds[id] = refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self._tell("charge.refunded", charge)
        self._tell("refund.created", refund)
        self._tell("refund.updated", refund)
        return refund

    def find(self, table: dict[str, Json], id: str, name: str) -> Json:
        """An object by id. Raises StripeError 404."""
        if id not in table:
            raise StripeError(
                404, "invalid_request_error", f"No such {name}: '{id}'", code="resource_missing", param="id"
            )
        return table[id]

    # What buyers and banks do, for tests and for the hosted page.

    def pay(self, session_id: str, method: str = "card") -> Json:
        """The buyer pays and the money is there."""
        with self.lock:
            session = self._confirm(session_id)
            self._succeed(session, method)
            self._tell("checkout.session.completed", session)
            return copy.deepcopy(session)

    def pay_later(self, session_id: str, method: str = "alipay") -> Json:
        """The buyer chose a method that settles afterwards: the session is complete and not paid."""
        with self.lock:
            session = self._confirm(session_id)
            intent = self.intents[session["payment_intent"]]
            charge = self._charge(intent, method, "pending", None)
            intent["latest_charge"] = charge["id"]
            self._tell("checkout.session.completed", session)
            return copy.deepcopy(session)

    def settle(self, session_id: str) -> None:
        """The money of `pay_later` came."""
        with self.lock:
            session = self.sessions[session_id]
            intent = self.intents[session["payment_intent"]]
            method = self.charges[intent["latest_charge"]]["payment_method_details"]["type"]
            self._succeed(session, method)
            self._tell("checkout.session.async_payment_succeeded", session)

    def fail(self, session_id: str) -> None:
        """The money of `pay_later` will not come."""
        with self.lock:
            session = self.sessions[session_id]
            intent = self.intents[session["payment_intent"]]
            charge = self.charges[intent["latest_charge"]]
            charge.update(status="failed", paid=False, failure_code="payment_method_provider_decline")
            intent["status"] = "requires_payment_method"
            self._tell("checkout.session.async_payment_failed", session)

    def dispute(self, session_id: str, fee: int = 1500) -> Json:
        """The buyer's bank takes the money of a paid session, and Stripe a fee."""
        with self.lock:
            charge = self._charge_of(session_id)
            id = self._id("du_")
            taken = self._move(-charge["amount"], fee, charge["currency"], id, "adjustment", "dispute")
            charge["disputed"] = True
            transactions = [self.transactions[taken]]
            self.disputes[id] = objects.dispute(id=id, now=self._now(), charge=charge, transactions=transactions)
            self._tell("charge.dispute.created", self.disputes[id])
            return copy.deepcopy(self.disputes[id])

    def close_dispute(self, id: str, *, won: bool) -> None:
        """The bank decides; a dispute that was won gives the money back."""
        with self.lock:
            dispute = self.disputes[id]
            dispute["status"] = "won" if won else "lost"
            if won:
                given = self._move(dispute["amount"], 0, dispute["currency"], id, "adjustment", "dispute_reversal")
                dispute["balance_transactions"].append(self.transactions[given])
            self._tell("charge.dispute.closed", dispute)

    def return_refund(self, id: str) -> None:
        """The buyer's bank would not take a refund: the money is the merchant's again."""
        with self.lock:
            refund = self.refunds[id]
            back = self._move(refund["amount"], 0, refund["currency"], id, "refund_failure", "refund_failure")
            refund.update(status="failed", failure_reason="lost_or_stolen_card", failure_balance_transaction=back)
            charge = self.charges[refund["charge"]]
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self._tell("refund.updated", refund)
            self._tell("refund.failed", refund)

    def _confirm(self, session_id: str) -> Json:
        session = self.find(self.sessions, session_id, "checkout.session")
        if session["status"] != "open":
            raise _invalid(f"This Checkout Session is {session['status']}.")
        metadata, description = self._labels[session_id]
        intent = objects.payment_intent(
            id=self._id("pi_"), now=self._now(), amount=session["amount_total"], currency=session["currency"],
            metadata=metadata, description=description,
        )  # fmt: skip
        self.intents[intent["id"]] = intent
        session.update(payment_intent=intent["id"], status="complete", url=None)
        session["customer_details"] = {
            "address": dict(objects.NO_ADDRESS), "business_name": None, "email": "buyer@example.com",
            "individual_name": None, "name": None, "phone": None, "tax_exempt": "none", "tax_ids": [],
        }  # fmt: skip
        return session

    def _succeed(self, session: Json, method: str) -> None:
        intent = self.intents[session["payment_intent"]]
        id = self._id("ch_")
        amount = intent["amount"]
        fee = int((amount * FEE_RATE).to_integral_value(ROUND_HALF_UP)) + FEE_FIXED
        transaction = self._move(amount, fee, intent["currency"], id, "charge", "charge")
        self._charge(intent, method, "succeeded", transaction, id)
        intent.update(status="succeeded", amount_received=amount, latest_charge=id, payment_method="pm_1Fake")
        session["payment_status"] = "paid"

    def _charge(self, intent: Json, method: str, status: str, transaction: str | None, id: str = "") -> Json:
        charge = objects.charge(
            id=id or self._id("ch_"),
            now=self._now(),
            intent=intent,
            method=method,
            status=status,
            transaction=transaction,
        )
        self.charges[charge["id"]] = charge
        return charge

    def _charge_of(self, session_id: str) -> Json:
        return self.charges[self.intents[self.sessions[session_id]["payment_intent"]]["latest_charge"]]

    def _move(self, amount: int, fee: int, currency: str, source: str, type: str, category: str) -> str:
        """A balance transaction, in the currency that the account settles in; its id."""
        rate = None
        if self.settles_in and self.settles_in != currency:
            amount = int((amount * self.rate).to_integral_value(ROUND_HALF_UP))
            fee = int((fee * self.rate).to_integral_value(ROUND_HALF_UP))
            currency, rate = self.settles_in, float(self.rate)
        id = self._id("txn_")
        self.transactions[id] = objects.balance_transaction(
            id=id, now=self._now(), amount=amount, fee=fee, currency=currency, source=source, type=type,
            category=category, rate=rate,
        )  # fmt: skip
        return id

    def _tell(self, type: str, item: Json) -> None:
        id = self._id("evt_")
        self.events[id] = envelopes.event(id=id, now=self._now(), type=type, item=copy.deepcopy(item))

    def _id(self, prefix: str) -> str:
        return f"{prefix}Fake{next(_NUMBERS):012d}"

    def _now(self) -> int:
        return int(self._clock())


def _invalid(message: str, param: str | None = None, *, code: str | None = None) -> StripeError:
    return StripeError(400, "invalid_request_error", message, code=code, param=param)


def _positive(text: Any, param: str) -> int:
    if not isinstance(text, str) or not text.isascii() or not text.isdigit():
        raise _invalid(f"Invalid integer: {text}", param, code="parameter_invalid_integer")
    if int(text) < 1:
        raise _invalid("This value must be greater than or equal to 1.", param, code="parameter_invalid_integer")
    return int(text)
