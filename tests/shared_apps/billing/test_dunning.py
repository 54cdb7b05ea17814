"""Day by day while a payment is due, and back at once when it is paid."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.core import mail

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from shared_apps.billing import services
from shared_apps.billing.models import DunningStep
from shared_apps.billing.services import _dunning
from tenants import lifecycle
from tenants.states import SubstationEvent
from tests.shared_apps.billing.stage import APRIL, make_plan, prepaid, state, top_up


def unpaid(subscribed: Callable[..., Any], grace_days: int = 7) -> Any:
    shop = subscribed(make_plan(monthly_fee_minor=9_800, grace_days=grace_days))
    with in_main():
        services.renew(substation_id=shop.pk, now=APRIL)
    return shop


def steps(shop: Any) -> list[tuple[str, int]]:
    with in_main():
        return list(DunningStep.objects.filter(substation_id=shop.pk).order_by("id").values_list("kind", "day"))


class TestDun:
    def test_reminds_then_makes_the_panel_read_only_then_closes_the_storefront(
        self, subscribed: Callable[..., Any]
    ) -> None:
        shop = unpaid(subscribed)
        seen = []

        for day in range(16):
            services.dun(now=APRIL + timedelta(days=day, minutes=1))
            seen.append(state(shop)[2])

        assert seen == ["REMINDED"] * 7 + ["READ_ONLY"] * 7 + ["SHUT"] * 2
        assert steps(shop) == [("DUE", 0), ("REMINDER", 3), ("READ_ONLY", 7), ("SHUT", 14)]
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "SHUT")

    def test_takes_each_step_once_however_often_it_runs(self, subscribed: Callable[..., Any]) -> None:
        shop = unpaid(subscribed)

        for _ in range(3):
            services.dun(now=APRIL + timedelta(days=3))

        assert steps(shop) == [("DUE", 0), ("REMINDER", 3)]

    def test_a_server_that_was_away_reminds_once(self, subscribed: Callable[..., Any]) -> None:
        shop = unpaid(subscribed, grace_days=30)

        services.dun(now=APRIL + timedelta(days=12))

        assert steps(shop) == [("DUE", 0), ("REMINDER", 7)]

    def test_mails_the_owner_at_each_step(self, subscribed: Callable[..., Any], no_jobs: None) -> None:
        mail.outbox = []
        shop = unpaid(subscribed)
        for day in (3, 7, 14):
            services.dun(now=APRIL + timedelta(days=day))

        jobs.run_all_due()

        mine = [message for message in mail.outbox if message.to == [shop.owner_email]]
        assert len(mine) == 4
        assert all("/panel/billing/" in message.body for message in mine)


class TestPayment:
    def test_brings_everything_back_at_once(self, subscribed: Callable[..., Any]) -> None:
        shop = unpaid(subscribed)
        services.dun(now=APRIL + timedelta(days=14))
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "SHUT")
        top_up(shop, 9_800)

        with in_main():
            paid = services.collect(substation_id=shop.pk, now=APRIL + timedelta(days=15))

        assert [invoice.total_minor for invoice in paid] == [9_800]
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert prepaid(shop) == 0
        assert steps(shop)[-1][0] == "PAID"

    def test_of_less_than_is_due_changes_nothing(self, subscribed: Callable[..., Any]) -> None:
        shop = unpaid(subscribed)
        top_up(shop, 9_799)

        with in_main():
            paid = services.collect(substation_id=shop.pk, now=APRIL + timedelta(days=1))

        assert paid == []
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")
        assert prepaid(shop) == 9_799

    def test_after_the_period_is_over_begins_the_next_one_with_the_payment(
        self, subscribed: Callable[..., Any]
    ) -> None:
        shop = unpaid(subscribed, grace_days=60)
        late = APRIL + timedelta(days=40)
        top_up(shop, 2 * 9_800)

        with in_main():
            services.collect(substation_id=shop.pk, now=late)
            invoice = services.renew(substation_id=shop.pk, now=late)

        assert invoice is not None
        assert invoice.period_start == late
        assert prepaid(shop) == 0


class TestTellAhead:
    def test_once_when_the_balance_will_not_cover_the_next_period(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 9_799)

        services.dun(now=APRIL - timedelta(days=3, minutes=1))
        assert steps(shop) == []
        for minute in range(3):
            services.dun(now=APRIL - timedelta(days=3) + timedelta(minutes=minute))

        assert steps(shop) == [("NOTICE", 0)]

    def test_one_who_was_told_is_not_looked_at_again(self, subscribed: Callable[..., Any]) -> None:
        """Looking locks the subscription's row, and this is asked every minute."""
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        trial = subscribed(make_plan(monthly_fee_minor=9_800, trial_days=31))
        soon = APRIL - timedelta(days=2)

        def waiting() -> set[int]:
            with in_main():
                rows = _dunning._soon(soon).filter(substation_id__in=(shop.pk, trial.pk))
                return set(rows.values_list("substation_id", flat=True))

        assert waiting() == {shop.pk, trial.pk}
        services.dun(now=soon)

        assert (steps(shop), steps(trial)) == ([("NOTICE", 0)], [("NOTICE", 0)])
        assert waiting() == set()

    def test_nobody_whose_balance_covers_it(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 9_800)

        services.dun(now=APRIL - timedelta(days=2))

        assert steps(shop) == []


class TestSuspendedMeanwhile:
    def test_a_shop_that_paid_while_suspended_is_well_when_it_is_resumed(self, subscribed: Callable[..., Any]) -> None:
        shop = unpaid(subscribed)
        with in_main():
            lifecycle.move(
                substation_id=shop.pk, event=SubstationEvent.SUSPEND, by=SYSTEM, now=APRIL, reason="A check."
            )
        top_up(shop, 9_800)
        with in_main():
            services.collect(substation_id=shop.pk, now=APRIL + timedelta(days=1))
        assert state(shop)[:2] == ("ACTIVE", "SUSPENDED")

        with in_main():
            lifecycle.move(
                substation_id=shop.pk, event=SubstationEvent.RESUME, by=SYSTEM, now=APRIL + timedelta(days=2)
            )
        services.dun(now=APRIL + timedelta(days=2))

        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
