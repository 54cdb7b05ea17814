"""A person settles a case, with evidence; a refund goes out once; no cent stays behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main, in_substation
from shared_apps.receipts import services as receipts
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order
from tenant_apps.payments import services as payments
from tenant_apps.payments.models import Payment
from tenant_apps.payments.providers.base import RefundStatus
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel, said_no, time_out
from tests.tenant_apps.market import CLERK, NOW, announce, pay_fact, place

Sell = Callable[..., market.Goods]
EVIDENCE = "Seen in the channel's back office."


@pytest.fixture
def open_case(shop: Any, account: Any, sell: Sell, channel: MemoryChannel) -> Callable[..., tuple[Any, str]]:
    """An order whose payment opened a case: `open_case(1141)`; answers the order and the case's id."""

    def make(amount: int, *, codes: int = 2, first: int = 0) -> tuple[Any, str]:
        goods = sell(codes=codes)
        with in_substation(shop):
            placed = place(goods)
            payment = announce(placed, account)
        if first:
            payments.take_fact(fact=pay_fact(account, payment, first), now=NOW)
        payments.take_fact(fact=pay_fact(account, payment, amount), now=NOW)
        [(public_id,)] = market.rows(
            "SELECT public_id FROM receipts_paymentcase WHERE order_number = %s", placed.number
        )
        return placed, public_id

    return make


def settle(case: str, resolution: str, evidence: str = EVIDENCE) -> str:
    return payments.settle_case(case_public_id=case, resolution=resolution, evidence=evidence, by=CLERK, now=NOW)


def case_row(case: str) -> tuple[Any, ...]:
    return market.rows(
        "SELECT state, resolution, evidence, settled_by FROM receipts_paymentcase WHERE public_id = %s", case
    )[0]


def state_of(shop: Any, placed: Any) -> str:
    with in_substation(shop):
        return str(Order.objects.get(number=placed.number).state)


class TestDeliver:
    def test_a_short_payment_is_taken_as_it_is(self, shop: Any, open_case: Any) -> None:
        placed, case = open_case(1100)

        assert settle(case, "DELIVER") == "SETTLED"

        # 11.00 − 9.50 − 0.06 = 1.44, of which 2 % are 0.03.
        assert market.legs(placed.number) == {
            "channel:testpay:clearing": 1100, "suspense:testpay": 0, "main:revenue": -950, "channel:testpay:fee": -6,
            "main:platform_fee": -3, f"substation:{shop.pk}:pending": -141,
        }  # fmt: skip
        assert state_of(shop, placed) == "DELIVERED"
        assert case_row(case) == ("SETTLED", "DELIVER", EVIDENCE, "Clerk")
        notes = market.rows("SELECT n.by FROM receipts_casenote n JOIN receipts_paymentcase c ON c.id = n.case_id "
                            "WHERE c.public_id = %s ORDER BY n.id", case)  # fmt: skip
        assert notes == [("Kameng",), ("Clerk",), ("Clerk",)]
        with in_main():
            assert AuditRecord.objects.get(action="receipts.case.settling", target=case).actor_label == "Clerk"

    def test_what_was_paid_too_much_goes_back(self, shop: Any, open_case: Any, channel: MemoryChannel) -> None:
        placed, case = open_case(1240)

        assert settle(case, "DELIVER") == "SETTLED"

        legs = market.legs(placed.number)
        assert (legs["channel:testpay:clearing"], legs["suspense:testpay"], legs["main:revenue"]) == (1140, 0, -950)
        assert [refund.amount_minor for refund in channel.refunds.values()] == [100]
        assert state_of(shop, placed) == "DELIVERED"

    def test_a_payment_that_does_not_cover_its_cost_stays_a_case(self, shop: Any, open_case: Any) -> None:
        placed, case = open_case(900)
        before = market.legs(placed.number)

        with pytest.raises(orders.SettlementRefused):
            settle(case, "DELIVER")

        assert case_row(case) == ("OPEN", "", "", "")
        assert market.legs(placed.number) == before
        assert state_of(shop, placed) == "PENDING_PAYMENT"

    def test_a_second_payment_can_not_be_delivered_again(self, open_case: Any) -> None:
        _placed, case = open_case(1140, first=1140)

        with pytest.raises(receipts.CaseRefused):
            settle(case, "DELIVER")

        assert case_row(case)[0] == "OPEN"


class TestCredit:
    def test_gives_the_money_to_the_shop_less_the_channels_fee(self, shop: Any, open_case: Any) -> None:
        placed, case = open_case(1000)

        assert settle(case, "CREDIT") == "SETTLED"

        assert market.legs(placed.number) == {
            "channel:testpay:clearing": 1000, "suspense:testpay": 0, "channel:testpay:fee": -6,
            f"substation:{shop.pk}:pending": -994,
        }  # fmt: skip
        assert state_of(shop, placed) == "PENDING_PAYMENT"


class TestRefund:
    def test_sends_the_money_back(self, open_case: Any, channel: MemoryChannel) -> None:
        placed, case = open_case(1140, first=1140)

        assert settle(case, "REFUND") == "SETTLED"

        assert [(r.amount_minor, r.currency) for r in channel.refunds.values()] == [(1140, "CNY")]
        legs = market.legs(placed.number)
        assert (legs["channel:testpay:clearing"], legs["suspense:testpay"]) == (1140, 0)

    def test_a_time_out_is_unknown_until_the_janitor_has_asked(self, open_case: Any, channel: MemoryChannel) -> None:
        placed, case = open_case(1000)
        channel.fails["refund"] = time_out()

        assert settle(case, "REFUND") == "SETTLING"
        [(state, ask_at, refund)] = market.rows("SELECT state, ask_at, public_id FROM receipts_refund WHERE order_number = %s",
                                                placed.number)  # fmt: skip
        assert state == "UNKNOWN"
        assert market.legs(placed.number)["suspense:testpay"] == -1000

        payments.ask_about_unknown(now=ask_at)

        assert case_row(case)[0] == "SETTLED"
        assert market.legs(placed.number) == {"channel:testpay:clearing": 0, "suspense:testpay": 0}
        assert list(channel.refunds) == [refund]
        assert [call for call in channel.calls if "refund" in call] == ["refund", "query_refund", "refund"]

    def test_a_refund_on_its_way_is_finished_when_it_arrives(self, open_case: Any, channel: MemoryChannel) -> None:
        placed, case = open_case(1000)
        channel.refund_status = RefundStatus.PENDING
        assert settle(case, "REFUND") == "SETTLING"
        [(refund,)] = market.rows("SELECT public_id FROM receipts_refund WHERE order_number = %s", placed.number)

        channel.refunds[refund] = type(channel.refunds[refund])(RefundStatus.SUCCEEDED, refund, "ch", 1000, "CNY", None)
        payments.run_refund(refund_public_id=refund, now=NOW)
        payments.run_refund(refund_public_id=refund, now=NOW)

        assert case_row(case)[0] == "SETTLED"
        assert market.legs(placed.number)["suspense:testpay"] == 0

    def test_a_refusal_of_the_channel_opens_the_case_again(self, open_case: Any, channel: MemoryChannel) -> None:
        placed, case = open_case(1000)
        channel.fails["refund"] = said_no("over_refund")

        assert settle(case, "REFUND") == "OPEN"

        assert market.legs(placed.number)["suspense:testpay"] == -1000
        assert settle(case, "REFUND") == "SETTLED"  # A new refund: the failed one's id is never used again.


class TestRules:
    @pytest.mark.parametrize("evidence", ["", "  ", "ok"])
    def test_wants_evidence(self, open_case: Any, evidence: str) -> None:
        _placed, case = open_case(1000)

        with pytest.raises(receipts.EvidenceMissing):
            settle(case, "CREDIT", evidence)

        assert case_row(case) == ("OPEN", "", "", "")

    def test_a_case_is_settled_once(self, open_case: Any) -> None:
        placed, case = open_case(1000)
        settle(case, "CREDIT")
        before = market.legs(placed.number)

        with pytest.raises(receipts.CaseRefused):
            settle(case, "REFUND")

        assert market.legs(placed.number) == before

    def test_money_that_came_in_is_not_charged(self, open_case: Any) -> None:
        _placed, case = open_case(1000)

        with pytest.raises(receipts.CaseRefused):
            settle(case, "CHARGE")

    def test_the_console_asks_and_a_worker_does(self, shop: Any, open_case: Any) -> None:
        from tenant_apps.payments import tasks

        placed, case = open_case(1100)
        with in_main():
            receipts.request_settlement(case_public_id=case, resolution="DELIVER", evidence=EVIDENCE, by=CLERK, now=NOW)
        assert case_row(case)[0] == "SETTLING"

        tasks.carry_out_case(case_public_id=case)
        tasks.carry_out_case(case_public_id=case)

        assert case_row(case)[0] == "SETTLED"
        assert state_of(shop, placed) == "DELIVERED"


class TestRefundOrder:
    def test_takes_back_every_leg_and_ends_the_order(
        self, shop: Any, account: Any, sell: Sell, channel: MemoryChannel
    ) -> None:
        placed, payment = self._sold(shop, account, sell)

        refund = self._refund(shop, placed)
        again = self._refund(shop, placed)

        assert (refund.state, again.public_id) == ("SUCCEEDED", refund.public_id)
        assert set(market.legs(placed.number).values()) == {0}
        assert state_of(shop, placed) == "REFUNDED"
        with in_substation(shop):
            assert Payment.objects.get(public_id=payment).state == "REFUNDED"
        network = market.rows("SELECT state FROM receipts_networkorder WHERE order_number = %s", placed.number)
        assert network == [("REFUNDED",)]
        assert len(channel.refunds) == 1

    def test_a_time_out_leaves_the_order_until_the_channel_has_said(
        self, shop: Any, account: Any, sell: Sell, channel: MemoryChannel
    ) -> None:
        placed, _payment = self._sold(shop, account, sell)
        channel.fails["refund"] = time_out()
        before = market.legs(placed.number)

        assert self._refund(shop, placed).state == "UNKNOWN"

        assert market.legs(placed.number) == before
        assert state_of(shop, placed) == "DELIVERED"
        assert self._refund(shop, placed).state == "SUCCEEDED"
        assert state_of(shop, placed) == "REFUNDED"

    def test_refuses_an_order_that_was_never_paid(
        self, shop: Any, account: Any, sell: Sell, channel: MemoryChannel
    ) -> None:
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)

        with pytest.raises(payments.OrderNotRefundable):
            self._refund(shop, placed)

        assert channel.calls == []

    def _sold(self, shop: Any, account: Any, sell: Sell) -> tuple[Any, str]:
        goods = sell(codes=1)
        with in_substation(shop):
            placed = place(goods)
            payment = announce(placed, account)
        payments.take_fact(fact=pay_fact(account, payment, placed.total_minor), now=NOW)
        return placed, payment

    def _refund(self, shop: Any, placed: Any) -> Any:
        return payments.refund_order(
            substation_id=shop.pk, order_number=placed.number, reason="wrong region", by=CLERK, now=NOW
        )
