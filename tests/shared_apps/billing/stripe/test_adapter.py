"""Billing's contract spoken to Stripe: what is asked, what is read, and what has no answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kameng.lib.errors import ProviderError
from kameng.lib.outside.refusals import ChannelRefused
from shared_apps.billing.channel import InvoiceLine
from shared_apps.billing.stripe.adapter import StripeBilling
from tests.fakes.stripe import FakeStripe, Fault, Merchant
from tests.shared_apps.billing.stripe.talk import (
    DAY,
    NOW,
    adapter,
    change,
    customer,
    latest,
    only_period,
    page,
    subscribed,
)


class TestCustomers:
    def test_are_made_once_though_stripe_forgot_the_key(self, billing: StripeBilling, merchant: Merchant) -> None:
        first = customer(billing)
        merchant.replays.clear()

        assert customer(billing) == first
        assert [row["metadata"] for row in merchant.billing.customers.values()] == [{"substation": "sub_alice"}]

    def test_with_one_address_are_told_apart_by_their_substation(
        self, billing: StripeBilling, merchant: Merchant
    ) -> None:
        customer(billing)

        billing.ensure_customer(
            substation_public_id="sub_second", email="alice@example.com", name="Her other shop", idempotency_key="k2"
        )

        assert [row["metadata"]["substation"] for row in merchant.billing.customers.values()] == [
            "sub_alice",
            "sub_second",
        ]


class TestPage:
    def test_names_every_sum_and_carries_our_labels(self, billing: StripeBilling, merchant: Merchant) -> None:
        opened = page(billing)

        session = merchant.sessions[opened.session_id]
        lines = [(row["description"], row["amount_total"]) for row in merchant.items[opened.session_id]]
        assert lines == [
            ("专业版", 9900),
            ("Opening fee", 50_000),
            ("Deposit, given back when the shop closes", 100_000),
        ]
        assert (session["amount_total"], session["currency"], session["mode"]) == (159_900, "cny", "subscription")
        assert session["metadata"] == {"plan": "pro", "reference": "bpg_1"}
        assert opened.url == session["url"]
        assert opened.expires_at == NOW + timedelta(days=1)

    def test_makes_one_product_for_each_name_of_a_plan(self, billing: StripeBilling, merchant: Merchant) -> None:
        for number, name in enumerate(("专业版", "专业版", "Professional")):
            page(billing, name=name, idempotency_key=f"bpg_{number}", **only_period())

        found = [(row["name"], row["metadata"]) for row in merchant.billing.products.values()]
        labels = {"kind": "period", "plan": "pro"}
        assert found == [("专业版", labels), ("Professional", labels)]

    def test_is_read_before_and_after_it_was_paid(self, billing: StripeBilling, merchant: Merchant) -> None:
        opened = page(billing)
        before = billing.fetch_checkout(opened.session_id)

        merchant.pay(opened.session_id)
        after = billing.fetch_checkout(opened.session_id)

        assert (before.status, before.paid, before.subscription) == ("open", False, "")
        assert (after.status, after.paid, after.customer) == ("complete", True, customer(billing))
        assert (after.amount_minor, after.currency, after.reference) == (159_900, "CNY", "bpg_1")
        assert after.subscription in merchant.billing.subscriptions

    def test_of_a_trial_without_fees_is_paid_with_nothing(self, billing: StripeBilling, merchant: Merchant) -> None:
        opened = page(billing, **only_period(trial_days=14))
        merchant.pay(opened.session_id)

        state = billing.fetch_checkout(opened.session_id)

        assert (state.paid, state.amount_minor) == (True, 0)
        subscription = billing.fetch_subscription(state.subscription)
        assert (subscription.status, subscription.trial_ends_at) == ("trialing", NOW + timedelta(days=14))
        assert (subscription.amount_minor, subscription.plan, subscription.reference) == (9900, "pro", "bpg_1")

    def test_the_same_again_is_the_same_page(self, billing: StripeBilling, merchant: Merchant) -> None:
        assert page(billing) == page(billing)
        assert len(merchant.sessions) == 1

    def test_takes_no_more_money_once_it_is_expired(self, billing: StripeBilling, merchant: Merchant) -> None:
        given_up, paid = page(billing), page(billing, reference="bpg_2", idempotency_key="bpg_2")
        merchant.pay(paid.session_id)

        assert billing.expire_checkout(given_up.session_id).status == "expired"
        assert billing.expire_checkout(given_up.session_id).status == "expired"
        assert billing.expire_checkout(paid.session_id).status == "complete"

    def test_that_nobody_knows_is_not_found(self, billing: StripeBilling) -> None:
        with pytest.raises(ChannelRefused) as refusal:
            billing.fetch_checkout("cs_test_other")

        assert refusal.value.code == "not_found"


class TestInvoices:
    def test_say_what_each_sum_is_for_and_what_stripe_keeps(self, billing: StripeBilling, merchant: Merchant) -> None:
        subscription = subscribed(billing, merchant)

        found = latest(billing, subscription)

        end = NOW + timedelta(days=30)
        assert found.lines == (
            InvoiceLine("opening", "Opening fee", 50_000, None, None),
            InvoiceLine("deposit", "Deposit, given back when the shop closes", 100_000, None, None),
            InvoiceLine("period", "1 × 专业版 (at 99.00 / month)", 9900, NOW, end),
        )
        assert (found.paid, found.amount_minor, found.currency, found.reason) == (True, 159_900, "CNY", "create")
        assert found.fee_minor == 4667  # 2.9 % and 30.
        assert (found.subscription, found.period_start, found.period_end) == (subscription, NOW, end)
        assert (found.created_at, found.paid_at) == (NOW, NOW)

    def test_of_a_renewal_are_for_the_time_ahead(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())

        fake.advance(30 * DAY)
        draft = latest(billing, subscription)
        fake.advance(3600)
        paid = latest(billing, subscription)

        assert (draft.status, draft.paid, draft.reason, draft.fee_minor) == ("draft", False, "cycle", 0)
        assert (paid.status, paid.paid, paid.amount_minor, paid.fee_minor) == ("paid", True, 9900, 317)
        assert (paid.period_start, paid.period_end) == (NOW + timedelta(days=30), NOW + timedelta(days=61))

    def test_that_fail_stay_open_until_they_are_paid(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period())
        merchant.billing.decline(customer(billing))
        fake.advance(30 * DAY + 3600)
        failed = latest(billing, subscription)
        with pytest.raises(ChannelRefused) as refusal:
            billing.pay_invoice(invoice=failed.id, idempotency_key="try-1")
        merchant.billing.accept(customer(billing))

        paid = billing.pay_invoice(invoice=failed.id, idempotency_key="try-2")

        assert (failed.status, failed.paid, refusal.value.code) == ("open", False, "card_declined")
        assert (paid.status, paid.paid, paid.amount_minor) == ("paid", True, 9900)
        assert billing.fetch_subscription(subscription).status == "active"
        assert billing.pay_invoice(invoice=failed.id, idempotency_key="try-3") == paid

    def test_name_no_fee_that_is_in_another_currency(self, billing: StripeBilling, merchant: Merchant) -> None:
        merchant.settles_in = "usd"
        subscription = subscribed(billing, merchant)

        assert latest(billing, subscription).fee_minor == 0

    def test_show_credit_that_was_used_as_a_line(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant, **only_period(interval="YEAR", period_fee_minor=99_000))
        change(billing, subscription, 9900)  # A year is given back for a month: what is left over is credit.
        kept = latest(billing, subscription)

        fake.advance(30 * DAY + 3600)

        assert [(row.kind, row.amount_minor) for row in kept.lines] == [
            ("prorata", -99_000), ("period", 9900), ("prorata", 89_100),
        ]  # fmt: skip
        assert (kept.amount_minor, kept.paid) == (0, True)
        used = latest(billing, subscription)
        assert [(row.kind, row.amount_minor) for row in used.lines] == [("period", 9900), ("prorata", -9900)]
        assert used.amount_minor == 0

    def test_longer_than_a_page_are_read_whole(
        self, fake: FakeStripe, billing: StripeBilling, merchant: Merchant
    ) -> None:
        subscription = subscribed(billing, merchant)
        invoice = merchant.billing.invoices[billing.fetch_subscription(subscription).latest_invoice]
        short = {**invoice, "lines": {**invoice["lines"], "data": invoice["lines"]["data"][:1], "has_more": True}}
        merchant.billing.invoices[invoice["id"]] = short
        merchant.billing.full_lines[invoice["id"]] = invoice["lines"]["data"]

        assert [row.kind for row in billing.fetch_invoice(invoice["id"]).lines] == ["opening", "deposit", "period"]


class TestPortal:
    def test_leads_to_the_customers_own_page_and_back(self, billing: StripeBilling, merchant: Merchant) -> None:
        url = billing.portal(customer=customer(billing), return_url="http://main.example/billing")

        (visit,) = merchant.billing.portals.values()
        assert (url, visit["customer"]) == (visit["url"], customer(billing))
        assert visit["return_url"] == "http://main.example/billing"


class TestUnanswered:
    @pytest.mark.parametrize(
        ("fault", "unknown", "retryable"),
        [(Fault.BROKEN, True, False), (Fault.KEY_IN_USE, True, False), (Fault.RATE_LIMITED, False, True)],
    )
    def test_a_page_is_sent_once_and_sorted(
        self, fake: FakeStripe, billing: StripeBilling, fault: Fault, unknown: bool, retryable: bool
    ) -> None:
        customer(billing)
        fake.fail_next("POST /v1/checkout/sessions", fault)

        with pytest.raises(ProviderError) as failure:
            page(billing)

        assert (failure.value.unknown, failure.value.retryable) == (unknown, retryable)
        asked = [path for method, path, _ in fake.requests if method == "POST"]
        assert asked == ["/v1/customers", "/v1/products", "/v1/checkout/sessions"]

    def test_a_page_that_was_made_is_found_by_asking_again(
        self, fake: FakeStripe, billing: StripeBilling, hurried: StripeBilling, merchant: Merchant
    ) -> None:
        customer(billing)
        fake.fail_next("POST /v1/checkout/sessions", Fault.SILENT_AFTER)
        with pytest.raises(ProviderError) as failure:
            page(hurried)

        opened = page(billing)

        assert failure.value.unknown is True
        assert list(merchant.sessions) == [opened.session_id]

    def test_reading_may_simply_be_repeated(self, fake: FakeStripe, hurried: StripeBilling, merchant: Merchant) -> None:
        opened = page(hurried)
        fake.fail_next("GET /v1/checkout/sessions", Fault.SILENT_BEFORE)

        with pytest.raises(ProviderError) as failure:
            hurried.fetch_checkout(opened.session_id)

        assert (failure.value.unknown, failure.value.retryable) == (False, True)
        assert hurried.fetch_checkout(opened.session_id).status == "open"

    def test_a_wrong_key_is_a_refusal(self, fake: FakeStripe) -> None:
        with pytest.raises(ChannelRefused) as refusal:
            adapter(fake, key="sk_wrong").fetch_subscription("sub_1")

        assert refusal.value.code == "credentials"
