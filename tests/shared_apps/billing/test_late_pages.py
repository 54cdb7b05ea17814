"""Card pages that are paid when nothing is to be bought with them any more: ended at Stripe, the money kept."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail

from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock
from shared_apps.billing import services
from shared_apps.billing.models import PaymentPage
from tenants import signup as signups
from tests.shared_apps.billing.stage import make_plan, prepaid
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
