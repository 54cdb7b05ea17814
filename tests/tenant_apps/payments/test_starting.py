"""Starting a payment: one attempt, written before the channel is called, whatever the channel does then."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kameng.db.context import in_main, in_substation, pointed_at
from tenant_apps.orders import services as orders
from tenant_apps.payments import services as payments
from tenant_apps.payments.models import Payment
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel, said_no, time_out, weather
from tests.tenant_apps.market import BUYER, NOW, place
from tests.tenant_apps.racing import all_at_once

Sell = Callable[..., market.Goods]


def start(shop: Any, number: str, account: Any, **changes: Any) -> Any:
    with pointed_at(shop):
        return payments.start_payment(
            **{
                "order_number": number, "account_id": account.id, "return_url": "http://shop/r", "cancel_url": "http://shop/c",
                "notify_base": "http://shop", "by": BUYER, "now": NOW, **changes,
            }
        )  # fmt: skip


def attempts(shop: Any, number: str) -> list[tuple[str, str]]:
    with in_substation(shop):
        return list(Payment.objects.filter(order__number=number).values_list("state", "channel_ref"))


@pytest.fixture
def placed(shop: Any, account: Any, sell: Sell) -> Any:
    goods = sell(codes=1)
    with in_substation(shop):
        return place(goods)


class TestStartPayment:
    def test_sends_the_buyer_to_the_channel(self, shop: Any, account: Any, placed: Any, channel: MemoryChannel) -> None:
        started = start(shop, placed.number, account)

        assert started.redirect_url == f"http://pay/{started.public_id}"
        assert attempts(shop, placed.number) == [("PENDING", f"ref-{started.public_id}")]
        announced = market.rows("SELECT order_number, amount_minor, ask_at FROM receipts_announced WHERE payment_id = %s",
                                started.public_id)  # fmt: skip
        assert announced == [(placed.number, 1140, NOW + timedelta(minutes=5))]

    def test_a_second_click_uses_the_open_attempt(
        self, shop: Any, account: Any, placed: Any, channel: MemoryChannel
    ) -> None:
        first, second = start(shop, placed.number, account), start(shop, placed.number, account)

        assert first == second
        assert channel.calls == ["create"]

    def test_two_clicks_at_once_make_one_attempt(
        self, shop: Any, account: Any, placed: Any, channel: MemoryChannel
    ) -> None:
        def click() -> Any:
            return start(shop, placed.number, account).public_id

        answers = all_at_once([click, click, click])

        assert len(set(answers)) == 1
        assert len(attempts(shop, placed.number)) == 1

    def test_a_time_out_is_unknown_and_may_be_tried_again(
        self, shop: Any, account: Any, placed: Any, channel: MemoryChannel
    ) -> None:
        channel.fails["create"] = time_out()
        with pytest.raises(payments.ChannelAway):
            start(shop, placed.number, account)
        assert attempts(shop, placed.number) == [("UNKNOWN", "")]

        start(shop, placed.number, account)

        assert [state for state, _ in attempts(shop, placed.number)] == ["PENDING"]

    def test_weather_leaves_the_attempt_as_it_was(
        self, shop: Any, account: Any, placed: Any, channel: MemoryChannel
    ) -> None:
        channel.fails["create"] = weather()

        with pytest.raises(payments.ChannelAway):
            start(shop, placed.number, account)

        assert attempts(shop, placed.number) == [("CREATED", "")]

    def test_a_refusal_ends_the_attempt(self, shop: Any, account: Any, placed: Any, channel: MemoryChannel) -> None:
        channel.fails["create"] = said_no("amount_too_small")

        with pytest.raises(payments.ChannelDeclined):
            start(shop, placed.number, account)

        assert attempts(shop, placed.number) == [("FAILED", "")]

    def test_refuses_an_order_whose_time_is_over(
        self, shop: Any, account: Any, placed: Any, channel: MemoryChannel
    ) -> None:
        with pytest.raises(payments.OrderNotPayable):
            start(shop, placed.number, account, now=NOW + timedelta(minutes=15))
        with in_substation(shop):
            orders.cancel_order(number=placed.number, by=BUYER, now=NOW)
        with pytest.raises(payments.OrderNotPayable):
            start(shop, placed.number, account)

        assert (attempts(shop, placed.number), channel.calls) == ([], [])

    def test_refuses_another_shops_channel(
        self, shop: Any, placed: Any, channel: MemoryChannel, fresh_shop: Any
    ) -> None:
        with in_main():
            theirs = market.ensure_account(substation_id=fresh_shop.pk)

        with pytest.raises(payments.ChannelMissing):
            start(shop, placed.number, theirs)

        assert attempts(shop, placed.number) == []

    def test_offers_only_channels_whose_fee_the_order_can_carry(self, shop: Any, placed: Any, account: Any) -> None:
        """Stripe's fixed 2.20 would eat the 1.90 that 11.40 leaves over 9.50."""
        with in_main():
            from kameng.accounts.types import SYSTEM
            from shared_apps.receipts import services as receipts

            dear = receipts.create_account(channel="stripe", account_ref=market.public_id("acct"), name="Cards",
                                           credentials={"api_key": "x"}, substation_id=shop.pk, by=SYSTEM)  # fmt: skip

        with in_substation(shop):
            offered = {offer.account_id for offer in payments.offered_channels(order_number=placed.number, now=NOW)}
            everything = {offer.account_id for offer in payments.offered_channels()}
            with pytest.raises(payments.ChannelMissing):
                payments.begin_payment(order_number=placed.number, account_id=dear.id, by=BUYER, now=NOW)

        assert account.id in offered
        assert dear.id in everything - offered
