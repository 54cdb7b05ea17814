"""What subscriptions are for, and how their price is changed: prorations by the second, shown before, charged after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import billing_objects
from .errors import invalid, whole
from .invoicing import Invoicing, refuse_unknown
from .objects import Json
from .proration import next_end, remaining_share

if TYPE_CHECKING:
    from .state import Merchant

CHANGE = {"items", "proration_behavior", "proration_date", "payment_behavior"}


@dataclass(frozen=True)
class Change:
    """What another price would do to a subscription at `at`: `items` are its prorations.

    `resets`: its interval is another one, so that a new period begins now and is charged in full.
    """

    price: Json
    at: int
    items: list[Json]
    resets: bool


class Changing(Invoicing):
    """Products, prices and the subscriptions that are for them."""

    def __init__(self, merchant: Merchant) -> None:
        super().__init__(merchant)
        self.products: dict[str, Json] = {}
        self.prices: dict[str, Json] = {}
        self.subscriptions: dict[str, Json] = {}

    def create_product(self, params: Json) -> Json:
        """POST /v1/products."""
        refuse_unknown(params, {"id", "name", "metadata"})
        if not params.get("name"):
            raise invalid("Missing required param: name.", "name", code="parameter_missing")
        if params.get("id") in self.products:
            raise invalid("Product already exists.", "id", code="resource_already_exists")
        return self._product(params["name"], params.get("metadata", {}), params.get("id", ""))

    def preview(self, params: Json) -> Json:
        """POST /v1/invoices/create_preview of a change of price: the invoice that it would make, kept nowhere."""
        refuse_unknown(params, {"customer", "subscription", "subscription_details"})
        details = params.get("subscription_details", {})
        refuse_unknown(details, CHANGE - {"payment_behavior"})
        merchant = self.merchant
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

    def price_of(self, data: Json, param: str, subscription: Json) -> Json:
        """The price that a change asks for. Raises StripeError 400, 404."""
        refuse_unknown(data, {"currency", "product", "recurring", "unit_amount"})
        self.merchant.find(self.products, data.get("product", ""), "product")
        if data["currency"] != subscription["currency"]:
            message = (
                f"The price specified only supports `{data['currency']}`. This doesn't match the expected currency: "
                f"`{subscription['currency']}`."
            )
            raise invalid(message, f"{param}[currency]")
        return self._price(data, param, product=data["product"])

    def _apply(self, subscription: Json, params: Json) -> None:
        merchant, change = self.merchant, self._change(subscription, params)
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
        merchant, (item,) = self.merchant, subscription["items"]["data"]
        (asked,) = params["items"]
        refuse_unknown(asked, {"id", "price_data"})
        if asked.get("id") != item["id"]:
            raise invalid("One item, named by its id, is all that this fake covers.", "items[0][id]")
        price = self.price_of(asked["price_data"], "items[0][price_data]", subscription)
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

    def _end_from_now(self, price: Json) -> int:
        return next_end(self.merchant.now(), price["recurring"]["interval"], self.merchant.now())

    def _period_line(self, subscription: Json, item: Json, start: int, end: int) -> Json:
        price, trial = item["price"], subscription["trial_end"] is not None and start < subscription["trial_end"]
        name, amount = self.products[price["product"]]["name"], price["unit_amount"] / 100
        words = (
            f"Free trial for 1 × {name}"
            if trial
            else f"1 × {name} (at {amount:.2f} / {price['recurring']['interval']})"
        )
        holder = {**subscription, "items": {"data": [item]}}
        return billing_objects.line_of_period(
            id=self.merchant.new_id("il_"), subscription=holder, amount=0 if trial else price["unit_amount"],
            description=words, start=start, end=end,
        )  # fmt: skip

    def _item(
        self, customer: str, currency: str, amount: int, description: str | None, start: int, end: int, *,
        subscription: str | None = None, price: Json | None = None, proration: bool = False,
        metadata: Json | None = None, keep: bool = False,
    ) -> Json:  # fmt: skip
        item = billing_objects.invoice_item(
            id=self.merchant.new_id("ii_"), now=self.merchant.now(), customer=customer, currency=currency,
            amount=amount, description=description, start=start, end=end, subscription=subscription, price=price,
            proration=proration, metadata=metadata or {},
        )  # fmt: skip
        if keep:
            self.items[item["id"]] = item
        return item

    def _product(self, name: str, metadata: Json, id: str = "") -> Json:
        id = id or self.merchant.new_id("prod_")
        self.products[id] = billing_objects.product(id=id, now=self.merchant.now(), name=name, metadata=metadata)
        return self.products[id]

    def _price_of_line(self, line: Json, param: str) -> Json:
        refuse_unknown(line, {"quantity", "price_data"})
        if line.get("quantity") != "1":
            raise invalid("One of each is all that this fake covers.", f"{param}[quantity]")
        data = line["price_data"]
        refuse_unknown(data, {"currency", "product", "product_data", "recurring", "unit_amount"})
        if "product" in data:
            product = self.merchant.find(self.products, data["product"], "product")
        else:
            refuse_unknown(data["product_data"], {"name", "metadata"})
            product = self._product(data["product_data"]["name"], data["product_data"].get("metadata", {}))
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
            id=self.merchant.new_id("price_"), now=self.merchant.now(), currency=currency, product=product,
            amount=whole(data.get("unit_amount"), f"{param}[unit_amount]", least=0), interval=interval,
        )  # fmt: skip
