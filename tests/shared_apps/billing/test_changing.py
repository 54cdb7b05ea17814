"""Changing the plan: what is shown is what is charged, upward at once, downward at the period's end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connections

from kameng.accounts.models import User
from kameng.accounts.types import SYSTEM
from kameng.db.context import MAIN, in_main, in_substation, pointed_at
from shared_apps.billing import selectors, services
from shared_apps.billing.models import ChangeQuote, Invoice
from tenants.models import DomainClaim, Plan, Substation
from tests.shared_apps.billing.stage import APRIL, MARCH, make_plan, prepaid, state, top_up

MID_MARCH = datetime(2031, 3, 16, 14, tzinfo=UTC)  # 15.5 of the 31 days are over.


def invoices(shop: Any) -> list[tuple[str, str, int]]:
    with in_main():
        return list(
            Invoice.objects.filter(substation_id=shop.pk).order_by("id").values_list("kind", "state", "total_minor")
        )


def plan_of(shop: Any) -> str:
    with in_main():
        return str(Substation.objects.select_related("plan").get(pk=shop.pk).plan.code)


def claim(shop: Any, label: str, *, state: str) -> None:
    with in_main():
        DomainClaim.objects.create(
            substation=shop, domain=f"{label}.{shop.slug}-cards.com", token="t", state=state, created_at=MARCH
        )


class TestUpgrade:
    def test_in_the_middle_of_the_month_charges_to_the_cent_what_was_shown(
        self, subscribed: Callable[..., Any]
    ) -> None:
        basic, pro = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800, name_en="Gold")
        shop = subscribed(basic)
        top_up(shop, 20_000)

        change = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=MID_MARCH)
        assert (plan_of(shop), invoices(shop), prepaid(shop)) == (basic.code, [], 20_000)
        assert change.at_once
        assert [line.amount_minor for line in change.lines] == [-4_900, 14_900]
        assert change.total_minor == 10_000
        made = services.confirm_change(
            substation_id=shop.pk,
            quote_public_id=change.quote.public_id,
            by=SYSTEM,
            now=MID_MARCH + timedelta(minutes=14),
        )

        assert [invoice.total_minor for invoice in made] == [10_000]
        assert invoices(shop) == [("PRORATA", "PAID", 10_000)]
        assert prepaid(shop) == 10_000
        assert plan_of(shop) == pro.code
        with in_main():
            row = selectors.subscription(shop.pk)
        assert row is not None
        assert (row.period_start, row.period_end, row.period_fee_minor) == (MARCH, APRIL, 29_800)

    def test_the_next_period_costs_the_new_price(self, subscribed: Callable[..., Any]) -> None:
        pro = make_plan(monthly_fee_minor=29_800)
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 50_000)
        change = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=MID_MARCH)
        services.confirm_change(substation_id=shop.pk, quote_public_id=change.quote.public_id, by=SYSTEM, now=MID_MARCH)

        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)

        assert invoices(shop) == [("PRORATA", "PAID", 10_000), ("PERIOD", "PAID", 29_800)]
        assert prepaid(shop) == 10_200

    def test_is_charged_once_by_two_clicks(self, subscribed: Callable[..., Any]) -> None:
        pro = make_plan(monthly_fee_minor=29_800)
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 50_000)
        change = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=MID_MARCH)
        quote = change.quote
        gate, made = threading.Barrier(2), []

        def click() -> None:
            try:
                with pointed_at(MAIN):
                    gate.wait()
                    made.append(
                        services.confirm_change(
                            substation_id=shop.pk, quote_public_id=quote.public_id, by=SYSTEM, now=MID_MARCH
                        )
                    )
            finally:
                connections.close_all()

        threads = [threading.Thread(target=click) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [[invoice.number for invoice in answer] for answer in made] == [[made[0][0].number]] * 2
        assert prepaid(shop) == 40_000

    def test_takes_the_opening_fees_difference_and_the_deposit(self, subscribed: Callable[..., Any]) -> None:
        pro = make_plan(monthly_fee_minor=29_800, opening_fee_minor=50_000, deposit_minor=100_000)
        shop = subscribed(make_plan(monthly_fee_minor=9_800, opening_fee_minor=20_000))
        top_up(shop, 140_000)

        change = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=MID_MARCH)
        assert [(line.kind, line.amount_minor) for line in change.lines] == [
            ("opening", 30_000), ("credit", -4_900), ("rest", 14_900), ("deposit", 100_000),
        ]  # fmt: skip
        services.confirm_change(substation_id=shop.pk, quote_public_id=change.quote.public_id, by=SYSTEM, now=MID_MARCH)

        assert invoices(shop) == [("PRORATA", "PAID", 40_000), ("DEPOSIT", "PAID", 100_000)]
        assert prepaid(shop) == 0
        with in_main():
            assert selectors.balance(shop.pk, "deposit") == 100_000

    def test_without_enough_on_the_balance_is_refused_whole(self, subscribed: Callable[..., Any]) -> None:
        basic, pro = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
        shop = subscribed(basic)
        top_up(shop, 9_999)
        change = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=MID_MARCH)
        assert change.missing_minor == 1

        with pytest.raises(services.BalanceTooLow) as refusal:
            services.confirm_change(
                substation_id=shop.pk, quote_public_id=change.quote.public_id, by=SYSTEM, now=MID_MARCH
            )

        assert refusal.value.details["missing_minor"] == 1
        assert (plan_of(shop), invoices(shop), prepaid(shop)) == (basic.code, [], 9_999)

    def test_on_trial_costs_nothing_yet(self, subscribed: Callable[..., Any]) -> None:
        pro = make_plan(monthly_fee_minor=29_800, trial_days=14)
        shop = subscribed(make_plan(monthly_fee_minor=9_800, trial_days=14))

        change = services.quote_change(
            substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=MARCH + timedelta(days=3)
        )
        assert change.total_minor == 0
        services.confirm_change(
            substation_id=shop.pk, quote_public_id=change.quote.public_id, by=SYSTEM, now=MARCH + timedelta(days=3)
        )

        assert state(shop) == ("TRIAL", "TRIAL", "GOOD")
        assert plan_of(shop) == pro.code
        with in_main():
            row = selectors.subscription(shop.pk)
        assert row is not None
        assert row.trial_ends_at == MARCH + timedelta(days=14)

    def test_from_a_free_plan_begins_a_period(self, subscribed: Callable[..., Any]) -> None:
        pro = make_plan(monthly_fee_minor=29_800)
        shop = subscribed(make_plan(), paid=False)
        top_up(shop, 29_800)

        change = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=MID_MARCH)
        services.confirm_change(substation_id=shop.pk, quote_public_id=change.quote.public_id, by=SYSTEM, now=MID_MARCH)

        assert invoices(shop) == [("PERIOD", "PAID", 29_800)]
        with in_main():
            row = selectors.subscription(shop.pk)
        assert row is not None
        assert (row.period_start, row.period_end) == (MID_MARCH, datetime(2031, 4, 16, 14, tzinfo=UTC))


class TestOutdatedQuote:
    @pytest.mark.parametrize("why", ["time", "price", "period", "another plan", "another shop's"])
    def test_is_never_charged(self, subscribed: Callable[..., Any], why: str) -> None:
        basic, pro = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
        shop = subscribed(basic)
        top_up(shop, 90_000)
        change = services.quote_change(substation_id=shop.pk, plan_code=pro.code, interval="MONTH", now=MID_MARCH)
        now, asked, spent = MID_MARCH + timedelta(minutes=1), shop.pk, 0
        if why == "time":
            now = MID_MARCH + services.QUOTE_LIFE
        elif why == "price":
            with in_main():
                Plan.objects.filter(pk=pro.pk).update(monthly_fee_minor=39_800)
        elif why == "period":
            with in_main():
                services.renew(substation_id=shop.pk, now=APRIL)
                ChangeQuote.objects.filter(pk=change.quote.pk).update(expires_at=APRIL + timedelta(hours=1))
            now, spent = APRIL + timedelta(minutes=1), 9_800
        elif why == "another plan":
            with in_main():
                other = make_plan(monthly_fee_minor=9_900)
                ChangeQuote.objects.filter(pk=change.quote.pk).update(from_plan=other)
        else:
            asked = subscribed(basic).pk

        with pytest.raises(services.QuoteOutdated):
            services.confirm_change(substation_id=asked, quote_public_id=change.quote.public_id, by=SYSTEM, now=now)

        assert plan_of(shop) == basic.code
        assert prepaid(shop) == 90_000 - spent


class TestDowngrade:
    def test_waits_for_the_periods_end(self, subscribed: Callable[..., Any]) -> None:
        basic, pro = make_plan(monthly_fee_minor=9_800), make_plan(monthly_fee_minor=29_800)
        shop = subscribed(pro)
        top_up(shop, 50_000)

        change = services.quote_change(substation_id=shop.pk, plan_code=basic.code, interval="MONTH", now=MID_MARCH)
        assert (change.at_once, change.effective_at, change.total_minor) == (False, APRIL, 0)
        services.schedule_change(
            substation_id=shop.pk, plan_code=basic.code, interval="MONTH", by=SYSTEM, now=MID_MARCH
        )
        assert (plan_of(shop), prepaid(shop)) == (pro.code, 50_000)
        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)

        assert plan_of(shop) == basic.code
        assert invoices(shop) == [("PERIOD", "PAID", 9_800)]

    def test_below_what_is_in_use_is_refused_and_names_it(self, subscribed: Callable[..., Any]) -> None:
        small, pro = make_plan(monthly_fee_minor=9_800, max_staff=1), make_plan(monthly_fee_minor=29_800)
        shop = subscribed(pro)
        with in_substation(shop):
            User.objects.create_user("second@example.com", None, name="Second", role="STAFF")

        with pytest.raises(services.ChangeRefused) as refusal:
            services.schedule_change(
                substation_id=shop.pk, plan_code=small.code, interval="MONTH", by=SYSTEM, now=MID_MARCH
            )

        assert "2 of 1" in str(refusal.value)
        with in_main():
            row = selectors.subscription(shop.pk)
        assert row is not None
        assert row.next_plan is None

    def test_own_domains_are_in_use_where_the_plan_has_none(self, subscribed: Callable[..., Any]) -> None:
        small = make_plan(monthly_fee_minor=9_800, own_domain_allowed=False)
        small_with = make_plan(monthly_fee_minor=9_800)
        pro = make_plan(monthly_fee_minor=29_800)
        shop = subscribed(pro)
        claim(shop, "a", state="VERIFIED")
        claim(shop, "b", state="FAILING")
        claim(shop, "c", state="WAITING")
        claim(shop, "d", state="LOST")
        claim(subscribed(pro), "a", state="WAITING")

        change = services.quote_change(substation_id=shop.pk, plan_code=small.code, interval="MONTH", now=MID_MARCH)
        with pytest.raises(services.ChangeRefused) as refusal:
            services.schedule_change(
                substation_id=shop.pk, plan_code=small.code, interval="MONTH", by=SYSTEM, now=MID_MARCH
            )

        (problem,) = change.problems
        assert str(problem) == (
            "The shop has 3 domains of its own, and the plan has none: remove them on the Domains page."
        )
        assert str(problem) in str(refusal.value)
        with in_main():
            row = selectors.subscription(shop.pk)
        assert row is not None
        assert row.next_plan is None
        other = services.quote_change(substation_id=shop.pk, plan_code=small_with.code, interval="MONTH", now=MID_MARCH)
        assert other.problems == ()

    def test_a_domain_that_was_added_meanwhile_keeps_it_from_coming_about(self, subscribed: Callable[..., Any]) -> None:
        small = make_plan(monthly_fee_minor=9_800, own_domain_allowed=False)
        pro = make_plan(monthly_fee_minor=29_800)
        shop = subscribed(pro)
        top_up(shop, 50_000)
        services.schedule_change(
            substation_id=shop.pk, plan_code=small.code, interval="MONTH", by=SYSTEM, now=MID_MARCH
        )
        claim(shop, "a", state="VERIFIED")

        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)

        assert plan_of(shop) == pro.code
        assert invoices(shop) == [("PERIOD", "PAID", 29_800)]

    def test_that_does_not_fit_any_more_at_the_periods_end_does_not_come_about(
        self, subscribed: Callable[..., Any]
    ) -> None:
        small, pro = make_plan(monthly_fee_minor=9_800, max_staff=1), make_plan(monthly_fee_minor=29_800)
        shop = subscribed(pro)
        top_up(shop, 50_000)
        services.schedule_change(
            substation_id=shop.pk, plan_code=small.code, interval="MONTH", by=SYSTEM, now=MID_MARCH
        )
        with in_substation(shop):
            User.objects.create_user("second@example.com", None, name="Second", role="STAFF")

        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)

        assert plan_of(shop) == pro.code
        assert invoices(shop) == [("PERIOD", "PAID", 29_800)]

    def test_to_the_same_plan_is_refused(self, subscribed: Callable[..., Any]) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        shop = subscribed(plan)

        with pytest.raises(services.ChangeRefused):
            services.quote_change(substation_id=shop.pk, plan_code=plan.code, interval="MONTH", now=MID_MARCH)
