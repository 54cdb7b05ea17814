"""Stripe Billing of one merchant: Checkout in mode `subscription`, subscriptions and what time makes of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import billing_objects, objects
from .errors import invalid, whole
from .invoicing import DRAFT_S, Invoicing, refuse_unknown
from .objects import Json
from .proration import DAY, next_end, remaining_share

if TYPE_CHECKING:
    from .state import Merchant

RENEWING = ("trialing", "active", "past_due")
_CHANGE = {"items", "proration_behavior", "proration_date", "payment_behavior"}


@dataclass(frozen=True)
class Change:
    """What another price would do to a subscription at `at`: `items` are its prorations.

    `resets`: its interval is another one, so that a new period begins now and is charged in full.
    """

    price: Json
    at: int
    items: list[Json]
    resets: bool


class Billing(Invoicing):
    """Tables and rules. `decline` and `accept` are the customer's card; `catch_up` is time."""

    def __init__(self, merchant: Merchant) -> None:
        super().__init__(merchant)
        self.products: dict[str, Json] = {}
        self.prices: dict[str, Json] = {}
        self.subscriptions: dict[str, Json] = {}
        self.portals: dict[str, Json] = {}
        self.after_retries = "past_due"  # The account's setting: past_due, unpaid or canceled.
        self._checkouts: dict[str, tuple[list[Json], Json]] = {}  # Session: its prices, and subscription_data.

    # What the API does.

    def create_customer(self, params: Json) -> Json:
        """POST /v1/customers."""
        refuse_unknown(params, {"email", "name", "metadata", "phone", "description", "preferred_locales"})
        id = self._merchant.new_id("cus_")
        self.customers[id] = billing_objects.customer(id=id, now=self._merchant.now(), params=params)
        self._merchant.tell("customer.created", self.customers[id])
        return self.customers[id]

    def create_product(self, params: Json) -> Json:
        """POST /v1/products."""
        refuse_unknown(params, {"name", "metadata"})
        if not params.get("name"):
            raise invalid("Missing required param: name.", "name", code="parameter_missing")
        return self._product(params["name"], params.get("metadata", {}))

    def create_session(self, params: Json) -> Json:
        """POST /v1/checkout/sessions in mode `subscription`. Raises StripeError 400."""
        merchant, now = self._merchant, self._merchant.now()
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
        merchant = self._merchant
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
        refuse_unknown(params, {*_CHANGE, "cancel_at_period_end", "metadata", "cancellation_details"})
        subscription = self._merchant.find(self.subscriptions, id, "subscription")
        if subscription["status"] == "canceled":
            message = "A canceled subscription can only update its cancellation_details and metadata."
            raise invalid(message, code="resource_missing")
        if "items" in params:
            self._apply(subscription, params)
        if "metadata" in params:
            subscription["metadata"].update(params["metadata"])
        if "cancel_at_period_end" in params:
            self._end_later(subscription, params["cancel_at_period_end"] == "true")
        self._merchant.tell("customer.subscription.updated", subscription)
        return subscription

    def cancel_subscription(self, id: str, params: Json) -> Json:
        """DELETE /v1/subscriptions/{id}: at once, without credit. Raises StripeError 404 for one that has ended."""
        refuse_unknown(params, set())
        subscription = self._merchant.find(self.subscriptions, id, "subscription")
        if subscription["status"] == "canceled":
            raise self._merchant.not_found("subscription", id)
        self._end(subscription, "cancellation_requested")
        return subscription

    def preview(self, params: Json) -> Json:
        """POST /v1/invoices/create_preview of a change of price: the invoice that it would make, kept nowhere."""
        refuse_unknown(params, {"customer", "subscription", "subscription_details"})
        details = params.get("subscription_details", {})
        refuse_unknown(details, _CHANGE - {"payment_behavior"})
        merchant = self._merchant
        subscription = merchant.find(self.subscriptions, params.get("subscription", ""), "subscription")
        (item,) = subscription["items"]["data"]
        waiting = self.pending_items(subscription["customer"])
        lines, start, end = [], item["current_period_start"], item["current_period_end"]
        behavior, at = details.get("proration_behavior", "create_prorations"), None
        renews = True
        if "items" in details:
            change = self._change(subscription, details)
            at, renews = change.at, behavior != "always_invoice" and not change.resets
            waiting = waiting + change.items
            item = {**item, "price": change.price}
            start, end = merchant.now(), merchant.now()
            if change.resets:
                lines = [self._period_line(subscription, item, merchant.now(), self._end_from_now(change.price))]
        if renews:
            after = next_end(
                subscription["billing_cycle_anchor"], item["price"]["recurring"]["interval"], item["current_period_end"]
            )
            lines = [self._period_line(subscription, item, item["current_period_end"], after)]
        lines = [
            billing_objects.line_of_item(id=merchant.new_id("il_tmp_"), item=waiting_item) for waiting_item in waiting
        ] + lines
        invoice = billing_objects.invoice(
            id=merchant.new_id("upcoming_in_"), now=merchant.now(), customer=self.customers[subscription["customer"]],
            subscription=subscription, reason="upcoming" if renews else "subscription_update", lines=lines,
            start=start, end=end, proration_date=at,
        )  # fmt: skip
        due = max(invoice["total"] + invoice["starting_balance"], 0)
        invoice.update(amount_due=due, amount_remaining=due)
        return invoice

    def create_portal(self, params: Json) -> Json:
        """POST /v1/billing_portal/sessions."""
        refuse_unknown(params, {"customer", "return_url", "locale"})
        merchant = self._merchant
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
        merchant, now = self._merchant, self._merchant.now()
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
        merchant, until = self._merchant, self._merchant.now()
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
        before, start = item["current_period_start"], item["current_period_end"]
        end = next_end(subscription["billing_cycle_anchor"], item["price"]["recurring"]["interval"], start)
        item.update(current_period_start=start, current_period_end=end)
        if subscription["status"] == "trialing":
            subscription["status"] = "active"
        invoice = self.draft(
            subscription, reason="subscription_cycle", lines=[self._period_line(subscription, item, start, end)],
            items=self.pending_items(subscription["customer"]), start=before, end=start,
        )  # fmt: skip
        invoice["automatically_finalizes_at"] = self._merchant.now() + DRAFT_S
        self._merchant.tell("customer.subscription.updated", subscription)

    def _paid(self, invoice: Json) -> None:
        subscription = self.subscription_of(invoice)
        if subscription["latest_invoice"] == invoice["id"] and subscription["status"] in ("past_due", "unpaid"):
            subscription["status"] = "active"
            self._merchant.tell("customer.subscription.updated", subscription)

    def _missed(self, invoice: Json) -> None:
        subscription, last = self.subscription_of(invoice), invoice["next_payment_attempt"] is None
        if subscription["status"] == "canceled":
            return
        if last and self.after_retries == "canceled":
            self._end(subscription, "payment_failed")
            return
        subscription["status"] = self.after_retries if last else "past_due"
        self._merchant.tell("customer.subscription.updated", subscription)

    def subscription_of(self, invoice: Json) -> Json:
        """The subscription that an invoice is for."""
        return self.subscriptions[invoice["parent"]["subscription_details"]["subscription"]]

    # How a price is changed.

    def _apply(self, subscription: Json, params: Json) -> None:
        merchant, change = self._merchant, self._change(subscription, params)
        behavior = params.get("proration_behavior", "create_prorations")
        if params.get("payment_behavior", "allow_incomplete") not in ("allow_incomplete", "error_if_incomplete"):
            raise invalid("This payment_behavior is not covered by the fake.", "payment_behavior")
        (item,) = subscription["items"]["data"]
        now = merchant.now()
        bills = change.resets or (behavior == "always_invoice" and bool(change.items))
        due = sum(waiting["amount"] for waiting in change.items) + (change.price["unit_amount"] if change.resets else 0)
        due += sum(waiting["amount"] for waiting in self.pending_items(subscription["customer"]))
        due += self.customers[subscription["customer"]]["balance"]
        if bills and due > 0 and params.get("payment_behavior") == "error_if_incomplete":
            self.refuse_declining(subscription["customer"])  # Before anything is changed: that is its meaning.
        self.prices[change.price["id"]] = change.price
        item.update(price=change.price, plan=billing_objects.plan(change.price))
        lines = []
        if change.resets:
            end = self._end_from_now(change.price)
            item.update(current_period_start=now, current_period_end=end)
            subscription["billing_cycle_anchor"] = now
            lines = [self._period_line(subscription, item, now, end)]
        for waiting in change.items:
            self.items[waiting["id"]] = waiting
        if bills:
            invoice = self.draft(
                subscription, reason="subscription_update", lines=lines, start=now, end=now,
                items=self.pending_items(subscription["customer"]), proration_date=change.at,
            )  # fmt: skip
            self.finalize(invoice)

    def _change(self, subscription: Json, params: Json) -> Change:
        merchant, (item,) = self._merchant, subscription["items"]["data"]
        (asked,) = params["items"]
        refuse_unknown(asked, {"id", "price_data"})
        if asked.get("id") != item["id"]:
            raise invalid("One item, named by its id, is all that this fake covers.", "items[0][id]")
        if subscription["cancel_at_period_end"] and params.get("payment_behavior") == "pending_if_incomplete":
            raise invalid("This payment_behavior is not covered by the fake.", "payment_behavior")
        data = asked["price_data"]
        refuse_unknown(data, {"currency", "product", "recurring", "unit_amount"})
        merchant.find(self.products, data.get("product", ""), "product")
        if data["currency"] != subscription["currency"]:
            message = (
                f"The price specified only supports `{data['currency']}`. This doesn't match the expected currency: "
                f"`{subscription['currency']}`."
            )
            raise invalid(message, "items[0][price_data][currency]")
        price = self._price(data, "items[0][price_data]", product=data["product"])
        start, end = item["current_period_start"], item["current_period_end"]
        at = int(params.get("proration_date", merchant.now()))
        if not start <= at <= end:
            raise invalid("Cannot specify a proration date outside of the current billing period.", "proration_date")
        old = item["price"]
        if subscription["status"] == "trialing":
            return Change(price, at, [], False)
        resets = price["recurring"]["interval"] != old["recurring"]["interval"]
        behavior = params.get("proration_behavior", "create_prorations")
        if behavior not in ("always_invoice", "create_prorations", "none"):
            raise invalid(f"Invalid proration_behavior: {behavior}", "proration_behavior")
        items: list[Json] = []
        if behavior != "none":
            unused = -remaining_share(old["unit_amount"], start=start, end=end, at=at)
            items.append(self._proration(subscription, old, unused, "Unused time on", at, end))
            if not resets:
                rest = remaining_share(price["unit_amount"], start=start, end=end, at=at)
                items.append(self._proration(subscription, price, rest, "Remaining time on", at, end))
        return Change(price, at, items, resets)

    def _proration(self, subscription: Json, price: Json, amount: int, words: str, start: int, end: int) -> Json:
        name = self.products[price["product"]]["name"]
        return self._item(
            subscription["customer"], price["currency"], amount, f"{words} {name}", start, end,
            subscription=subscription["id"], price=price, proration=True,
        )  # fmt: skip

    # Rows.

    def _end_later(self, subscription: Json, ends: bool) -> None:
        end = subscription["items"]["data"][0]["current_period_end"]
        subscription.update(
            cancel_at_period_end=ends, cancel_at=end if ends else None,
            canceled_at=self._merchant.now() if ends else None,
        )  # fmt: skip
        subscription["cancellation_details"]["reason"] = "cancellation_requested" if ends else None

    def _end(self, subscription: Json, reason: str) -> None:
        now = self._merchant.now()
        subscription.update(status="canceled", canceled_at=subscription["canceled_at"] or now, ended_at=now)
        subscription["cancellation_details"]["reason"] = reason
        for invoice in self.invoices.values():  # Stripe stops collecting what is open.
            if self.subscription_of(invoice) is subscription and invoice["status"] in ("draft", "open"):
                invoice.update(auto_advance=False, next_payment_attempt=None, automatically_finalizes_at=None)
        self._merchant.tell("customer.subscription.deleted", subscription)

    def _end_from_now(self, price: Json) -> int:
        return next_end(self._merchant.now(), price["recurring"]["interval"], self._merchant.now())

    def _period_line(self, subscription: Json, item: Json, start: int, end: int) -> Json:
        price, trial = item["price"], subscription["trial_end"] is not None and start < subscription["trial_end"]
        name, amount = self.products[price["product"]]["name"], price["unit_amount"] / 100
        words = f"Free trial for 1 × {name}" if trial else f"1 × {name} (at {amount:.2f} / {price['recurring']['interval']})"
        holder = {**subscription, "items": {"data": [item]}}
        return billing_objects.line_of_period(
            id=self._merchant.new_id("il_"), subscription=holder, amount=0 if trial else price["unit_amount"],
            description=words, start=start, end=end,
        )  # fmt: skip

    def _item(
        self, customer: str, currency: str, amount: int, description: str | None, start: int, end: int, *,
        subscription: str | None = None, price: Json | None = None, proration: bool = False,
        metadata: Json | None = None, keep: bool = False,
    ) -> Json:  # fmt: skip
        item = billing_objects.invoice_item(
            id=self._merchant.new_id("ii_"), now=self._merchant.now(), customer=customer, currency=currency,
            amount=amount, description=description, start=start, end=end, subscription=subscription, price=price,
            proration=proration, metadata=metadata or {},
        )  # fmt: skip
        if keep:
            self.items[item["id"]] = item
        return item

    def _product(self, name: str, metadata: Json) -> Json:
        id = self._merchant.new_id("prod_")
        self.products[id] = billing_objects.product(id=id, now=self._merchant.now(), name=name, metadata=metadata)
        return self.products[id]

    def _price_of_line(self, line: Json, param: str) -> Json:
        refuse_unknown(line, {"quantity", "price_data"})
        if line.get("quantity") != "1":
            raise invalid("One of each is all that this fake covers.", f"{param}[quantity]")
        data = line["price_data"]
        refuse_unknown(data, {"currency", "product_data", "recurring", "unit_amount"})
        product = self._product(data["product_data"]["name"], {})
        price = self._price(data, f"{param}[price_data]", product=product["id"])
        self.prices[price["id"]] = price
        return price

    def _price(self, data: Json, param: str, *, product: str) -> Json:
        currency: Any = data.get("currency", "")
        if currency != currency.lower() or len(currency) != 3:
            raise invalid(f"Invalid currency: {currency}.", f"{param}[currency]")
        interval = data.get("recurring", {}).get("interval")
        if "recurring" in data and interval not in ("day", "week", "month", "year"):
            raise invalid("Invalid recurring[interval].", f"{param}[recurring][interval]")
        return billing_objects.price(
            id=self._merchant.new_id("price_"), now=self._merchant.now(), currency=currency, product=product,
            amount=whole(data.get("unit_amount"), f"{param}[unit_amount]", least=0), interval=interval,
        )  # fmt: skip

    def _session_line(self, price: Json, trial: bool) -> Json:
        amount = 0 if trial and price["recurring"] else price["unit_amount"]
        line = objects.line_item(
            id=self._merchant.new_id("li_"), now=self._merchant.now(), amount=amount, currency=price["currency"],
            name=self.products[price["product"]]["name"], product=price["product"], price=price["id"],
        )  # fmt: skip
        line["price"] = price
        return line
