"""Stripe Billing of one merchant: Checkout in mode `subscription`, subscriptions and what time makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import billing_objects, objects, schedules
from .changing import CHANGE, Changing
from .errors import invalid, whole
from .invoicing import DRAFT_S, refuse_unknown
from .objects import Json
from .proration import DAY, next_end

if TYPE_CHECKING:
    from .state import Merchant

RENEWING = ("trialing", "active", "past_due")


class Billing(Changing):
    """Tables and rules. `decline` and `accept` are the customer's card; `catch_up` is time."""

    def __init__(self, merchant: Merchant) -> None:
        super().__init__(merchant)
        self.schedules: dict[str, Json] = {}
        self.portals: dict[str, Json] = {}
        self.after_retries = "past_due"  # The account's setting: past_due, unpaid or canceled.
        self._checkouts: dict[str, tuple[list[Json], Json]] = {}  # Session: its prices, and subscription_data.

    # What the API does.

    def create_customer(self, params: Json) -> Json:
        """POST /v1/customers."""
        refuse_unknown(params, {"email", "name", "metadata", "phone", "description", "preferred_locales"})
        id = self.merchant.new_id("cus_")
        self.customers[id] = billing_objects.customer(id=id, now=self.merchant.now(), params=params)
        self.merchant.tell("customer.created", self.customers[id])
        return self.customers[id]

    def create_session(self, params: Json) -> Json:
        """POST /v1/checkout/sessions in mode `subscription`. Raises StripeError 400."""
        merchant, now = self.merchant, self.merchant.now()
        lines = params.get("line_items") or []
        prices = [self._price_of_line(line, f"line_items[{number}]") for number, line in enumerate(lines)]
        recurring = [price for price in prices if price["recurring"]]
        if not recurring:
            raise invalid("You must provide at least one recurring price in `subscription` mode.", "line_items")
        if len(recurring) > 1 or len({price["currency"] for price in prices}) > 1:
            raise invalid("One recurring price in one currency is all that this fake covers.", "line_items")
        data = params.get("subscription_data", {})
        refuse_unknown(data, {"trial_period_days", "metadata"})
        if data.get("trial_period_days") is not None:
            whole(data["trial_period_days"], "subscription_data[trial_period_days]", least=1)
        if params.get("customer"):
            merchant.find(self.customers, params["customer"], "customer")
        total = sum(price["unit_amount"] for price in prices)
        session = objects.session(
            id=merchant.new_id("cs_test_"), now=now, amount=total - (recurring[0]["unit_amount"] if "trial_period_days"
            in data else 0), currency=recurring[0]["currency"], expires_at=merchant.session_end(params), params=params,
            base_url=merchant.base_url,
        )  # fmt: skip
        session.update(
            mode="subscription", customer=params.get("customer"), invoice_creation=None, payment_method_types=["card"],
            customer_creation=None if params.get("customer") else "always", payment_method_collection="always",
            saved_payment_method_options={
                "allow_redisplay_filters": ["always"],
                "payment_method_remove": "disabled",
                "payment_method_save": None,
            },
        )  # fmt: skip
        self._checkouts[session["id"]] = (prices, data)
        merchant.items[session["id"]] = [self._session_line(price, "trial_period_days" in data) for price in prices]
        return session

    def create_invoice_item(self, params: Json) -> Json:
        """POST /v1/invoiceitems: a sum for the customer's next invoice, negative for a credit."""
        refuse_unknown(params, {"customer", "amount", "currency", "description", "subscription", "metadata"})
        merchant = self.merchant
        merchant.find(self.customers, params.get("customer", ""), "customer")
        amount = str(params.get("amount", ""))
        sign = -1 if amount.startswith("-") else 1
        return self._item(
            params["customer"], params["currency"], sign * whole(amount.removeprefix("-"), "amount", least=0),
            params.get("description"), merchant.now(), merchant.now(), subscription=params.get("subscription"),
            metadata=params.get("metadata", {}), keep=True,
        )  # fmt: skip

    def update_subscription(self, id: str, params: Json) -> Json:
        """POST /v1/subscriptions/{id}. Raises StripeError 400, and 402 for `error_if_incomplete` and a bad card."""
        refuse_unknown(params, {*CHANGE, "cancel_at_period_end", "metadata", "cancellation_details"})
        subscription = self.merchant.find(self.subscriptions, id, "subscription")
        if subscription["status"] == "canceled":
            message = "A canceled subscription can only update its cancellation_details and metadata."
            raise invalid(message, code="resource_missing")
        if subscription["schedule"] and "cancel_at_period_end" in params:
            message = (
                "The subscription is managed by a subscription schedule: its cancelation can't be updated directly."
            )
            raise invalid(message, "cancel_at_period_end")
        if "items" in params:
            self._apply(subscription, params)
        if "metadata" in params:
            subscription["metadata"].update(params["metadata"])
        if "cancel_at_period_end" in params:
            self._end_later(subscription, params["cancel_at_period_end"] == "true")
        self.merchant.tell("customer.subscription.updated", subscription)
        return subscription

    def cancel_subscription(self, id: str, params: Json) -> Json:
        """DELETE /v1/subscriptions/{id}: at once, without credit. Raises StripeError 404 for one that has ended."""
        refuse_unknown(params, set())
        subscription = self.merchant.find(self.subscriptions, id, "subscription")
        if subscription["status"] == "canceled":
            raise self.merchant.not_found("subscription", id)
        self._end(subscription, "cancellation_requested")
        return subscription

    def create_schedule(self, params: Json) -> Json:
        """POST /v1/subscription_schedules with `from_subscription`."""
        return schedules.create(self, params)

    def update_schedule(self, id: str, params: Json) -> Json:
        """POST /v1/subscription_schedules/{id}: the present phase and the one after it."""
        return schedules.update(self, self.merchant.find(self.schedules, id, "subscription_schedule"), params)

    def release_schedule(self, id: str, params: Json) -> Json:
        """POST /v1/subscription_schedules/{id}/release: the subscription goes on as it is."""
        refuse_unknown(params, set())
        return schedules.release(self, self.merchant.find(self.schedules, id, "subscription_schedule"))

    def create_portal(self, params: Json) -> Json:
        """POST /v1/billing_portal/sessions."""
        refuse_unknown(params, {"customer", "return_url", "locale"})
        merchant = self.merchant
        merchant.find(self.customers, params.get("customer", ""), "customer")
        id = merchant.new_id("bps_")
        self.portals[id] = billing_objects.portal_session(
            id=id, now=merchant.now(), customer=params["customer"], return_url=params.get("return_url"),
            base_url=merchant.base_url,
        )  # fmt: skip
        return self.portals[id]

    # What customers and time do.

    def complete(self, session: Json) -> None:
        """The customer fills in the hosted page. Raises StripeError 402 when the card is declined: nothing is made."""
        merchant, now = self.merchant, self.merchant.now()
        prices, data = self._checkouts[session["id"]]
        if session["customer"] is None:
            session["customer"] = self.create_customer({"email": session["customer_email"] or "buyer@example.com"})[
                "id"
            ]
        customer = self.customers[session["customer"]]
        if session["amount_total"]:
            self.refuse_declining(customer["id"])
        customer["invoice_settings"]["default_payment_method"] = billing_objects.METHOD
        (price,) = [price for price in prices if price["recurring"]]
        trial = int(data.get("trial_period_days", 0))
        id, end = merchant.new_id("sub_"), now + trial * DAY if trial else self._end_from_now(price)
        item = billing_objects.subscription_item(
            id=merchant.new_id("si_"), now=now, subscription=id, price=price, start=now, end=end
        )
        subscription = billing_objects.subscription(
            id=id, now=now, customer=customer["id"], currency=session["currency"], metadata=data.get("metadata", {}),
            item=item, trial_end=end if trial else None,
        )  # fmt: skip
        self.subscriptions[id] = subscription
        fees = [
            self._item(customer["id"], once["currency"], once["unit_amount"], self.products[once["product"]]["name"], now,
                       now, subscription=id, price=once, keep=True)
            for once in prices if not once["recurring"]
        ]  # fmt: skip
        invoice = self.draft(
            subscription, reason="subscription_create", lines=[self._period_line(subscription, item, now, end)],
            items=fees, start=now, end=now,
        )  # fmt: skip
        session.update(
            status="complete", url=None, subscription=id, invoice=invoice["id"],
            payment_status="paid" if session["amount_total"] else "no_payment_required",
        )  # fmt: skip
        merchant.tell("checkout.session.completed", session)
        merchant.tell("customer.subscription.created", subscription)
        self.finalize(invoice)

    def decline(self, customer: str) -> None:
        """From now on the customer's card is declined."""
        self.declining.add(customer)

    def accept(self, customer: str) -> None:
        """The customer has a card that works. Open invoices wait for the next try, or for `pay_invoice`."""
        self.declining.discard(customer)

    def catch_up(self) -> None:
        """Everything that time has brought since: renewals, ends, drafts that become invoices, tries of cards."""
        merchant, until = self.merchant, self.merchant.now()
        with merchant.lock:
            try:
                while (due := self._next_due()) is not None and due[0] <= until:
                    merchant.moment = due[0]
                    due[2]()
            finally:
                merchant.moment = None

    def _next_due(self) -> tuple[int, str, Callable[[], None]] | None:
        found: list[tuple[int, str, Callable[[], None]]] = []
        for subscription in self.subscriptions.values():
            if subscription["status"] in RENEWING:
                end = subscription["items"]["data"][0]["current_period_end"]
                found.append((end, subscription["id"], lambda s=subscription: self._renew(s)))  # type: ignore[misc]
        for invoice in self.invoices.values():
            if invoice["automatically_finalizes_at"] is not None:
                at = invoice["automatically_finalizes_at"]
                found.append((at, invoice["id"], lambda i=invoice: self.finalize(i)))  # type: ignore[misc]
            elif invoice["next_payment_attempt"] is not None:
                at = invoice["next_payment_attempt"]
                found.append((at, invoice["id"], lambda i=invoice: self.attempt(i)))  # type: ignore[misc]
        return min(found, key=lambda due: due[:2], default=None)

    def _renew(self, subscription: Json) -> None:
        if subscription["cancel_at_period_end"]:
            self._end(subscription, "cancellation_requested")
            return
        (item,) = subscription["items"]["data"]
        schedules.enter_phase(self, subscription)
        before, start = item["current_period_start"], item["current_period_end"]
        end = next_end(subscription["billing_cycle_anchor"], item["price"]["recurring"]["interval"], start)
        item.update(current_period_start=start, current_period_end=end)
        if subscription["status"] == "trialing":
            subscription["status"] = "active"
        invoice = self.draft(
            subscription, reason="subscription_cycle", lines=[self._period_line(subscription, item, start, end)],
            items=self.pending_items(subscription["customer"]), start=before, end=start,
        )  # fmt: skip
        invoice["automatically_finalizes_at"] = self.merchant.now() + DRAFT_S
        self.merchant.tell("customer.subscription.updated", subscription)

    def _paid(self, invoice: Json) -> None:
        subscription = self.subscription_of(invoice)
        if subscription["latest_invoice"] == invoice["id"] and subscription["status"] in ("past_due", "unpaid"):
            subscription["status"] = "active"
            self.merchant.tell("customer.subscription.updated", subscription)

    def _missed(self, invoice: Json) -> None:
        subscription, last = self.subscription_of(invoice), invoice["next_payment_attempt"] is None
        if subscription["status"] == "canceled":
            return
        if last and self.after_retries == "canceled":
            self._end(subscription, "payment_failed")
            return
        subscription["status"] = self.after_retries if last else "past_due"
        self.merchant.tell("customer.subscription.updated", subscription)

    def subscription_of(self, invoice: Json) -> Json:
        """The subscription that an invoice is for."""
        return self.subscriptions[invoice["parent"]["subscription_details"]["subscription"]]

    def _session_line(self, price: Json, trial: bool) -> Json:
        amount = 0 if trial and price["recurring"] else price["unit_amount"]
        line = objects.line_item(
            id=self.merchant.new_id("li_"), now=self.merchant.now(), amount=amount, currency=price["currency"],
            name=self.products[price["product"]]["name"], product=price["product"], price=price["id"],
        )  # fmt: skip
        line["price"] = price
        return line

    def _end_later(self, subscription: Json, ends: bool) -> None:
        end = subscription["items"]["data"][0]["current_period_end"]
        subscription.update(
            cancel_at_period_end=ends, cancel_at=end if ends else None,
            canceled_at=self.merchant.now() if ends else None,
        )  # fmt: skip
        subscription["cancellation_details"]["reason"] = "cancellation_requested" if ends else None

    def _end(self, subscription: Json, reason: str) -> None:
        now = self.merchant.now()
        subscription.update(status="canceled", canceled_at=subscription["canceled_at"] or now, ended_at=now)
        subscription["cancellation_details"]["reason"] = reason
        if subscription["schedule"]:
            self.schedules[subscription["schedule"]].update(status="canceled", canceled_at=now)
        for invoice in self.invoices.values():  # Stripe stops collecting what is open.
            if self.subscription_of(invoice) is subscription and invoice["status"] in ("draft", "open"):
                invoice.update(auto_advance=False, next_payment_attempt=None, automatically_finalizes_at=None)
        self.merchant.tell("customer.subscription.deleted", subscription)
