"""A change of plan by card that is cut off between Stripe's charge and ours: nothing is given away, nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest import mock

import pytest

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib.errors import ProviderError
from kameng.lib.outside.refusals import ChannelRefused
from shared_apps.billing import selectors, services
from shared_apps.billing.models import ChangeQuote, Subscription
from shared_apps.billing.services import _confirming
from shared_apps.billing.stripe.adapter import StripeBilling
from tenants.models import Plan
from tests.shared_apps.billing.stage import make_plan, prepaid, state, top_up
from tests.shared_apps.billing.test_cards import (
    Stripe,
    by_card,
    invoices,
    open_page,
    row_of,
)

OWN = [("PRORATA", "PAID", 20_000), ("DEPOSIT", "PAID", 50_000)]
BACK = [("CREDIT", "PAID", -20_000), ("CREDIT", "PAID", -50_000)]


LOST = ProviderError("no answer", retryable=False, unknown=True, provider="stripe")
NOT_SENT = ProviderError("no connection", retryable=True, provider="stripe")
NO_KEY = ChannelRefused("the key was revoked", code="credentials", provider="stripe")


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def offered(stripe: Stripe, subscribed: Callable[..., Any]) -> tuple[Any, Any, Any]:
    """A shop by card with money on its balance, its plan, and the quote of a better one."""
    basic = make_plan(monthly_fee_minor=9_800)
    pro = make_plan(monthly_fee_minor=29_800, opening_fee_minor=20_000, deposit_minor=50_000)
    shop = by_card(stripe, subscribed, basic)
    top_up(shop, 70_000, stripe.now)
    stripe.pass_days(15.5)
    offer = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=stripe.now)
    assert offer.total_minor == 80_000
    return shop, basic, offer


def confirm(stripe: Stripe, shop: Any, offer: Any) -> list[Any]:
    return services.confirm_change(
        substation_id=shop.pk, quote_public_id=offer.quote.public_id, by=SYSTEM, now=stripe.now
    )


def asked(*outcomes: Any) -> Any:
    """The channel's answers to changes of plan: an error, or a function that stands in for it."""
    real = StripeBilling.change_plan
    turns = iter(outcomes)

    def change_plan(self: StripeBilling, **what: Any) -> Any:
        outcome = next(turns)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome(lambda: real(self, **what))

    return mock.patch.object(StripeBilling, "change_plan", change_plan)


def used(offer: Any) -> bool:
    with in_main():
        return ChangeQuote.objects.get(pk=offer.quote.pk).used_at is not None


def deposit(shop: Any) -> int:
    with in_main():
        return selectors.balance(shop.pk, "deposit")


class TestKilledAfterTheCharge:
    def test_what_the_balance_pays_has_been_paid_and_the_event_completes_it(
        self,
        stripe: Stripe,
        offered: Any,
    ) -> None:
        shop, _, offer = offered
        with mock.patch.object(_confirming, "follow", side_effect=Killed), pytest.raises(Killed):
            confirm(stripe, shop, offer)
        assert not used(offer)
        stripe.tell()

        assert row_of(shop).plan.code == offer.plan.code
        assert invoices(shop)[1:] == [*OWN, ("PRORATA", "PAID", 10_000)]
        assert (prepaid(shop), deposit(shop)) == (0, 50_000)
        assert used(offer)
        assert sum(one.total_minor for one in confirm(stripe, shop, offer)) == 80_000  # And charges nothing more.
        stripe.now += timedelta(days=1)
        services.finish_changes(now=stripe.now)
        assert (prepaid(shop), deposit(shop)) == (0, 50_000)

    def test_without_an_event_the_sweep_completes_it(
        self,
        stripe: Stripe,
        offered: Any,
    ) -> None:
        shop, _, offer = offered
        with mock.patch.object(_confirming, "follow", side_effect=Killed), pytest.raises(Killed):
            confirm(stripe, shop, offer)
        stripe.now += timedelta(minutes=30)
        services.finish_changes(now=stripe.now)

        assert row_of(shop).plan.code == offer.plan.code
        assert invoices(shop)[1:] == [*OWN, ("PRORATA", "PAID", 10_000)]
        assert used(offer)

    def test_the_event_may_come_before_the_answer(self, stripe: Stripe, offered: Any) -> None:
        shop, _, offer = offered

        def told_first(change: Callable[[], Any]) -> Any:
            answer = change()
            stripe.tell()
            return answer

        with asked(told_first):
            made = confirm(stripe, shop, offer)

        assert [(one.kind, one.total_minor) for one in made] == [
            ("PRORATA", 20_000), ("DEPOSIT", 50_000), ("PRORATA", 10_000),
        ]  # fmt: skip
        assert invoices(shop)[1:] == [*OWN, ("PRORATA", "PAID", 10_000)]
        assert (prepaid(shop), deposit(shop)) == (0, 50_000)


class TestUnknown:
    def test_that_never_came_about_gives_the_money_back(
        self,
        stripe: Stripe,
        offered: Any,
    ) -> None:
        shop, basic, offer = offered
        with asked(LOST), pytest.raises(services.ChannelAway):
            confirm(stripe, shop, offer)
        assert (prepaid(shop), deposit(shop)) == (0, 50_000)
        services.finish_changes(now=stripe.now)
        assert prepaid(shop) == 0  # It may still come about: the question is asked when nobody can be asking any more.
        stripe.now += timedelta(minutes=30)
        services.finish_changes(now=stripe.now)
        services.finish_changes(now=stripe.now)

        assert row_of(shop).plan.code == basic.code
        assert invoices(shop)[1:] == [*OWN, *BACK]
        assert (prepaid(shop), deposit(shop)) == (70_000, 0)
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        with pytest.raises(services.QuoteOutdated):
            confirm(stripe, shop, offer)

    def test_is_asked_again_and_charged_once(
        self,
        stripe: Stripe,
        offered: Any,
    ) -> None:
        shop, _, offer = offered
        with asked(LOST), pytest.raises(services.ChannelAway):
            confirm(stripe, shop, offer)
        made = confirm(stripe, shop, offer)

        assert sum(one.total_minor for one in made) == 80_000
        assert invoices(shop)[1:] == [*OWN, ("PRORATA", "PAID", 10_000)]
        assert prepaid(shop) == 0

    def test_no_other_change_is_begun_meanwhile(
        self,
        stripe: Stripe,
        offered: Any,
    ) -> None:
        """The second one would be charged the same opening fee once more."""
        shop, _, offer = offered
        with asked(LOST), pytest.raises(services.ChannelAway):
            confirm(stripe, shop, offer)
        top_up(shop, 70_000, stripe.now)
        other = services.quote_change(
            substation_id=shop.pk, plan_code=offer.plan.code, interval="MONTH", now=stripe.now
        )

        with pytest.raises(services.BillingRefused):
            confirm(stripe, shop, other)
        assert invoices(shop)[1:] == OWN
        assert prepaid(shop) == 70_000

    def test_nothing_else_about_the_plan_is_asked_of_the_channel_meanwhile(self, stripe: Stripe, offered: Any) -> None:
        shop, basic, offer = offered
        cheaper = make_plan(monthly_fee_minor=1_000)
        with asked(LOST), pytest.raises(services.ChannelAway):
            confirm(stripe, shop, offer)

        with pytest.raises(services.BillingRefused):
            services.schedule_change(
                substation_id=shop.pk, plan_code=cheaper.code, interval="MONTH", by=SYSTEM, now=stripe.now
            )
        assert (row_of(shop).plan.code, row_of(shop).next_plan) == (basic.code, None)
        with in_main():
            Subscription.objects.filter(substation_id=shop.pk).update(next_plan=cheaper, next_interval="MONTH")
        with pytest.raises(services.BillingRefused):
            services.keep(substation_id=shop.pk, by=SYSTEM, now=stripe.now)
        assert row_of(shop).next_plan.code == cheaper.code

    def test_one_that_was_carried_out_is_not_given_back_when_asking_again_is_refused(
        self,
        stripe: Stripe,
        offered: Any,
    ) -> None:
        shop, _, offer = offered

        def answer_lost(change: Callable[[], Any]) -> Any:
            change()
            raise LOST

        with asked(answer_lost, NO_KEY):
            with pytest.raises(services.ChannelAway):
                confirm(stripe, shop, offer)
            made = confirm(stripe, shop, offer)

        assert sum(one.total_minor for one in made) == 80_000
        assert invoices(shop)[1:] == [*OWN, ("PRORATA", "PAID", 10_000)]
        assert row_of(shop).plan.code == offer.plan.code

    def test_a_click_that_was_refused_takes_nothing_from_one_that_is_asking(self, stripe: Stripe, offered: Any) -> None:
        """Race: the first click's call is not sent, while the second one's is, and is not answered."""
        shop, _, offer = offered

        def second_click(_: Callable[[], Any]) -> Any:
            with pytest.raises(services.ChannelAway):
                confirm(stripe, shop, offer)
            raise NOT_SENT

        with asked(second_click, LOST), pytest.raises(services.ChannelAway):
            confirm(stripe, shop, offer)

        assert invoices(shop)[1:] == OWN
        assert (prepaid(shop), deposit(shop)) == (0, 50_000)

    def test_a_click_while_it_is_looked_into_is_waited_for(self, stripe: Stripe, offered: Any) -> None:
        """Race: the channel has said that it did not come about, and then it is asked once more."""
        shop, _, offer = offered
        with asked(LOST), pytest.raises(services.ChannelAway):
            confirm(stripe, shop, offer)
        stripe.now += timedelta(minutes=30)
        follow = _confirming.follow

        def click_afterwards(**what: Any) -> bool:
            found = follow(**what)
            with asked(LOST), pytest.raises(services.ChannelAway):
                confirm(stripe, shop, offer)
            return found

        with mock.patch.object(_confirming, "follow", click_afterwards):
            services.finish_changes(now=stripe.now)

        assert invoices(shop)[1:] == OWN
        stripe.now += timedelta(minutes=30)
        services.finish_changes(now=stripe.now)
        assert invoices(shop)[1:] == [*OWN, *BACK]

    def test_one_that_can_t_be_looked_into_does_not_stop_the_others(
        self,
        stripe: Stripe,
        offered: Any,
        subscribed: Callable[..., Any],
    ) -> None:
        shop, _, offer = offered
        other = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        top_up(other, 70_000, stripe.now)
        theirs = services.quote_change(
            substation_id=other.pk, plan_code=offer.plan.code, interval="MONTH", now=stripe.now
        )
        with asked(LOST, LOST):
            for one, its in ((shop, offer), (other, theirs)):
                with pytest.raises(services.ChannelAway):
                    confirm(stripe, one, its)
        follow, broken = _confirming.follow, row_of(shop).stripe_subscription

        def away(*, subscription_id: str, **what: Any) -> bool:
            if subscription_id == broken:
                raise LOST
            return follow(subscription_id=subscription_id, **what)

        stripe.now += timedelta(minutes=30)
        with mock.patch.object(_confirming, "follow", away):
            services.finish_changes(now=stripe.now)

        assert (prepaid(shop), prepaid(other)) == (0, 70_000)
        services.finish_changes(now=stripe.now)
        assert prepaid(shop) == 0  # Its turn comes after a while, behind the others.
        stripe.now += timedelta(minutes=15)
        services.finish_changes(now=stripe.now)
        assert prepaid(shop) == 70_000

    def test_ends_with_the_subscription_that_it_was_asked_for(
        self,
        stripe: Stripe,
        subscribed: Callable[..., Any],
    ) -> None:
        """Another subscription to the wanted plan, begun on a page that was open before, is not this change."""
        basic = make_plan(monthly_fee_minor=9_800)
        pro = make_plan(monthly_fee_minor=29_800, opening_fee_minor=20_000, deposit_minor=50_000)
        shop = subscribed(make_plan(), at=stripe.now, paid=False)
        first, second = open_page(stripe, shop, basic), open_page(stripe, shop, pro)
        stripe.merchant.pay(first.session_ref)
        stripe.tell()
        top_up(shop, 70_000, stripe.now)
        offer = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=stripe.now)
        with asked(LOST), pytest.raises(services.ChannelAway):
            confirm(stripe, shop, offer)
        services.channel_of(stripe.account_id).cancel(
            subscription=row_of(shop).stripe_subscription, at_period_end=False, idempotency_key="outside"
        )
        stripe.tell()
        with pytest.raises(services.BillingRefused):
            open_page(stripe, shop, make_plan(monthly_fee_minor=5_000))
        stripe.pass_days(0.5)
        stripe.merchant.pay(second.session_ref)
        stripe.tell()

        assert invoices(shop)[1:] == [*OWN, *BACK, ("OPENING", "PAID", 49_800), ("DEPOSIT", "PAID", 50_000)]
        assert (prepaid(shop), deposit(shop)) == (70_000, 50_000)
        assert row_of(shop).plan.code == pro.code
        assert not used(offer)


class TestRefused:
    def test_a_declined_card_gives_the_balance_back_at_once(self, stripe: Stripe, offered: Any) -> None:
        shop, basic, offer = offered
        stripe.merchant.billing.decline(row_of(shop).stripe_customer)

        with pytest.raises(services.BillingRefused):
            confirm(stripe, shop, offer)

        assert row_of(shop).plan.code == basic.code
        assert invoices(shop)[1:] == [*OWN, *BACK]
        assert (prepaid(shop), deposit(shop)) == (70_000, 0)
        stripe.now += timedelta(minutes=30)
        services.finish_changes(now=stripe.now)
        assert (prepaid(shop), deposit(shop)) == (70_000, 0)

    def test_what_the_balance_does_not_cover_is_refused_before_the_card_is_charged(
        self,
        stripe: Stripe,
        offered: Any,
    ) -> None:
        shop, basic, offer = offered
        spent = services.quote_change(
            substation_id=shop.pk, plan_code=offer.plan.code, interval="MONTH", now=stripe.now
        )
        with in_main():
            ledger_spends(shop, 1)

        with pytest.raises(services.BalanceTooLow):
            confirm(stripe, shop, spent)
        stripe.tell()

        assert row_of(shop).plan.code == basic.code
        assert invoices(shop)[1:] == []
        assert prepaid(shop) == 69_999

    def test_what_was_never_sent_gives_the_balance_back_at_once(self, stripe: Stripe, offered: Any) -> None:
        shop, basic, offer = offered

        with asked(NOT_SENT), pytest.raises(services.ChannelAway):
            confirm(stripe, shop, offer)

        assert row_of(shop).plan.code == basic.code
        assert invoices(shop)[1:] == [*OWN, *BACK]
        assert (prepaid(shop), deposit(shop)) == (70_000, 0)

    @pytest.mark.parametrize("price", ["monthly_fee_minor", "opening_fee_minor", "deposit_minor"])
    def test_a_price_that_was_raised_since_is_shown_anew(self, stripe: Stripe, offered: Any, price: str) -> None:
        shop, basic, offer = offered
        with in_main():
            Plan.objects.filter(pk=offer.plan.pk).update(**{price: 60_000})

        with pytest.raises(services.QuoteOutdated):
            confirm(stripe, shop, offer)
        stripe.tell()

        assert row_of(shop).plan.code == basic.code
        assert invoices(shop)[1:] == []
        assert prepaid(shop) == 70_000


def ledger_spends(shop: Any, amount_minor: int) -> None:
    """Something else takes a part of the balance."""
    from shared_apps.ledger import services as ledger
    from shared_apps.ledger.types import Leg

    ledger.post_transfer(
        key=f"test-spent:{shop.pk}", kind="topup", currency="CNY", event_at=shop.created_at,
        legs=[Leg("channel:till:clearing", -amount_minor), Leg(f"substation:{shop.pk}:prepaid", amount_minor)],
    )  # fmt: skip
