"""A shop that is being closed, or is closed: nothing more is charged, and nobody is asked for what is not due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib.errors import ProviderError
from shared_apps.billing import services
from shared_apps.billing.models import DunningStep
from shared_apps.billing.stripe.adapter import StripeBilling
from tenants import closing
from tenants import services as tenants
from tests.shared_apps.billing.stage import APRIL, make_plan, prepaid, state, top_up
from tests.shared_apps.billing.test_cards import Stripe, by_card, invoices, row_of

DAY = timedelta(days=1)


def begin_closing(shop: Any, now: Any) -> None:
    with in_main():
        closing.begin(public_id=shop.public_id, typed=shop.slug, reason="enough", by=SYSTEM, now=now)


def close(shop: Any, now: Any) -> None:
    begin_closing(shop, now)
    with in_main():
        closing.close(public_id=shop.public_id, by=SYSTEM, now=now)


def keep(shop: Any, now: Any) -> None:
    with in_main():
        closing.keep(public_id=shop.public_id, by=SYSTEM, now=now)


def ends(stripe: Stripe, shop: Any) -> bool:
    """Whether the card's channel ends it with what is paid."""
    return bool(stripe.merchant.billing.subscriptions[row_of(shop).stripe_subscription]["cancel_at_period_end"])


def steps(shop: Any) -> list[str]:
    with in_main():
        return list(DunningStep.objects.filter(substation_id=shop.pk).order_by("id").values_list("kind", flat=True))


@pytest.fixture
def card_shop(stripe: Stripe, subscribed: Callable[..., Any]) -> Any:
    return by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))


class TestByCard:
    def test_one_that_is_closing_is_charged_no_new_period(self, stripe: Stripe, card_shop: Any) -> None:
        stripe.pass_days(29)
        begin_closing(card_shop, stripe.now)

        services.tell_closings(now=stripe.now)
        stripe.pass_days(3)
        stripe.tell()

        assert invoices(card_shop) == [("OPENING", "PAID", 9_800)]
        assert state(card_shop) == ("ENDED", "CLOSING", "GOOD")

    def test_called_off_it_goes_on(self, stripe: Stripe, card_shop: Any) -> None:
        begin_closing(card_shop, stripe.now)
        services.tell_closings(now=stripe.now)
        stripe.tell()
        assert ends(stripe, card_shop)
        keep(card_shop, stripe.now)

        services.tell_closings(now=stripe.now)
        stripe.pass_days(31.1)
        stripe.tell()

        assert invoices(card_shop) == [("OPENING", "PAID", 9_800), ("PERIOD", "PAID", 9_800)]
        assert state(card_shop) == ("ACTIVE", "ACTIVE", "GOOD")
        row = row_of(card_shop)
        assert (row.cancel_at_period_end, row.cancelled_by_closing) == (False, False)

    def test_what_its_owner_had_cancelled_stays_so(self, stripe: Stripe, card_shop: Any) -> None:
        services.cancel(substation_id=card_shop.pk, by=SYSTEM, now=stripe.now)
        begin_closing(card_shop, stripe.now)
        services.tell_closings(now=stripe.now)
        keep(card_shop, stripe.now)

        services.tell_closings(now=stripe.now)

        assert ends(stripe, card_shop)
        assert row_of(card_shop).cancel_at_period_end

    def test_what_its_owner_cancels_when_it_was_called_off_stays_so(self, stripe: Stripe, card_shop: Any) -> None:
        begin_closing(card_shop, stripe.now)
        services.tell_closings(now=stripe.now)
        keep(card_shop, stripe.now)
        services.cancel(substation_id=card_shop.pk, by=SYSTEM, now=stripe.now)

        services.tell_closings(now=stripe.now)

        assert ends(stripe, card_shop)

    def test_a_channel_that_does_not_answer_is_told_by_the_next_tick(
        self, stripe: Stripe, card_shop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begin_closing(card_shop, stripe.now)

        def away(*_: Any, **__: Any) -> None:
            raise ProviderError("no answer", unknown=True, retryable=True, provider="stripe")

        with monkeypatch.context() as patch:
            patch.setattr(StripeBilling, "cancel", away)
            services.tell_closings(now=stripe.now)
        assert not ends(stripe, card_shop)
        services.tell_closings(now=stripe.now)

        assert ends(stripe, card_shop)

    def test_it_goes_on_though_whoever_told_the_channel_was_killed(
        self, stripe: Stripe, card_shop: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(BaseException):
            pass

        real = StripeBilling.cancel

        def killed(*arguments: Any, **values: Any) -> None:
            real(*arguments, **values)
            raise Killed

        begin_closing(card_shop, stripe.now)
        with monkeypatch.context() as patch:
            patch.setattr(StripeBilling, "cancel", killed)
            with pytest.raises(Killed):
                services.tell_closings(now=stripe.now)
        stripe.tell()  # Stripe says that it ends; who wanted it stands with us.
        keep(card_shop, stripe.now)

        services.tell_closings(now=stripe.now)

        assert not ends(stripe, card_shop)
        assert not row_of(card_shop).cancel_at_period_end


class TestDunning:
    def unpaid(self, subscribed: Callable[..., Any]) -> Any:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        services.renew_due(now=APRIL)
        return shop

    def test_ends_where_a_shop_is_closed_and_what_is_owed_stays_owed(self, subscribed: Callable[..., Any]) -> None:
        shop = self.unpaid(subscribed)
        close(shop, APRIL + timedelta(hours=1))

        for day in (1, 4, 8, 15):
            services.dun(now=APRIL + day * DAY)
            services.end_closed(now=APRIL + day * DAY)

        assert steps(shop) == ["DUE"]
        assert state(shop) == ("ENDED", "CLOSED", "REMINDED")
        assert invoices(shop)[-1] == ("PERIOD", "OPEN", 9_800)

    def test_rests_while_a_shop_is_closing_and_goes_on_when_it_is_kept(self, subscribed: Callable[..., Any]) -> None:
        shop = self.unpaid(subscribed)
        begin_closing(shop, APRIL + timedelta(hours=1))
        services.dun(now=APRIL + 8 * DAY)
        assert steps(shop) == ["DUE"]
        keep(shop, APRIL + 8 * DAY)

        services.dun(now=APRIL + 8 * DAY)

        assert steps(shop) == ["DUE", "READ_ONLY"]
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "READ_ONLY")

    def test_tells_nobody_ahead_whose_shop_is_closing(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        begin_closing(shop, APRIL - 2 * DAY)

        services.dun(now=APRIL - DAY)

        assert steps(shop) == []

    def test_a_closed_shop_that_was_paid_for_has_no_subscription_any_more(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        close(shop, APRIL - 20 * DAY)

        services.end_closed(now=APRIL - 20 * DAY)

        assert state(shop) == ("ENDED", "CLOSED", "GOOD")


class TestPaidMeanwhile:
    """What was restricted is free again, whatever else the shop is."""

    @pytest.mark.parametrize("gone", ["SUSPENDED", "CLOSING", "CLOSED"])
    def test_a_shop_that_pays_is_good_again(self, subscribed: Callable[..., Any], gone: str) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        services.renew_due(now=APRIL)
        at = APRIL + 8 * DAY
        services.dun(now=at)
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "READ_ONLY")
        if gone == "SUSPENDED":
            with in_main():
                tenants.suspend(public_id=shop.public_id, reason="looked into", by=SYSTEM, now=at)
        elif gone == "CLOSING":
            begin_closing(shop, at)
        else:
            close(shop, at)

        top_up(shop, 9_800, at)
        with in_main():
            services.collect(substation_id=shop.pk, now=at)

        assert state(shop) == ("ACTIVE", gone, "GOOD")
        assert prepaid(shop) == 0
