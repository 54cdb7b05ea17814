"""A plan that a card paid, ended, and was begun again from the balance: from then on the balance pays."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing import services
from tenants.models import Plan
from tests.shared_apps.billing.stage import make_plan, prepaid, state, top_up
from tests.shared_apps.billing.test_cards import (
    Stripe,
    by_card,
    invoices,
    open_page,
    row_of,
)


def ended_and_reopened(stripe: Stripe, shop: Any, plan: Plan) -> str:
    """End a shop's subscription by card and begin the plan again from the balance; answers the dead one's id."""
    dead = str(row_of(shop).stripe_subscription)
    stripe.pass_days(2)
    stripe.tell()
    services.channel_of(stripe.account_id).cancel(subscription=dead, at_period_end=False, idempotency_key="outside")
    stripe.tell()
    assert state(shop) == ("ENDED", "PAST_DUE", "SHUT")
    top_up(shop, 9_800, stripe.now)
    offer = services.quote_change(substation_id=shop.pk, plan_code=plan.code, interval="MONTH", now=stripe.now)
    services.confirm_change(substation_id=shop.pk, quote_public_id=offer.quote.public_id, by=SYSTEM, now=stripe.now)
    assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
    return dead


def left_open(stripe: Stripe, shop: Any) -> dict[str, Any]:
    """The card is declined for the next period; answers Stripe's invoice of it."""
    stripe.merchant.billing.decline(row_of(shop).stripe_customer)
    stripe.pass_days(31.1)
    stripe.tell()
    (*_, owed) = stripe.merchant.billing.invoices.values()
    return dict(owed)


def pay_by_hand(stripe: Stripe, owed: dict[str, Any]) -> None:
    """The payer opens Stripe's own page of an invoice, with a card that is good again."""
    stripe.merchant.billing.accept(owed["customer"])
    services.channel_of(stripe.account_id).pay_invoice(invoice=owed["id"], idempotency_key="by hand")


class TestReopened:
    def test_the_next_period_is_paid_from_the_balance(
        self,
        stripe: Stripe,
        subscribed: Callable[..., Any],
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, plan)
        customer = row_of(shop).stripe_customer
        ended_and_reopened(stripe, shop, plan)

        row = row_of(shop)
        assert (row.method, row.stripe_subscription, row.stripe_customer) == ("PREPAID", "", customer)
        top_up(shop, 9_800, stripe.now)
        stripe.pass_days(32)
        services.renew_due(now=stripe.now)

        assert invoices(shop) == [("OPENING", "PAID", 9_800), ("PERIOD", "PAID", 9_800), ("PERIOD", "PAID", 9_800)]
        assert prepaid(shop) == 0
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")

    def test_without_money_it_is_due(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, plan)
        ended_and_reopened(stripe, shop, plan)

        stripe.pass_days(32)
        services.renew_due(now=stripe.now)

        assert invoices(shop)[2:] == [("PERIOD", "OPEN", 9_800)]
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")

    def test_an_event_of_the_dead_one_changes_nothing(
        self,
        stripe: Stripe,
        subscribed: Callable[..., Any],
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, plan)
        dead = ended_and_reopened(stripe, shop, plan)

        stripe.now += timedelta(hours=1)
        assert services.follow(account_id=stripe.account_id, subscription_id=dead, now=stripe.now)

        row = row_of(shop)
        assert (row.method, row.stripe_subscription) == ("PREPAID", "")
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert invoices(shop) == [("OPENING", "PAID", 9_800), ("PERIOD", "PAID", 9_800)]
        assert prepaid(shop) == 0

    def test_what_the_dead_one_still_collects_is_booked(
        self,
        stripe: Stripe,
        subscribed: Callable[..., Any],
    ) -> None:
        """Its open invoice can still be paid on Stripe's own page: the money is not lost, the invoice is paid."""
        plan = make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, plan)
        owed = left_open(stripe, shop)
        ended_and_reopened(stripe, shop, plan)
        assert invoices(shop)[1:] == [("PERIOD", "OPEN", 9_800), ("PERIOD", "PAID", 9_800)]

        pay_by_hand(stripe, owed)
        stripe.tell()

        assert invoices(shop)[1:] == [("PERIOD", "PAID", 9_800), ("PERIOD", "PAID", 9_800)]
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert prepaid(shop) == 0

    def test_what_the_dead_one_left_open_can_be_paid_from_the_balance_and_not_twice(
        self,
        stripe: Stripe,
        subscribed: Callable[..., Any],
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, plan)
        owed = left_open(stripe, shop)
        ended_and_reopened(stripe, shop, plan)
        stripe.pass_days(32)
        services.renew_due(now=stripe.now)
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")

        top_up(shop, 19_600, stripe.now)
        with in_main():
            services.collect(substation_id=shop.pk, now=stripe.now)
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert [status for _, status, _ in invoices(shop)] == ["PAID"] * 4
        assert prepaid(shop) == 0
        pay_by_hand(stripe, owed)
        stripe.tell(lambda events: [*events, *events])

        assert prepaid(shop) == 9_800

    def test_a_card_can_take_over_again(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = by_card(stripe, subscribed, plan)
        dead = ended_and_reopened(stripe, shop, plan)
        stripe.now += timedelta(hours=2)

        page = open_page(stripe, shop, plan)
        stripe.merchant.pay(page.session_ref)
        stripe.tell()

        row = row_of(shop)
        assert row.method == "STRIPE"
        assert row.stripe_subscription not in ("", dead)
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
