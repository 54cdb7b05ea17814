"""Changes and ends of a subscription at Stripe: what is charged is what was shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kameng.lib.errors import ProviderError
from kameng.lib.outside.refusals import ChannelRefused
from shared_apps.billing.stripe.adapter import StripeBilling
from tests.fakes.stripe import FakeStripe, Fault, Merchant
from tests.shared_apps.billing.stripe.talk import (
    DAY,
    NOW,
    change,
    customer,
    everything,
    latest,
    only_period,
    preview,
    subscribed,
)


class TestChanges:
    @pytest.mark.parametrize("late_s", [0, 90, 1799])
    def test_charge_what_was_shown_though_they_come_later(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant, late_s: int
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        at = NOW + timedelta(days=10, seconds=1, microseconds=700_000)
        fake.advance(10 * DAY + 1)

        shown = preview(billing, subscription, at)
        fake.advance(late_s)
        changed = change(billing, subscription, at=at)

        found = latest(billing, subscription)
        assert shown == 13_333
        assert (found.amount_minor, found.paid, found.reason) == (shown, True, "update")
        assert [(row.kind, row.amount_minor) for row in found.lines] == [("prorata", -6600), ("prorata", 19_933)]
        assert found.period_end == NOW + timedelta(days=30)
        assert (changed.plan, changed.amount_minor, changed.reference) == ("flagship", 29_900, "bpg_1")

    def test_to_yearly_begin_a_year(self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        fake.advance(15 * DAY)
        at = NOW + timedelta(days=15)

        shown = preview(billing, subscription, at, 99_000, "YEAR")
        changed = change(billing, subscription, 99_000, interval="YEAR", at=at)

        assert (shown, latest(billing, subscription).amount_minor) == (94_050, 94_050)
        assert (changed.interval, changed.period_end) == ("YEAR", datetime(2027, 9, 16, tzinfo=UTC))

    def test_with_a_declined_card_change_nothing_and_another_key_may_try_again(
        self, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        merchant.billing.decline(customer(billing))
        before = everything(merchant)

        with pytest.raises(ChannelRefused) as refusal:
            change(billing, subscription)

        assert (refusal.value.code, refusal.value.unknown, everything(merchant)) == ("card_declined", False, before)
        merchant.billing.accept(customer(billing))
        assert change(billing, subscription, idempotency_key="quo_2").plan == "flagship"

    def test_that_were_not_answered_are_asked_again_and_charged_once(
        self, fake: FakeStripe, billing: StripeBilling, hurried: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        fake.fail_next(f"POST /v1/subscriptions/{subscription}", Fault.SILENT_AFTER)

        with pytest.raises(ProviderError) as failure:
            change(hurried, subscription)
        merchant.replays.clear()  # Even when Stripe has forgotten the key.
        again = change(billing, subscription)

        assert (failure.value.unknown, failure.value.retryable) == (True, False)
        assert again.plan == "flagship"
        assert [row["billing_reason"] for row in merchant.billing.invoices.values()] == [
            "subscription_create",
            "subscription_update",
        ]

    def test_that_never_arrived_are_carried_out_by_the_next_try(
        self, fake: FakeStripe, billing: StripeBilling, hurried: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        fake.fail_next(f"POST /v1/subscriptions/{subscription}", Fault.SILENT_BEFORE)
        with pytest.raises(ProviderError):
            change(hurried, subscription)
        assert billing.fetch_subscription(subscription).plan == "pro"

        change(billing, subscription)

        assert latest(billing, subscription).amount_minor == 20_000

    @pytest.mark.parametrize(("interval", "amount"), [("MONTH", 1000), ("YEAR", 10_000)])
    def test_without_proration_wait_for_the_next_period(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant, interval: str, amount: int
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())

        waiting = change(billing, subscription, amount, interval=interval, plan="basic", prorate=False)
        fake.advance(30 * DAY + 3600)

        assert (waiting.plan, waiting.amount_minor, waiting.interval) == ("pro", 9900, "MONTH")
        after = billing.fetch_subscription(subscription)
        assert (after.plan, after.amount_minor, after.interval) == ("basic", amount, interval)
        assert (after.reference, latest(billing, subscription).amount_minor) == ("bpg_1", amount)

    def test_that_wait_are_taken_back_by_asking_for_the_present_plan(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        change(billing, subscription, 1000, plan="basic", prorate=False)

        change(billing, subscription, 9900, plan="pro", prorate=False, idempotency_key="quo_2")
        fake.advance(30 * DAY + 3600)

        assert billing.fetch_subscription(subscription).plan == "pro"
        assert latest(billing, subscription).amount_minor == 9900

    def test_upwards_overtake_one_that_waits(self, billing: StripeBilling, merchant: Merchant) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        change(billing, subscription, 1000, plan="basic", prorate=False)

        changed = change(billing, subscription, idempotency_key="quo_2")

        assert (changed.plan, latest(billing, subscription).amount_minor) == ("flagship", 20_000)
        assert merchant.billing.subscriptions[subscription]["schedule"] is None

    def test_on_trial_cost_nothing_now(self, billing: StripeBilling, merchant: Merchant) -> None:
        subscription = subscribed(billing, merchant, **only_period(trial_days=14))

        shown = preview(billing, subscription, NOW)
        change(billing, subscription)

        assert shown == 0
        assert [row["amount_due"] for row in merchant.billing.invoices.values()] == [0]


class TestEnds:
    def test_with_the_period_unless_it_is_kept(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())

        ending = billing.cancel(subscription=subscription, at_period_end=True, idempotency_key="end-1")
        kept = billing.keep(subscription=subscription, idempotency_key="keep-1")
        billing.cancel(subscription=subscription, at_period_end=True, idempotency_key="end-2")
        fake.advance(30 * DAY)

        assert (ending.status, ending.cancel_at_period_end, kept.cancel_at_period_end) == ("active", True, False)
        assert billing.fetch_subscription(subscription).status == "canceled"
        with pytest.raises(ChannelRefused):
            billing.keep(subscription=subscription, idempotency_key="keep-2")

    def test_at_once_and_again_is_the_same(self, billing: StripeBilling, merchant: Merchant) -> None:
        subscription = subscribed(billing, merchant, **only_period())

        for key in ("end-1", "end-2"):
            assert billing.cancel(subscription=subscription, at_period_end=False, idempotency_key=key).status == (
                "canceled"
            )

    def test_give_up_a_change_that_waits(self, billing: StripeBilling, merchant: Merchant) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        change(billing, subscription, 1000, plan="basic", prorate=False)

        ending = billing.cancel(subscription=subscription, at_period_end=True, idempotency_key="end-1")

        assert (ending.cancel_at_period_end, ending.plan) == (True, "pro")
        assert merchant.billing.subscriptions[subscription]["schedule"] is None

    def test_are_taken_back_by_choosing_another_plan(self, billing: StripeBilling, merchant: Merchant) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        billing.cancel(subscription=subscription, at_period_end=True, idempotency_key="end-1")

        waiting = change(billing, subscription, 1000, plan="basic", prorate=False)

        assert waiting.cancel_at_period_end is False
