"""Invoices: numbered without a gap, never edited, reversed by a credit note; and their PDF."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from kameng.accounts.types import SYSTEM
from kameng.db.context import MAIN, in_main, pointed_at
from shared_apps.billing import pdf, services
from shared_apps.billing.models import Invoice, InvoiceLine
from shared_apps.billing.states import InvoiceKind
from shared_apps.billing.types import Line
from tenants.models import Substation
from tests.shared_apps.billing.stage import APRIL, MARCH, prepaid, top_up

YEAR = 2099  # A year of its own: its numbers begin at one.
THEN = datetime(YEAR, 6, 1, tzinfo=UTC)
LINE = Line("period", "一个月", "A month", 9_800)


def issue(shop: Substation, at: datetime = THEN, **changes: Any) -> Invoice:
    values: dict[str, Any] = {"kind": InvoiceKind.PERIOD, "lines": [LINE], "at": at, **changes}
    return services.issue(substation=shop, **values)


class TestNumbers:
    def test_follow_one_another_and_a_rolled_back_one_leaves_no_gap(self, fresh_shop: Any) -> None:
        with in_main():
            first = issue(fresh_shop).number
        with pytest.raises(RuntimeError), in_main():
            issue(fresh_shop)
            raise RuntimeError("Something after it failed.")
        with in_main():
            second = issue(fresh_shop).number

        assert first.startswith(f"KM-{YEAR}-")
        assert int(second.rsplit("-", 1)[1]) == int(first.rsplit("-", 1)[1]) + 1

    def test_are_never_the_same_for_two_at_once(self, fresh_shop: Any) -> None:
        gate, numbers = threading.Barrier(4), []

        def work() -> None:
            try:
                with pointed_at(MAIN):
                    gate.wait()
                    with in_main():
                        numbers.append(issue(fresh_shop).number)
            finally:
                connections.close_all()

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        counted = sorted(int(number.rsplit("-", 1)[1]) for number in numbers)
        assert counted == list(range(counted[0], counted[0] + 4))

    def test_belong_to_the_year_in_the_networks_zone(self, fresh_shop: Any) -> None:
        with in_main():  # 2098 in Greenwich, New Year's morning in Shanghai.
            assert issue(fresh_shop, datetime(YEAR - 1, 12, 31, 20, tzinfo=UTC)).number.startswith(f"KM-{YEAR}-")


class TestIssuedOnce:
    def test_the_sum_is_that_of_the_lines(self, fresh_shop: Any) -> None:
        lines = [LINE, Line("credit", "未用", "Unused", -300), Line("note", "无", "Nothing", 0)]
        with in_main():
            made = issue(fresh_shop, lines=lines)
            kept = [line.amount_minor for line in made.lines.all()]

        assert (made.total_minor, kept) == (9_500, [9_800, -300])

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE billing_invoice SET total_minor = 1 WHERE number = %s",
            "UPDATE billing_invoice SET buyer_name = 'Mallory' WHERE number = %s",
            "DELETE FROM billing_invoice WHERE number = %s",
            "UPDATE billing_invoiceline SET amount_minor = 1 WHERE invoice_id IN (SELECT id FROM billing_invoice WHERE number = %s)",
            "DELETE FROM billing_invoiceline WHERE invoice_id IN (SELECT id FROM billing_invoice WHERE number = %s)",
        ],
    )
    def test_the_main_stations_own_role_can_change_nothing_of_it(self, fresh_shop: Any, statement: str) -> None:
        with in_main():
            made = issue(fresh_shop)

        with pytest.raises(DatabaseError, match="permission denied"), in_main(), connection.cursor() as cursor:
            cursor.execute(statement, [made.number])

        with in_main():
            assert Invoice.objects.get(pk=made.pk).total_minor == 9_800
            assert InvoiceLine.objects.get(invoice=made).amount_minor == 9_800

    def test_names_stay_as_they_were(self, fresh_shop: Any) -> None:
        with in_main():
            made = issue(fresh_shop)
            Substation.objects.filter(pk=fresh_shop.pk).update(name="Renamed")
            assert Invoice.objects.get(pk=made.pk).buyer_name == fresh_shop.name

    @pytest.mark.parametrize("state", ["PAID", "OPEN"])
    def test_is_paid_with_a_transfer_or_not_at_all(self, fresh_shop: Any, state: str) -> None:
        with in_main():
            made = issue(fresh_shop)
            changes: dict[str, Any] = {"state": "PAID"} if state == "PAID" else {"transfer_id": "trf_1"}
            with pytest.raises(DatabaseError, match="paid_invoice_has_transfer"), transaction.atomic():
                Invoice.objects.filter(pk=made.pk).update(**changes)


class TestReversing:
    def test_a_credit_note_brings_the_money_back_once(self, fresh_shop: Any) -> None:
        top_up(fresh_shop, 9_800)
        with in_main():
            made = issue(fresh_shop, MARCH)
            services.pay_from_prepaid(invoice_id=made.pk, now=MARCH)
        assert prepaid(fresh_shop) == 0

        with in_main():
            note = services.credit_note(number=made.number, reason="Charged in error.", by=SYSTEM, now=APRIL)
        with in_main(), pytest.raises(services.BillingRefused):
            services.credit_note(number=made.number, reason="Again.", by=SYSTEM, now=APRIL)

        assert (note.kind, note.state, note.total_minor, note.reverses_id) == ("CREDIT", "PAID", -9_800, made.pk)
        assert prepaid(fresh_shop) == 9_800
        with in_main():
            assert Invoice.objects.get(pk=made.pk).state == "PAID"

    def test_what_nobody_paid_is_void_and_keeps_its_number(self, fresh_shop: Any) -> None:
        with in_main():
            made = issue(fresh_shop)
            services.void_invoice(number=made.number, reason="Wrong plan.", by=SYSTEM, now=THEN)
        with in_main(), pytest.raises(services.BillingRefused):
            services.pay_from_prepaid(invoice_id=made.pk, now=THEN)
        with in_main(), pytest.raises(services.BillingRefused):
            services.credit_note(number=made.number, reason="No.", by=SYSTEM, now=THEN)

        with in_main():
            assert Invoice.objects.get(pk=made.pk).state == "VOID"


class TestDeposit:
    def test_is_the_shops_own_money_until_it_is_given_back(
        self, fresh_shop: Any, subscribed: Callable[..., Any]
    ) -> None:
        top_up(fresh_shop, 50_000)
        with in_main():
            made = issue(
                fresh_shop, MARCH, kind=InvoiceKind.DEPOSIT, lines=[Line("deposit", "保证金", "Deposit", 50_000)]
            )
            services.pay_from_prepaid(invoice_id=made.pk, now=MARCH)
        with in_main(), pytest.raises(services.AmountInvalid):
            services.return_deposit(
                substation_id=fresh_shop.pk, amount_minor=50_001, reason="All", by=SYSTEM, now=APRIL
            )
        with in_main():
            services.return_deposit(
                substation_id=fresh_shop.pk, amount_minor=20_000, reason="Part", by=SYSTEM, now=APRIL
            )

        with in_main():
            from shared_apps.billing import selectors

            assert selectors.balance(fresh_shop.pk, "deposit") == 30_000
            assert selectors.balance(fresh_shop.pk, "available") == 20_000


class TestPdf:
    @pytest.mark.parametrize("english", [True, False])
    def test_is_one_page_that_says_what_the_row_says(self, fresh_shop: Any, english: bool) -> None:
        with in_main():
            made = issue(fresh_shop, period=(MARCH, APRIL))
            first = pdf.render(made, english=english)
            again = pdf.render(made, english=english)

        assert first.startswith(b"%PDF-")
        assert first.count(b"/Type /Page\n") == 1
        assert made.number.encode() in first  # The file's subject.
        assert first == again  # The same row gives the same file.

    def test_long_names_and_many_lines_flow_on(self, fresh_shop: Any) -> None:
        fresh_shop.name = "很长的店名" * 20
        lines = [Line("note", f"第 {n} 行，" + "字" * 150, f"Line {n} " + "word " * 30, 100) for n in range(80)]
        with in_main():
            made = issue(fresh_shop, lines=lines)
            assert pdf.render(made, english=False).count(b"/Type /Page\n") > 1

    def test_every_kind_and_state_has_its_words(self, fresh_shop: Any) -> None:
        top_up(fresh_shop, 9_800)
        with in_main():
            made = issue(fresh_shop, MARCH)
            services.pay_from_prepaid(invoice_id=made.pk, now=MARCH)
            note = services.credit_note(number=made.number, reason="Error.", by=SYSTEM, now=APRIL)
            void = issue(fresh_shop)
            services.void_invoice(number=void.number, reason="Error.", by=SYSTEM, now=THEN)
            for one in (made, note, void):
                row = Invoice.objects.get(pk=one.pk)
                assert pdf.render(row, english=True).startswith(b"%PDF-")
