"""Plan and billing in the panel: the owner's alone, the sum before the deed, and what an unpaid shop may still do."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import translation

from kameng.accounts import tokens
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from shared_apps.billing import selectors, services
from shared_apps.billing.forms import card
from shared_apps.billing.models import Invoice, PaymentPage, Subscription
from tenants import hosts, lifecycle
from tenants.models import Plan, Substation
from tenants.states import Standing
from tests.shared_apps.billing.stage import make_plan, prepaid, top_up
from tests.tenant_apps import market
from tests.tenant_apps.panel.office import Office, move_shop, owe
from tests.tenant_apps.storefront.conftest import words


@pytest.fixture
def paying(office: Office) -> Office:
    """The office's shop on a plan of ¥98 a month, paid from now on, with ¥500 on the balance."""
    plan = make_plan(monthly_fee_minor=9_800, name_en="Small", active=True)
    with in_main():
        Substation.objects.filter(pk=office.shop.pk).update(plan=plan)
        Subscription.objects.filter(substation_id=office.shop.pk).delete()
        shop = Substation.objects.select_related("plan").get(pk=office.shop.pk)
        services.begin(substation=shop, now=clock.utc_now(), paid_period=True)
        hosts.forget(shop)
    top_up(office.shop, 50_000, clock.utc_now())
    return office


@pytest.fixture
def big(paying: Office) -> Plan:
    return make_plan(monthly_fee_minor=29_800, name_en="Big")


def invoices(office: Office) -> list[tuple[str, str]]:
    with in_main():
        return list(Invoice.objects.filter(substation_id=office.shop.pk).order_by("id").values_list("kind", "state"))


def plan_of(office: Office) -> str:
    with in_main():
        return str(Substation.objects.select_related("plan").get(pk=office.shop.pk).plan.code)


class TestLooking:
    def test_says_plan_price_balance_and_what_is_in_use(self, paying: Office) -> None:
        page = paying.owner.get("/panel/billing/").content.decode()

        for said in ("Small", "¥98.00 a month", "¥500.00", "Paid until", "SKUs on the shelf"):
            assert said in page, said

    @pytest.mark.parametrize("path", ["", "plans/", "invoices/KM-2031-000001.pdf", "back/"])
    def test_is_the_owners_alone(self, paying: Office, path: str) -> None:
        assert [browser.get(f"/panel/billing/{path}").status_code for browser in (paying.staff, paying.viewer)] == [
            403,
            403,
        ]
        assert paying.browser().get(f"/panel/billing/{path}").status_code == 302

    @pytest.mark.parametrize("deed", ["quote", "pay", "retry", "top-up", "card", "portal", "check", "cancel", "keep"])
    def test_its_deeds_are_the_owners_alone(self, paying: Office, deed: str) -> None:
        assert [browser.post(f"/panel/billing/{deed}/").status_code for browser in (paying.staff, paying.viewer)] == [
            403,
            403,
        ]
        assert paying.browser().post(f"/panel/billing/{deed}/").status_code == 302
        assert (prepaid(paying.shop), invoices(paying)) == (50_000, [])

    def test_another_shops_invoice_and_page_are_not_here(
        self, paying: Office, make_office: Callable[..., Office]
    ) -> None:
        with in_main():
            invoice = services.renew(
                substation_id=paying.shop.pk,
                now=selectors.subscription(paying.shop.pk).period_end,  # type: ignore[union-attr,arg-type]
            )
        assert invoice is not None
        other = make_office(codes=0)

        assert paying.owner.get(f"/panel/billing/invoices/{invoice.number}.pdf").status_code == 200
        assert other.owner.get(f"/panel/billing/invoices/{invoice.number}.pdf").status_code == 404

    def test_an_invoice_is_a_pdf_to_keep(self, paying: Office) -> None:
        with in_main():
            invoice = services.renew(
                substation_id=paying.shop.pk,
                now=selectors.subscription(paying.shop.pk).period_end,  # type: ignore[union-attr,arg-type]
            )
        assert invoice is not None

        answer = paying.owner.get(f"/panel/billing/invoices/{invoice.number}.pdf")

        assert answer["Content-Type"] == "application/pdf"
        assert answer["Content-Disposition"] == f'attachment; filename="{invoice.number}.pdf"'
        assert answer.content.startswith(b"%PDF-")


class TestChanging:
    def test_shows_the_sum_and_charges_that_sum(self, paying: Office, big: Plan) -> None:
        browser = paying.owner
        answer = browser.post("/panel/billing/quote/", {"terms": f"{big.code}/MONTH"})
        shown = browser.get(answer["Location"]).content.decode()
        with in_main():
            quote = services.quoted(substation_id=paying.shop.pk, quote_public_id=answer["Location"].split("/")[-2])
        assert f"¥{quote.total_minor / 100:,.2f}" in shown
        assert (prepaid(paying.shop), invoices(paying)) == (50_000, [])

        done = browser.post(f"{answer['Location']}confirm/")

        assert done["Location"] == "/panel/billing/"
        assert prepaid(paying.shop) == 50_000 - quote.total_minor
        assert invoices(paying) == [("PRORATA", "PAID")]
        assert plan_of(paying) == big.code

    def test_each_plan_says_what_it_holds(self, paying: Office) -> None:
        make_plan(
            monthly_fee_minor=1_900, name_en="Tiny", max_listings=7, max_staff=2, api_allowed=False,
            own_domain_allowed=False, platform_fee_bps=450,
        )  # fmt: skip

        shown = words(paying.owner.get("/panel/billing/plans/"))

        said = (
            "7 listings on the shelf · 2 log-ins for your team · No API · On our address, without a domain of your own"
        )
        assert f"{said} · platform fee 4.5 %" in shown

    def test_says_what_is_lost_and_won_by_it(self, paying: Office) -> None:
        with in_main():
            Plan.objects.filter(code=plan_of(paying)).update(platform_fee_bps=200, max_listings=None, settlement_days=7)
        tiny = make_plan(
            monthly_fee_minor=1_900, max_listings=7, max_staff=2, api_allowed=False, own_domain_allowed=False,
            platform_fee_bps=450, settlement_days=1,
        )  # fmt: skip

        address = paying.owner.post("/panel/billing/quote/", {"terms": f"{tiny.code}/MONTH"})["Location"]
        page = paying.owner.get(address)

        assert (
            "What changes SKUs on the shelf no limit → 7 People who may log in no limit → 2 API included → not in this plan "
            "Domain of your own included → not in this plan Platform fee 2 % → 4.5 % Settlement T+7 → T+1 What it costs"
        ) in words(page)
        assert page.content.decode().count('→ <span class="text-danger">') == 5

    def test_that_holds_the_same_says_nothing_changes(self, paying: Office, big: Plan) -> None:
        address = paying.owner.post("/panel/billing/quote/", {"terms": f"{big.code}/MONTH"})["Location"]

        assert "What changes" not in words(paying.owner.get(address))

    def test_by_card_says_what_the_balance_pays_and_what_the_card(self, paying: Office) -> None:
        plan = make_plan(monthly_fee_minor=29_800, opening_fee_minor=20_000, deposit_minor=5_000)
        address = paying.owner.post("/panel/billing/quote/", {"terms": f"{plan.code}/MONTH"})["Location"]
        with in_main():
            Subscription.objects.filter(substation_id=paying.shop.pk).update(
                method="STRIPE", stripe_subscription="sub_1"
            )
            quote = services.quoted(substation_id=paying.shop.pk, quote_public_id=address.split("/")[-2])
        assert (quote.balance_minor, quote.missing_minor) == (25_000, 0)

        page = " ".join(re.sub(r"<[^>]*>", " ", paying.owner.get(address).content.decode()).split())

        card = f"¥{(quote.total_minor - 25_000) / 100:,.2f}"
        assert f"Charged to your card by Stripe {card} Taken from the prepaid balance ¥250.00" in page

    def test_a_sum_that_does_not_hold_any_more_is_shown_anew_and_not_charged(self, paying: Office, big: Plan) -> None:
        browser = paying.owner
        first = browser.post("/panel/billing/quote/", {"terms": f"{big.code}/MONTH"})["Location"]
        with in_main():
            Plan.objects.filter(pk=big.pk).update(monthly_fee_minor=39_800)

        answer = browser.post(f"{first}confirm/")

        assert answer.status_code == 302
        assert "/panel/billing/change/" in answer["Location"]
        assert answer["Location"] != first
        assert b"not the same any more" in browser.get(answer["Location"]).content
        assert (prepaid(paying.shop), invoices(paying), plan_of(paying) != big.code) == (50_000, [], True)

    def test_promises_no_free_days_to_a_shop_that_is_open(self, paying: Office) -> None:
        plan = make_plan(monthly_fee_minor=29_800, trial_days=17, name_en="Tried", active=True)

        shown = words(paying.owner.get("/panel/billing/plans/"))

        assert "Tried" in shown
        assert "17 days free" not in shown
        with translation.override("en"):
            said = [card(plan, "MONTH", opens=opens).text for opens in (True, False)]
        assert said[0] == f"17 days free · {said[1]}"

    def test_another_shops_quote_changes_nothing(
        self, paying: Office, big: Plan, make_office: Callable[..., Office]
    ) -> None:
        quote = paying.owner.post("/panel/billing/quote/", {"terms": f"{big.code}/MONTH"})["Location"]
        other = make_office(codes=0)
        before = plan_of(other)

        assert other.owner.get(quote).status_code == 302
        other.owner.post(f"{quote}confirm/")

        assert plan_of(other) == before
        assert prepaid(paying.shop) == 50_000

    def test_cancelled_and_kept(self, paying: Office) -> None:
        paying.owner.post("/panel/billing/cancel/")
        with in_main():
            assert selectors.subscription(paying.shop.pk).cancel_at_period_end  # type: ignore[union-attr]
        paying.owner.post("/panel/billing/keep/")
        with in_main():
            assert not selectors.subscription(paying.shop.pk).cancel_at_period_end  # type: ignore[union-attr]


class TestTopUp:
    @pytest.mark.parametrize("amount", ["", "0", "-5", "12.345", "1e9", "abc", "1000000.01"])
    def test_refuses_what_is_no_amount_and_keeps_it_in_the_field(self, paying: Office, amount: str) -> None:
        with in_main():
            ways = [way for way in selectors.ways_to_pay() if not way.renews]
        answer = paying.owner.post(
            "/panel/billing/top-up/", {"amount": amount, "way": str(ways[0].account_id) if ways else "1"}, follow=True
        )

        assert answer.status_code == 200
        assert prepaid(paying.shop) == 50_000


class TestUnpaid:
    def test_a_reminded_shop_changes_what_it_likes(self, paying: Office) -> None:
        owe(paying, Standing.REMINDED)

        assert paying.owner.post("/panel/steps/share/").status_code == 302
        assert b"A payment for your plan is due" in paying.owner.get("/panel/").content

    @pytest.mark.parametrize("standing", [Standing.READ_ONLY, Standing.SHUT])
    def test_a_read_only_panel_shows_everything_and_changes_nothing(self, paying: Office, standing: Standing) -> None:
        owe(paying, standing)
        before, browser = paying.counts(), paying.owner

        assert {browser.get(f"/panel/{path}").status_code for path in ("", "listings/", "settings/", "staff/")} == {200}
        for path, data in (
            ("pricing/rule/", {"scope": "SHOP", "target": "0", "kind": "PERCENT", "value": "50", "rounding": "NONE"}),
            ("settings/", {"name": "Other"}),
            ("staff/", {"email": "new@example.com", "name": "New", "role": "MANAGER"}),
            ("tokens/", {"name": "Token", "scopes": ["orders:read"], "days": "30"}),
            ("steps/share/", {}),
        ):
            assert browser.post(f"/panel/{path}", data).status_code == 403, path

        assert paying.counts() == before

    def test_what_was_bought_is_delivered_all_the_same(self, paying: Office) -> None:
        owe(paying, Standing.READ_ONLY)

        assert paying.staff.post("/panel/orders/lines/987654/deliver/", {"note": "Sent."}).status_code == 404

    def test_paying_brings_everything_back(self, paying: Office) -> None:
        with in_main():
            row = selectors.subscription(paying.shop.pk)
            assert row is not None
            top_up(paying.shop, -50_000, clock.utc_now())
            services.renew(substation_id=paying.shop.pk, now=row.period_end)  # type: ignore[arg-type]
            lifecycle.set_standing(
                substation_id=paying.shop.pk, standing=Standing.READ_ONLY, by=SYSTEM, now=clock.utc_now()
            )
        top_up(paying.shop, 9_800, clock.utc_now())
        browser = paying.owner
        assert browser.post("/panel/steps/share/").status_code == 403

        assert browser.post("/panel/billing/pay/")["Location"] == "/panel/billing/"

        assert invoices(paying) == [("PERIOD", "PAID")]
        assert browser.post("/panel/steps/share/").status_code == 302

    def test_programs_read_and_change_nothing(self, paying: Office) -> None:
        with in_substation(paying.shop):
            from kameng.accounts.models import User

            owner = User.objects.get(pk=paying.users["OWNER"])
            _token, secret = tokens.create(
                user=owner, name="Robot", scopes=["listings:read", "listings:write"], by=SYSTEM, now=clock.utc_now()
            )
        owe(paying, Standing.READ_ONLY)
        with_token: Any = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
        browser = paying.browser()

        assert browser.get("/api/v1/panel/listings/", **with_token).status_code == 200
        answer = browser.patch(
            f"/api/v1/panel/listings/{paying.goods.code}/",
            {"on_shelf": False},
            content_type="application/json",
            **with_token,
        )

        assert answer.status_code == 403
        assert "not paid" in answer.json()["error"]["message"]

    @pytest.mark.parametrize("standing", [Standing.READ_ONLY, Standing.SHUT])
    def test_what_is_due_restricts_no_shop_that_is_suspended(self, paying: Office, standing: Standing) -> None:
        owe(paying, standing)

        move_shop(paying, "SUSPEND")

        assert paying.owner.post("/panel/steps/share/").status_code == 302
        assert b"the panel can only be looked at" not in paying.owner.get("/panel/").content


def fall_due(office: Office, *, left_minor: int = 0) -> str:
    """The next period begins and nothing pays for it; then `left_minor` is on the balance. Answers the invoice's number."""
    with in_main():
        row = selectors.subscription(office.shop.pk)
        top_up(office.shop, -50_000, clock.utc_now())
        invoice = services.renew(substation_id=office.shop.pk, now=row.period_end)  # type: ignore[union-attr,arg-type]
    if left_minor:
        top_up(office.shop, left_minor, clock.utc_now())
    assert invoice is not None
    return str(invoice.number)


class TestSuspended:
    def test_says_what_is_due_and_that_paying_does_not_resume_it(self, paying: Office) -> None:
        fall_due(paying)
        move_shop(paying, "SUSPEND")

        page = words(paying.owner.get("/panel/billing/"))

        assert "¥98.00 is due It can be paid. Your shop stays suspended until the main station resumes it." in page


class TestClosing:
    def test_promises_nothing_that_paying_would_not_bring(self, paying: Office) -> None:
        fall_due(paying)
        move_shop(paying, "BEGIN_CLOSING")

        page = words(paying.owner.get("/panel/billing/"))

        assert "Your shop is being closed: it takes no orders, and nothing more is charged." in page
        assert "Top up and pay" in page
        assert "Buyers can still order" not in page
        assert "everything works again" not in page

    def test_offers_no_deed_about_a_plan_of_which_no_period_begins(self, paying: Office) -> None:
        move_shop(paying, "BEGIN_CLOSING")

        page = words(paying.owner.get("/panel/billing/"))

        assert "Next payment ¥0.00 None while the shop is being closed" in page
        assert "Keep the shop first, if you want to change its plan." in page
        assert [deed for deed in PLAN_DEEDS if deed in page] == []


PLAN_DEEDS = ("Change the plan", "Cancel the subscription", "Top up", "To the payment page", "Pay by card from now on")


class TestClosed:
    @pytest.fixture
    def closed(self, paying: Office) -> Office:
        move_shop(paying, "BEGIN_CLOSING", "CLOSE")
        return paying

    def test_invites_nobody_to_pay_for_what_is_over(self, closed: Office) -> None:
        page = words(closed.owner.get("/panel/billing/"))

        assert "Small" in page
        assert "Next payment ¥0.00 Nothing more is charged" in page
        assert [deed for deed in PLAN_DEEDS if deed in page] == []

    def test_plans_are_neither_chosen_nor_changed(self, closed: Office, big: Plan) -> None:
        before, browser = closed.counts(), closed.owner

        for deed, data in (
            ("quote", {"terms": f"{big.code}/MONTH"}), ("change/quo_unknown/confirm", {}), ("card", {}), ("cancel", {}),
            ("keep", {}),
        ):  # fmt: skip
            answer = browser.post(f"/panel/billing/{deed}/", data)
            assert (answer.status_code, "closed for good" in words(answer)) == (403, True), deed
        led_back = browser.get("/panel/billing/plans/", follow=True)

        assert "there is no plan to choose any more" in words(led_back)
        assert (prepaid(closed.shop), invoices(closed), closed.counts()) == (50_000, [], before)
        with in_main():
            row = selectors.subscription(closed.shop.pk)
            assert (row.state, row.cancel_at_period_end) == ("ACTIVE", False)  # type: ignore[union-attr]

    def test_a_shop_that_owes_nothing_puts_nothing_on_its_balance(self, closed: Office) -> None:
        with in_main():
            account = market.ensure_account()

        answer = closed.owner.post("/panel/billing/top-up/", {"amount": "10", "way": str(account.id)}, follow=True)

        assert "The shop is closed for good and owes nothing. Nothing was charged." in words(answer)
        with in_main():
            assert not PaymentPage.objects.filter(substation_id=closed.shop.pk).exists()

    def test_what_it_owes_is_read_and_paid(self, paying: Office) -> None:
        number = fall_due(paying, left_minor=9_800)
        move_shop(paying, "BEGIN_CLOSING", "CLOSE")
        browser = paying.owner

        page = words(browser.get("/panel/billing/"))
        paper = browser.get(f"/panel/billing/invoices/{number}.pdf")
        paid = browser.post("/panel/billing/pay/")

        assert "Pay ¥98.00 now" in page
        assert "¥98.00 is due It can still be paid. Your shop is closed for good, and nothing more is charged." in page
        assert (paper.status_code, paid["Location"]) == (200, "/panel/billing/")
        assert (invoices(paying), prepaid(paying.shop)) == ([("PERIOD", "PAID")], 0)
        with in_main():
            assert Substation.objects.get(pk=paying.shop.pk).state == "CLOSED"

    def test_what_is_lacking_is_topped_up_and_no_more(self, paying: Office) -> None:
        fall_due(paying, left_minor=3_000)
        move_shop(paying, "BEGIN_CLOSING", "CLOSE")
        with in_main():
            account = market.ensure_account()

        page = paying.owner.get("/panel/billing/")
        more = paying.owner.post("/panel/billing/top-up/", {"amount": "68.01", "way": str(account.id)}, follow=True)

        assert b'name="amount" value="68.00"' in page.content
        assert "it can pay the ¥68.00 that it owes, and no more." in words(more)
        with in_main():
            assert not PaymentPage.objects.filter(substation_id=paying.shop.pk).exists()

    @pytest.mark.parametrize("deed", ["retry", "portal", "check"])
    def test_the_ways_to_pay_it_are_not_shut(self, closed: Office, deed: str) -> None:
        assert closed.owner.post(f"/panel/billing/{deed}/", {"page": "bpg_unknown"}).status_code == 302
