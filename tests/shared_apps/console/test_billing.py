"""Invoices and unpaid shops on the main station: found, exported, and ended by a person with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from kameng.accounts.models import AuditRecord
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.billing import selectors as billing
from shared_apps.billing import services
from shared_apps.billing.models import Invoice, Subscription
from shared_apps.billing.states import InvoiceKind
from shared_apps.billing.types import Line
from shared_apps.ledger import services as ledger
from shared_apps.ledger.states import Kind
from shared_apps.ledger.types import Leg
from tenants.models import Plan, Substation
from tests.shared_apps.console.conftest import csv_rows
from tests.shared_apps.console.test_access import url
from tests.tenant_apps import market


@pytest.fixture
def shop(fresh_shop: Any) -> Any:
    """A shop of the test's own; the test channel's account is open in the ledger."""
    with in_main():
        market.ensure_account()
    return fresh_shop


def top_up(shop: Any, amount: int) -> None:
    """Money on the prepaid balance. Main scope."""
    ledger.post_transfer(
        key=f"test.topup:{shop.public_id}:{amount}", kind=Kind.TOPUP, currency="CNY", event_at=clock.utc_now(),
        legs=[Leg("channel:testpay:clearing", amount), Leg(f"substation:{shop.pk}:prepaid", -amount)],
        reference_type="test", reference=shop.public_id, substation_id=shop.pk,
    )  # fmt: skip


def issue(shop: Any, amount: int = 9900, kind: InvoiceKind = InvoiceKind.PERIOD, paid: bool = False) -> str:
    """An invoice of the shop; its number."""
    with in_main():
        row = Substation.objects.get(pk=shop.pk)
        line = Line("period", "专业版一个月", "Professional, a month", amount)
        invoice = services.issue(substation=row, kind=kind, lines=[line], at=clock.utc_now())
        if paid:
            top_up(shop, amount)
            services.pay_from_prepaid(invoice_id=invoice.pk, now=clock.utc_now())
        return invoice.number


def state(number: str) -> str:
    with in_main():
        return str(Invoice.objects.get(number=number).state)


def acts(target: str) -> list[str]:
    with in_main():
        return list(AuditRecord.objects.filter(target=target).order_by("pk").values_list("action", flat=True))


def text(response: Any) -> str:
    return str(response.content.decode())


class TestInvoices:
    def test_are_found_by_number_shop_and_state(self, operator: Client, shop: Any) -> None:
        due, paid = issue(shop), issue(shop, 12_345, paid=True)

        by_shop = text(operator.get(url("invoices"), {"substation": shop.public_id}))
        open_ones = text(operator.get(url("invoices"), {"q": shop.slug, "state": "OPEN"}))
        by_number = text(operator.get(url("invoices"), {"q": paid}))

        assert due in by_shop and paid in by_shop
        assert due in open_ones and paid not in open_ones
        assert paid in by_number and "¥123.45" in by_number and due not in by_number

    def test_are_exported_as_they_are_filtered(self, operator: Client, shop: Any) -> None:
        due, paid = issue(shop), issue(shop, 12_345, paid=True)

        rows = csv_rows(operator.get(url("invoices"), {"q": shop.slug, "sort": "number", "export": "csv"}))

        assert rows[0][:6] == ["Number", "Kind", "State", "Shop", "Amount", "Currency"]
        assert [row[:6] for row in rows[1:]] == [
            [due, "Subscription", "Due", shop.name, "99.00", "CNY"],
            [paid, "Subscription", "Paid", shop.name, "123.45", "CNY"],
        ]

    def test_show_their_lines_and_the_way_to_the_ledger(self, operator: Client, shop: Any) -> None:
        paid = issue(shop, 12_345, paid=True)
        with in_main():
            transfer = Invoice.objects.get(number=paid).transfer_id

        page = text(operator.get(url("invoice", paid)))

        assert "Professional, a month" in page
        assert url("transfer", transfer) in page
        assert operator.get(url("transfer", transfer)).status_code == 200

    def test_that_are_not_there_are_not_found(self, operator: Client) -> None:
        assert operator.get(url("invoice", "KM-1999-000001")).status_code == 404

    @pytest.mark.parametrize(
        ("deed", "becomes", "act"),
        [("void", "VOID", "billing.invoice.voided"), ("write_off", "UNCOLLECTIBLE", "billing.invoice.written_off")],
    )
    def test_that_are_open_are_ended_with_a_reason(
        self, operator: Client, shop: Any, deed: str, becomes: str, act: str
    ) -> None:
        number = issue(shop)

        response = operator.post(url("invoice_end", number), {"deed": deed, "reason": "Issued twice"})

        assert (response.status_code, state(number)) == (302, becomes)
        assert acts(number) == ["billing.invoice.issued", act]

    def test_are_not_ended_without_a_reason_and_the_dialog_comes_back(self, operator: Client, shop: Any) -> None:
        number = issue(shop)

        response = operator.post(url("invoice_end", number), {"deed": "void", "reason": "x"})

        assert (response.status_code, state(number)) == (422, "OPEN")
        assert text(response).count("data-open-now") == 1
        assert 'value="x"' in text(response)

    def test_that_are_paid_are_reversed_by_a_note_of_its_own_number(self, operator: Client, shop: Any) -> None:
        number = issue(shop, 12_345, paid=True)

        response = operator.post(url("invoice_end", number), {"deed": "reverse", "reason": "Wrong plan"})

        with in_main():
            note = Invoice.objects.get(reverses__number=number)
            assert (note.kind, note.total_minor, note.state) == ("CREDIT", -12_345, "PAID")
            assert billing.balance(shop.pk, "prepaid") == 12_345
        assert response["Location"] == url("invoice", note.number)
        assert state(number) == "PAID"
        again = operator.post(url("invoice_end", number), {"deed": "reverse", "reason": "Once more"})
        assert again.status_code == 422
        with in_main():
            assert billing.balance(shop.pk, "prepaid") == 12_345

    def test_of_another_state_are_left_alone(self, operator: Client, shop: Any) -> None:
        paid, due = issue(shop, paid=True), issue(shop, 100)

        refused = operator.post(url("invoice_end", paid), {"deed": "void", "reason": "No reason"})
        assert refused.status_code == 422
        assert f"Invoice {paid} is not open. Nothing was changed." in text(refused)
        assert operator.post(url("invoice_end", due), {"deed": "reverse", "reason": "No reason"}).status_code == 422
        assert operator.post(url("invoice_end", due), {"deed": "forget", "reason": "No reason"}).status_code == 422
        assert (state(paid), state(due)) == ("PAID", "OPEN")

    def test_that_a_card_pays_are_ended_at_the_channel(self, operator: Client, shop: Any) -> None:
        number = issue(shop)
        with in_main():
            Invoice.objects.filter(number=number).update(provider_ref=f"in_{number}")
            Subscription.objects.filter(substation_id=shop.pk).update(
                method="STRIPE", stripe_subscription=f"sub_{number}"
            )

        page = text(operator.get(url("invoice", number)))
        refused = operator.post(url("invoice_end", number), {"deed": "void", "reason": "Issued twice"})

        assert "Stripe is collecting it from the card." in page
        assert "Void it<" not in page
        assert (refused.status_code, state(number)) == (422, "OPEN")
        assert f"Stripe is collecting invoice {number} from the card." in text(refused)

    def test_are_only_looked_at_by_a_viewer(self, viewer: Client, shop: Any) -> None:
        number = issue(shop)

        page = text(viewer.get(url("invoice", number)))
        refused = viewer.post(url("invoice_end", number), {"deed": "void", "reason": "Issued twice"})

        assert "Void it" not in page
        assert (refused.status_code, state(number)) == (403, "OPEN")


class TestUnpaid:
    @pytest.fixture
    def late(self, make_shop: Callable[..., Any], shop: Any) -> Callable[..., None]:
        """Make the shop's payment due since some days ago."""

        def make(days: int, grace: int = 7) -> None:
            now = clock.utc_now()
            issue(shop)
            with in_main():
                plan = Plan.objects.create(
                    code=f"late-{shop.pk}"[:20], name_zh="x", name_en="x", supply_level="BASIC", grace_days=grace,
                    monthly_fee_minor=9900, active=False,
                )  # fmt: skip
                since = now - timedelta(days=days, hours=1)
                Subscription.objects.update_or_create(
                    substation_id=shop.pk,
                    defaults={
                        "plan": plan, "state": "PAST_DUE", "due_since": since, "created_at": since, "updated_at": now,
                        "period_start": since - timedelta(days=30), "period_end": since, "anchor_at": since,
                    },
                )  # fmt: skip
            services.dun(now=now)

        return make

    @pytest.mark.parametrize(
        ("days", "restricted", "coming"),
        [(1, "Reminded", "Panel made read-only"), (8, "Panel read-only", "Storefront closed"),
         (15, "Storefront closed", "Nothing more")],
    )  # fmt: skip
    def test_says_how_far_a_shop_is_restricted_and_what_comes(
        self, operator: Client, shop: Any, late: Callable[..., None], days: int, restricted: str, coming: str
    ) -> None:
        late(days)

        page = text(operator.get(url("unpaid"), {"q": shop.slug}))

        (row,) = [part for part in page.split("<tr") if shop.public_id in part]
        assert restricted in row and coming in row and "¥99.00" in row
        assert f"{days} day" in row

    def test_is_exported(self, operator: Client, shop: Any, late: Callable[..., None]) -> None:
        late(8)

        rows = csv_rows(operator.get(url("unpaid"), {"q": shop.slug, "export": "csv"}))

        assert [row[:3] + row[4:5] for row in rows[1:]] == [[shop.name, shop.host, shop.owner_email, "Panel read-only"]]

    def test_stands_on_the_shops_own_page(self, operator: Client, shop: Any, late: Callable[..., None]) -> None:
        late(8)

        page = text(operator.get(url("substation", shop.public_id)))

        assert "¥99.00 is due" in page and "Panel read-only" in page
        assert re.search(r"Invoice KM-\d{4}-\d{6} is not paid\.", page)
        assert url("invoices") + f"?substation={shop.public_id}" in page

    def test_is_empty_when_everybody_has_paid(self, operator: Client) -> None:
        page = text(operator.get(url("unpaid"), {"q": "nobody-has-this-name"}))

        assert "Nothing matches" in page


class TestDeposit:
    @pytest.fixture
    def held(self, shop: Any) -> Any:
        with in_main():
            row = Substation.objects.get(pk=shop.pk)
            line = Line("deposit", "保证金", "Deposit", 50_000)
            invoice = services.issue(substation=row, kind=InvoiceKind.DEPOSIT, lines=[line], at=clock.utc_now())
            top_up(shop, 50_000)
            services.pay_from_prepaid(invoice_id=invoice.pk, now=clock.utc_now(), by=SYSTEM)
        return shop

    def test_is_given_back_in_part_and_once_though_it_is_sent_twice(self, operator: Client, held: Any) -> None:
        sent = {"amount": "200", "reason": "The shop closes", "key": "dep_once"}

        first = operator.post(url("deposit_return", held.public_id), sent)
        second = operator.post(url("deposit_return", held.public_id), sent)

        assert (first.status_code, second.status_code) == (302, 302)
        assert acts(held.public_id).count("billing.deposit.returned") == 1
        with in_main():
            assert billing.balance(held.pk, "deposit") == 30_000
            assert billing.balance(held.pk, "available") == 20_000
        other = operator.post(url("deposit_return", held.public_id), {**sent, "amount": "201"})
        assert other.status_code == 422 and "Nothing was moved." in text(other)

    def test_is_never_more_than_is_held(self, operator: Client, held: Any) -> None:
        response = operator.post(
            url("deposit_return", held.public_id), {"amount": "500.01", "reason": "Too much", "key": "dep_two"}
        )

        assert response.status_code == 422
        assert "more than the deposit that is held" in text(response)
        assert 'value="500.01"' in text(response)
        with in_main():
            assert billing.balance(held.pk, "deposit") == 50_000
