"""A period ends: its invoice, the ledger's transfer, the next period; or what is due."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections

from kameng.accounts.types import SYSTEM
from kameng.db.context import MAIN, in_main, pointed_at
from shared_apps.billing import selectors, services
from shared_apps.billing.models import DunningStep, Invoice
from shared_apps.billing.services import _subscriptions
from shared_apps.ledger import selectors as ledger
from tenants.models import Substation, SubstationStep
from tests.shared_apps.billing.stage import APRIL, MARCH, make_plan, prepaid, state, top_up


def legs_of(number: str) -> list[tuple[str, int]]:
    with in_main(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.code, e.amount_minor FROM ledger_transfer t JOIN ledger_entry e ON e.transfer_id = t.id "
            "JOIN ledger_account a ON a.id = e.account_id WHERE t.idempotency_key = %s ORDER BY e.leg",
            [f"invoice:{number}"],
        )
        return list(cursor.fetchall())


class TestRenewFromPrepaid:
    def test_charges_the_next_period_by_one_transfer_and_one_paid_invoice(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800, name_en="Silver"))
        top_up(shop, 10_000)

        with in_main():
            invoice = services.renew(substation_id=shop.pk, now=APRIL)

        assert invoice is not None
        with in_main():
            kept = services.find_invoice(number=invoice.number, substation_id=shop.pk)
            lines = [(line.text_en, line.amount_minor) for line in kept.lines.all()]
            row = selectors.subscription(shop.pk)
        assert (kept.kind, kept.state, kept.total_minor, kept.paid_by) == ("PERIOD", "PAID", 9_800, "PREPAID")
        assert lines == [("Silver, monthly, 2031-04-01 – 2031-05-01", 9_800)]
        assert legs_of(kept.number) == [(f"substation:{shop.pk}:prepaid", 9_800), ("main:revenue", -9_800)]
        assert kept.transfer_id.startswith("trf_")
        assert row is not None
        assert (row.period_start, row.period_end) == (APRIL, datetime(2031, 5, 1, 2, 0, tzinfo=UTC))
        assert prepaid(shop) == 200
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")

    def test_does_nothing_before_the_period_is_over_and_nothing_twice(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 50_000)

        with in_main():
            early = services.renew(substation_id=shop.pk, now=APRIL - timedelta(seconds=1))
            first = services.renew(substation_id=shop.pk, now=APRIL)
            again = services.renew(substation_id=shop.pk, now=APRIL)

        assert early is None
        assert first is not None
        assert again is None
        assert prepaid(shop) == 50_000 - 9_800

    def test_two_workers_charge_once(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 50_000)
        gate, made = threading.Barrier(2), []

        def work() -> None:
            try:
                with pointed_at(MAIN):
                    gate.wait()
                    with in_main():
                        made.append(services.renew(substation_id=shop.pk, now=APRIL))
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(invoice is None for invoice in made) == [False, True]
        with in_main():
            assert Invoice.objects.filter(substation_id=shop.pk).count() == 1
        assert prepaid(shop) == 50_000 - 9_800

    def test_a_balance_that_is_too_small_leaves_the_invoice_due_and_the_shop_reminded(
        self, subscribed: Callable[..., Any]
    ) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 9_799)

        with in_main():
            invoice = services.renew(substation_id=shop.pk, now=APRIL)

        assert invoice is not None
        with in_main():
            kept = Invoice.objects.get(pk=invoice.pk)
            steps = list(DunningStep.objects.filter(substation_id=shop.pk).values_list("kind", "day", "detail"))
        assert (kept.state, kept.due_at, kept.transfer_id) == ("OPEN", APRIL, "")
        assert legs_of(kept.number) == []
        assert prepaid(shop) == 9_799
        assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")
        assert steps == [("DUE", 0, kept.number)]

    def test_a_plan_without_a_price_has_no_invoice(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(), paid=False)

        with in_main():
            assert services.renew(substation_id=shop.pk, now=APRIL) is None
            assert Invoice.objects.filter(substation_id=shop.pk).count() == 0
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")

    def test_time_long_gone_is_not_charged(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 50_000)

        with in_main():  # The server was away from March to the middle of July.
            invoice = services.renew(substation_id=shop.pk, now=datetime(2031, 7, 15, tzinfo=UTC))
            assert services.renew(substation_id=shop.pk, now=datetime(2031, 7, 15, tzinfo=UTC)) is None

        assert invoice is not None
        assert (invoice.period_start, invoice.period_end) == (
            datetime(2031, 7, 1, 2, 0, tzinfo=UTC), datetime(2031, 8, 1, 2, 0, tzinfo=UTC),
        )  # fmt: skip
        assert prepaid(shop) == 50_000 - 9_800


class TestTrial:
    def test_ends_in_a_paid_period(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800, trial_days=14))
        with in_main():
            assert Substation.objects.get(pk=shop.pk).state == "TRIAL"
        top_up(shop, 9_800)

        with in_main():
            before = services.renew(substation_id=shop.pk, now=MARCH + timedelta(days=13))
            invoice = services.renew(substation_id=shop.pk, now=MARCH + timedelta(days=14))

        assert before is None
        assert invoice is not None
        assert (invoice.period_start, invoice.period_end) == (
            MARCH + timedelta(days=14), datetime(2031, 4, 15, 2, 0, tzinfo=UTC),
        )  # fmt: skip
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")

    def test_that_nobody_pays_for_is_due(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800, trial_days=14))
        with in_main():
            assert Substation.objects.get(pk=shop.pk).state == "TRIAL"

        with in_main():
            services.renew(substation_id=shop.pk, now=MARCH + timedelta(days=14))

        assert state(shop) == ("PAST_DUE", "PAST_DUE", "REMINDED")


class TestCancel:
    def test_ends_when_what_was_paid_for_is_over_and_closes_the_storefront(
        self, subscribed: Callable[..., Any]
    ) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 50_000)

        services.cancel(substation_id=shop.pk, by=SYSTEM, now=MARCH + timedelta(days=2))
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)

        assert state(shop) == ("ENDED", "PAST_DUE", "SHUT")
        assert prepaid(shop) == 50_000
        with in_main():
            assert Invoice.objects.filter(substation_id=shop.pk).count() == 0

    def test_can_be_taken_back(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 9_800)

        services.cancel(substation_id=shop.pk, by=SYSTEM, now=MARCH)
        services.keep(substation_id=shop.pk, by=SYSTEM, now=MARCH)
        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)

        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
        assert prepaid(shop) == 0

    def test_is_refused_where_there_is_no_period(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(), paid=False)

        with pytest.raises(services.BillingRefused):
            services.cancel(substation_id=shop.pk, by=SYSTEM, now=MARCH)

        with in_main():
            row = selectors.subscription(shop.pk)
        assert row is not None
        assert not row.cancel_at_period_end


class TestClosing:
    @pytest.mark.parametrize(("shop_state", "then"), [("CLOSING", "ACTIVE"), ("CLOSED", "ENDED")])
    def test_a_shop_that_goes_is_charged_nothing_more(
        self, subscribed: Callable[..., Any], shop_state: str, then: str
    ) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        top_up(shop, 50_000)
        with in_main():
            Substation.objects.filter(pk=shop.pk).update(state=shop_state)
            assert services.renew(substation_id=shop.pk, now=APRIL) is None

        assert state(shop) == (then, shop_state, "GOOD")
        assert prepaid(shop) == 50_000


class TestRenewDue:
    def test_one_shops_trouble_does_not_keep_the_others_waiting(
        self, subscribed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plan = make_plan(monthly_fee_minor=9_800)
        broken, fine = subscribed(plan), subscribed(plan)
        top_up(fine, 9_800)
        renew = _subscriptions.renew

        def trouble(*, substation_id: int, now: datetime) -> Any:
            if substation_id == broken.pk:
                raise ZeroDivisionError
            return renew(substation_id=substation_id, now=now)

        monkeypatch.setattr(_subscriptions, "renew", trouble)

        services.renew_due(now=APRIL)

        assert state(fine) == ("ACTIVE", "ACTIVE", "GOOD")
        assert prepaid(fine) == 0

    def test_the_ledger_still_sums_to_zero(self, prepared: None) -> None:
        with in_main():
            assert set(ledger.trial_balance().values()) <= {0}

    def test_every_move_of_the_shop_is_a_step(self, subscribed: Callable[..., Any]) -> None:
        shop = subscribed(make_plan(monthly_fee_minor=9_800))
        with in_main():
            services.renew(substation_id=shop.pk, now=APRIL)
        top_up(shop, 9_800)
        with in_main():
            services.collect(substation_id=shop.pk, now=APRIL + timedelta(days=1))
            steps = list(
                SubstationStep.objects.filter(substation_id=shop.pk, at__gte=APRIL)
                .order_by("id")
                .values_list("event", flat=True)
            )

        assert steps == ["MISS_PAYMENT", "PAY"]
        assert state(shop) == ("ACTIVE", "ACTIVE", "GOOD")
