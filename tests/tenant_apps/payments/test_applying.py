"""Money meets its order: a sale where it fits, a case where it does not, and never twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kameng.db.context import in_main, in_substation
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order
from tenant_apps.payments import services as payments
from tenant_apps.payments.models import Payment
from tests.tenant_apps import market
from tests.tenant_apps.market import NOW, announce, pay_fact, place

Sell = Callable[..., market.Goods]
LATE = NOW + timedelta(hours=2)


def begun(shop: Any, account: Any, goods: market.Goods) -> tuple[Any, str]:
    with in_substation(shop):
        placed = place(goods)
        return placed, announce(placed, account)


def case_of(placed: Any) -> tuple[Any, ...]:
    return market.rows(
        "SELECT kind, state, amount_minor, expected_minor FROM receipts_paymentcase WHERE order_number = %s",
        placed.number,
    )[0]


class TestASale:
    def test_settles_the_order_and_the_attempt(self, shop: Any, account: Any, sell: Sell) -> None:
        placed, payment = begun(shop, account, sell(codes=1))

        assert payments.take_fact(fact=pay_fact(account, payment, 1140), now=NOW) == "SALE"

        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "DELIVERED"
            assert Payment.objects.get(public_id=payment).state == "SUCCEEDED"

    def test_told_again_changes_nothing(self, shop: Any, account: Any, sell: Sell) -> None:
        _placed, payment = begun(shop, account, sell(codes=1))
        fact = pay_fact(account, payment, 1140)
        payments.take_fact(fact=fact, now=NOW)
        before = market.network_counts()

        assert payments.take_fact(fact=fact, now=LATE) == "SALE"

        assert market.network_counts() == before

    def test_late_money_revives_an_expired_order(self, shop: Any, account: Any, sell: Sell) -> None:
        placed, payment = begun(shop, account, sell(codes=1))
        orders.expire_due(now=LATE)

        assert payments.take_fact(fact=pay_fact(account, payment, 1140), now=LATE) == "SALE"

        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "DELIVERED"

    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_facts_in_any_order_end_the_same(self, shop: Any, account: Any, sell: Sell, order: tuple[int, ...]) -> None:
        """Paid, paid again, refunded outside: whichever is told first, one sale and no lost cent."""
        placed, payment = begun(shop, account, sell(codes=2))
        told = [
            pay_fact(account, payment, 1140),
            pay_fact(account, payment, 1140),
            pay_fact(account, payment, 1140, kind="REFUNDED", fee_minor=None),
        ]

        answers = [payments.take_fact(fact=told[index], now=NOW) for index in order]

        assert sorted(answers) == ["CASE", "CASE", "SALE"]
        legs = market.legs(placed.number)
        assert (legs["channel:testpay:clearing"], legs["suspense:testpay"]) == (1140, 0)
        assert sum(legs.values()) == 0


class TestCases:
    @pytest.mark.parametrize(
        ("told", "kind"),
        [
            ({"amount_minor": 1139}, "SHORT"),
            ({"amount_minor": 1141}, "OVER"),
            ({"currency": "USD"}, "CURRENCY"),
        ],
    )
    def test_money_that_does_not_fit_rests_in_suspense(
        self, shop: Any, account: Any, sell: Sell, told: dict[str, Any], kind: str
    ) -> None:
        placed, payment = begun(shop, account, sell(codes=1))
        amount = told.get("amount_minor", 1140)

        assert payments.take_fact(fact=pay_fact(account, payment, 1140, **told), now=NOW) == "CASE"

        suffix = ":USD" if kind == "CURRENCY" else ""
        assert case_of(placed) == (kind, "OPEN", amount, 1140)
        assert market.legs(placed.number) == {
            f"channel:testpay:clearing{suffix}": amount, f"suspense:testpay{suffix}": -amount,
        }  # fmt: skip
        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "PENDING_PAYMENT"

    def test_a_second_payment_is_double(self, shop: Any, account: Any, sell: Sell) -> None:
        placed, payment = begun(shop, account, sell(codes=2))
        payments.take_fact(fact=pay_fact(account, payment, 1140), now=NOW)

        assert payments.take_fact(fact=pay_fact(account, payment, 1140), now=NOW) == "CASE"

        assert case_of(placed) == ("DOUBLE", "OPEN", 1140, 1140)
        assert market.legs(placed.number)["suspense:testpay"] == -1140

    def test_late_money_for_sold_out_stock_is_no_stock(self, shop: Any, account: Any, sell: Sell) -> None:
        goods = sell(codes=1)
        placed, payment = begun(shop, account, goods)
        orders.expire_due(now=LATE)
        with in_substation(shop):
            place(goods, now=LATE)

        assert payments.take_fact(fact=pay_fact(account, payment, 1140), now=LATE) == "CASE"

        assert case_of(placed) == ("NO_STOCK", "OPEN", 1140, 1140)
        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "EXPIRED"

    def test_money_for_no_known_payment_is_kept(self, shop: Any, account: Any, sell: Sell) -> None:
        fact = pay_fact(account, "pay_UNKNOWN", 500)

        assert payments.take_fact(fact=fact, now=NOW) == "CASE"

        found = market.rows("SELECT c.kind, c.substation_id, c.order_number FROM receipts_paymentcase c JOIN receipts_receipt r "
                            "ON r.id = c.receipt_id WHERE r.fact_id = %s", fact.fact_id)  # fmt: skip
        assert found == [("UNKNOWN_ORDER", None, "")]

    def test_another_accounts_order_is_not_paid_by_it(self, shop: Any, account: Any, sell: Sell) -> None:
        placed, payment = begun(shop, account, sell(codes=1))
        with in_main():
            other = market.ensure_account()

        assert payments.take_fact(fact=pay_fact(other, payment, 1140), now=NOW) == "CASE"

        with in_substation(shop):
            assert Order.objects.get(number=placed.number).state == "PENDING_PAYMENT"
        assert market.legs(placed.number) == {}

    def test_what_the_ledger_refuses_becomes_a_case_as_well(
        self, shop: Any, account: Any, sell: Sell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        placed, payment = begun(shop, account, sell(codes=1))

        def refuse(*_: Any, **__: Any) -> Any:
            raise orders.SettlementRefused(number=placed.number, reason="test")

        monkeypatch.setattr("tenant_apps.orders.services._paying._splitting.split", refuse)

        assert payments.take_fact(fact=pay_fact(account, payment, 1140), now=NOW) == "CASE"
        assert case_of(placed) == ("STUCK", "OPEN", 1140, 1140)

    def test_a_dispute_takes_the_money_back_and_a_win_returns_it(self, shop: Any, account: Any, sell: Sell) -> None:
        placed, payment = begun(shop, account, sell(codes=1))
        payments.take_fact(fact=pay_fact(account, payment, 1140), now=NOW)

        payments.take_fact(fact=pay_fact(account, payment, 1140, kind="DISPUTED", fee_minor=None), now=NOW)
        during = market.legs(placed.number)
        won = pay_fact(account, payment, 1140, kind="DISPUTE_CLOSED", fee_minor=None, detail="won")
        answer = payments.take_fact(fact=won, now=LATE)

        assert (during["channel:testpay:clearing"], during["suspense:testpay"]) == (0, 1140)
        assert answer == "NOTED"
        after = market.legs(placed.number)
        assert (after["channel:testpay:clearing"], after["suspense:testpay"]) == (1140, 0)
        assert case_of(placed)[:2] == ("DISPUTE", "SETTLED")

    def test_a_lost_dispute_of_nothing_is_noted(self, shop: Any, account: Any, sell: Sell) -> None:
        _placed, payment = begun(shop, account, sell(codes=1))

        lost = pay_fact(account, payment, 0, kind="DISPUTE_CLOSED", fee_minor=None, detail="lost")

        assert payments.take_fact(fact=lost, now=NOW) == "NOTED"
