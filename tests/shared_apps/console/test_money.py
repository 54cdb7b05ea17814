"""Orders, the ledger, payment cases and the inbox: each amount leads to what it is made of."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.test import Client, override_settings

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from kameng.jobs.models import Job
from kameng.lib import clock
from kameng.lib.money import format_minor, minor_to_decimal
from shared_apps.console.selectors import books
from shared_apps.ledger import services as ledger
from shared_apps.ledger.tasks import seal_all
from shared_apps.receipts.models import InboxEvent, PaymentCase
from tenants.models import Substation
from tests.horizon import wait_until_concluded
from tests.shared_apps.console.conftest import Scene, csv_rows
from tests.shared_apps.console.test_access import url
from tests.tenant_apps import market

WIDE = {"since": "2026-11-01", "until": "2026-12-31"}


class TestOrders:
    def test_sums_what_the_filters_show(self, operator: Client, scene: Scene) -> None:
        content = operator.get(url("orders"), {"q": scene.order}).content.decode()

        assert "Sum of 1 orders" in content
        assert f"1 paid: {format_minor(scene.total_minor)}" in content

    def test_exports_exactly_what_matches(self, operator: Client, scene: Scene) -> None:
        rows = csv_rows(operator.get(url("orders"), {"substation": scene.shop.public_id, "export": "csv"}))

        assert rows[0] == ["Order", "Shop", "State", "Goods", "Total", "Currency", "Placed", "Paid at"]
        assert len(rows) == 2
        assert rows[1][:3] == [scene.order, scene.shop.name, "Delivered"]
        assert rows[1][4:6] == [str(minor_to_decimal(scene.total_minor)), "CNY"]

    @pytest.mark.parametrize(
        "query", [{"state": "EXPIRED"}, {"since": "2026-12-01"}, {"until": "2026-11-01"}, {"q": "KNONE"}]
    )
    def test_filters(self, operator: Client, scene: Scene, query: dict[str, str]) -> None:
        asked = {"substation": scene.shop.public_id, **query}

        assert scene.order not in operator.get(url("orders"), asked).content.decode()

    def test_shows_lines_legs_receipts_case_and_what_happened(self, operator: Client, scene: Scene) -> None:
        content = operator.get(url("order", scene.shop.slug, scene.order)).content.decode()

        for shown in (
            scene.goods.code, scene.transfer, scene.case, "main:revenue", f"substation:{scene.shop.pk}:pending",
            "Paid twice", "Order placed", scene.batch, format_minor(scene.total_minor),
        ):  # fmt: skip
            assert shown in content, shown


class TestTheLedger:
    def test_a_statement_opens_moves_and_closes_to_the_cent(self, scene: Scene) -> None:
        with in_main():
            row = books.account(f"substation:{scene.shop.pk}:pending")
            shown = books.statement(row, first_day=date(2026, 11, 1), last_day=date(2026, 12, 31))
            before = books.statement(row, first_day=date(2026, 10, 1), last_day=date(2026, 10, 31))
            after = books.statement(row, first_day=date(2027, 1, 1), last_day=date(2027, 1, 31))

        assert shown.opening_minor == 0
        assert shown.closing_minor == sum(line.own_minor for line in shown.lines) == row.own_minor > 0
        assert shown.lines[0].after_minor == shown.closing_minor
        assert (before.closing_minor, before.count) == (0, 0)
        assert (after.opening_minor, after.closing_minor) == (shown.closing_minor, shown.closing_minor)

    def test_a_statement_is_the_same_before_and_after_the_roll_up(self, scene: Scene) -> None:
        span = {"first_day": date(2026, 11, 25), "last_day": date(2026, 12, 31)}
        with in_main():
            row = books.account(f"substation:{scene.shop.pk}:pending")
            fresh = books.statement(row, **span)
        with in_main():
            ledger.roll_up(now=clock.utc_now())
        with in_main():
            rolled = books.statement(row, **span)

        assert fresh.opening_minor == rolled.opening_minor == row.own_minor
        assert fresh == rolled

    def test_an_accounts_page_shows_its_lines_and_what_they_come_to(self, operator: Client, scene: Scene) -> None:
        code = f"substation:{scene.shop.pk}:pending"

        page = operator.get(url("account", code), WIDE)

        shown = page.context["statement"]
        assert shown.count == len(shown.lines) > 0
        content = page.content.decode()
        assert code in content
        assert all(url("transfer", line.transfer) in content for line in shown.lines)
        assert format_minor(shown.closing_minor, "CNY") in content

    def test_the_exported_statement_has_every_line(self, operator: Client, scene: Scene) -> None:
        code = f"substation:{scene.shop.pk}:pending"
        with in_main():
            own = books.account(code).own_minor

        rows = csv_rows(operator.get(url("account", code), {**WIDE, "export": "csv"}))

        assert rows[0] == ["Happened", "Kind", "Reference", "Transfer", "Amount", "Balance after"]
        assert [row[2:] for row in rows[1:]] == [
            [scene.order, scene.transfer, str(minor_to_decimal(own)), str(minor_to_decimal(own))]
        ]

    def test_the_days_add_up_and_lead_to_their_lines(self, operator: Client, scene: Scene) -> None:
        code = f"substation:{scene.shop.pk}:pending"
        wait_until_concluded()
        with in_main():
            ledger.roll_up(now=clock.utc_now())
        with in_main():
            own = books.account(code).own_minor

        rows = csv_rows(operator.get(url("account_days", code), {"export": "csv"}))
        content = operator.get(url("account_days", code)).content.decode()

        assert rows[0] == ["Day", "Opening balance", "In", "Out", "Closing balance"]
        assert rows[1:] == [["2026-11-24", "0.00", str(minor_to_decimal(own)), "0.00", str(minor_to_decimal(own))]]
        assert f"{url('account', code)}?since=2026-11-24&amp;until=2026-11-24" in content

    def test_a_block_proves_its_transfers(self, operator: Client, scene: Scene) -> None:
        wait_until_concluded()
        seal_all()
        [(height,)] = market.rows(
            "SELECT height FROM ledger_leaf l JOIN ledger_transfer t ON t.id = l.transfer_id WHERE t.public_id = %s",
            scene.transfer,
        )

        with in_main():
            row = books.block(height)
            assert row is not None
            found = books.leaves(row, limit=10_000)
            assert books.block_hash_now(row) == bytes(row.block_hash).hex()
        content = operator.get(url("block", height)).content.decode()

        assert len(found) == row.leaf_count
        assert all(leaf.leaf_hash == leaf.leaf_now for leaf in found)
        assert scene.transfer in {leaf.public_id for leaf in found}
        assert "Recomputed, and the same" in content
        assert url("block", height) in operator.get(url("transfer", scene.transfer)).content.decode()

    def test_a_transfers_legs_sum_to_zero(self, operator: Client, scene: Scene) -> None:
        with in_main():
            legs = books.legs([books.transfer(scene.transfer).pk])
        content = operator.get(url("transfer", scene.transfer)).content.decode()

        assert sum(leg.amount_minor for leg in next(iter(legs.values()))) == 0
        assert "Sums to zero" in content
        assert f"/console/orders/{scene.shop.slug}/{scene.order}/" in content

    def test_a_sealed_transfer_proves_itself(self, operator: Client, scene: Scene) -> None:
        wait_until_concluded()
        seal_all()

        with in_main():
            found = books.proof(books.transfer(scene.transfer))

        assert found is not None
        assert found.holds
        assert found.leaf_hash == found.leaf_now != ""
        assert "Recomputed, and the same" in operator.get(url("transfer", scene.transfer)).content.decode()

    def test_the_trial_balance_is_even(self, operator: Client, scene: Scene) -> None:
        with in_main():
            lines = books.trial_balance()

        assert sum(line.debit_minor for line in lines) == sum(line.credit_minor for line in lines) > 0
        assert "Debit and credit are equal" in operator.get(url("trial_balance")).content.decode()

    def test_checks_the_whole_ledger_when_asked(self, operator: Client, scene: Scene) -> None:
        wait_until_concluded()
        seal_all()
        with in_main():
            ledger.roll_up(now=clock.utc_now())

        assert "The ledger is sound" in operator.get(url("chain"), {"check": "1"}).content.decode()

    @pytest.mark.parametrize("field", ["transfer", "order"])
    def test_search_leads_from_an_id_to_its_transfer(self, operator: Client, scene: Scene, field: str) -> None:
        response = operator.get(url("accounts"), {"q": getattr(scene, field)}, follow=True)

        assert scene.transfer in response.content.decode()


class TestCases:
    def case(self, scene: Scene) -> PaymentCase:
        with in_main():
            return PaymentCase.objects.get(public_id=scene.case)

    def test_offers_only_what_its_kind_allows(self, operator: Client, scene: Scene) -> None:
        content = operator.get(url("case", scene.case)).content.decode()

        assert 'value="CREDIT"' in content
        assert 'value="REFUND"' in content
        assert 'value="DELIVER"' not in content

    def test_says_to_the_cent_what_each_decision_does(self, operator: Client, scene: Scene) -> None:
        fee = scene.total_minor * 6 // 1000

        content = operator.get(url("case", scene.case)).content.decode()

        assert f"{format_minor(scene.total_minor - fee)} becomes the shop&#x27;s income" in content
        assert f"Test channel is asked to give {format_minor(scene.total_minor)} back to its payer" in content

    @pytest.mark.parametrize(
        "data",
        [
            {"resolution": "CREDIT", "evidence": ""}, {"resolution": "CREDIT", "evidence": "ok"},
            {"resolution": "DELIVER", "evidence": "Seen in the back office."}, {"evidence": "Seen in the back office."},
        ],
    )  # fmt: skip
    def test_refuses_without_evidence_or_with_another_deed(
        self, operator: Client, scene: Scene, data: dict[str, str]
    ) -> None:
        response = operator.post(url("case_settle", scene.case), data)

        assert response.status_code == 422
        assert data["evidence"].encode() in response.content
        assert self.case(scene).state == "OPEN"
        with in_main():
            assert not Job.objects.filter(kind="payments.carry_out_case", payload__case_public_id=scene.case).exists()

    def test_keeps_notes_in_the_history(self, operator: Client, scene: Scene) -> None:
        assert operator.post(url("case_note", scene.case), {"text": "Asked the channel."}).status_code == 302

        assert b"Asked the channel." in operator.get(url("case", scene.case)).content
        with in_main():
            assert AuditRecord.objects.filter(action="receipts.case.noted", target=scene.case).count() == 1

    def test_says_why_a_decision_was_not_carried_out(self, operator: Client, scene: Scene) -> None:
        from shared_apps.receipts import services as receipts

        with in_main():
            row = receipts.lock_case(scene.case)
            PaymentCase.objects.filter(pk=row.id).update(state="SETTLING", resolution="REFUND", evidence="Seen.")
            receipts.reopen_case(case_id=row.id, by="Kameng", now=clock.utc_now(), why="There is no such payment.")

        content = operator.get(url("case", scene.case)).content.decode()

        assert "The last decision could not be carried out" in content
        assert content.count("There is no such payment.") == 2  # On top of the page, and in the history.
        assert self.case(scene).state == "OPEN"

    def test_settles_with_evidence_and_shows_what_comes_of_it(self, operator: Client, scene: Scene) -> None:
        from tenant_apps.payments import services as payments

        pending = f"substation:{scene.shop.pk}:pending"
        with in_main():
            before = books.account(pending).own_minor
        evidence = {"resolution": "CREDIT", "evidence": "Seen in the channel's back office."}

        assert operator.post(url("case_settle", scene.case), evidence).status_code == 302

        assert self.case(scene).state == "SETTLING"
        assert b"It is being carried out." in operator.get(url("case", scene.case)).content
        assert operator.post(url("case_settle", scene.case), evidence).status_code == 422
        with in_main():
            [job] = Job.objects.filter(kind="payments.carry_out_case", payload__case_public_id=scene.case)
        payments.carry_out_case(case_public_id=job.payload["case_public_id"], now=clock.utc_now())
        done = self.case(scene)
        assert (done.state, done.resolution, done.settled_by) == ("SETTLED", "CREDIT", "Operator")
        with in_main():
            assert books.account(pending).own_minor == before + scene.total_minor - scene.total_minor * 6 // 1000


class TestTheInbox:
    def test_shows_the_body_as_people_read_it(self, operator: Client, scene: Scene) -> None:
        content = operator.get(url("event", scene.event)).content.decode()

        assert "付款" in content
        assert "application/json" in content

    def test_handles_an_event_again(self, operator: Client, scene: Scene) -> None:
        with in_main():
            InboxEvent.objects.filter(pk=scene.event).update(state="FAILED", attempts=12, problem="No answer")
            Job.objects.filter(kind="payments.handle_event", state="PENDING").delete()

        assert operator.post(url("event_replay", scene.event)).status_code == 302

        with in_main():
            row = InboxEvent.objects.get(pk=scene.event)
            [job] = Job.objects.filter(kind="payments.handle_event", state="PENDING")
        assert (row.state, row.attempts, row.problem) == ("RECEIVED", 0, "")
        assert job.payload == {"event_id": scene.event}

    def test_filters_by_state_and_payment(self, operator: Client, scene: Scene) -> None:
        with in_main():
            row = InboxEvent.objects.get(pk=scene.event)

        assert row.event_id in operator.get(url("inbox"), {"q": row.payment_id}).content.decode()
        assert row.event_id not in operator.get(url("inbox"), {"state": "HANDLED"}).content.decode()
        exported = csv_rows(operator.get(url("inbox"), {"q": row.event_id, "export": "csv"}))
        assert [line[:4] for line in exported[1:]] == [[row.event_id, "payment.paid", "testpay", row.payment_id]]


def test_the_figures_of_the_overview_add_up(scene: Scene) -> None:
    from shared_apps.console.selectors import overview

    now = market.NOW + timedelta(minutes=5)
    with in_main():
        figures = overview.today_beside_yesterday(now)
        [(orders, total, by_now)] = market.rows(
            "SELECT count(*), sum(total_minor)::bigint, sum(total_minor) FILTER (WHERE paid_at < %s)::bigint "
            "FROM receipts_networkorder WHERE (paid_at AT TIME ZONE 'Asia/Shanghai')::date = '2026-11-24'",
            now,
        )
        tomorrow = overview.today_beside_yesterday(now + timedelta(days=1))

    assert (figures["orders"].today, figures["gmv"].today) == (orders, total)
    assert figures["revenue"].today + figures["fee"].today > 0
    assert (tomorrow["gmv"].today, tomorrow["gmv"].whole_yesterday) == (0, total)
    assert tomorrow["gmv"].yesterday == by_now  # Other tests' orders may have been paid later that day.


def test_the_overview_gathers_the_same_deed_of_one_person_on_one_day(operator: Client, scene: Scene) -> None:
    from shared_apps.console.views import front

    def record(action: str, target: str, day: int = 24, by: str = "Mia") -> Any:
        return AuditRecord(action=action, target=target, actor_label=by, at=market.NOW.replace(day=day))

    with override_settings(ROOT_URLCONF="kameng.urls_main"):
        lines = front._gathered(
        [
            record("stock.count.set", "A-1"), record("library.sku.update", "B-1"), record("stock.count.set", "A-2"),
            record("stock.count.set", "A-3", by="Tom"), record("stock.count.set", "A-4", day=23),
        ]
        )  # fmt: skip

    assert [(line["by"], line["target"], line["count"]) for line in lines] == [
        ("Mia", "A-1", 2), ("Mia", "B-1", 1), ("Tom", "A-3", 1), ("Mia", "A-4", 1),
    ]  # fmt: skip
    assert lines[0]["url"] == f"{url('audit')}?action=stock.count.set"


def test_a_new_main_station_is_told_its_first_steps_until_they_are_done(
    operator: Client, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared_apps.console.selectors import overview

    with in_main():
        assert overview.steps_done() == dict.fromkeys(("plans", "products", "stock", "merchants", "substations"), True)
    assert "First steps" not in operator.get(url("overview")).content.decode()

    done = {"plans": True, "products": True, "stock": False, "merchants": False, "substations": False}
    monkeypatch.setattr(overview, "steps_done", lambda: done)
    content = operator.get(url("overview")).content.decode()

    assert "First steps" in content
    assert content.count('data-state="done"') == 2
    assert url("merchant_new") in content


def test_overview_shows_what_waits(operator: Client, scene: Any) -> None:
    content = operator.get(url("overview")).content.decode()

    assert "Background jobs that gave up" in content
    assert "/console/jobs/?state=FAILED" in content


def test_overview_leads_to_the_shops_whose_upgrade_failed(operator: Client, scene: Any) -> None:
    label = "Shops that stayed at their old version"
    address = f"{url('substations')}?upgrade=FAILED"
    assert label not in operator.get(url("overview")).content.decode()
    assert scene.shop.name not in operator.get(address).content.decode()

    with in_main():
        Substation.objects.filter(pk=scene.shop.pk).update(schema_problem="A column is there already.")

    content = operator.get(url("overview")).content.decode()
    assert label in content
    assert address in content
    listed = operator.get(address).content.decode()
    assert scene.shop.name in listed
    assert "Upgrade failed" in listed
