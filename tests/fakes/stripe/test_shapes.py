"""Every object that the fake sends has the fields, types and words that the official SDK declares."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from . import FakeStripe, Merchant, envelopes
from .conformity import differences, fields_of
from .expand import expanded
from .state import StripeError

NOW = 1_790_000_000
EXPANDED = ["payment_intent.latest_charge.balance_transaction", "payment_intent.latest_charge.refunds", "line_items"]


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(clock=lambda: NOW) as server:
        yield server


@pytest.fixture
def merchant(fake: FakeStripe) -> Merchant:
    return fake.merchant("sk_test_alice")


def open_session(merchant: Merchant) -> str:
    session = merchant.create_session(
        {
            "mode": "payment",
            "client_reference_id": "pay_1",
            "line_items": [
                {
                    "quantity": "1",
                    "price_data": {"currency": "cny", "unit_amount": "1999", "product_data": {"name": "Steam 20"}},
                }
            ],
            "metadata": {"payment": "pay_1"},
            "payment_intent_data": {"metadata": {"payment": "pay_1"}, "description": "ORD-1"},
            "payment_method_options": {"wechat_pay": {"client": "web"}},
            "success_url": "http://shop.example/done",
            "cancel_url": "http://shop.example/cancel",
            "locale": "zh",
        }
    )
    return str(session["id"])


def subscription_life(fake: FakeStripe, merchant: Merchant) -> list[dict[str, Any]]:
    """The same for subscriptions: begun on trial, changed, failing, recovering, scheduled, ended."""
    seen: list[dict[str, Any]] = []
    billing = merchant.billing

    def see() -> None:
        tables = (billing.customers, billing.products, billing.prices, billing.subscriptions, billing.schedules)
        for table in (*tables, billing.invoices, billing.items, billing.payments, billing.portals, merchant.sessions):
            seen.extend(copy.deepcopy(list(table.values())))
        for invoice in billing.invoices.values():
            seen.append(expanded(merchant, invoice, ["payments.data.payment.payment_intent", "customer"]))
            seen.extend(copy.deepcopy(invoice["lines"]["data"]))
        seen.extend(expanded(merchant, row, ["latest_invoice"]) for row in billing.subscriptions.values())

    for trial in ({"trial_period_days": "7"}, {}):
        session_id = merchant.create_session(
            {
                "mode": "subscription",
                "success_url": "http://main.example/done",
                "line_items": [line(9900, "Pro", "month"), line(50_000, "Opening fee", None)],
                "subscription_data": {"metadata": {"plan": "pro"}, **trial},
            }
        )["id"]
        see()
        merchant.pay(session_id)
        see()
    id = merchant.sessions[session_id]["subscription"]
    billing.update_subscription(id, change(merchant, id, 29_900, proration_behavior="always_invoice"))
    seen.append(billing.preview({"subscription": id}))
    billing.create_portal({"customer": billing.subscriptions[id]["customer"], "return_url": "http://main.example/"})
    billing.create_invoice_item(
        {"customer": billing.subscriptions[id]["customer"], "amount": "-100", "currency": "cny", "subscription": id}
    )
    schedule = billing.create_schedule({"from_subscription": id})
    see()
    billing.update_schedule(schedule["id"], phases(merchant, id, 9900, "year"))
    see()
    billing.decline(billing.subscriptions[id]["customer"])
    fake.advance(45 * 86_400)
    see()
    seen.extend(copy.deepcopy(list(merchant.charges.values())) + copy.deepcopy(list(merchant.intents.values())))
    billing.accept(billing.subscriptions[id]["customer"])
    billing.pay_invoice(billing.subscriptions[id]["latest_invoice"], {})
    billing.release_schedule(schedule["id"], {})
    billing.update_subscription(id, {"cancel_at_period_end": "true"})
    see()
    billing.cancel_subscription(id, {})
    see()
    return [*seen, *copy.deepcopy(list(merchant.events.values()))]


def line(amount: int, name: str, interval: str | None) -> dict[str, Any]:
    """A line of a Checkout Session, as a form carries it."""
    recurring = {"recurring": {"interval": interval}} if interval else {}
    data = {"currency": "cny", "unit_amount": str(amount), "product_data": {"name": name}, **recurring}
    return {"quantity": "1", "price_data": data}


def change(merchant: Merchant, id: str, amount: int, interval: str = "month", **how: str) -> dict[str, Any]:
    """Parameters of a subscription's other price."""
    (item,) = merchant.billing.subscriptions[id]["items"]["data"]
    price = {
        "currency": "cny",
        "product": merchant.billing.create_product({"name": "Flagship"})["id"],
        "recurring": {"interval": interval},
        "unit_amount": str(amount),
    }
    return {"items": [{"id": item["id"], "price_data": price}], **how}


def phases(merchant: Merchant, id: str, amount: int, interval: str) -> dict[str, Any]:
    """Parameters of a schedule: another price from the next period on."""
    (item,) = merchant.billing.subscriptions[id]["items"]["data"]
    (asked,) = change(merchant, id, amount, interval)["items"]
    price = item["price"]
    present = {
        "currency": price["currency"],
        "product": price["product"],
        "recurring": {"interval": price["recurring"]["interval"]},
        "unit_amount": str(price["unit_amount"]),
    }
    now = {
        "items": [{"price_data": present, "quantity": "1"}],
        "start_date": str(item["current_period_start"]),
        "end_date": str(item["current_period_end"]),
    }
    later = {
        "items": [{"price_data": asked["price_data"]}],
        "duration": {"interval": interval},
        "metadata": {"plan": "basic"},
    }
    return {"phases": [now, later], "end_behavior": "release"}


def life(merchant: Merchant) -> list[dict[str, Any]]:
    """Every kind of object in every state that the fake can bring it to."""
    seen: list[dict[str, Any]] = []

    def see(*items: dict[str, Any]) -> None:
        seen.extend(copy.deepcopy(list(items)))

    for method in ("card", "alipay", "wechat_pay"):
        session_id = open_session(merchant)
        see(merchant.sessions[session_id], *merchant.items[session_id])
        merchant.pay(session_id, method)
        see(expanded(merchant, merchant.sessions[session_id], EXPANDED))
        charge_id = merchant.intents[merchant.sessions[session_id]["payment_intent"]]["latest_charge"]
        refund = merchant.create_refund({"charge": charge_id, "amount": "500", "metadata": {"refund": "rfd_1"}})
        see(refund)
        merchant.return_refund(refund["id"])
        see(refund, expanded(merchant, merchant.sessions[session_id], EXPANDED))
    dispute = merchant.dispute(session_id)
    see(dispute)
    merchant.close_dispute(dispute["id"], won=True)
    failed = open_session(merchant)
    merchant.pay_later(failed)
    see(expanded(merchant, merchant.sessions[failed], EXPANDED))
    merchant.fail(failed)
    see(expanded(merchant, merchant.sessions[failed], EXPANDED))
    settled = open_session(merchant)
    merchant.pay_later(settled, "wechat_pay")
    merchant.settle(settled)
    expired = open_session(merchant)
    merchant.expire_session(expired)
    tables = (merchant.sessions, merchant.intents, merchant.charges, merchant.refunds, merchant.transactions)
    for table in (*tables, merchant.disputes, merchant.events):
        see(*table.values())
    return seen


SDK_TYPES: dict[str, type] = {
    "checkout.session": stripe.checkout.Session,
    "item": stripe.LineItem,
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
    "refund": stripe.Refund,
    "balance_transaction": stripe.BalanceTransaction,
    "dispute": stripe.Dispute,
    "event": stripe.Event,
}
BILLING_TYPES: dict[str, type] = {
    "checkout.session": stripe.checkout.Session,
    "customer": stripe.Customer,
    "product": stripe.Product,
    "price": stripe.Price,
    "subscription": stripe.Subscription,
    "subscription_schedule": stripe.SubscriptionSchedule,
    "invoice": stripe.Invoice,
    "line_item": stripe.InvoiceLineItem,
    "invoiceitem": stripe.InvoiceItem,
    "invoice_payment": stripe.InvoicePayment,
    "billing_portal.session": stripe.billing_portal.Session,
    "payment_intent": stripe.PaymentIntent,
    "charge": stripe.Charge,
    "event": stripe.Event,
}


class TestShapes:
    def test_every_object_conforms_to_the_sdk_in_every_state(self, merchant: Merchant) -> None:
        seen = life(merchant)

        wrong = [line for item in seen for line in differences(item, SDK_TYPES[item["object"]], item["object"])]

        assert wrong == []
        assert {item["object"] for item in seen} == set(SDK_TYPES)

    def test_so_does_every_object_of_subscriptions(self, fake: FakeStripe, merchant: Merchant) -> None:
        seen = subscription_life(fake, merchant)
        seen += [event["data"]["object"] for event in merchant.events.values()]

        wrong = {line for item in seen for line in differences(item, BILLING_TYPES[item["object"]], item["object"])}

        assert wrong == set()
        assert {item["object"] for item in seen} == set(BILLING_TYPES)

    def test_what_events_carry_conforms_too(self, merchant: Merchant) -> None:
        life(merchant)

        carried = [event["data"]["object"] for event in merchant.events.values()]

        assert [line for item in carried for line in differences(item, SDK_TYPES[item["object"]], item["object"])] == []
        assert {item["object"] for item in carried} == {"checkout.session", "charge", "refund", "dispute"}

    def test_a_refusal_has_the_fields_of_the_sdks_error(self) -> None:
        body = envelopes.error("invalid_request_error", "No.", code="parameter_missing", param="amount")["error"]

        assert set(body) <= set(fields_of(stripe.ErrorObject))

    def test_speaks_the_version_that_the_sdk_is_written_for(self) -> None:
        with FakeStripe(clock=lambda: NOW) as fake:
            client = stripe.StripeClient("sk_test_x", base_addresses={"api": fake.base_url})
            client.v1.refunds.list()

        assert fake.requests[0][2]["stripe-version"] == envelopes.API_VERSION


class TestTheCheckItself:
    """A check that can't fail proves nothing."""

    @pytest.mark.parametrize("kind", ["amount", "currency", "metadata", "livemode", "paid", "billing_details"])
    def test_sees_a_required_field_that_is_missing(self, merchant: Merchant, kind: str) -> None:
        charge = self._charge(merchant)
        del charge[kind]

        assert differences(charge, stripe.Charge, "charge") == [f"charge.{kind}: missing"]

    def test_sees_a_field_that_was_made_up(self, merchant: Merchant) -> None:
        charge = {**self._charge(merchant), "state": "succeeded"}

        assert differences(charge, stripe.Charge, "charge") == ["charge.state: not a field of Charge"]

    def test_sees_a_wrong_type_and_a_word_outside_the_enumeration(self, merchant: Merchant) -> None:
        charge = {**self._charge(merchant), "amount": "1999", "status": "settled"}

        assert len(differences(charge, stripe.Charge, "charge")) == 2

    def test_sees_into_nested_objects(self, merchant: Merchant) -> None:
        charge = self._charge(merchant)
        charge["payment_method_details"]["card"]["exp_year"] = None

        assert differences(charge, stripe.Charge, "charge") == [
            "charge.payment_method_details.card.exp_year: None is not int"
        ]

    def _charge(self, merchant: Merchant) -> dict[str, Any]:
        merchant.pay(open_session(merchant))
        return copy.deepcopy(next(iter(merchant.charges.values())))


class TestExpand:
    def test_refuses_a_field_that_is_not_there(self, merchant: Merchant) -> None:
        session = merchant.sessions[open_session(merchant)]

        with pytest.raises(StripeError) as refusal:
            expanded(merchant, session, ["payment"])

        assert refusal.value.status == 400

    def test_leaves_the_stored_object_alone(self, merchant: Merchant) -> None:
        session_id = open_session(merchant)
        merchant.pay(session_id)

        expanded(merchant, merchant.sessions[session_id], EXPANDED)

        assert isinstance(merchant.sessions[session_id]["payment_intent"], str)
        assert "line_items" not in merchant.sessions[session_id]
