"""Billing's contract spoken to Stripe: what is asked, what is read, and what is believed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kameng.lib.errors import ProviderError
from kameng.lib.outside.http import Transport
from kameng.lib.outside.refusals import BadSignature, ChannelRefused, StaleCallback, WrongAccount
from shared_apps.billing.channel import InvoiceLine, InvoiceState
from shared_apps.billing.stripe.adapter import StripeBilling
from shared_apps.receipts.types import AccountInfo
from tests.fakes.stripe import FakeStripe, Fault, Merchant
from tests.fakes.stripe.hurry import PATIENT, Hurried

NOW = datetime(2026, 9, 1, tzinfo=UTC)  # September has 30 days.
DAY = 86_400
KEY = "sk_test_main"


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with FakeStripe(clock=NOW.timestamp) as server:
        yield server


@pytest.fixture
def merchant(fake: FakeStripe) -> Merchant:
    """The main station's account, from the inside."""
    return fake.merchant(KEY)


def adapter(fake: FakeStripe, *, transport: Transport | None = None, key: str = KEY) -> StripeBilling:
    account = AccountInfo(
        id=1, public_id="acc_1", channel="stripe", account_ref="acct_main", name="Stripe", substation_id=None,
        api_base=fake.base_url, enabled=True, credentials={"api_key": key, "webhook_secret": "whsec_main"},
    )  # fmt: skip
    return StripeBilling(account, transport=transport or Transport("stripe", PATIENT))


@pytest.fixture
def billing(fake: FakeStripe) -> StripeBilling:
    return adapter(fake)


@pytest.fixture
def hurried(fake: FakeStripe) -> StripeBilling:
    return adapter(fake, transport=Hurried(fake))


def customer(billing: StripeBilling) -> str:
    return billing.ensure_customer(
        substation_public_id="sub_alice",
        email="alice@example.com",
        name="Alice's shop",
        idempotency_key="cus:sub_alice",
    )


def page(billing: StripeBilling, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "customer": customer(billing),
        "currency": "CNY",
        "opening_fee_minor": 50_000,
        "deposit_minor": 100_000,
        "period_fee_minor": 9900,
        "interval": "MONTH",
        "trial_days": 0,
        "plan": "pro",
        "name": "专业版",
        "success_url": "http://main.example/done",
        "cancel_url": "http://main.example/plans",
        "reference": "bpg_1",
        "idempotency_key": "bpg_1",
        "locale": "en",
    }
    return billing.open_checkout(**{**values, **changes})


def subscribed(billing: StripeBilling, merchant: Merchant, **changes: Any) -> str:
    opened = page(billing, **changes)
    merchant.pay(opened.session_id)
    return billing.fetch_checkout(opened.session_id).subscription


def only_period(**changes: Any) -> dict[str, Any]:
    return {"opening_fee_minor": 0, "deposit_minor": 0, **changes}


def change(billing: StripeBilling, subscription: str, amount: int = 29_900, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "subscription": subscription,
        "new_amount_minor": amount,
        "interval": "MONTH",
        "plan": "flagship",
        "name": "旗舰版",
        "at": NOW,
        "prorate": True,
        "idempotency_key": "quo_1",
    }
    return billing.change_plan(**{**values, **changes})


def preview(
    billing: StripeBilling, subscription: str, at: datetime, amount: int = 29_900, interval: str = "MONTH"
) -> int:
    return billing.preview_change(
        subscription=subscription, new_amount_minor=amount, interval=interval, plan="flagship", name="旗舰版", at=at
    )


def latest(billing: StripeBilling, subscription: str) -> InvoiceState:
    return billing.fetch_invoice(billing.fetch_subscription(subscription).latest_invoice)


def everything(merchant: Merchant) -> str:
    """All that the account holds, to compare."""
    own = merchant.billing
    return json.dumps([own.subscriptions, own.invoices, own.items, own.payments, merchant.charges], sort_keys=True)


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
