"""Card pages that are paid when nothing is to be bought with them any more: ended at Stripe, the money kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock
from shared_apps.billing import services
from shared_apps.billing.models import PaymentPage
from tenants import signup as signups
from tests.shared_apps.billing.stage import make_plan, prepaid, state, top_up
from tests.shared_apps.billing.test_cards import (
    Stripe,
    invoices,
    open_page,
    row_of,
)
from tests.shared_apps.billing.test_opening import applied, fresh


@pytest.fixture(autouse=True)
def outbox(no_jobs: None) -> None:
    mail.outbox = []


def status_of(stripe: Stripe, page: PaymentPage) -> str:
    """What Stripe has of the subscription that a page began."""
    channel = services.channel_of(stripe.account_id)
    return channel.fetch_subscription(channel.fetch_checkout(page.session_ref).subscription).status


def page_state(page: PaymentPage) -> str:
    with in_main():
        return PaymentPage.objects.get(pk=page.pk).state


class TestAfterTheSignupExpired:
    def test_the_subscription_is_ended_and_its_money_kept(self, stripe: Stripe) -> None:
        plan = make_plan(monthly_fee_minor=9_800, opening_fee_minor=20_000)
        signup = applied(plan)
        shop = fresh(signup).substation
        page = open_page(stripe, shop, plan)
        signups.sweep(page.expires_at + signups.PAYING_LIFE)
        assert fresh(signup).state == "EXPIRED"

        stripe.merchant.pay(page.session_ref)
        stripe.tell()
        jobs.run_all_due()
        stripe.tell()

        assert status_of(stripe, page) == "canceled"
        assert row_of(shop) is None
        assert invoices(shop) == []
        assert prepaid(shop) == 29_800
        stripe.pass_days(32)
        stripe.tell()
        assert prepaid(shop) == 29_800  # One charge, and no other.

    def test_while_a_page_can_be_paid_it_does_not_expire(self, stripe: Stripe) -> None:
        signup = applied(make_plan(monthly_fee_minor=9_800))
        page = open_page(stripe, fresh(signup).substation, fresh(signup).plan)
        late = page.expires_at - timedelta(minutes=1)
        assert late > clock.utc_now() + signups.PAYING_LIFE

        signups.sweep(late)
        assert fresh(signup).state == "PAYING"
        signups.sweep(page.expires_at)
        assert fresh(signup).state == "EXPIRED"

    def test_a_page_that_ended_does_not_hold_it(self, stripe: Stripe) -> None:
        signup = applied(make_plan(monthly_fee_minor=9_800))
        page = open_page(stripe, fresh(signup).substation, fresh(signup).plan)
        with in_main():
            PaymentPage.objects.filter(pk=page.pk).update(state="ENDED", ended_at=stripe.now)

        signups.sweep(page.expires_at - timedelta(minutes=1))
        assert fresh(signup).state == "EXPIRED"


class TestAfterTheBalancePaid:
    def test_an_opening_is_charged_once(self, stripe: Stripe) -> None:
        plan = make_plan(monthly_fee_minor=9_800, opening_fee_minor=20_000, deposit_minor=50_000)
        signup = applied(plan)
        shop = fresh(signup).substation
        page = open_page(stripe, shop, plan)
        top_up(shop, 79_800, stripe.now)
        with in_main():
            assert services.open_if_covered(substation_id=shop.pk, now=stripe.now)
        stripe.merchant.pay(page.session_ref)  # Before the job that takes the page away has run.

        stripe.tell()
        jobs.run_all_due()
        stripe.tell()

        assert status_of(stripe, page) == "canceled"
        assert invoices(shop) == [("OPENING", "PAID", 29_800), ("DEPOSIT", "PAID", 50_000)]
        assert prepaid(shop) == 79_800
        assert (row_of(shop).method, row_of(shop).stripe_subscription) == ("PREPAID", "")
        assert fresh(signup).state == "LIVE"
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")

    def test_its_open_page_takes_no_money_any_more(self, stripe: Stripe) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        signup = applied(plan)
        shop = fresh(signup).substation
        page = open_page(stripe, shop, plan)
        top_up(shop, 9_800, stripe.now)
        with in_main():
            assert services.open_if_covered(substation_id=shop.pk, now=stripe.now)

        jobs.run_all_due()

        assert services.channel_of(stripe.account_id).fetch_checkout(page.session_ref).status == "expired"
        assert page_state(page) == "ENDED"

    def test_a_trial_s_deposit_is_held_once(self, stripe: Stripe) -> None:
        plan = make_plan(monthly_fee_minor=9_800, deposit_minor=50_000, trial_days=14)
        signup = applied(plan)
        shop = fresh(signup).substation
        page = open_page(stripe, shop, plan)
        top_up(shop, 50_000, stripe.now)
        with in_main():
            assert services.open_if_covered(substation_id=shop.pk, now=stripe.now)
        stripe.merchant.pay(page.session_ref)

        stripe.tell()
        jobs.run_all_due()
        stripe.tell()

        assert status_of(stripe, page) == "canceled"
        assert invoices(shop) == [("DEPOSIT", "PAID", 50_000)]
        assert prepaid(shop) == 50_000

    def test_a_period_that_the_balance_renewed_meanwhile_is_not_charged_to_the_card(
        self,
        stripe: Stripe,
        subscribed: Callable[..., Any],
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = subscribed(plan, at=stripe.now)
        top_up(shop, 9_800, stripe.now)
        stripe.pass_days(30.8)
        page = open_page(stripe, shop, plan)
        stripe.pass_days(0.5)
        services.renew_due(now=stripe.now)
        assert invoices(shop) == [("PERIOD", "PAID", 9_800)]

        stripe.merchant.pay(page.session_ref)
        stripe.tell()
        jobs.run_all_due()
        stripe.tell()

        assert status_of(stripe, page) == "canceled"
        stripe.pass_days(3)
        stripe.tell()
        assert invoices(shop) == [("PERIOD", "PAID", 9_800)]
        assert row_of(shop).method == "PREPAID"
