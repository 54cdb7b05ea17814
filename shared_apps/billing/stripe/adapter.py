"""The contract of `shared_apps.billing.channel` spoken to Stripe Billing.

Prices are made with each subscription (`price_data`), of one product for each plan: a plan's price is ours to change,
and what a shop has agreed to stays with its subscription. What our words mean at Stripe stands in metadata: `plan` and
`reference` on session and subscription, `kind` on the products of fees that are paid once.

The account's setting for cards that keep failing must be "leave the subscription past due": how long a shop goes on
unpaid is ours to say (dunning), and a subscription that Stripe ended can't be paid any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.utils import translation
from django.utils.translation import gettext as _

from kameng.lib.outside import http
from kameng.lib.outside.refusals import ChannelRefused, from_timestamp
from kameng.lib.outside.stripe import NAME, client_for, fetched, our_errors, verified_event
from shared_apps.billing.channel import BillingEvent, CheckoutState, HostedPage, InvoiceState, SubscriptionState
from shared_apps.billing.stripe import _reading
from shared_apps.receipts.types import AccountInfo

if TYPE_CHECKING:
    from stripe.params import SubscriptionScheduleUpdateParams, SubscriptionUpdateParams
    from stripe.params.checkout import SessionCreateParams

Json = Mapping[str, Any]
_TRANSPORT = http.Transport(NAME)  # Its connections are shared by every account and thread.


class StripeBilling:
    """See `channel.BillingChannel`. One object per account and use; it holds nothing but the key.

    Refusals are ChannelRefused, whose `code` is Stripe's word ("card_declined") or "not_found", "credentials",
    "idempotency_conflict". A declined card is remembered by Stripe under its idempotency key: when the owner has another
    card, ask with another key.
    """

    def __init__(self, account: AccountInfo, *, transport: http.Transport = _TRANSPORT) -> None:
        self._account = account
        self._client = client_for(
            api_key=account.credentials["api_key"], api_base=account.api_base, transport=transport
        )

    def ensure_customer(self, *, substation_public_id: str, email: str, name: str, idempotency_key: str) -> str:
        """See the contract. Known ones are looked through first: Stripe's own memory of the key ends after a day."""
        client = self._client
        with our_errors(writing=False):
            for known in client.v1.customers.list({"email": email, "limit": 100}).auto_paging_iter():
                if _labels(known).get("substation") == substation_public_id:
                    return known.id
        with our_errors(writing=True):
            return client.v1.customers.create(
                {"email": email, "name": name, "metadata": {"substation": substation_public_id}},
                {"idempotency_key": idempotency_key},
            ).id

    def open_checkout(
        self,
        *,
        customer: str,
        currency: str,
        opening_fee_minor: int,
        deposit_minor: int,
        period_fee_minor: int,
        interval: str,
        trial_days: int,
        plan: str,
        name: str,
        success_url: str,
        cancel_url: str,
        reference: str,
        idempotency_key: str,
        locale: str = "zh",
    ) -> HostedPage:
        """See the contract. The page is a function of the arguments alone, so that a repeat is the same to the byte."""
        labels = {"plan": plan, "reference": reference}
        period: Any = {
            "currency": currency.lower(),
            "unit_amount": period_fee_minor,
            "product": self._product(name, plan),
            "recurring": {"interval": _reading.INTERVALS[interval]},
        }
        lines: list[Any] = [{"quantity": 1, "price_data": period}]
        with translation.override("zh-hans" if locale.startswith("zh") else "en"):
            for kind, words, amount in (
                ("opening", _("Opening fee"), opening_fee_minor),
                ("deposit", _("Deposit, given back when the shop closes"), deposit_minor),
            ):
                if amount:
                    product = {"name": words, "metadata": {"kind": kind}}
                    price = {"currency": currency.lower(), "unit_amount": amount, "product_data": product}
                    lines.append({"quantity": 1, "price_data": price})
        params: SessionCreateParams = {
            "mode": "subscription",
            "customer": customer,
            "client_reference_id": reference,
            "line_items": lines,
            "metadata": labels,
            # A session's labels do not reach its subscription; these do, and its invoices.
            "subscription_data": {"metadata": labels, **({"trial_period_days": trial_days} if trial_days else {})},
            "success_url": success_url,
            "cancel_url": cancel_url,
            "locale": "zh" if locale.startswith("zh") else "en",
        }
        with our_errors(writing=True):
            session = self._client.v1.checkout.sessions.create(params, {"idempotency_key": idempotency_key}).to_dict()
        with http.understood(NAME, writing=True):
            return HostedPage(session["url"], session["id"], from_timestamp(session["expires_at"]))

    def fetch_checkout(self, session_id: str) -> CheckoutState:
        """See the contract. Raises: ChannelRefused "not_found"."""
        with our_errors(writing=False):
            session = self._client.v1.checkout.sessions.retrieve(session_id).to_dict()
        with http.understood(NAME, writing=False):
            return _reading.checkout(session)

    def expire_checkout(self, session_id: str) -> CheckoutState:
        """See the contract."""
        try:
            with our_errors(writing=True):
                self._client.v1.checkout.sessions.expire(session_id)
        except ChannelRefused:
            # Only an open page can be expired. Whichever way this one ended, its state says so; and when the refusal
            # had another reason (the key, say), asking for the state is refused for the same one.
            state = self.fetch_checkout(session_id)
            if state.status != "open":
                return state
            raise
        return self.fetch_checkout(session_id)

    def fetch_subscription(self, subscription: str) -> SubscriptionState:
        """See the contract. Raises: ChannelRefused "not_found"."""
        return _state(self._subscription(subscription))

    def fetch_invoice(self, invoice: str) -> InvoiceState:
        """See the contract. Raises: ChannelRefused "not_found"."""
        client = self._client
        with our_errors(writing=False):
            found = client.v1.invoices.retrieve(invoice, {"expand": ["payments"]}).to_dict()
            lines = found["lines"]["data"]
            if found["lines"]["has_more"]:
                pages = client.v1.invoices.line_items.list(invoice, {"limit": 100})
                lines = [line.to_dict() for line in pages.auto_paging_iter()]
        with http.understood(NAME, writing=False):
            products = _reading.products_of_fees(lines)
            return _reading.invoice(found, lines, fee_minor=self._fee(found), kinds=self._kinds(products))

    def preview_change(
        self, *, subscription: str, new_amount_minor: int, interval: str, plan: str, name: str, at: datetime
    ) -> int:
        """See the contract. `at` counts in whole seconds, as Stripe's does."""
        found = self._subscription(subscription)
        price = _price(found, _reading.item_of(found)["price"]["product"], new_amount_minor, interval)
        with our_errors(writing=False):
            shown = self._client.v1.invoices.create_preview(
                {
                    "subscription": subscription,
                    "subscription_details": {
                        "items": [{"id": _reading.item_of(found)["id"], "price_data": price}],
                        "proration_behavior": "always_invoice",
                        "proration_date": int(at.timestamp()),
                    },
                }
            )
        return int(shown.amount_due)

    def change_plan(
        self, *, subscription: str, new_amount_minor: int, interval: str, plan: str, name: str, at: datetime,
        prorate: bool, idempotency_key: str,
    ) -> SubscriptionState:  # fmt: skip
        """See the contract. With `prorate` a declined card changes nothing (ChannelRefused "card_declined").

        Without, the new price waits in a schedule: `plan` of the state is the old one until the period ends. A schedule
        that waited before is given up, so that asking for the present plan takes a downgrade back.
        """
        found = self._released(self._subscription(subscription), idempotency_key)
        if _is_at(found, new_amount_minor, interval, plan):  # Done already, by a try whose answer was lost.
            return _state(found)
        if not prorate and found["status"] != "trialing":
            return self._change_later(found, new_amount_minor, interval, plan, name, idempotency_key)
        price = _price(found, self._product(name, plan), new_amount_minor, interval)
        params: SubscriptionUpdateParams = {
            "items": [{"id": _reading.item_of(found)["id"], "price_data": price}],
            "metadata": {"plan": plan},
            "payment_behavior": "error_if_incomplete",
            "proration_behavior": "always_invoice" if prorate else "none",
            "proration_date": int(at.timestamp()),
        }
        return self._update(subscription, params, idempotency_key)

    def cancel(self, *, subscription: str, at_period_end: bool, idempotency_key: str) -> SubscriptionState:
        """See the contract. One that has ended is answered as it is."""
        found = self._released(self._subscription(subscription), idempotency_key)
        if found["status"] == "canceled":
            return _state(found)
        if at_period_end:
            return self._update(subscription, {"cancel_at_period_end": True}, idempotency_key)
        with our_errors(writing=True):
            ended = self._client.v1.subscriptions.cancel(
                subscription, {}, {"idempotency_key": idempotency_key}
            ).to_dict()
        return _state(ended, writing=True)

    def keep(self, *, subscription: str, idempotency_key: str) -> SubscriptionState:
        """See the contract. Raises: ChannelRefused for one that has ended."""
        return self._update(subscription, {"cancel_at_period_end": False}, idempotency_key)

    def pay_invoice(self, *, invoice: str, idempotency_key: str) -> InvoiceState:
        """See the contract. Raises: ChannelRefused "card_declined"; one that is paid already is answered as it is."""
        try:
            with our_errors(writing=True):
                self._client.v1.invoices.pay(invoice, {}, {"idempotency_key": idempotency_key})
        except ChannelRefused as refusal:
            if refusal.code not in ("invoice_already_paid", "invoice_payment_intent_requires_action"):
                raise
        return self.fetch_invoice(invoice)

    def portal(self, *, customer: str, return_url: str) -> str:
        """See the contract. The address is good for minutes: make one for each visit."""
        with our_errors(writing=True):
            return self._client.v1.billing_portal.sessions.create({"customer": customer, "return_url": return_url}).url

    def parse_event(self, *, raw: bytes, signature: str, secret: str, now: datetime) -> BillingEvent | None:
        """See the contract. Raises: BadSignature, StaleCallback, WrongAccount, Malformed."""
        return _reading.event(
            verified_event(
                self._client, body=raw, signature=signature, secret=secret, now=now,
                api_key=self._account.credentials["api_key"], account_ref=self._account.account_ref,
            )
        )  # fmt: skip

    def _subscription(self, id: str) -> Json:
        with our_errors(writing=False):
            return self._client.v1.subscriptions.retrieve(id).to_dict()

    def _update(self, id: str, params: SubscriptionUpdateParams, key: str) -> SubscriptionState:
        with our_errors(writing=True):
            changed = self._client.v1.subscriptions.update(id, params, {"idempotency_key": key}).to_dict()
        return _state(changed, writing=True)

    def _change_later(
        self, found: Json, amount_minor: int, interval: str, plan: str, name: str, key: str
    ) -> SubscriptionState:
        """A schedule of two phases: the rest of this period as it is, then the new price, then no schedule."""
        client, item = self._client, _reading.item_of(found)
        if found["cancel_at_period_end"]:  # Who chooses another plan means to stay.
            self._update(found["id"], {"cancel_at_period_end": False}, f"{key}:keep")
        price = _price(found, self._product(name, plan), amount_minor, interval)
        labels = {**(found["metadata"] or {}), "plan": plan}
        old = item["price"]
        # Made anew as it is: a price that was made for one subscription can't be named in a phase.
        kept = _price(found, old["product"], old["unit_amount"], _reading.interval_of(old))
        present: Any = {
            "items": [{"price_data": kept, "quantity": 1}],
            "start_date": item["current_period_start"],
            "end_date": item["current_period_end"],
            "proration_behavior": "none",
        }
        later: Any = {
            "items": [{"price_data": price}],
            "duration": {"interval": _reading.INTERVALS[interval]},
            "metadata": labels,
            "proration_behavior": "none",
        }
        phases: SubscriptionScheduleUpdateParams = {"phases": [present, later], "end_behavior": "release"}
        with our_errors(writing=True):
            schedule = client.v1.subscription_schedules.create(
                {"from_subscription": found["id"]}, {"idempotency_key": f"{key}:schedule"}
            )
            client.v1.subscription_schedules.update(schedule.id, phases, {"idempotency_key": f"{key}:phases"})
        return self.fetch_subscription(found["id"])

    def _released(self, found: Json, key: str) -> Json:
        """The subscription without the schedule that it may be under: Stripe lets nothing else change it meanwhile."""
        schedule = _reading.id_of(found["schedule"])
        if not schedule:
            return found
        with our_errors(writing=True):
            self._client.v1.subscription_schedules.release(schedule, {}, {"idempotency_key": f"{key}:{schedule}"})
        return self._subscription(found["id"])

    def _product(self, name: str, plan: str) -> str:
        """What the payer reads on the invoice. One product at Stripe for each name of a plan, made when it is first
        needed: its id says so, and a second one of the same id is refused."""
        id = f"plan_{plan}_{hashlib.sha256(name.encode()).hexdigest()[:12]}"
        try:
            with our_errors(writing=True):
                self._client.v1.products.create({"id": id, "name": name, "metadata": {"kind": "period", "plan": plan}})
        except ChannelRefused as refusal:
            if refusal.code != "resource_already_exists":
                raise
        return id

    def _kinds(self, products: list[str]) -> dict[str, str]:
        """What fees are for, by product."""
        if not products:
            return {}
        with our_errors(writing=False):
            found = self._client.v1.products.list({"ids": products, "limit": 100}).data
        return {product.id: _labels(product).get("kind", "") for product in found}

    def _fee(self, invoice: Json) -> int:
        """What Stripe keeps of an invoice's payment, 0 while it has not said or where it settles in another currency."""
        fee = 0
        for payment in (invoice.get("payments") or {"data": []})["data"]:
            intent_id = _reading.id_of(payment["payment"].get("payment_intent"))
            if payment["status"] != "paid" or not intent_id:
                continue
            intent = fetched(lambda id=intent_id: self._intent(id)) or {}  # type: ignore[misc]
            charge = intent.get("latest_charge")
            moved = charge.get("balance_transaction") if isinstance(charge, dict) else None
            if isinstance(moved, dict) and moved["currency"] == invoice["currency"]:
                fee += int(moved["fee"])
        return fee

    def _intent(self, id: str) -> Json:
        return self._client.v1.payment_intents.retrieve(id, {"expand": ["latest_charge.balance_transaction"]}).to_dict()


def _state(found: Json, *, writing: bool = False) -> SubscriptionState:
    with http.understood(NAME, writing=writing):
        return _reading.subscription(found)


def _labels(found: Any) -> Json:
    """The metadata of one of the SDK's objects."""
    return found.to_dict().get("metadata") or {}


def _is_at(found: Json, amount_minor: int, interval: str, plan: str) -> bool:
    state = _state(found)
    return (state.amount_minor, state.interval, state.plan) == (amount_minor, interval, plan)


def _price(found: Json, product: str, amount_minor: int, interval: str) -> Any:
    """`price_data` of a subscription's other price, in the currency that it has."""
    return {
        "currency": found["currency"],
        "product": product,
        "recurring": {"interval": _reading.INTERVALS[interval]},
        "unit_amount": amount_minor,
    }
