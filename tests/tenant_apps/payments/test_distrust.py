"""A shop's own tables are the shop's: what they say changes neither whose money it is nor what the books say."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kameng.db.context import in_main, in_substation
from shared_apps.receipts import services as receipts
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order
from tenant_apps.payments import services as payments
from tenant_apps.payments.models import Payment
from tenant_apps.payments.providers.base import ChannelState, ChannelStatus, MoneyFact
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel
from tests.tenant_apps.market import CLERK, NOW, announce, pay_fact, place

Sell = Callable[..., market.Goods]


@pytest.fixture
def begun(shop: Any, account: Any, sell: Sell) -> tuple[Any, str]:
    goods = sell(codes=1)
    with in_substation(shop):
        placed = place(goods)
        return placed, announce(placed, account)


def owners(fact_id: str) -> list[tuple[Any, ...]]:
    return market.rows("SELECT substation_id, order_number FROM receipts_receipt WHERE fact_id = %s", fact_id)


class TestWhosePayment:
    def test_one_without_an_id_of_ours_is_nobodys_however_it_was_found(
        self, shop: Any, account: Any, begun: tuple[Any, str], channel: MemoryChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The shop writes the reference of a payment of the main station's other business into its own attempt; asked by
        that reference, the channel tells of money that names no payment of ours."""
        placed, payment = begun
        fact = MoneyFact("elsewhere-1", "PAID", 1140, "CNY", 7, NOW, "", "ref-elsewhere")  # type: ignore[arg-type]
        monkeypatch.setattr(
            channel, "query", lambda **_: ChannelState(ChannelStatus.PAID, (fact,), "", "ref-elsewhere")
        )
        with in_substation(shop):
            Payment.objects.filter(public_id=payment).update(
                state="PENDING", channel_ref="ref-elsewhere", redirect_url="x"
            )

        payments.ask_about_unknown(now=NOW + timedelta(minutes=6))

        assert owners("elsewhere-1") == [(None, "")]
        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "PENDING_PAYMENT"

    def test_one_of_another_order_stays_that_orders(
        self, shop: Any, account: Any, begun: tuple[Any, str], sell: Sell, channel: MemoryChannel
    ) -> None:
        other_goods = sell(codes=1)
        placed, payment = begun
        with in_substation(shop):
            other = place(other_goods)
            others_payment = announce(other, account)
            Payment.objects.filter(public_id=payment).update(
                state="PENDING", channel_ref=f"ref-{others_payment}", redirect_url="x"
            )
        told = channel.pays(others_payment, 1140, at=NOW)

        payments.ask_about_unknown(now=NOW + timedelta(minutes=6))

        assert owners(told.channel_fact_id) == [(shop.pk, other.number)]
        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "PENDING_PAYMENT"


class TestRefund:
    def test_is_booked_though_the_shop_has_removed_the_order(
        self, shop: Any, account: Any, begun: tuple[Any, str], channel: MemoryChannel
    ) -> None:
        """Otherwise the buyer has the money back, and the shop keeps what it earned by it."""
        placed, payment = begun
        payments.take_fact(fact=pay_fact(account, payment, 1140), now=NOW)
        with in_substation(shop):
            Order.objects.filter(number=placed.number).update(number=f"X{placed.number[1:]}")

        refund = payments.refund_order(
            substation_id=shop.pk, order_number=placed.number, reason="wrong region", by=CLERK, now=NOW
        )

        assert refund.state == "SUCCEEDED"
        assert set(market.legs(placed.number).values()) == {0}
        assert market.rows("SELECT state FROM receipts_networkorder WHERE order_number = %s", placed.number) == [
            ("REFUNDED",)
        ]


class TestJanitor:
    def test_one_shops_trouble_does_not_keep_the_others_waiting(
        self, shop: Any, account: Any, sell: Sell, channel: MemoryChannel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        goods = sell(codes=2)
        with in_substation(shop):
            broken, sound = place(goods), place(goods)
            first, second = announce(broken, account), announce(sound, account)
        real = channel.query

        def query(*, payment_id: str, **rest: Any) -> ChannelState:
            if payment_id == first:
                raise RuntimeError("a broken shop")
            return real(payment_id=payment_id, **rest)

        monkeypatch.setattr(channel, "query", query)
        channel.pays(second, 1140, at=NOW)

        payments.ask_about_unknown(now=NOW + timedelta(minutes=6))

        with in_substation(shop):
            states = dict(Order.objects.filter(number__in=(broken.number, sound.number)).values_list("number", "state"))
        assert states == {broken.number: "PENDING_PAYMENT", sound.number: "DELIVERED"}


class TestCase:
    def test_expects_what_the_main_station_noted_and_not_what_the_order_says(
        self, shop: Any, account: Any, begun: tuple[Any, str], channel: MemoryChannel
    ) -> None:
        """The shop writes a cent into its own order, its friend pays the price: "too much" by all but a cent. Delivered,
        the codes would go out and 11.39 go back to the payer, at the main station's cost."""
        placed, payment = begun
        with in_substation(shop):
            Order.objects.filter(number=placed.number).update(total_minor=1)

        assert payments.take_fact(fact=pay_fact(account, payment, 1140), now=NOW) == "CASE"

        [(case_id, expected)] = market.rows(
            "SELECT public_id, expected_minor FROM receipts_paymentcase WHERE order_number = %s", placed.number
        )
        assert expected == 1140
        with in_main():
            assert receipts.lock_case(case_id).expected_minor == 1140
        with pytest.raises(orders.SettlementRefused):  # A sale for a cent is none of this order's.
            payments.settle_case(case_public_id=case_id, resolution="DELIVER", evidence="paid", by=CLERK, now=NOW)
        with in_substation(shop):
            Order.objects.filter(number=placed.number).update(total_minor=1140)
        payments.settle_case(case_public_id=case_id, resolution="DELIVER", evidence="paid", by=CLERK, now=NOW)
        assert market.legs(placed.number)["suspense:testpay"] == 0
        assert channel.refunds == {}
