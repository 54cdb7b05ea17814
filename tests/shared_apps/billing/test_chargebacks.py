"""A top-up that its payer's bank takes back: its shop is charged for it, and owes what its balance does not cover."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from kameng.accounts.types import SYSTEM
from kameng.db.context import MAIN, in_main, pointed_at
from shared_apps.billing import selectors, services
from shared_apps.billing.models import PaymentPage
from shared_apps.ledger import selectors as ledger
from shared_apps.receipts import services as receipts
from shared_apps.receipts.models import PaymentCase
from shared_apps.receipts.types import Fact
from tenant_apps.payments import services as payments
from tenants.models import Substation
from tests.shared_apps.billing.stage import APRIL, MARCH, make_plan, prepaid, state, top_up
from tests.shared_apps.billing.test_cards import Stripe, by_card, invoices, row_of
from tests.tenant_apps import market

_serial = itertools.count(1)


@pytest.fixture
def account(prepared: None) -> Any:
    with in_main():
        return market.ensure_account()


@pytest.fixture
def page(fresh_shop: Any, account: Any) -> PaymentPage:
    """A page on which 10,000 were paid, to the balance of a shop that has nothing else."""
    return paid_page(fresh_shop, account, 10_000)


def paid_page(shop: Any, account: Any, amount: int) -> PaymentPage:
    with in_main():
        made = PaymentPage.objects.create(
            substation=shop, purpose="TOPUP", account_id=account.id, amount_minor=amount, currency="CNY",
            created_at=MARCH, expires_at=APRIL,
        )  # fmt: skip
    assert tell(made, amount) == "TOPUP"
    return made


def tell(page: PaymentPage, amount: int, kind: str = "PAID", **more: Any) -> str:
    fact = Fact(
        account_id=page.account_id, channel="testpay", fact_id=f"fact-{page.public_id}-{next(_serial)}", kind=kind,
        payment_id=page.public_id, channel_ref=f"ref-{page.public_id}", amount_minor=amount, currency="CNY",
        fee_minor=0 if kind == "PAID" else None, occurred_at=MARCH, **more,
    )  # fmt: skip
    return payments.take_fact(fact=fact, now=MARCH)


def case_of(page: PaymentPage, kind: str = "DISPUTE") -> PaymentCase:
    with in_main():
        return PaymentCase.objects.get(receipt__payment_id=page.public_id, kind=kind)


def settle(case: PaymentCase, resolution: str) -> str:
    return payments.settle_case(
        case_public_id=case.public_id, resolution=resolution, evidence="The bank's letter.", by=SYSTEM, now=MARCH
    )


def owed(shop: Any) -> int:
    with in_main():
        return selectors.balance(shop.pk, "receivable")


def suspense() -> int:
    with in_main():
        return ledger.balance_minor("suspense:testpay")


def at_once(*deeds: Callable[[], Any]) -> None:
    gate = threading.Barrier(len(deeds))

    def run(deed: Callable[[], Any]) -> None:
        try:
            with pointed_at(MAIN):
                gate.wait()
                deed()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(deed,)) for deed in deeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class TestDispute:
    def test_is_a_case_of_the_shop_that_paid(self, fresh_shop: Any, page: PaymentPage) -> None:
        assert tell(page, 10_000, "DISPUTED") == "CASE"

        case = case_of(page)
        assert (case.substation_id, case.amount_minor, case.outward) == (fresh_shop.pk, 10_000, True)
        assert prepaid(fresh_shop) == 10_000  # A person decides, as about an order.

    def test_that_is_lost_is_charged_to_the_balance(self, fresh_shop: Any, page: PaymentPage) -> None:
        before = suspense()
        tell(page, 10_000, "DISPUTED")

        assert settle(case_of(page), "CHARGE") == "SETTLED"

        assert (prepaid(fresh_shop), owed(fresh_shop)) == (0, 0)
        assert suspense() == before

    def test_of_money_that_is_spent_is_owed_and_the_next_top_up_repays_it(
        self,
        fresh_shop: Any,
        account: Any,
        page: PaymentPage,
    ) -> None:
        top_up(fresh_shop, -7_000)  # Spent on something.
        tell(page, 10_000, "DISPUTED")

        settle(case_of(page), "CHARGE")
        assert (prepaid(fresh_shop), owed(fresh_shop)) == (0, 7_000)
        paid_page(fresh_shop, account, 4_000)
        assert (prepaid(fresh_shop), owed(fresh_shop)) == (0, 3_000)
        paid_page(fresh_shop, account, 4_000)
        assert (prepaid(fresh_shop), owed(fresh_shop)) == (1_000, 0)

    def test_that_is_won_gives_nothing_and_takes_nothing(self, fresh_shop: Any, page: PaymentPage) -> None:
        before = suspense()
        tell(page, 10_000, "DISPUTED")

        assert tell(page, 10_000, "DISPUTE_CLOSED", detail="won") == "NOTED"

        assert case_of(page).state == "SETTLED"
        assert (prepaid(fresh_shop), owed(fresh_shop), suspense()) == (10_000, 0, before)

    def test_that_is_won_after_the_shop_was_charged_is_credited_again(self, fresh_shop: Any, page: PaymentPage) -> None:
        before = suspense()
        top_up(fresh_shop, -7_000)
        tell(page, 10_000, "DISPUTED")
        settle(case_of(page), "CHARGE")

        assert tell(page, 10_000, "DISPUTE_CLOSED", detail="won") == "CASE"
        assert settle(case_of(page, "DOUBLE"), "CREDIT") == "SETTLED"

        assert (prepaid(fresh_shop), owed(fresh_shop), suspense()) == (3_000, 0, before)

    def test_of_a_page_on_another_account_is_nobodys(self, fresh_shop: Any, page: PaymentPage) -> None:
        with in_main():
            other = receipts.create_account(
                channel="testpay", account_ref=f"other-{page.public_id}", name="Other", credentials={"secret": "x" * 32},
                api_base="http://127.0.0.1:1", by=SYSTEM,
            )  # fmt: skip
        page.account_id = other.id

        tell(page, 10_000, "DISPUTED")

        case = case_of(page)
        assert case.substation_id is None
        with pytest.raises(receipts.CaseRefused):
            settle(case, "CHARGE")
        assert prepaid(fresh_shop) == 10_000

    def test_two_at_once_share_what_is_there(self, fresh_shop: Any, account: Any, page: PaymentPage) -> None:
        """Race: both read the balance before either takes from it."""
        pages = [page, paid_page(fresh_shop, account, 10_000)]
        top_up(fresh_shop, -8_000)
        for one in pages:
            tell(one, 10_000, "DISPUTED")

        at_once(*(lambda one=one: settle(case_of(one), "CHARGE") for one in pages))

        assert [case_of(one).state for one in pages] == ["SETTLED", "SETTLED"]
        assert (prepaid(fresh_shop), owed(fresh_shop)) == (0, 8_000)


class TestOutside:
    def test_a_refund_by_hand_at_the_channel_is_charged_as_well(self, fresh_shop: Any, page: PaymentPage) -> None:
        assert tell(page, 2_500, "REFUNDED") == "CASE"

        settle(case_of(page, "OUTSIDE"), "CHARGE")

        assert (prepaid(fresh_shop), owed(fresh_shop)) == (7_500, 0)


class TestRepaying:
    def test_comes_before_what_is_due(self, subscribed: Callable[..., Any], account: Any) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        page = paid_page(shop, account, 9_800)
        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)
        assert (state(shop)[0], prepaid(shop)) == ("ACTIVE", 0)
        tell(page, 9_800, "DISPUTED")
        settle(case_of(page), "CHARGE")
        assert owed(shop) == 9_800

        paid_page(shop, account, 9_800)

        assert (prepaid(shop), owed(shop)) == (0, 0)

    def test_is_done_once_by_two_payments_at_once(self, fresh_shop: Any, account: Any, page: PaymentPage) -> None:
        top_up(fresh_shop, -10_000)
        tell(page, 10_000, "DISPUTED")
        settle(case_of(page), "CHARGE")

        at_once(*[lambda: paid_page(fresh_shop, account, 8_000)] * 2)

        assert (prepaid(fresh_shop), owed(fresh_shop)) == (6_000, 0)


class TestCard:
    """What goes back of a subscription that a card pays."""

    @pytest.fixture
    def shop(self, stripe: Stripe, subscribed: Callable[..., Any]) -> Any:
        """It has paid 9,800 twice."""
        made = by_card(stripe, subscribed, make_plan(monthly_fee_minor=9_800))
        stripe.pass_days(31.5)
        stripe.tell()
        assert [total for _kind, _state, total in invoices(made)] == [9_800, 9_800]
        return made

    def intents(self, stripe: Stripe, shop: Any) -> list[str]:
        """The payments, the first one first."""
        found = [
            row["id"]
            for row in stripe.merchant.billing.invoices.values()
            if row["customer"] == row_of(shop).stripe_customer
        ]
        payments = stripe.merchant.billing.payments.values()
        return [row["payment"]["payment_intent"] for one in found for row in payments if row["invoice"] == one]

    def cases(self, shop: Any) -> list[PaymentCase]:
        with in_main():
            return list(PaymentCase.objects.filter(substation_id=shop.pk).select_related("receipt").order_by("id"))

    def test_a_dispute_is_a_case_of_its_shop_and_charged_like_any_other(self, stripe: Stripe, shop: Any) -> None:
        with in_main():
            before = ledger.balance_minor("suspense:stripe")
        top_up(shop, 3_000)
        stripe.merchant.dispute(self.intents(stripe, shop)[0])

        stripe.tell()

        (case,) = self.cases(shop)
        assert (case.kind, case.amount_minor, case.outward, case.state) == ("DISPUTE", 9_800, True, "OPEN")
        assert settle(case, "CHARGE") == "SETTLED"
        assert (prepaid(shop), owed(shop)) == (0, 6_800)
        with in_main():
            assert ledger.balance_minor("suspense:stripe") == before
        assert [told for _kind, told, _total in invoices(shop)] == [
            "PAID",
            "PAID",
        ]  # They were; what is owed is a debt.

    def test_told_again_it_stays_one_case(self, stripe: Stripe, shop: Any) -> None:
        stripe.merchant.dispute(self.intents(stripe, shop)[0])

        stripe.tell(lambda events: events * 2)
        stripe.told.clear()
        stripe.tell(lambda events: events[::-1])

        assert len(self.cases(shop)) == 1

    def test_of_two_disputes_the_one_that_was_won_is_settled(self, stripe: Stripe, shop: Any) -> None:
        """Both are of the same page, and of the same sum."""
        first, second = (stripe.merchant.dispute(intent) for intent in self.intents(stripe, shop))
        stripe.tell()

        stripe.merchant.close_dispute(first["id"], won=True)
        stripe.merchant.close_dispute(second["id"], won=False)
        stripe.tell()

        refs = {case.receipt.channel_ref: case.state for case in self.cases(shop)}
        assert refs == {first["payment_intent"]: "SETTLED", second["payment_intent"]: "OPEN"}
        assert (prepaid(shop), owed(shop)) == (0, 0)

    def test_a_refund_by_hand_at_stripe_is_a_case_too(self, stripe: Stripe, shop: Any) -> None:
        stripe.merchant.create_refund({"payment_intent": self.intents(stripe, shop)[1], "amount": "2500"})

        stripe.tell()

        (case,) = self.cases(shop)
        assert (case.kind, case.amount_minor, case.outward) == ("OUTSIDE", 2_500, True)

    def test_what_was_paid_is_not_taken_for_a_top_up(self, stripe: Stripe, shop: Any) -> None:
        """Its intents succeed, and are told of, like any other."""
        for intent in self.intents(stripe, shop):
            stripe.merchant.tell("payment_intent.succeeded", stripe.merchant.intents[intent])

        stripe.tell()

        assert (prepaid(shop), owed(shop), self.cases(shop)) == (0, 0, [])

    @pytest.mark.parametrize("labels", [{}, {"reference": "2031/77"}, {"reference": ""}])
    def test_of_a_subscription_that_is_not_ours_nothing_is_known(
        self, stripe: Stripe, shop: Any, labels: dict[str, str]
    ) -> None:
        intent = self.intents(stripe, shop)[0]
        for row in stripe.merchant.billing.invoices.values():
            row["parent"]["subscription_details"]["metadata"] = labels
        with in_main():
            before = PaymentCase.objects.count()
        stripe.merchant.dispute(intent)

        stripe.tell()

        with in_main():
            assert PaymentCase.objects.count() == before

    @pytest.mark.parametrize("gone", ["CLOSED", "ERASED"])
    def test_of_a_shop_that_is_gone_is_a_debt_in_the_books(self, stripe: Stripe, shop: Any, gone: str) -> None:
        with in_main():
            before = ledger.balance_minor("suspense:stripe")
            Substation.objects.filter(pk=shop.pk).update(state=gone, closed_at=stripe.now)
        stripe.merchant.dispute(self.intents(stripe, shop)[1])

        stripe.tell()
        (case,) = self.cases(shop)
        assert settle(case, "CHARGE") == "SETTLED"

        assert (prepaid(shop), owed(shop)) == (0, 9_800)
        with in_main():
            assert ledger.balance_minor("suspense:stripe") == before

    def test_that_is_opened_and_won_before_anybody_is_told_is_told_by_two_workers_at_once(
        self, stripe: Stripe, shop: Any
    ) -> None:
        with in_main():
            before = ledger.balance_minor("suspense:stripe")
        dispute = stripe.merchant.dispute(self.intents(stripe, shop)[0])
        stripe.merchant.close_dispute(dispute["id"], won=True)
        for headers, body in stripe.events():
            payments.receive_callback(
                channel="stripe", account_public_id=stripe.public_id, headers=headers, body=body, now=stripe.now
            )

        at_once(*[lambda: payments.handle_waiting(now=stripe.now)] * 2)

        assert [(case.kind, case.state) for case in self.cases(shop)] == [("DISPUTE", "SETTLED")]
        assert (prepaid(shop), owed(shop)) == (0, 0)
        with in_main():
            assert ledger.balance_minor("suspense:stripe") == before

    def test_of_what_was_refunded_in_part_takes_the_rest(self, stripe: Stripe, shop: Any) -> None:
        top_up(shop, 13_000)
        intent = self.intents(stripe, shop)[1]
        stripe.merchant.create_refund({"payment_intent": intent, "amount": "2500"})
        stripe.tell()
        stripe.merchant.dispute(intent)
        stripe.tell()

        cases = self.cases(shop)
        for case in cases:
            settle(case, "CHARGE")

        taken = sum(case.amount_minor for case in cases)
        assert [case.kind for case in cases] == ["OUTSIDE", "DISPUTE"]
        assert (prepaid(shop), owed(shop)) == (13_000 - taken, 0)
