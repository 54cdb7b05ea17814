"""A shop that is made on a plan with a price and that nobody paid for (an import): due at once, and dunned."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from kameng.db.context import in_main
from shared_apps.billing import services
from shared_apps.billing.models import Subscription
from shared_apps.billing.provisioning import begin_subscription
from tenants.models import Plan, Substation
from tests.shared_apps.billing.stage import MARCH, make_plan, prepaid, state, top_up
from tests.shared_apps.billing.test_cards import invoices, row_of


def made(make_shop: Callable[..., Any], plan: Plan, signup: Any = None, amount: int = 0) -> Substation:
    """A live shop on a plan, as the making's step leaves its subscription."""
    shop: Substation = make_shop()
    with in_main():
        Substation.objects.filter(pk=shop.pk).update(plan=plan, state="ACTIVE")
        Subscription.objects.filter(substation_id=shop.pk).delete()
        shop = Substation.objects.select_related("plan").get(pk=shop.pk)
    if amount:
        top_up(shop, amount)
    begin_subscription(shop, signup, MARCH)
    return shop


class TestImported:
    def test_its_first_period_is_due_at_once_and_dunned(self, make_shop: Callable[..., Any]) -> None:
        shop = made(make_shop, make_plan(monthly_fee_minor=9_800, grace_days=7))

        assert invoices(shop) == [("PERIOD", "OPEN", 9_800)]
        assert (row_of(shop).period_start, row_of(shop).due_since) == (MARCH, MARCH)
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")
        services.dun(now=MARCH + timedelta(days=15))
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "SHUT")

    def test_the_step_run_again_charges_nothing_more(self, make_shop: Callable[..., Any]) -> None:
        shop = made(make_shop, make_plan(monthly_fee_minor=9_800))

        begin_subscription(shop, None, MARCH + timedelta(minutes=1))

        assert invoices(shop) == [("PERIOD", "OPEN", 9_800)]

    def test_it_is_paid_from_what_is_there(self, make_shop: Callable[..., Any]) -> None:
        shop = made(make_shop, make_plan(monthly_fee_minor=9_800), amount=20_000)
        begin_subscription(shop, None, MARCH + timedelta(minutes=1))

        assert invoices(shop) == [("PERIOD", "PAID", 9_800)]
        assert prepaid(shop) == 10_200
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")

    def test_a_plan_that_is_sold_by_the_year_alone_is_due_by_the_year(self, make_shop: Callable[..., Any]) -> None:
        shop = made(make_shop, make_plan(yearly_fee_minor=98_000))

        assert row_of(shop).interval == "YEAR"
        assert invoices(shop) == [("PERIOD", "OPEN", 98_000)]

    def test_a_trial_and_a_free_plan_owe_nothing(self, make_shop: Callable[..., Any]) -> None:
        trial = made(make_shop, make_plan(monthly_fee_minor=9_800, trial_days=14))
        free = made(make_shop, make_plan())

        assert (invoices(trial), invoices(free)) == ([], [])
        assert (row_of(trial).state, row_of(free).state) == ("TRIAL", "ACTIVE")
