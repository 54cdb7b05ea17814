"""Subscriptions by card: whatever Stripe tells, in whatever order, ours follows what it has."""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from shared_apps.billing import selectors, services
from shared_apps.billing.models import Invoice, PaymentPage
from shared_apps.billing.stripe.adapter import StripeBilling
from shared_apps.ledger import selectors as ledger
from shared_apps.receipts import services as receipts
from shared_apps.receipts.models import InboxEvent
from tenant_apps.payments import services as payments
from tenants.models import Plan, Substation
from tests.fakes.stripe import FakeStripe, Merchant
from tests.shared_apps.billing.stage import make_plan, prepaid, state, top_up

_serial = itertools.count(1)
START = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)
DAY = 86_400


@dataclass
class Stripe:
    """The main station's account at the fake, and the time there."""

    fake: FakeStripe
    merchant: Merchant
    key: str
    account_id: int
    public_id: str
    now: datetime = START
    told: set[str] = field(default_factory=set)

    def events(self) -> list[tuple[dict[str, str], bytes]]:
        """What is to be told, signed; told once."""
        hooks = self.fake.webhooks(self.key)
        fresh = [event for event in hooks.pending() if event["id"] not in self.told]
        self.told |= {event["id"] for event in fresh}
        return [hooks.signed(event, at=self.now.timestamp(), secret="whsec_main") for event in fresh]

    def tell(self, order: Callable[[list[Any]], list[Any]] = list) -> None:
        """Let Stripe tell everything that happened, in an order, and let us follow it up."""
        for headers, body in order(self.events()):
            payments.receive_callback(
                channel="stripe", account_public_id=self.public_id, headers=headers, body=body, now=self.now
            )
        payments.handle_waiting(now=self.now)

    def pass_days(self, days: float) -> None:
        """Live through some days there; ours is the same time."""
        self.fake.advance(days * DAY)
        self.now += timedelta(days=days)


def account_at_stripe() -> Iterator[Stripe]:
    """What the fixture `stripe` is."""
    name = f"{next(_serial)}x{os.getpid()}"
    key = f"sk_test_{name}"
    with FakeStripe(clock=START.timestamp) as fake:
        with in_main():
            account = receipts.create_account(
                channel="stripe", account_ref=f"acct_{name}", name="Stripe", api_base=fake.base_url, by=SYSTEM,
                credentials={"api_key": key, "webhook_secret": "whsec_main"},
            )  # fmt: skip
        yield Stripe(fake, fake.merchant(key), key, account.id, account.public_id)
        with in_main():
            receipts.set_enabled(account_public_id=account.public_id, enabled=False, by=SYSTEM)


def open_page(stripe: Stripe, shop: Any, plan: Plan, interval: str = "MONTH") -> PaymentPage:
    opened = services.open_subscription_page(
        substation_id=shop.pk, account_id=stripe.account_id, plan_code=plan.code, interval=interval,
        return_url="http://shop.example/back?page={page}", cancel_url="http://shop.example/", locale="en", by=SYSTEM,
        now=stripe.now,
    )  # fmt: skip
    with in_main():
        return PaymentPage.objects.get(public_id=opened.public_id)


def by_card(stripe: Stripe, subscribed: Callable[..., Any], plan: Plan) -> Any:
    """A shop whose subscription a card pays, begun now."""
    shop = subscribed(make_plan(), at=stripe.now, paid=False)
    page = open_page(stripe, shop, plan)
    stripe.merchant.pay(page.session_ref)
    stripe.tell()
    return shop


def invoices(shop: Any) -> list[tuple[str, str, int]]:
    with in_main():
        return list(
            Invoice.objects.filter(substation_id=shop.pk).order_by("id").values_list("kind", "state", "total_minor")
        )


def row_of(shop: Any) -> Any:
    with in_main():
        return selectors.subscription(shop.pk)


class TestSubscribe:
    def test_a_paid_page_begins_the_subscription_with_a_booked_invoice(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800, opening_fee_minor=20_000, deposit_minor=50_000)
        with in_main():
            before = ledger.balance_minor("main:revenue")

        shop = by_card(stripe, subscribed, plan)

        row = row_of(shop)
        assert (row.method, row.plan.code, row.period_start) == ("STRIPE", plan.code, START)
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert invoices(shop) == [("OPENING", "PAID", 29_800), ("DEPOSIT", "PAID", 50_000)]
        with in_main():
            assert ledger.balance_minor("main:revenue") - before == 29_800
            assert selectors.balance(shop.pk, "deposit") == 50_000
            assert Substation.objects.get(pk=shop.pk).plan_id == plan.pk
        assert prepaid(shop) == 0

    @pytest.mark.parametrize("gone", ["CLOSED", "ERASED"])
    def test_a_shop_that_is_closed_is_led_to_no_page(
        self, stripe: Stripe, subscribed: Callable[..., Any], gone: str
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = subscribed(make_plan(), at=stripe.now, paid=False)
        with in_main():
            Substation.objects.filter(pk=shop.pk).update(state=gone)

        with pytest.raises(services.BillingRefused, match="The shop is closed for good"):
            open_page(stripe, shop, plan)

        with in_main():
            assert not PaymentPage.objects.filter(substation_id=shop.pk).exists()
        assert stripe.fake.requests == []

    def test_told_in_any_order_and_twice_ends_the_same(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = subscribed(make_plan(), at=stripe.now, paid=False)
        page = open_page(stripe, shop, plan)
        stripe.merchant.pay(page.session_ref)

        stripe.tell(lambda events: random.Random(7).sample(events * 2, 2 * len(events)))

        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert invoices(shop) == [("OPENING", "PAID", 9_800)]

    def test_an_invoice_that_is_told_of_is_fetched_once(
        self, stripe: Stripe, subscribed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        stripe.pass_days(31.1)
        told = [event for event in stripe.events() if b'"invoice.paid"' in event[1]]
        fetched: list[str] = []
        fetch = StripeBilling.fetch_invoice

        def counted(self: StripeBilling, invoice: str) -> Any:
            fetched.append(invoice)
            return fetch(self, invoice)

        monkeypatch.setattr(StripeBilling, "fetch_invoice", counted)
        for headers, body in told:
            payments.receive_callback(
                channel="stripe", account_public_id=stripe.public_id, headers=headers, body=body, now=stripe.now
            )
        payments.handle_waiting(now=stripe.now)

        assert len(fetched) == len(told) == 1
        assert invoices(shop)[1:] == [("PERIOD", "PAID", 9_800)]

    def test_the_payers_return_is_enough(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = subscribed(make_plan(), at=stripe.now, paid=False)
        page = open_page(stripe, shop, plan)
        assert services.ask_about(page_public_id=page.public_id, now=stripe.now) == "OPEN"
        stripe.merchant.pay(page.session_ref)

        assert services.ask_about(page_public_id=page.public_id, now=stripe.now) == "PAID"
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        stripe.tell()
        assert invoices(shop) == [("OPENING", "PAID", 9_800)]

    def test_one_that_was_cancelled_before_its_creation_was_told_is_never_begun(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        free = make_plan()
        shop = subscribed(free, at=stripe.now, paid=False)
        page = open_page(stripe, shop, plan)
        stripe.merchant.pay(page.session_ref)
        created = stripe.events()
        channel = services.channel_of(stripe.account_id)
        subscription = channel.fetch_checkout(page.session_ref).subscription
        channel.cancel(subscription=subscription, at_period_end=False, idempotency_key="outside")
        cancelled = stripe.events()

        for headers, body in [*cancelled, *created]:
            payments.receive_callback(
                channel="stripe", account_public_id=stripe.public_id, headers=headers, body=body, now=stripe.now
            )
            payments.handle_waiting(now=stripe.now)

        row = row_of(shop)
        assert (row.method, row.stripe_subscription, row.plan.code) == ("PREPAID", "", free.code)
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert invoices(shop) == []
        assert prepaid(shop) == 9_800  # What was paid is the shop's own money.

    def test_a_second_page_that_is_paid_too_is_ended_and_its_money_kept(
        self, stripe: Stripe, subscribed: Callable[..., Any], no_jobs: None
    ) -> None:
        one, two = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
        shop = subscribed(make_plan(), at=stripe.now, paid=False)
        first, second = open_page(stripe, shop, one), open_page(stripe, shop, two)
        for page in (first, second):
            stripe.merchant.pay(page.session_ref)
            stripe.tell()
        jobs.run_all_due()
        stripe.tell()

        assert row_of(shop).plan.code == one.code
        assert invoices(shop) == [("OPENING", "PAID", 9_800)]
        assert prepaid(shop) == 29_800
        channel = services.channel_of(stripe.account_id)
        stray = channel.fetch_subscription(channel.fetch_checkout(second.session_ref).subscription)
        assert stray.status == "canceled"

    def test_what_the_balance_paid_runs_on_until_the_cards_first_charge(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = subscribed(plan, at=stripe.now)
        stripe.pass_days(10)

        page = open_page(stripe, shop, plan)
        stripe.merchant.pay(page.session_ref)
        stripe.tell()
        assert invoices(shop) == []
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        stripe.pass_days(21.1)
        stripe.tell()

        assert invoices(shop) == [("PERIOD", "PAID", 9_800)]
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")


class TestOtherNews:
    def test_that_names_neither_payment_nor_subscription_is_put_aside(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        """An account tells of its customers, products and payouts as well: nothing is asked about, nothing fails."""
        by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))

        with in_main():
            told = InboxEvent.objects.filter(account_id=stripe.account_id, kind="customer.created")
            assert list(told.values_list("state", "attempts", "problem")) == [("IGNORED", 0, "")]


class TestRenewal:
    def test_is_an_invoice_of_ours_booked_once(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))

        stripe.pass_days(31.1)
        stripe.tell(lambda events: [*events, *events])

        assert invoices(shop) == [("OPENING", "PAID", 9_800), ("PERIOD", "PAID", 9_800)]
        assert row_of(shop).period_start == datetime(2031, 4, 1, 2, tzinfo=UTC)

    def test_is_booked_though_the_account_was_switched_off_meanwhile(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        """Stripe goes on charging for what was begun; only new pages are not opened any more."""
        plan = make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, plan)
        with in_main():
            receipts.set_enabled(account_public_id=stripe.public_id, enabled=False, by=SYSTEM)

        stripe.pass_days(31.1)
        stripe.tell()

        assert invoices(shop)[1:] == [("PERIOD", "PAID", 9_800)]
        with pytest.raises(services.NoWayToPay):
            open_page(stripe, subscribed(make_plan(), at=stripe.now, paid=False), plan)

    def test_in_another_currency_is_not_booked_and_a_person_sees_why(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        stripe.pass_days(31.1)
        (*_, renewal) = stripe.merchant.billing.invoices.values()
        renewal["currency"] = "usd"
        with in_main():
            before = ledger.balance_minor("main:revenue")

        stripe.tell()

        assert invoices(shop) == [("OPENING", "PAID", 9_800)]
        with in_main():
            assert ledger.balance_minor("main:revenue") == before
            problems = set(
                InboxEvent.objects.filter(account_id=stripe.account_id, attempts__gt=0).values_list(
                    "problem", flat=True
                )
            )
        assert problems == {
            f"WrongCurrency: Invoice {renewal['id']} of the channel is in USD, and the shop's money is CNY. "
            "Nothing was booked."
        }

    def test_a_declined_card_is_due_then_dunned_and_back_when_it_is_paid(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800, grace_days=7))
        row = row_of(shop)
        stripe.merchant.billing.decline(row.stripe_customer)

        stripe.pass_days(31.1)
        stripe.tell()
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")
        assert invoices(shop)[1:] == [("PERIOD", "OPEN", 9_800)]
        stripe.pass_days(14)
        stripe.tell()
        services.dun(now=stripe.now)
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "SHUT")

        with pytest.raises(services.BillingRefused):
            services.pay_by_card(substation_id=shop.pk, now=stripe.now)
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "SHUT")
        stripe.merchant.billing.accept(row.stripe_customer)
        assert services.pay_by_card(substation_id=shop.pk, now=stripe.now + timedelta(minutes=1))

        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert invoices(shop)[1:] == [("PERIOD", "PAID", 9_800)]


class TestClosed:
    def test_a_shop_that_is_closed_is_not_charged_any_more(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        with in_main():
            Substation.objects.filter(pk=shop.pk).update(state="CLOSED")

        services.end_closed(now=stripe.now)
        stripe.pass_days(31.1)
        stripe.tell()

        assert state(shop) == ("ENDED", "CLOSED", "GOOD")
        assert len(invoices(shop)) == 1


class TestDoublePayment:
    def test_a_top_up_does_not_pay_what_the_card_will(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        stripe.merchant.billing.decline(row_of(shop).stripe_customer)
        stripe.pass_days(31.1)
        stripe.tell()
        top_up(shop, 9_800)

        with in_main():
            assert services.collect(substation_id=shop.pk, now=stripe.now) == []
        stripe.merchant.billing.accept(row_of(shop).stripe_customer)
        stripe.pass_days(4)
        stripe.tell()

        assert invoices(shop)[1:] == [("PERIOD", "PAID", 9_800)]
        assert prepaid(shop) == 9_800
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")


class TestChange:
    def test_in_the_middle_of_the_month_is_charged_to_the_cent_as_shown(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        pro = make_plan(monthly_fee_minor=29_800)
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        stripe.pass_days(15.5)

        offer = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=stripe.now)
        shown = offer.total_minor
        stripe.pass_days(10 / 1440)  # Ten minutes to think about it.
        made = services.confirm_change(
            substation_id=shop.pk, quote_public_id=offer.quote.public_id, by=SYSTEM, now=stripe.now
        )

        assert shown == 10_000
        assert [invoice.total_minor for invoice in made] == [shown]
        assert invoices(shop)[1:] == [("PRORATA", "PAID", shown)]
        assert row_of(shop).plan.code == pro.code
        stripe.tell()
        assert invoices(shop)[1:] == [("PRORATA", "PAID", shown)]

    def test_takes_opening_fee_and_deposit_from_the_balance(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        pro = make_plan(monthly_fee_minor=29_800, opening_fee_minor=5_000, deposit_minor=7_000)
        basic = make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, basic)
        stripe.pass_days(15.5)
        offer = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=stripe.now)
        assert (offer.total_minor, offer.balance_minor, offer.missing_minor) == (22_000, 12_000, 12_000)

        with pytest.raises(services.BalanceTooLow):
            services.confirm_change(
                substation_id=shop.pk, quote_public_id=offer.quote.public_id, by=SYSTEM, now=stripe.now
            )
        assert row_of(shop).plan.code == basic.code
        top_up(shop, 12_000)
        made = services.confirm_change(
            substation_id=shop.pk, quote_public_id=offer.quote.public_id, by=SYSTEM, now=stripe.now
        )

        assert sum(invoice.total_minor for invoice in made) == 22_000
        assert prepaid(shop) == 0
        assert row_of(shop).plan.code == pro.code

    def test_with_a_declined_card_changes_nothing(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        pro, basic = make_plan(monthly_fee_minor=29_800), make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, basic)
        stripe.pass_days(10)
        offer = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=stripe.now)
        stripe.merchant.billing.decline(row_of(shop).stripe_customer)

        with pytest.raises(services.BillingRefused):
            services.confirm_change(
                substation_id=shop.pk, quote_public_id=offer.quote.public_id, by=SYSTEM, now=stripe.now
            )

        assert row_of(shop).plan.code == basic.code
        assert invoices(shop)[1:] == []

    def test_downward_waits_at_stripe_and_comes_with_the_renewal(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        pro, basic = make_plan(monthly_fee_minor=29_800), make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, pro)

        services.schedule_change(
            substation_id=shop.pk, plan_code=basic.code, interval="MONTH", by=SYSTEM, now=stripe.now
        )
        stripe.tell()
        assert (row_of(shop).plan.code, row_of(shop).next_plan.code) == (pro.code, basic.code)
        stripe.pass_days(31.1)
        stripe.tell()

        assert (row_of(shop).plan.code, row_of(shop).next_plan) == (basic.code, None)
        assert invoices(shop)[1:] == [("PERIOD", "PAID", 9_800)]


class TestCancel:
    def test_ends_with_the_period(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))

        services.cancel(substation_id=shop.pk, by=SYSTEM, now=stripe.now)
        stripe.tell()
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        stripe.pass_days(31.1)
        stripe.tell()

        assert state(shop) == ("ENDED", "PAST_DUE", "SHUT")
        assert len(invoices(shop)) == 1

    def test_can_be_taken_back(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))

        services.cancel(substation_id=shop.pk, by=SYSTEM, now=stripe.now)
        services.keep(substation_id=shop.pk, by=SYSTEM, now=stripe.now + timedelta(seconds=1))
        stripe.pass_days(31.1)
        stripe.tell()

        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert len(invoices(shop)) == 2
