"""Stripe's events: they name what to fetch, and are believed in nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from kameng.lib.outside.refusals import BadSignature, StaleCallback, WrongAccount
from shared_apps.billing.stripe.adapter import StripeBilling
from tests.fakes.stripe import FakeStripe, Merchant
from tests.shared_apps.billing.stripe.talk import KEY, NOW, only_period, subscribed


class TestEvents:
    def test_name_the_object_to_fetch_and_the_rest_is_not_billings(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        merchant.create_session(
            {
                "mode": "payment",
                "success_url": "http://shop.example",
                "line_items": [
                    {"quantity": "1", "price_data": {"currency": "cny", "unit_amount": "1999",
                                                     "product_data": {"name": "Steam 20"}}}
                ],
            }
        )  # fmt: skip
        merchant.pay(list(merchant.sessions)[-1])

        told = [self._parse(fake, billing, event) for event in merchant.events.values()]

        (session, *_) = merchant.sessions
        invoice = billing.fetch_subscription(subscription).latest_invoice
        assert [told and (told.kind, told.object_type, told.object_id) for told in told] == [
            None,  # customer.created
            ("invoice.created", "invoice", invoice),
            ("checkout.session.completed", "checkout", session),
            ("customer.subscription.created", "subscription", subscription),
            ("invoice.finalized", "invoice", invoice),
            ("invoice.paid", "invoice", invoice),
            ("invoice.payment_succeeded", "invoice", invoice),
            None,  # A buyer's payment.
        ]

    def test_in_any_order_and_twice_lead_to_the_same_truth(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        """Cancelled before it was created, as far as the receiver can tell: what is fetched is the same for all."""
        subscription = subscribed(billing, merchant, **only_period())
        billing.cancel(subscription=subscription, at_period_end=False, idempotency_key="end-1")
        events = [event for event in merchant.events.values() if "subscription." in event["type"]]

        found = []
        for event in [*reversed(events), *events]:
            told = self._parse(fake, billing, event)
            assert told is not None
            found.append(billing.fetch_subscription(told.object_id))

        assert [event["type"] for event in events] == [
            "customer.subscription.created",
            "customer.subscription.deleted",
        ]
        assert {(state.id, state.status) for state in found} == {(subscription, "canceled")}

    def test_that_are_forged_old_or_anothers_are_not_believed(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscribed(billing, merchant)
        event = next(iter(merchant.events.values()))

        with pytest.raises(BadSignature):
            self._parse(fake, billing, event, secret="whsec_other")
        with pytest.raises(StaleCallback):
            self._parse(fake, billing, event, at=NOW - timedelta(minutes=6))
        with pytest.raises(WrongAccount):
            self._parse(fake, billing, {**event, "livemode": True})
        with pytest.raises(WrongAccount):
            self._parse(fake, billing, {**event, "account": "acct_other"})

    def _parse(
        self, fake: FakeStripe, billing: StripeBilling, event: Any, *, at: datetime = NOW, secret: str = "whsec_main"
    ) -> Any:
        headers, body = fake.webhooks(KEY).signed(event, at=at.timestamp(), secret=secret)
        return billing.parse_event(raw=body, signature=headers["Stripe-Signature"], secret="whsec_main", now=NOW)
