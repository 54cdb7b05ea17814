"""The main station puts a shop on another plan while a card pays: the card is charged for it from the next period on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import translation

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib.errors import ProviderError
from shared_apps.billing import selectors, services
from shared_apps.billing.models import Subscription
from shared_apps.billing.services import _moved
from shared_apps.billing.stripe.adapter import StripeBilling
from tenant_apps.panel.views._billing_words import facts
from tenants import services as tenants
from tenants.models import Plan
from tests.fakes.stripe import Fault
from tests.shared_apps.billing.stage import make_plan, state
from tests.shared_apps.billing.test_cards import Stripe, by_card, invoices, open_page, row_of

CHANGE_PLAN = StripeBilling.change_plan
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


def upgrade(stripe: Stripe, shop: Any, plan: Plan) -> None:
    quote = services.quote_change(substation_id=shop.pk, plan_code=plan.code, interval="MONTH", now=stripe.now).quote
    services.confirm_change(substation_id=shop.pk, quote_public_id=quote.public_id, by=SYSTEM, now=stripe.now)


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


@pytest.fixture
def nobody_waits(prepared: None) -> None:
    """Shops of other tests have nothing to tell."""
    with in_main():
        Subscription.objects.filter(method="STRIPE", state__in=("TRIAL", "ACTIVE")).update(state="ENDED")


@pytest.mark.usefixtures("nobody_waits")
def test_the_channel_is_told_once(stripe: Stripe, subscribed: Callable[..., Any]) -> None:
    shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
    move(stripe, shop, make_plan(monthly_fee_minor=29_800))

    assert services.tell_moved(now=stripe.now) == 0

    assert schedules(stripe) == 1


@pytest.mark.usefixtures("nobody_waits")
def test_a_tick_tells_so_many_and_the_next_one_goes_on(stripe: Stripe, subscribed: Callable[..., Any]) -> None:
    old, new = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
    shops = [by_card(stripe, subscribed, old) for _ in range(2)]
    with in_main():
        for shop in shops:
            tenants.change_plan(public_id=shop.public_id, plan_code=new.code, by=SYSTEM, now=stripe.now)

    told = [services.tell_moved(now=stripe.now, limit=1) for _ in range(3)]

    assert told == [1, 1, 0]
    assert [plans_of(shop) for shop in shops] == [(old.code, new.code, new.code)] * 2


@pytest.mark.usefixtures("nobody_waits")
def test_a_channel_that_fails_each_time_keeps_no_other_waiting(
    stripe: Stripe, subscribed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
    first, second = (by_card(stripe, subscribed, old) for _ in range(2))
    with in_main():
        for shop in (first, second):
            tenants.change_plan(public_id=shop.public_id, plan_code=new.code, by=SYSTEM, now=stripe.now)
    real = _moved.channel_for

    def channel_for(substation_id: int) -> Any:
        if substation_id == first.pk:
            raise ProviderError("Stripe does not answer.")
        return real(substation_id)

    monkeypatch.setattr(_moved, "channel_for", channel_for)

    told = [services.tell_moved(now=stripe.now, limit=1) for _ in range(3)]

    assert told == [1, 1, 1]
    assert [plans_of(shop)[2] for shop in (first, second)] == ["", new.code]


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
        told = {fact["label"]: fact["value"] for fact in facts(selectors.overview(shop.pk), going=False)}
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


def choose(stripe: Stripe, shop: Any, plan: Plan) -> None:
    """As the console does; the tick has not come."""
    with in_main():
        tenants.change_plan(public_id=shop.public_id, plan_code=plan.code, by=SYSTEM, now=stripe.now)


def answered_to_nobody(*args: Any, **asked: Any) -> Any:
    CHANGE_PLAN(*args, **asked)
    raise ProviderError("no answer", unknown=True, retryable=True, provider="stripe")


def cancelled_there(stripe: Stripe, shop: Any) -> bool:
    channel = services.channel_of(stripe.account_id)
    return channel.fetch_subscription(row_of(shop).stripe_subscription).cancel_at_period_end


class TestAnotherChoice:
    """The main station changes its mind before the period ends: what it chose last is charged, and nothing else."""

    def test_the_last_one_is_charged(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        old, dear, cheap = (make_plan(monthly_fee_minor=fee) for fee in (9_800, 29_800, 4_800))
        shop = by_card(stripe, subscribed, old)
        move(stripe, shop, dear)

        move(stripe, shop, cheap)
        stripe.pass_days(32)
        stripe.tell()

        assert plans_of(shop) == (cheap.code, cheap.code, "")
        assert invoices(shop)[1:] == [("PERIOD", "PAID", 4_800)]

    def test_back_on_the_plan_that_is_paid_nothing_changes(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        old = make_plan(monthly_fee_minor=9_800)
        for other in (make_plan(monthly_fee_minor=29_800), make_plan()):
            shop = by_card(stripe, subscribed, old)
            move(stripe, shop, other)

            move(stripe, shop, old)
            assert (plans_of(shop), cancelled_there(stripe, shop)) == ((old.code, old.code, ""), False)
            stripe.pass_days(32)
            stripe.tell()

            assert plans_of(shop) == (old.code, old.code, "")
            assert invoices(shop)[1:] == [("PERIOD", "PAID", 9_800)]
            assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")

    @pytest.mark.parametrize("trial", [0, 14])
    def test_after_a_plan_without_a_price_the_shop_goes_on(
        self, stripe: Stripe, subscribed: Callable[..., Any], trial: int
    ) -> None:
        old, new = make_plan(monthly_fee_minor=9_800, trial_days=trial), make_plan(monthly_fee_minor=29_800)
        shop = subscribed(old, at=stripe.now) if trial else subscribed(make_plan(), at=stripe.now, paid=False)
        stripe.merchant.pay(open_page(stripe, shop, old).session_ref)
        stripe.tell()
        move(stripe, shop, make_plan())

        move(stripe, shop, new)
        stripe.pass_days(32)
        stripe.tell()

        assert plans_of(shop) == (new.code, new.code, "")
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert invoices(shop)[-1] == ("PERIOD", "PAID", 29_800)

    def test_a_plan_without_a_price_after_another_ends_the_subscription(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        free = make_plan()
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        move(stripe, shop, make_plan(monthly_fee_minor=29_800))

        move(stripe, shop, free)
        stripe.pass_days(32)
        stripe.tell()

        assert (row_of(shop).method, plans_of(shop)) == ("PREPAID", (free.code, free.code, ""))
        assert invoices(shop) == [("OPENING", "PAID", 9_800)]

    def test_that_comes_too_late_counts_from_the_next_period_on(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        old, dear, cheap = (make_plan(monthly_fee_minor=fee) for fee in (9_800, 29_800, 4_800))
        shop = by_card(stripe, subscribed, old)
        move(stripe, shop, dear)
        choose(stripe, shop, cheap)

        stripe.pass_days(32)  # The tick does not come.
        stripe.tell()
        assert plans_of(shop) == (dear.code, cheap.code, "")
        services.tell_moved(now=stripe.now)

        assert plans_of(shop) == (dear.code, cheap.code, cheap.code)

    def test_that_was_told_without_an_answer_is_taken_back_too(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        """The channel has a plan that the main station has taken back, and we know nothing of it."""
        old, dear = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
        shop = by_card(stripe, subscribed, old)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(StripeBilling, "change_plan", answered_to_nobody)
            move(stripe, shop, dear)
        assert (schedules(stripe), plans_of(shop)) == (1, (old.code, dear.code, ""))

        move(stripe, shop, old)
        stripe.pass_days(32)
        stripe.tell()

        assert plans_of(shop) == (old.code, old.code, "")
        assert invoices(shop)[1:] == [("PERIOD", "PAID", 9_800)]


class TestBesideTheOwner:
    def test_who_cancelled_before_is_not_kept_on_a_plan_without_a_price(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        shop = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        services.cancel(substation_id=shop.pk, by=SYSTEM, now=stripe.now)
        move(stripe, shop, make_plan())

        stripe.pass_days(32)
        stripe.tell()

        assert state(shop) == ("ENDED", "PAST_DUE", "SHUT")

    def test_a_cancellation_that_is_taken_back_is_the_main_stations_plan_at_once(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        """Else the old price could be had again each month, taken back a moment before the period ends."""
        old, new = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
        shop = by_card(stripe, subscribed, old)
        move(stripe, shop, new)
        services.cancel(substation_id=shop.pk, by=SYSTEM, now=stripe.now)
        assert plans_of(shop) == (old.code, new.code, "")

        services.keep(substation_id=shop.pk, by=SYSTEM, now=stripe.now)

        assert plans_of(shop) == (old.code, new.code, new.code)

    def test_an_upgrade_at_once_leaves_nothing_waiting(self, stripe: Stripe, subscribed: Callable[..., Any]) -> None:
        old, chosen, best = (make_plan(monthly_fee_minor=fee) for fee in (9_800, 19_800, 29_800))
        shop = by_card(stripe, subscribed, old)
        move(stripe, shop, chosen)

        upgrade(stripe, shop, best)
        services.tell_moved(now=stripe.now)

        assert plans_of(shop) == (best.code, best.code, "")

    def test_an_upgrade_that_the_card_declines_leaves_what_waits(
        self, stripe: Stripe, subscribed: Callable[..., Any]
    ) -> None:
        """To charge it, Stripe gives up what waits first."""
        old, chosen, best = (make_plan(monthly_fee_minor=fee) for fee in (9_800, 4_800, 29_800))
        shop = by_card(stripe, subscribed, old)
        move(stripe, shop, chosen)
        stripe.merchant.billing.decline(row_of(shop).stripe_customer)
        with pytest.raises(services.BillingRefused):
            upgrade(stripe, shop, best)
        stripe.merchant.billing.accept(row_of(shop).stripe_customer)

        services.tell_moved(now=stripe.now)
        stripe.pass_days(32)
        stripe.tell()

        assert plans_of(shop) == (chosen.code, chosen.code, "")
        assert invoices(shop)[-1] == ("PERIOD", "PAID", 4_800)
