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
from .billing import Billing
from .errors import StripeError, invalid, whole
from .objects import Json

FEE_RATE, FEE_FIXED = Decimal("0.029"), 30  # Stripe's published price in the United States.
_NUMBERS = itertools.count(1)  # Ids are unique among all merchants, as Stripe's are.
SHORTEST_S, LONGEST_S = 30 * 60, 24 * 3600


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
        self.moment: int | None = None  # While time is being caught up with: the moment that is being lived through.
        self._clock = clock
        self.billing = Billing(self)

    # What the API does.

    def create_session(self, params: Json) -> Json:
        """POST /v1/checkout/sessions. Raises StripeError 400."""
        if params.get("mode") not in ("payment", "subscription"):
            raise invalid("mode must be payment or subscription here.", "mode")
        for name in ("success_url", "line_items"):
            if not params.get(name):
                raise invalid(f"Missing required param: {name}.", name, code="parameter_missing")
        if params["mode"] == "subscription":
            session = self.billing.create_session(params)
            self.sessions[session["id"]] = session
            return session
        (line,) = params["line_items"]
        price = line["price_data"]
        currency, amount = price["currency"], _amount(price["unit_amount"], "line_items[0][price_data][unit_amount]")
        now, expires_at = self.now(), self.session_end(params)
        if currency != currency.lower() or len(currency) != 3:
            raise invalid(f"Invalid currency: {currency}.", "line_items[0][price_data][currency]")
        session = objects.session(
            id=self.new_id("cs_test_"), now=now, amount=amount, currency=currency, expires_at=expires_at, params=params,
            base_url=self.base_url,
        )  # fmt: skip
        self.sessions[session["id"]] = session
        data = params.get("payment_intent_data", {})
        self._labels[session["id"]] = (data.get("metadata", {}), data.get("description"))
        self.items[session["id"]] = [
            objects.line_item(
                id=self.new_id("li_"), now=now, amount=amount, currency=currency, name=price["product_data"]["name"],
                product=self.new_id("prod_"), price=self.new_id("price_"),
            )
        ]  # fmt: skip
        return session

    def session_end(self, params: Json) -> int:
        """When a session that is made now expires. Raises StripeError 400."""
        now = self.now()
        expires_at = int(params.get("expires_at", now + LONGEST_S))
        if not now + SHORTEST_S <= expires_at <= now + LONGEST_S:
            raise invalid("The `expires_at` timestamp must be 30 minutes to 24 hours from now.", "expires_at")
        return expires_at

    def expire_session(self, id: str) -> Json:
        """POST …/expire, and what time does by itself. Raises StripeError 400 when it is over already."""
        session = self.find(self.sessions, id, "checkout.session")
        if session["status"] != "open":
            raise invalid(f"Only an open Checkout Session can be expired; this one is {session['status']}.")
        session.update(status="expired", url=None)
        self.tell("checkout.session.expired", session)
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
        amount = _amount(params.get("amount", str(left)), "amount")
        if amount > left:
            raise invalid(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", "amount")
        id = self.new_id("re_")
        transaction = self.move(-amount, 0, charge["currency"], id, "refund", "refund")
        refund = objects.refund(
            id=id, now=self.now(), charge=charge, amount=amount, reason=params.get("reason"),
            metadata=params.get("metadata", {}), transaction=transaction,
        )  # fmt: skip
        self.refunds[id] = refund
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
        self.tell("charge.refunded", charge)
        self.tell("refund.created", refund)
        self.tell("refund.updated", refund)
        return refund

    def find(self, table: dict[str, Json], id: str, name: str) -> Json:
        """An object by id. Raises StripeError 404."""
        if id not in table:
            raise self.not_found(name, id)
        return table[id]

    def not_found(self, name: str, id: str) -> StripeError:
        """The refusal for an object that is not there, or not any more."""
        return StripeError(404, "invalid_request_error", f"No such {name}: '{id}'", code="resource_missing", param="id")

    # What buyers and banks do, for tests and for the hosted page.

    def pay(self, session_id: str, method: str = "card") -> Json:
        """The buyer pays and the money is there."""
        with self.lock:
            session = self._confirm(session_id)
            if session["mode"] == "subscription":
                self.billing.complete(session)
                return copy.deepcopy(session)
            self._succeed(session, method)
            self.tell("checkout.session.completed", session)
            return copy.deepcopy(session)

    def pay_later(self, session_id: str, method: str = "alipay") -> Json:
        """The buyer chose a method that settles afterwards: the session is complete and not paid."""
        with self.lock:
            session = self._confirm(session_id)
            intent = self.intents[session["payment_intent"]]
            charge = self._charge(intent, method, "pending", None)
            intent["latest_charge"] = charge["id"]
            self.tell("checkout.session.completed", session)
            return copy.deepcopy(session)

    def settle(self, session_id: str) -> None:
        """The money of `pay_later` came."""
        with self.lock:
            session = self.sessions[session_id]
            intent = self.intents[session["payment_intent"]]
            method = self.charges[intent["latest_charge"]]["payment_method_details"]["type"]
            self._succeed(session, method)
            self.tell("checkout.session.async_payment_succeeded", session)

    def fail(self, session_id: str) -> None:
        """The money of `pay_later` will not come."""
        with self.lock:
            session = self.sessions[session_id]
            intent = self.intents[session["payment_intent"]]
            charge = self.charges[intent["latest_charge"]]
            charge.update(status="failed", paid=False, failure_code="payment_method_provider_decline")
            intent["status"] = "requires_payment_method"
            self.tell("checkout.session.async_payment_failed", session)

    def dispute(self, ref: str, fee: int = 1500) -> Json:
        """The payer's bank takes the money of a paid session or intent, and Stripe a fee."""
        with self.lock:
            charge = self._charge_of(ref)
            id = self.new_id("du_")
            taken = self.move(-charge["amount"], fee, charge["currency"], id, "adjustment", "dispute")
            charge["disputed"] = True
            transactions = [self.transactions[taken]]
            self.disputes[id] = objects.dispute(id=id, now=self.now(), charge=charge, transactions=transactions)
            self.tell("charge.dispute.created", self.disputes[id])
            return copy.deepcopy(self.disputes[id])

    def close_dispute(self, id: str, *, won: bool) -> None:
        """The bank decides; a dispute that was won gives the money back."""
        with self.lock:
            dispute = self.disputes[id]
            dispute["status"] = "won" if won else "lost"
            if won:
                given = self.move(dispute["amount"], 0, dispute["currency"], id, "adjustment", "dispute_reversal")
                dispute["balance_transactions"].append(self.transactions[given])
            self.tell("charge.dispute.closed", dispute)

    def return_refund(self, id: str) -> None:
        """The buyer's bank would not take a refund: the money is the merchant's again."""
        with self.lock:
            refund = self.refunds[id]
            back = self.move(refund["amount"], 0, refund["currency"], id, "refund_failure", "refund_failure")
            refund.update(status="failed", failure_reason="lost_or_stolen_card", failure_balance_transaction=back)
            charge = self.charges[refund["charge"]]
            charge["amount_refunded"] -= refund["amount"]
            charge["refunded"] = False
            self.tell("refund.updated", refund)
            self.tell("refund.failed", refund)

    def _confirm(self, session_id: str) -> Json:
        session = self.find(self.sessions, session_id, "checkout.session")
        if session["status"] != "open":
            raise invalid(f"This Checkout Session is {session['status']}.")
        if session["mode"] == "subscription":
            return session
        metadata, description = self._labels[session_id]
        intent = objects.payment_intent(
            id=self.new_id("pi_"), now=self.now(), amount=session["amount_total"], currency=session["currency"],
            metadata=metadata, description=description,
        )  # fmt: skip
        self.intents[intent["id"]] = intent
        session.update(payment_intent=intent["id"], status="complete", url=None)
        session["customer_details"] = {
            "address": dict(objects.NO_ADDRESS), "business_name": None, "email": "buyer@example.com",
            "individual_name": None, "name": None, "phone": None, "tax_exempt": "none", "tax_ids": [],
        }  # fmt: skip
        return session

    def collect(self, intent: Json, method: str) -> None:
        """The intent's money comes in, less Stripe's fee."""
        id = self.new_id("ch_")
        amount = intent["amount"]
        fee = int((amount * FEE_RATE).to_integral_value(ROUND_HALF_UP)) + FEE_FIXED
        transaction = self.move(amount, fee, intent["currency"], id, "charge", "charge")
        self._charge(intent, method, "succeeded", transaction, id)
        intent.update(status="succeeded", amount_received=amount, latest_charge=id, payment_method="pm_1Fake")
        intent["last_payment_error"] = None

    def decline(self, intent: Json, method: str) -> None:
        """The payer's bank says no."""
        charge = self._charge(intent, method, "failed", None)
        intent.update(status="requires_payment_method", latest_charge=charge["id"])
        intent["last_payment_error"] = {
            "charge": charge["id"], "code": "card_declined", "decline_code": "generic_decline",
            "message": "Your card was declined.", "type": "card_error",
        }  # fmt: skip

    def _succeed(self, session: Json, method: str) -> None:
        self.collect(self.intents[session["payment_intent"]], method)
        session["payment_status"] = "paid"

    def _charge(self, intent: Json, method: str, status: str, transaction: str | None, id: str = "") -> Json:
        charge = objects.charge(
            id=id or self.new_id("ch_"),
            now=self.now(),
            intent=intent,
            method=method,
            status=status,
            transaction=transaction,
        )
        self.charges[charge["id"]] = charge
        return charge

    def _charge_of(self, ref: str) -> Json:
        intent_id = self.sessions[ref]["payment_intent"] if ref in self.sessions else ref
        return self.charges[self.intents[intent_id]["latest_charge"]]

    def move(self, amount: int, fee: int, currency: str, source: str, type: str, category: str) -> str:
        """A balance transaction, in the currency that the account settles in; its id."""
        rate = None
        if self.settles_in and self.settles_in != currency:
            amount = int((amount * self.rate).to_integral_value(ROUND_HALF_UP))
            fee = int((fee * self.rate).to_integral_value(ROUND_HALF_UP))
            currency, rate = self.settles_in, float(self.rate)
        id = self.new_id("txn_")
        self.transactions[id] = objects.balance_transaction(
            id=id, now=self.now(), amount=amount, fee=fee, currency=currency, source=source, type=type,
            category=category, rate=rate,
        )  # fmt: skip
        return id

    def tell(self, type: str, item: Json) -> None:
        """An event around the object as it is now."""
        id = self.new_id("evt_")
        self.events[id] = envelopes.event(id=id, now=self.now(), type=type, item=copy.deepcopy(item))

    def new_id(self, prefix: str) -> str:
        """An id that nothing else has."""
        return f"{prefix}Fake{next(_NUMBERS):012d}"

    def now(self) -> int:
        """Unix seconds, of the moment that is being lived through."""
        return int(self._clock()) if self.moment is None else self.moment


def _amount(text: Any, param: str) -> int:
    return whole(text, param, least=1)
