"""A signup on a plan that costs something: held, paid, made; or given up."""

from __future__ import annotations

import itertools
import os
import re
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail

from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock
from kameng.lib.errors import Refused
from shared_apps.billing import selectors, services
from shared_apps.billing.models import Invoice, Subscription
from shared_apps.ledger import provisioning
from tenants import answers, paying
from tenants import signup as signups
from tenants.models import Plan, Signup, Substation
from tests.shared_apps.billing.stage import make_plan, prepaid, state, top_up

_serial = itertools.count(1)


@pytest.fixture(autouse=True)
def outbox(no_jobs: None) -> None:
    mail.outbox = []


def applied(plan: Plan, **changes: Any) -> Signup:
    """A signup whose mail address is verified."""
    started = signups.begin(
        name="Night Market", slug=f"opening-{next(_serial)}-{os.getpid()}", plan_code=plan.code, language="en",
        email="nina@example.com", password="correct horse battery staple", **changes,
    )  # fmt: skip
    found = re.search(r"\b(\d{6})\b", mail.outbox[-1].subject)
    assert found
    return signups.verify(started.signup, found[1])


def lodge(signup: Signup, amount: int) -> bool:
    """Money for an application, and the look whether it is enough."""
    with in_main():
        shop = Substation.objects.get(pk=signup.substation_id)
        provisioning.open_accounts(shop, None, clock.utc_now())
    top_up(shop, amount, clock.utc_now())
    with in_main():
        return services.open_if_covered(substation_id=shop.pk, now=clock.utc_now())


def fresh(signup: Signup) -> Signup:
    with in_main():
        return Signup.objects.select_related("substation__plan", "plan").get(pk=signup.pk)


class TestPaying:
    def test_waits_until_all_of_it_is_there_and_is_made_then(self, prepared: None) -> None:
        signup = applied(make_plan(monthly_fee_minor=9_800, opening_fee_minor=20_000, deposit_minor=50_000))
        jobs.run_all_due()
        assert fresh(signup).state == "PAYING"
        assert fresh(signup).substation.state == "APPLIED"  # type: ignore[union-attr]

        assert not lodge(signup, 79_799)
        assert fresh(signup).state == "PAYING"
        assert lodge(signup, 1)
        jobs.run_all_due()

        done = fresh(signup)
        assert done.state == "LIVE"
        assert done.substation is not None
        assert mail.outbox[-1].subject == "Night Market is open"
        assert f"{done.substation.url}/panel/" in mail.outbox[-1].body
        assert state(done.substation) == ("ACTIVE", "ACTIVE", "GOOD")
        assert prepaid(done.substation) == 0
        with in_main():
            kinds = list(
                Invoice.objects.filter(substation=done.substation).order_by("id").values_list("kind", "total_minor")
            )
        assert kinds == [("OPENING", 29_800), ("DEPOSIT", 50_000)]

    def test_is_charged_once_however_often_it_is_looked_at(self, prepared: None) -> None:
        signup = applied(make_plan(monthly_fee_minor=9_800))
        assert lodge(signup, 30_000)
        with in_main():
            assert not services.open_if_covered(substation_id=signup.substation_id or 0, now=clock.utc_now())

        jobs.run_all_due()
        shop = fresh(signup).substation
        assert shop is not None
        assert prepaid(shop) == 20_200

    def test_a_plan_without_a_price_does_not_wait(self, prepared: None) -> None:
        signup = applied(make_plan())

        jobs.run_all_due()

        assert fresh(signup).state == "LIVE"
        shop = fresh(signup).substation
        assert shop is not None
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")

    def test_a_trial_begins_without_payment_and_is_the_shops_state(self, prepared: None) -> None:
        signup = applied(make_plan(monthly_fee_minor=9_800, trial_days=14))

        jobs.run_all_due()

        shop = fresh(signup).substation
        assert shop is not None
        assert state(shop) == ("TRIAL", "TRIAL", "GOOD")
        with in_main():
            assert not Invoice.objects.filter(substation=shop).exists()

    def test_a_year_is_paid_as_a_year(self, prepared: None) -> None:
        signup = applied(make_plan(monthly_fee_minor=9_800, yearly_fee_minor=98_000), interval="YEAR")
        assert lodge(signup, 98_000)

        jobs.run_all_due()

        with in_main():
            row = Subscription.objects.get(substation_id=signup.substation_id)
        assert (row.interval, row.period_fee_minor) == ("YEAR", 98_000)
        assert row.period_end is not None
        assert row.period_start is not None
        assert 365 <= (row.period_end - row.period_start).days <= 366


class TestChoosingAgain:
    def test_another_plan_costs_what_that_one_costs(self, prepared: None) -> None:
        signup, other = applied(make_plan(monthly_fee_minor=9_800)), make_plan(monthly_fee_minor=29_800)

        paying.choose_plan(signup=signup, plan_code=other.code, interval="MONTH")

        assert fresh(signup).plan == other
        assert fresh(signup).substation.plan == other  # type: ignore[union-attr]
        assert not lodge(signup, 9_800)
        assert lodge(signup, 20_000)

    def test_a_free_one_is_made_at_once(self, prepared: None) -> None:
        signup, free = applied(make_plan(monthly_fee_minor=9_800)), make_plan()

        paying.choose_plan(signup=signup, plan_code=free.code, interval="MONTH")
        jobs.run_all_due()

        assert fresh(signup).state == "LIVE"

    def test_is_refused_once_it_is_paid(self, prepared: None) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        signup = applied(plan)
        lodge(signup, 9_800)

        with pytest.raises(Refused):
            paying.choose_plan(signup=signup, plan_code=make_plan().code, interval="MONTH")

        assert fresh(signup).plan == plan


class TestGivenUp:
    def test_its_address_is_free_again_after_three_days(self, prepared: None) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        signup = applied(plan)
        assert answers.address_problem(signup.slug)

        signups.sweep(clock.utc_now() + signups.PAYING_LIFE - timedelta(minutes=1))
        assert fresh(signup).state == "PAYING"
        signups.sweep(clock.utc_now() + signups.PAYING_LIFE + timedelta(minutes=1))

        assert fresh(signup).state == "EXPIRED"
        assert answers.address_problem(signup.slug) == ""

    def test_money_that_comes_all_the_same_is_kept_for_its_payer(self, prepared: None) -> None:
        signup = applied(make_plan(monthly_fee_minor=9_800))
        signups.sweep(clock.utc_now() + signups.PAYING_LIFE + timedelta(minutes=1))

        assert not lodge(signup, 9_800)

        jobs.run_all_due()
        with in_main():
            assert selectors.balance(signup.substation_id or 0, "prepaid") == 9_800
            assert Substation.objects.get(pk=signup.substation_id).state == "APPLIED"
