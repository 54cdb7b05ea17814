"""Subscriptions of the fake, seen through the official SDK: what they charge, when, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st

from . import FakeStripe, Merchant
from .proration import DAY, next_end, remaining_share

NOW = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp())  # September has 30 days.
MONTH = 30 * DAY
KEY = "sk_test_alice"


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(clock=lambda: NOW) as server:
        yield server


@pytest.fixture
def client(fake: FakeStripe) -> stripe.StripeClient:
    return stripe.StripeClient(KEY, base_addresses={"api": fake.base_url}, max_network_retries=0)


@pytest.fixture
def merchant(fake: FakeStripe) -> Merchant:
    return fake.merchant(KEY)


def line(amount: int, name: str, interval: str | None) -> Any:
    recurring = {"recurring": {"interval": interval}} if interval else {}
    data = {"currency": "cny", "unit_amount": amount, "product_data": {"name": name}, **recurring}
    return {"quantity": 1, "price_data": data}


def page(
    client: stripe.StripeClient, *, fee: int = 0, trial: int = 0, interval: str = "month"
) -> stripe.checkout.Session:
    lines = [line(9900, "Pro", interval)] + ([line(fee, "Opening fee", None)] if fee else [])
    return client.v1.checkout.sessions.create(
        {
            "mode": "subscription",
            "line_items": lines,
            "success_url": "http://main.example/done",
            "cancel_url": "http://main.example/plans",
            "subscription_data": {"metadata": {"plan": "pro"}, **({"trial_period_days": trial} if trial else {})},
        }
    )


def subscribed(client: stripe.StripeClient, merchant: Merchant, **how: Any) -> stripe.Subscription:
    session = page(client, **how)
    merchant.pay(session.id)
    return client.v1.subscriptions.retrieve(merchant.sessions[session.id]["subscription"])


def to(client: stripe.StripeClient, subscription: stripe.Subscription, amount: int, interval: str = "month") -> Any:
    product = client.v1.products.create({"name": "Flagship"}).id
    price = {"currency": "cny", "product": product, "recurring": {"interval": interval}, "unit_amount": amount}
    return [{"id": subscription["items"].data[0].id, "price_data": price}]


def invoices(merchant: Merchant) -> list[tuple[str, str, int]]:
    return [(row["billing_reason"], row["status"], row["amount_due"]) for row in merchant.billing.invoices.values()]


def told(merchant: Merchant) -> list[str]:
    """Kinds of the events since the last look."""
    kinds = [event["type"] for event in merchant.events.values()]
    merchant.events.clear()
    return kinds


class TestProration:
    def test_is_what_stripe_once_answered(self) -> None:
        """gist.github.com/matthewarkin/27bcfdf622eb91d3508ea082d0ad50b8: 1000 a month, an answer of the real API."""
        end = 1_489_449_600

        assert remaining_share(1000, start=end - 28 * DAY, end=end, at=1_488_568_488) == 364

    @given(st.integers(0, 10**9), st.integers(1, 366 * DAY), st.integers(0, 366 * DAY))
    def test_never_gives_more_than_was_paid_nor_less_than_nothing(self, amount: int, length: int, gone: int) -> None:
        at = min(gone, length)

        share = remaining_share(amount, start=0, end=length, at=at)

        assert 0 <= share <= amount
        assert abs(share * length - amount * (length - at)) * 2 <= length

    def test_months_end_where_the_calendar_has_room(self) -> None:
        anchor = int(datetime(2026, 1, 31, 8, tzinfo=UTC).timestamp())

        ends, end = [], anchor
        for _ in range(4):
            end = next_end(anchor, "month", end)
            ends.append(datetime.fromtimestamp(end, tz=UTC).strftime("%m-%d %H"))

        assert ends == ["02-28 08", "03-31 08", "04-30 08", "05-31 08"]

    def test_a_leap_years_day_comes_back(self) -> None:
        anchor = int(datetime(2028, 2, 29, tzinfo=UTC).timestamp())

        assert datetime.fromtimestamp(next_end(anchor, "year", anchor), tz=UTC).strftime("%Y-%m-%d") == "2029-02-28"


class TestCheckout:
    def test_charges_the_fee_and_the_first_period_at_once(
        self, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        session = page(client, fee=50_000)

        merchant.pay(session.id)

        session = client.v1.checkout.sessions.retrieve(session.id, {"expand": ["subscription.latest_invoice"]})
        subscription = session.subscription
        assert isinstance(subscription, stripe.Subscription) and isinstance(subscription.latest_invoice, stripe.Invoice)
        assert (session.status, session.payment_status, session.amount_total) == ("complete", "paid", 59_900)
        assert (subscription.status, subscription.metadata["plan"]) == ("active", "pro")
        assert [row.amount for row in subscription.latest_invoice.lines.data] == [50_000, 9900]
        assert (subscription.latest_invoice.status, subscription.latest_invoice.amount_paid) == ("paid", 59_900)

    def test_with_a_trial_charges_only_the_fee(self, client: stripe.StripeClient, merchant: Merchant) -> None:
        subscription = subscribed(client, merchant, fee=50_000, trial=7)

        assert (subscription.status, subscription.trial_end) == ("trialing", NOW + 7 * DAY)
        assert invoices(merchant) == [("subscription_create", "paid", 50_000)]

    def test_with_nothing_due_needs_no_payment(self, client: stripe.StripeClient, merchant: Merchant) -> None:
        session = page(client, trial=7)

        merchant.pay(session.id)

        session = client.v1.checkout.sessions.retrieve(session.id)
        assert (session.payment_status, session.amount_total) == ("no_payment_required", 0)
        assert merchant.charges == {}

    def test_leaves_the_page_open_when_the_card_is_declined(
        self, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        customer = client.v1.customers.create({"email": "alice@example.com"}).id
        session = client.v1.checkout.sessions.create(
            {"mode": "subscription", "customer": customer, "line_items": [line(9900, "Pro", "month")],
             "success_url": "http://main.example/done"}
        )  # fmt: skip
        merchant.billing.decline(customer)

        with pytest.raises(Exception, match="declined"):
            merchant.pay(session.id)

        assert client.v1.checkout.sessions.retrieve(session.id).status == "open"
        assert (merchant.billing.subscriptions, merchant.billing.invoices, merchant.charges) == ({}, {}, {})

    def test_needs_a_recurring_price(self, client: stripe.StripeClient) -> None:
        with pytest.raises(stripe.InvalidRequestError, match="recurring"):
            client.v1.checkout.sessions.create(
                {"mode": "subscription", "line_items": [line(9900, "Pro", None)], "success_url": "http://x.example"}
            )


class TestTime:
    def test_renews_after_an_hour_as_a_draft(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)

        fake.advance(MONTH)
        drafted = invoices(merchant)
        fake.advance(3600)

        assert drafted[1:] == [("subscription_cycle", "draft", 9900)]
        assert invoices(merchant)[1:] == [("subscription_cycle", "paid", 9900)]
        item = client.v1.subscriptions.retrieve(subscription.id)["items"].data[0]
        assert (item.current_period_start, item.current_period_end) == (NOW + MONTH, NOW + MONTH + 31 * DAY)

    def test_turns_a_trial_into_a_paid_period(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant, trial=7)

        fake.advance(7 * DAY + 3600)

        assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
        assert invoices(merchant) == [("subscription_create", "paid", 0), ("subscription_cycle", "paid", 9900)]

    def test_tries_a_bad_card_again_and_then_leaves_it(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        merchant.billing.decline(str(subscription.customer))
        told(merchant)

        fake.advance(MONTH + 3600)
        first = told(merchant)
        fake.advance(3 * DAY - 1)
        waiting = told(merchant)
        fake.advance(1)

        assert first[-2:] == ["invoice.payment_failed", "customer.subscription.updated"]
        assert (waiting, told(merchant)[0]) == ([], "invoice.payment_failed")
        assert client.v1.subscriptions.retrieve(subscription.id).status == "past_due"
        fake.advance(13 * DAY)
        (*_, invoice) = merchant.billing.invoices.values()
        assert (invoice["attempt_count"], invoice["next_payment_attempt"], invoice["status"]) == (4, None, "open")

    def test_recovers_with_the_next_try_of_a_good_card(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        merchant.billing.decline(str(subscription.customer))
        fake.advance(MONTH + 3600)
        merchant.billing.accept(str(subscription.customer))

        fake.advance(3 * DAY)

        assert client.v1.subscriptions.retrieve(subscription.id).status == "active"
        assert invoices(merchant)[-1] == ("subscription_cycle", "paid", 9900)

    def test_recovers_at_once_when_the_open_invoice_is_paid(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        merchant.billing.decline(str(subscription.customer))
        fake.advance(MONTH + 3600)
        (*_, open_invoice) = merchant.billing.invoices

        with pytest.raises(stripe.CardError):
            client.v1.invoices.pay(open_invoice)
        merchant.billing.accept(str(subscription.customer))
        client.v1.invoices.pay(open_invoice)

        assert client.v1.subscriptions.retrieve(subscription.id).status == "active"

    def test_ends_a_subscription_whose_retries_are_over_where_the_account_says_so(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        merchant.billing.decline(str(subscription.customer))
        merchant.billing.after_retries = "canceled"

        fake.advance(MONTH + 16 * DAY)

        ended = client.v1.subscriptions.retrieve(subscription.id)
        assert (ended.status, told(merchant)[-1]) == ("canceled", "customer.subscription.deleted")
        assert client.v1.subscriptions.list().data == []

    def test_ends_a_cancelled_one_with_its_period_unless_it_is_kept(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        leaves, stays = subscribed(client, merchant), subscribed(client, merchant)
        for one in (leaves, stays):
            client.v1.subscriptions.update(one.id, {"cancel_at_period_end": True})
        client.v1.subscriptions.update(stays.id, {"cancel_at_period_end": False})

        fake.advance(MONTH)

        assert client.v1.subscriptions.retrieve(leaves.id).status == "canceled"
        assert client.v1.subscriptions.retrieve(stays.id).status == "active"
        with pytest.raises(stripe.InvalidRequestError):
            client.v1.subscriptions.update(leaves.id, {"cancel_at_period_end": False})


class TestChanges:
    @pytest.mark.parametrize("seconds_later", [0, 1, 599, 86_399])
    def test_charge_what_the_preview_said_whenever_they_are_made(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant, seconds_later: int
    ) -> None:
        subscription = subscribed(client, merchant)
        fake.advance(10 * DAY + 1)
        at, items = NOW + 10 * DAY + 1, to(client, subscription, 29_900)
        how: Any = {"items": items, "proration_behavior": "always_invoice", "proration_date": at}

        shown = client.v1.invoices.create_preview({"subscription": subscription.id, "subscription_details": how})
        before = invoices(merchant)
        fake.advance(seconds_later)
        client.v1.subscriptions.update(subscription.id, how)

        left = MONTH - 10 * DAY - 1
        assert [row.amount for row in shown.lines.data] == [-round(9900 * left / MONTH), round(29_900 * left / MONTH)]
        assert shown.amount_due == 13_333 and len(before) == 1
        assert invoices(merchant)[1:] == [("subscription_update", "paid", shown.amount_due)]

    def test_to_another_interval_begin_a_new_period_and_charge_it_whole(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        fake.advance(MONTH // 2)
        how: Any = {"items": to(client, subscription, 99_000, "year"), "proration_behavior": "always_invoice",
                    "proration_date": NOW + MONTH // 2}  # fmt: skip

        shown = client.v1.invoices.create_preview({"subscription": subscription.id, "subscription_details": how})
        changed = client.v1.subscriptions.update(subscription.id, how)

        assert shown.amount_due == 99_000 - 4950
        assert invoices(merchant)[-1] == ("subscription_update", "paid", 94_050)
        assert changed["items"].data[0].current_period_start == NOW + MONTH // 2 == changed.billing_cycle_anchor

    def test_with_a_bad_card_change_nothing_when_that_is_asked(
        self, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        merchant.billing.decline(str(subscription.customer))
        before = (client.v1.subscriptions.retrieve(subscription.id).to_dict(), invoices(merchant))

        with pytest.raises(stripe.CardError):
            client.v1.subscriptions.update(
                subscription.id,
                {"items": to(client, subscription, 29_900), "proration_behavior": "always_invoice",
                 "payment_behavior": "error_if_incomplete"},
            )  # fmt: skip

        assert (client.v1.subscriptions.retrieve(subscription.id).to_dict(), invoices(merchant)) == before

    def test_refused_by_the_card_are_refused_again_under_the_same_key(
        self, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        merchant.billing.decline(str(subscription.customer))
        how: Any = {"items": to(client, subscription, 29_900), "proration_behavior": "always_invoice",
                    "payment_behavior": "error_if_incomplete"}  # fmt: skip
        for key in ("quo_1", "quo_1"):
            with pytest.raises(stripe.CardError):
                client.v1.subscriptions.update(subscription.id, how, {"idempotency_key": key})
            merchant.billing.accept(str(subscription.customer))

        client.v1.subscriptions.update(subscription.id, how, {"idempotency_key": "quo_2"})

        assert invoices(merchant)[-1] == ("subscription_update", "paid", 20_000)

    def test_downwards_leave_credit_that_the_next_invoice_uses_up(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        client.v1.subscriptions.update(
            subscription.id, {"items": to(client, subscription, 1000), "proration_behavior": "always_invoice"}
        )
        credit = client.v1.customers.retrieve(str(subscription.customer)).balance

        fake.advance(MONTH + 3600)

        assert (credit, invoices(merchant)[1:]) == (
            -8900, [("subscription_update", "paid", 0), ("subscription_cycle", "paid", 0)],
        )  # fmt: skip
        assert client.v1.customers.retrieve(str(subscription.customer)).balance == -7900

    def test_during_a_trial_cost_nothing(self, client: stripe.StripeClient, merchant: Merchant) -> None:
        subscription = subscribed(client, merchant, trial=7)

        client.v1.subscriptions.update(
            subscription.id, {"items": to(client, subscription, 29_900), "proration_behavior": "always_invoice"}
        )

        assert invoices(merchant) == [("subscription_create", "paid", 0)]

    def test_outside_the_period_or_in_another_currency_are_refused(
        self, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        dollars = to(client, subscription, 29_900)
        dollars[0]["price_data"]["currency"] = "usd"

        with pytest.raises(stripe.InvalidRequestError, match="currency"):
            client.v1.subscriptions.update(subscription.id, {"items": dollars})
        with pytest.raises(stripe.InvalidRequestError, match="proration date"):
            client.v1.subscriptions.update(
                subscription.id, {"items": to(client, subscription, 29_900), "proration_date": NOW - 1}
            )

    def test_that_the_fake_does_not_know_are_refused(self, client: stripe.StripeClient, merchant: Merchant) -> None:
        subscription = subscribed(client, merchant)

        with pytest.raises(stripe.InvalidRequestError) as refusal:
            client.v1.subscriptions.update(subscription.id, {"trial_end": "now"})

        assert refusal.value.code == "parameter_unknown"


class TestSchedules:
    @pytest.mark.parametrize(("interval", "days"), [("month", 31), ("year", 365)])
    def test_change_the_price_with_the_next_period(
        self, fake: FakeStripe, client: stripe.StripeClient, merchant: Merchant, interval: str, days: int
    ) -> None:
        subscription = subscribed(client, merchant)
        schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})
        price = to(client, subscription, 1000, interval)[0]["price_data"]
        item = subscription["items"].data[0]
        present: Any = {"currency": "cny", "product": item.price.product, "recurring": {"interval": "month"},
                        "unit_amount": 9900}  # fmt: skip
        now: Any = {"items": [{"price_data": present, "quantity": 1}], "start_date": item.current_period_start,
                    "end_date": item.current_period_end}  # fmt: skip
        later: Any = {
            "items": [{"price_data": price}],
            "duration": {"interval": interval},
            "metadata": {"plan": "basic"},
        }

        client.v1.subscription_schedules.update(schedule.id, {"phases": [now, later], "end_behavior": "release"})
        before = client.v1.subscriptions.retrieve(subscription.id)
        fake.advance(MONTH + 3600)
        after = client.v1.subscriptions.retrieve(subscription.id)

        assert (before["items"].data[0].price.unit_amount, before.metadata["plan"]) == (9900, "pro")
        assert (after["items"].data[0].price.unit_amount, after.metadata["plan"]) == (1000, "basic")
        assert after["items"].data[0].current_period_end == NOW + MONTH + days * DAY
        assert invoices(merchant)[1:] == [("subscription_cycle", "paid", 1000)]
        fake.advance(days * DAY)
        assert client.v1.subscription_schedules.retrieve(schedule.id).status == "released"
        assert client.v1.subscriptions.retrieve(subscription.id).schedule is None

    def test_take_no_price_that_was_made_for_one_subscription(
        self, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})
        item = subscription["items"].data[0]
        price = to(client, subscription, 1000)[0]["price_data"]
        now: Any = {"items": [{"price": item.price.id, "quantity": 1}], "start_date": item.current_period_start,
                    "end_date": item.current_period_end}  # fmt: skip
        later: Any = {"items": [{"price_data": price}], "duration": {"interval": "month"}}

        with pytest.raises(stripe.InvalidRequestError, match="inactive"):
            client.v1.subscription_schedules.update(schedule.id, {"phases": [now, later]})

    def test_stand_in_the_way_of_a_cancellation_until_they_are_released(
        self, client: stripe.StripeClient, merchant: Merchant
    ) -> None:
        subscription = subscribed(client, merchant)
        schedule = client.v1.subscription_schedules.create({"from_subscription": subscription.id})

        with pytest.raises(stripe.InvalidRequestError, match="schedule"):
            client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
        client.v1.subscription_schedules.release(schedule.id)

        assert client.v1.subscriptions.update(subscription.id, {"cancel_at_period_end": True}).cancel_at_period_end
