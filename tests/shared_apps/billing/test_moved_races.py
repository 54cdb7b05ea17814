"""The main station's choice and the owner's own at the same moment: what the channel has and what is written stay the same."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connections

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing import services
from shared_apps.billing.services._subscriptions import lock
from shared_apps.billing.services._telling import LONGEST, claim
from shared_apps.billing.stripe.adapter import StripeBilling
from tenants.models import Plan
from tests.shared_apps.billing.stage import make_plan
from tests.shared_apps.billing.test_cards import Stripe, account_at_stripe, by_card, invoices, open_page, row_of
from tests.shared_apps.billing.test_moved import cancelled_there, choose, move, plans_of, schedules, upgrade


def meanwhile(monkeypatch: pytest.MonkeyPatch, name: str, deed: Callable[[], Any]) -> list[Any]:
    """While the channel is being told by `name`, and no row is locked, something else is done, by a connection of its own;
    answers what came of it."""
    real, came = getattr(StripeBilling, name), []

    def told(*args: Any, **asked: Any) -> Any:
        monkeypatch.setattr(StripeBilling, name, real)
        with ThreadPoolExecutor(1) as other:
            came.append(other.submit(elsewhere, deed).exception())
        return real(*args, **asked)

    monkeypatch.setattr(StripeBilling, name, told)
    return came


def elsewhere(deed: Callable[[], Any]) -> None:
    try:
        deed()
    finally:
        connections.close_all()


class TestAtTheSameMoment:
    """What the channel was told last, and what is written down, are the same."""

    @pytest.fixture
    def shop(self, stripe: Stripe, subscribed: Callable[..., Any]) -> Any:
        """On its way to another plan, of which the channel knows nothing yet."""
        made = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        choose(stripe, made, make_plan(monthly_fee_minor=29_800))
        return made

    def test_the_owner_cancels_while_the_channel_is_told(
        self, stripe: Stripe, shop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Else the channel would go on, and the shop be charged for what it reads as cancelled."""
        cancel = partial(services.cancel, substation_id=shop.pk, by=SYSTEM, now=stripe.now)
        came = meanwhile(monkeypatch, "change_plan", cancel)

        services.tell_moved(now=stripe.now)

        assert [type(one) for one in came] == [services.BillingRefused]
        assert (row_of(shop).cancel_at_period_end, plans_of(shop)[2]) == (False, plans_of(shop)[1])
        cancel()
        assert (row_of(shop).cancel_at_period_end, cancelled_there(stripe, shop)) == (True, True)

    def test_the_channel_is_told_while_the_owner_cancels(
        self, stripe: Stripe, shop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        came = meanwhile(monkeypatch, "cancel", lambda: services.tell_moved(now=stripe.now))

        services.cancel(substation_id=shop.pk, by=SYSTEM, now=stripe.now)
        services.tell_moved(now=stripe.now)

        assert came == [None]
        assert (schedules(stripe), plans_of(shop)[2]) == (0, "")
        assert (row_of(shop).cancel_at_period_end, cancelled_there(stripe, shop)) == (True, True)

    def test_the_owner_upgrades_while_the_channel_is_told(
        self, stripe: Stripe, shop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        came = meanwhile(monkeypatch, "change_plan", lambda: upgrade(stripe, shop, make_plan(monthly_fee_minor=39_800)))

        services.tell_moved(now=stripe.now)

        assert [type(one) for one in came] == [services.BillingRefused]
        assert invoices(shop) == [("OPENING", "PAID", 9_800)]
        assert plans_of(shop)[2] == plans_of(shop)[1]

    def test_the_channel_is_told_while_the_owner_upgrades(
        self, stripe: Stripe, shop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        best = make_plan(monthly_fee_minor=39_800)
        came = meanwhile(monkeypatch, "change_plan", lambda: services.tell_moved(now=stripe.now))

        upgrade(stripe, shop, best)
        services.tell_moved(now=stripe.now)

        assert (came, schedules(stripe)) == ([None], 0)
        assert plans_of(shop) == (best.code, best.code, "")

    def test_two_workers_tell(self, stripe: Stripe, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        """Else the second gives up what the first has scheduled."""
        came = meanwhile(monkeypatch, "change_plan", lambda: services.tell_moved(now=stripe.now))

        services.tell_moved(now=stripe.now)
        stripe.pass_days(32)
        stripe.tell()

        assert (came, schedules(stripe)) == ([None], 1)
        assert invoices(shop)[1:] == [("PERIOD", "PAID", 29_800)]

    def test_one_that_was_killed_is_in_nobodys_way(self, stripe: Stripe, shop: Any) -> None:
        with in_main():
            claim(lock(shop.pk), now=stripe.now)
        with pytest.raises(services.BillingRefused):
            services.cancel(substation_id=shop.pk, by=SYSTEM, now=stripe.now)

        services.tell_moved(now=stripe.now)
        assert schedules(stripe) == 0
        services.tell_moved(now=stripe.now + LONGEST)

        assert (schedules(stripe), row_of(shop).asking_until) == (1, None)


class TestTheOwnersChoice:
    @pytest.fixture
    def cheap(self) -> Plan:
        return make_plan(monthly_fee_minor=4_800)

    @pytest.fixture
    def shop(self, stripe: Stripe, subscribed: Callable[..., Any], cheap: Plan) -> Any:
        made = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        self.go_down(stripe, made, cheap)
        return made

    def go_down(self, stripe: Stripe, shop: Any, cheap: Plan) -> None:
        services.schedule_change(
            substation_id=shop.pk, plan_code=cheap.code, interval="MONTH", by=SYSTEM, now=stripe.now
        )

    def test_taken_back_and_made_again_in_a_minute_comes_about(self, stripe: Stripe, shop: Any, cheap: Plan) -> None:
        """Stripe answers a key that it knows with what it had then: a schedule that has been given up."""
        services.keep(substation_id=shop.pk, by=SYSTEM, now=stripe.now)
        self.go_down(stripe, shop, cheap)

        stripe.pass_days(32)
        stripe.tell()

        assert plans_of(shop) == (cheap.code, cheap.code, "")
        assert invoices(shop)[1:] == [("PERIOD", "PAID", 4_800)]

    def test_comes_about_when_an_upgrade_is_declined_meanwhile(self, stripe: Stripe, shop: Any, cheap: Plan) -> None:
        customer = row_of(shop).stripe_customer
        stripe.merchant.billing.decline(customer)
        with pytest.raises(services.BillingRefused):
            upgrade(stripe, shop, make_plan(monthly_fee_minor=29_800))
        stripe.merchant.billing.accept(customer)

        for _ in range(2):
            services.tell_moved(now=stripe.now)
        assert schedules(stripe) == 2
        stripe.pass_days(32)
        stripe.tell()

        assert plans_of(shop) == (cheap.code, cheap.code, "")
        assert invoices(shop)[1:] == [("PERIOD", "PAID", 4_800)]


def test_a_page_of_another_account_that_is_paid_too_hides_nothing(
    stripe: Stripe, subscribed: Callable[..., Any]
) -> None:
    """Else nothing of the subscription was found any more: neither could the owner cancel it, nor was a price told."""
    old, new = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
    shop = subscribed(make_plan(), at=stripe.now, paid=False)
    for other in account_at_stripe():
        pages = [(one, open_page(one, shop, old)) for one in (stripe, other)]
        for one, page in pages:
            one.merchant.pay(page.session_ref)
            one.tell()

        move(stripe, shop, new)
        assert (plans_of(shop), schedules(stripe)) == ((old.code, new.code, new.code), 1)
        services.cancel(substation_id=shop.pk, by=SYSTEM, now=stripe.now)

        assert cancelled_there(stripe, shop)
