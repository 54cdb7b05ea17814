"""Money that comes in by a hosted page: credited once, whatever its sum, and put to use at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from shared_apps.billing import selectors, services
from shared_apps.billing.models import ChangeQuote, PaymentPage, Subscription
from shared_apps.ledger import selectors as ledger
from shared_apps.ledger import services as ledger_services
from shared_apps.ledger.types import Leg
from shared_apps.receipts.models import PaymentCase, Receipt
from tenant_apps.payments import providers
from tenants.models import Substation
from tests.shared_apps.billing.stage import APRIL, MARCH, make_plan, prepaid, state, top_up
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel, time_out


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> MemoryChannel:
    memory = MemoryChannel()
    monkeypatch.setattr(providers, "get", lambda name: memory)
    return memory


@pytest.fixture
def account(prepared: None) -> Any:
    with in_main():
        return market.ensure_account()


def open_page(shop: Any, account: Any, amount: int = 10_000, at: Any = MARCH) -> PaymentPage:
    opened = services.open_top_up(
        substation_id=shop.pk, account_id=account.id, amount_minor=amount, return_url="http://x/back?page={page}",
        cancel_url="http://x/", notify_base="http://x", locale="en", now=at, by=SYSTEM,
    )  # fmt: skip
    with in_main():
        return PaymentPage.objects.get(public_id=opened.public_id)


class TestTopUp:
    def test_is_credited_whole_and_the_channels_fee_is_ours(
        self, fresh_shop: Any, account: Any, channel: MemoryChannel
    ) -> None:
        page = open_page(fresh_shop, account)
        channel.pays(page.public_id, 10_000, at=MARCH)
        with in_main():
            before = ledger.balance_minor("main:channel_fee")

        assert services.ask_about(page_public_id=page.public_id, now=MARCH) == "PAID"

        assert prepaid(fresh_shop) == 10_000
        with in_main():
            assert ledger.balance_minor("main:channel_fee") - before == 60
            assert Receipt.objects.get(payment_id=page.public_id).used_for == "TOPUP"

    def test_told_twice_counts_once(self, fresh_shop: Any, account: Any, channel: MemoryChannel) -> None:
        page = open_page(fresh_shop, account)
        channel.pays(page.public_id, 10_000, at=MARCH)

        for _ in range(3):
            services.ask_about(page_public_id=page.public_id, now=MARCH)
        from tenant_apps.payments import services as payments

        payments.ask_and_take(account=account, payment_id=page.public_id, channel_ref="", now=MARCH)

        assert prepaid(fresh_shop) == 10_000

    @pytest.mark.parametrize("paid", [1, 9_999, 10_001])
    def test_of_another_sum_is_credited_as_it_came(
        self, fresh_shop: Any, account: Any, channel: MemoryChannel, paid: int
    ) -> None:
        page = open_page(fresh_shop, account)
        channel.pays(page.public_id, paid, at=MARCH)

        services.ask_about(page_public_id=page.public_id, now=MARCH)

        assert prepaid(fresh_shop) == paid

    def test_in_another_currency_is_a_case_for_a_person(
        self, fresh_shop: Any, account: Any, channel: MemoryChannel
    ) -> None:
        page = open_page(fresh_shop, account)
        channel.pays(page.public_id, 10_000, at=MARCH, currency="USD")

        services.ask_about(page_public_id=page.public_id, now=MARCH)

        assert prepaid(fresh_shop) == 0
        with in_main():
            assert PaymentCase.objects.get(receipt__payment_id=page.public_id).amount_minor == 10_000

    def test_paid_late_still_counts(self, fresh_shop: Any, account: Any, channel: MemoryChannel) -> None:
        page = open_page(fresh_shop, account)
        channel.statuses[page.public_id] = providers.base.ChannelStatus.EXPIRED
        assert services.ask_about(page_public_id=page.public_id, now=MARCH + timedelta(days=2)) == "ENDED"
        del channel.statuses[page.public_id]
        channel.pays(page.public_id, 10_000, at=MARCH + timedelta(days=2))

        assert services.ask_about(page_public_id=page.public_id, now=MARCH + timedelta(days=3)) == "PAID"
        assert prepaid(fresh_shop) == 10_000

    def test_pays_what_is_due_at_once(
        self, subscribed: Callable[..., Any], account: Any, channel: MemoryChannel
    ) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")
        page = open_page(shop, account, 9_800, APRIL)
        channel.pays(page.public_id, 9_800, at=APRIL)

        services.ask_about(page_public_id=page.public_id, now=APRIL)

        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert prepaid(shop) == 0


class TestOpening:
    def test_two_clicks_open_one_page(self, fresh_shop: Any, account: Any, channel: MemoryChannel) -> None:
        assert open_page(fresh_shop, account).pk == open_page(fresh_shop, account).pk
        assert channel.calls == ["create"]

    def test_a_time_out_is_kept_and_asked_about(self, fresh_shop: Any, account: Any, channel: MemoryChannel) -> None:
        channel.fails["create"] = time_out()

        with pytest.raises(services.ChannelAway):
            open_page(fresh_shop, account)

        with in_main():
            page = PaymentPage.objects.get(substation=fresh_shop)
        assert (page.state, page.ask_at) == ("ASKED", MARCH + timedelta(minutes=5))
        # It had arrived all the same, and somebody paid there.
        channel.pays(page.public_id, 10_000, at=MARCH)
        services.ask_due(now=MARCH + timedelta(minutes=5))
        assert prepaid(fresh_shop) == 10_000

    @pytest.mark.parametrize("amount", [0, -1, 100_000_001])
    def test_refuses_an_amount_that_is_none(
        self, fresh_shop: Any, account: Any, channel: MemoryChannel, amount: int
    ) -> None:
        with pytest.raises(services.AmountInvalid):
            open_page(fresh_shop, account, amount)

        with in_main():
            assert not PaymentPage.objects.filter(substation=fresh_shop).exists()
        assert channel.calls == []

    def test_refuses_a_shops_own_account(self, fresh_shop: Any, alice: Any, channel: MemoryChannel) -> None:
        with in_main():
            theirs = market.ensure_account(substation_id=alice.pk)

        with pytest.raises(services.NoWayToPay):
            open_page(fresh_shop, theirs)


class TestClosed:
    """A shop that is closed for good: its balance pays for nothing that is to come."""

    @pytest.fixture
    def owing(self, subscribed: Callable[..., Any]) -> Any:
        """A closed shop that owes ¥98, of which ¥30 are on its balance."""
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)
            Substation.objects.filter(pk=shop.pk).update(state="CLOSED")
        top_up(shop, 3_000, APRIL)
        return shop

    def test_pays_what_it_owes(self, owing: Any, account: Any, channel: MemoryChannel) -> None:
        page = open_page(owing, account, 6_800, APRIL)
        channel.pays(page.public_id, 6_800, at=APRIL)

        services.ask_about(page_public_id=page.public_id, now=APRIL)

        assert prepaid(owing) == 0
        with in_main():
            assert not selectors.open_invoices(owing.pk).exists()

    def test_is_not_sent_to_pay_more(self, owing: Any, account: Any, channel: MemoryChannel) -> None:
        with pytest.raises(services.BillingRefused, match=r"it can pay the ¥68\.00 that it owes, and no more"):
            open_page(owing, account, 6_801, APRIL)

        self.nothing_was_opened(owing, channel)

    @pytest.mark.parametrize("gone", ["CLOSED", "ERASED"])
    def test_is_not_sent_to_pay_what_it_does_not_owe(
        self, fresh_shop: Any, account: Any, channel: MemoryChannel, gone: str
    ) -> None:
        with in_main():
            Substation.objects.filter(pk=fresh_shop.pk).update(state=gone)

        with pytest.raises(services.BillingRefused, match="owes nothing"):
            open_page(fresh_shop, account, 1)

        self.nothing_was_opened(fresh_shop, channel)

    def test_pays_a_debt_as_well(self, owing: Any, account: Any, channel: MemoryChannel) -> None:
        with in_main():
            ledger_services.post_transfer(
                key=f"test-debt:{owing.pk}", kind="case", currency="CNY", event_at=APRIL,
                legs=[Leg(f"substation:{owing.pk}:receivable", 500), Leg("channel:till:clearing", -500)],
            )  # fmt: skip
            assert selectors.lacking_minor(owing.pk) == 7_300

        assert open_page(owing, account, 7_300, APRIL).state == "OPEN"

    def test_begins_no_other_plan(self, owing: Any) -> None:
        with in_main():
            Subscription.objects.filter(substation_id=owing.pk).update(state="ENDED", due_since=None)
        plan = make_plan(monthly_fee_minor=29_800)

        with pytest.raises(services.BillingRefused, match="no plan of it begins or changes"):
            services.quote_change(substation_id=owing.pk, plan_code=plan.code, interval="MONTH", now=APRIL)

        with in_main():
            assert not ChangeQuote.objects.filter(substation_id=owing.pk).exists()

    def nothing_was_opened(self, shop: Any, channel: MemoryChannel) -> None:
        with in_main():
            assert not PaymentPage.objects.filter(substation_id=shop.pk).exists()
        assert channel.calls == []


class TestForgery:
    def test_a_payment_that_names_a_page_on_another_account_credits_nobody(
        self, fresh_shop: Any, alice: Any, account: Any, channel: MemoryChannel
    ) -> None:
        page = open_page(fresh_shop, account)
        with in_main():
            theirs = market.ensure_account(substation_id=alice.pk)
        channel.pays(page.public_id, 10_000, at=MARCH)
        from tenant_apps.payments import services as payments

        payments.ask_and_take(account=theirs, payment_id=page.public_id, channel_ref="", now=MARCH)

        assert prepaid(fresh_shop) == 0
        with in_main():
            assert selectors.page(page.public_id, substation_id=fresh_shop.pk).state == "OPEN"  # type: ignore[union-attr]
