"""The main station puts a shop on another plan while a card pays: the card is charged for it from the next period on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing import selectors, services
from tenant_apps.panel.views._billing_words import facts
from tenants import services as tenants
from tenants.models import Plan
from tests.fakes.stripe import Fault
from tests.shared_apps.billing.stage import make_plan, state
from tests.shared_apps.billing.test_cards import Stripe, by_card, invoices, open_page, row_of

APRIL = datetime(2031, 4, 1, 2, tzinfo=UTC)


def move(stripe: Stripe, shop: Any, plan: Plan) -> None:
    """As the console does, and the next tick."""
    with in_main():
        tenants.change_plan(public_id=shop.public_id, plan_code=plan.code, by=SYSTEM, now=stripe.now)
    services.tell_moved(now=stripe.now)


def plans_of(shop: Any) -> tuple[str, str, str]:
    """What it is charged for, what it is on, and what waits."""
    with in_main():
        row = selectors.subscription(shop.pk)
        assert row is not None
        return row.plan.code, row.substation.plan.code, row.next_plan.code if row.next_plan else ""


def schedules(stripe: Stripe) -> int:
    return len(stripe.merchant.billing.schedules)


@pytest.mark.parametrize("fee", [29_800, 4_800])
def test_the_next_period_costs_what_the_new_plan_does(stripe: Stripe, subscribed: Callable[..., Any], fee: int) -> None:
    old, new = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=fee, opening_fee_minor=50_000)
    shop = by_card(stripe, subscribed, old)
    stripe.pass_days(10)

    move(stripe, shop, new)
    stripe.tell()

    assert plans_of(shop) == (old.code, new.code, new.code)
    assert invoices(shop) == [("OPENING", "PAID", 9_800)]
    stripe.pass_days(22)
    stripe.tell()
    assert plans_of(shop) == (new.code, new.code, "")
    assert invoices(shop)[1:] == [("PERIOD", "PAID", fee)]
    assert (row_of(shop).period_start, state(shop)) == (APRIL, ("ACTIVE", "ACTIVE", "GOOD"))


def test_the_channel_is_told_once(stripe: Stripe, subscribed: Callable[..., Any]) -> None:
    shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
    move(stripe, shop, make_plan(monthly_fee_minor=29_800))

    services.tell_moved(now=stripe.now)

    assert schedules(stripe) == 1


def test_on_trial_the_first_charge_is_the_new_plans(stripe: Stripe, subscribed: Callable[..., Any]) -> None:
    old, new = make_plan(monthly_fee_minor=9_800, trial_days=14), make_plan(monthly_fee_minor=29_800)
    shop = subscribed(old, at=stripe.now)
    stripe.merchant.pay(open_page(stripe, shop, old).session_ref)
    stripe.tell()
    assert (state(shop)[0], invoices(shop)) == ("TRIAL", [])

    move(stripe, shop, new)
    stripe.pass_days(15)
    stripe.tell()

    assert plans_of(shop) == (new.code, new.code, "")
    assert invoices(shop) == [("PERIOD", "PAID", 29_800)]


def test_a_plan_that_is_not_sold_by_the_year_is_charged_by_the_month(
    stripe: Stripe, subscribed: Callable[..., Any]
) -> None:
    old, new = make_plan(monthly_fee_minor=9_800, yearly_fee_minor=98_000), make_plan(monthly_fee_minor=29_800)
    shop = subscribed(make_plan(), at=stripe.now, paid=False)
    stripe.merchant.pay(open_page(stripe, shop, old, "YEAR").session_ref)
    stripe.tell()

    move(stripe, shop, new)

    assert (row_of(shop).next_plan.code, row_of(shop).next_interval) == (new.code, "MONTH")


def test_a_plan_without_a_price_ends_the_subscription_and_not_the_shop(
    stripe: Stripe, subscribed: Callable[..., Any]
) -> None:
    free = make_plan()
    shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))

    move(stripe, shop, free)
    with in_main(), translation.override("en"):
        told = {fact["label"]: fact["value"] for fact in facts(selectors.overview(shop.pk))}
    assert told["Then"] == f"{free.code}, Free"
    stripe.pass_days(32)
    stripe.tell()

    row = row_of(shop)
    assert (row.method, row.plan.code, row.period_end, row.cancel_at_period_end) == ("PREPAID", free.code, None, False)
    assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
    assert invoices(shop) == [("OPENING", "PAID", 9_800)]


def test_what_the_main_station_chose_is_not_taken_back_in_the_shop(
    stripe: Stripe, subscribed: Callable[..., Any]
) -> None:
    for plan in (make_plan(monthly_fee_minor=29_800), make_plan()):
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        move(stripe, shop, plan)
        before = row_of(shop).updated_at

        with pytest.raises(services.BillingRefused, match="can't be taken back here"):
            services.keep(substation_id=shop.pk, by=SYSTEM, now=stripe.now)

        assert row_of(shop).updated_at == before


def test_the_owners_own_choice_stands(stripe: Stripe, subscribed: Callable[..., Any]) -> None:
    old, cheap = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=4_800)
    shop = by_card(stripe, subscribed, old)
    services.schedule_change(substation_id=shop.pk, plan_code=cheap.code, interval="MONTH", by=SYSTEM, now=stripe.now)

    move(stripe, shop, make_plan(monthly_fee_minor=29_800))

    assert row_of(shop).next_plan.code == cheap.code
    assert schedules(stripe) == 1


def test_a_channel_that_does_not_answer_is_told_by_the_next_tick(
    stripe: Stripe, subscribed: Callable[..., Any]
) -> None:
    old, new = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
    shops = [by_card(stripe, subscribed, old) for _ in range(2)]
    with in_main():
        for shop in shops:
            tenants.change_plan(public_id=shop.public_id, plan_code=new.code, by=SYSTEM, now=stripe.now)
    stripe.fake.fail_next("POST /v1/subscription_schedules", Fault.BROKEN)

    services.tell_moved(now=stripe.now)
    assert sorted(plans_of(shop)[2] for shop in shops) == ["", new.code]
    services.tell_moved(now=stripe.now)

    assert [plans_of(shop) for shop in shops] == [(old.code, new.code, new.code)] * 2
