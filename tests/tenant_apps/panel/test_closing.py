"""The end of a shop, as its owner goes about it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail

from kameng.accounts import tokens
from kameng.accounts.models import User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.jobs import services as jobs
from kameng.lib import clock
from tenant_apps.orders.services import ShopClosed
from tenants import closing, hosts
from tenants.models import Substation
from tests.tenant_apps.panel.office import Office, owe
from tests.tenant_apps.storefront.conftest import words

pytestmark = pytest.mark.usefixtures("no_jobs")


def state(office: Office) -> str:
    with in_main():
        return str(Substation.objects.get(pk=office.shop.pk).state)


class TestClosing:
    def begin(self, office: Office, **more: Any) -> Any:
        return office.owner.post("/panel/closing/begin/", {"typed": f"{office.shop.slug}.localhost", **more})

    def test_wants_the_address_typed_and_keeps_what_was_written(self, office: Office) -> None:
        answer = self.begin(office, typed="yes", reason="I stop")

        assert answer.status_code == 422
        assert f"Type {office.shop.slug}.localhost to confirm." in words(answer)
        assert b'value="I stop"' in answer.content
        assert state(office) == "ACTIVE"

    def test_sells_nothing_from_then_on_and_tells_the_buyers_whose_orders_are_open(self, make_office: Any) -> None:
        office = make_office(delivery="MANUAL", codes=0)
        paid = office.place(contact="ann@example.com")
        office.pay(paid)
        office.place(contact="bea@example.com")
        jobs.run_all_due()
        mail.outbox.clear()

        answer = self.begin(office, reason="I stop")
        jobs.run_all_due()

        assert answer.status_code == 302
        assert state(office) == "CLOSING"
        told = {message.to[0]: message for message in mail.outbox}
        assert set(told) == {"ann@example.com", "bea@example.com"}
        assert f"/o/{paid.number}/" in told["ann@example.com"].body
        assert "still delivered, or your money comes back" in told["ann@example.com"].body
        front = office.browser().get("/")
        assert front.status_code == 503
        assert "is closing and takes no new orders" in words(front)
        assert office.browser().get(f"/o/{paid.number}/{paid.token}/").status_code == 200
        with pytest.raises(ShopClosed):
            office.place()

    def test_finance_gives_money_back_there_and_closes_nothing(self, make_office: Any) -> None:
        office = make_office(delivery="MANUAL", codes=0)
        paid = office.place()
        office.pay(paid)
        self.begin(office)
        with in_substation(office.shop):
            User.objects.filter(pk=office.users["VIEWER"]).update(role="FINANCE")
        finance = office.browser("VIEWER")

        page = words(finance.get("/panel/closing/"))
        kept = finance.post("/panel/closing/keep/")
        refunded = finance.post(f"/panel/closing/orders/{paid.number}/refund/", {"reason": "The shop closes"})

        assert "Refund" in page
        assert "Keep the shop" not in page and "Deliver" not in page
        assert (kept.status_code, refunded.status_code) == (403, 302)
        assert state(office) == "CLOSING"
        assert office.staff.get("/panel/closing/").status_code == 403

    def test_the_worklist_shows_what_is_open_and_it_can_t_be_closed_meanwhile(self, make_office: Any) -> None:
        office = make_office(delivery="MANUAL", codes=0)
        paid = office.place()
        office.pay(paid)
        self.begin(office)

        page = words(office.owner.get("/panel/closing/"))
        refused = office.owner.post("/panel/closing/finish/")

        assert paid.number in page
        assert "Paid orders to deliver or refund" in page
        assert refused.status_code == 409
        assert "Paid orders to deliver or refund: 1" in words(refused)
        assert state(office) == "CLOSING"

    def test_an_order_is_given_back_from_the_worklist(self, make_office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        from tenant_apps.orders.models import Order
        from tenant_apps.payments import providers
        from tests.tenant_apps.channel import MemoryChannel

        memory = MemoryChannel()
        monkeypatch.setattr(providers, "get", lambda name: memory)
        office = make_office(delivery="MANUAL", codes=0)
        paid = office.place()
        office.pay(paid)
        self.begin(office)

        none = office.owner.post(f"/panel/closing/orders/{paid.number}/refund/", {"reason": ""})
        asked = office.owner.post(f"/panel/closing/orders/{paid.number}/refund/", {"reason": "I can't deliver"})
        jobs.run_all_due()

        assert (none.status_code, asked.status_code) == (422, 302)
        assert office.read(Order, number=paid.number).state == "REFUNDED"
        assert office.owner.post("/panel/closing/finish/").status_code == 302
        assert state(office) == "CLOSED"

    @pytest.mark.parametrize("standing", ["READ_ONLY", "SHUT"])
    def test_an_unpaid_shop_gives_back_what_it_owes_its_buyers(
        self, make_office: Any, monkeypatch: pytest.MonkeyPatch, standing: str
    ) -> None:
        from tenant_apps.orders.models import Order
        from tenant_apps.payments import providers
        from tests.tenant_apps.channel import MemoryChannel

        memory = MemoryChannel()
        monkeypatch.setattr(providers, "get", lambda name: memory)
        office = make_office(delivery="MANUAL", codes=0)
        paid = office.place()
        office.pay(paid)
        self.begin(office)
        with in_main():
            Substation.objects.filter(pk=office.shop.pk).update(standing=standing)
        hosts.forget(office.shop)

        asked = office.owner.post(f"/panel/closing/orders/{paid.number}/refund/", {"reason": "I can't deliver"})
        jobs.run_all_due()

        assert (asked.status_code, office.read(Order, number=paid.number).state) == (302, "REFUNDED")
        assert office.owner.post("/panel/closing/finish/").status_code == 302

    def test_nothing_is_given_back_of_a_shop_that_sells(self, office: Office) -> None:
        paid = office.place()
        office.pay(paid)

        answer = office.owner.post(f"/panel/closing/orders/{paid.number}/refund/", {"reason": "Just so"})

        assert answer.status_code == 409

    def test_is_called_off(self, office: Office) -> None:
        self.begin(office)

        office.owner.post("/panel/closing/keep/")

        assert state(office) == "ACTIVE"
        assert office.browser().get("/").status_code == 200

    @pytest.mark.parametrize("standing", ["READ_ONLY", "SHUT"])
    def test_who_owes_closes_the_shop_and_calls_it_off(self, office: Office, standing: str) -> None:
        owe(office, standing)

        asked = words(office.owner.get("/panel/closing/"))
        begun = self.begin(office, reason="I stop")
        going = (state(office), words(office.owner.get("/panel/closing/")))
        kept = office.owner.post("/panel/closing/keep/")

        assert f"Type {office.shop.slug}.localhost to confirm." in asked
        assert (begun.status_code, going[0]) == (302, "CLOSING")
        assert "Keep the shop" in going[1]
        assert (kept.status_code, state(office)) == (302, "PAST_DUE")

    def test_who_may_not_close_it_may_not_while_it_is_unpaid_either(self, office: Office) -> None:
        owe(office, "READ_ONLY")
        with in_substation(office.shop):
            User.objects.filter(pk=office.users["VIEWER"]).update(role="FINANCE")
        finance = office.browser("VIEWER")

        page = words(finance.get("/panel/closing/"))
        refused = finance.post("/panel/closing/begin/", {"typed": f"{office.shop.slug}.localhost"})

        assert "to confirm." not in page
        assert (refused.status_code, state(office)) == (403, "PAST_DUE")

    def test_a_shop_that_is_not_being_closed_has_nothing_to_call_off(self, office: Office) -> None:
        owe(office, "SHUT")

        refused = office.owner.post("/panel/closing/keep/")

        assert (refused.status_code, state(office)) == (409, "PAST_DUE")
        assert "“Payment due” now. Nothing was changed." in words(refused)

    def test_is_closed_by_itself_a_day_after_the_last_thing_ended(self, office: Office) -> None:
        office.place()
        self.begin(office)
        begun = clock.utc_now()

        closing.close_due(now=begun + timedelta(hours=settings.CLOSING_HOURS, minutes=1))
        assert state(office) == "CLOSING"  # An order may still be paid.
        from tenant_apps.orders import services as orders

        orders.expire_due(now=begun + timedelta(hours=1))
        closing.close_due(now=begun + timedelta(hours=1))
        assert state(office) == "CLOSING"  # It can still be called off.
        closing.close_due(now=begun + timedelta(hours=settings.CLOSING_HOURS, minutes=1))

        assert state(office) == "CLOSED"

    def test_a_closed_shop_s_panel_is_read_and_exported_from_and_changes_nothing(self, office: Office) -> None:
        paid = office.place()
        office.pay(paid)
        self.begin(office)
        assert office.owner.post("/panel/closing/finish/").status_code == 302
        before = office.counts()

        for path in (
            "",
            "orders/",
            f"orders/{paid.number}/",
            "statement/",
            "settings/",
            "domains/",
            "closing/",
            "archives/",
        ):
            assert office.owner.get(f"/panel/{path}").status_code == 200, path
        refused = office.owner.post("/panel/settings/", {"name": "Another"})
        assert refused.status_code == 403
        assert "closed for good" in words(refused)
        assert office.owner.post("/panel/staff/", {"email": "x@example.com", "role": "MANAGER"}).status_code == 403
        assert office.counts() == before
        assert office.owner.post("/panel/archives/make/", {}).status_code == 302
        front = office.browser().get("/")
        assert (front.status_code, "has closed for good" in words(front)) == (503, True)
        assert office.browser().get(f"/o/{paid.number}/{paid.token}/").status_code == 200

    def test_it_offers_no_deed_that_it_would_refuse(self, office: Office) -> None:
        buttons = {"settings/": "Save the settings", "domains/": "Add the domain"}
        before = {path: label in words(office.owner.get(f"/panel/{path}")) for path, label in buttons.items()}
        self.begin(office)
        office.owner.post("/panel/closing/finish/")

        after = {path: label in words(office.owner.get(f"/panel/{path}")) for path, label in buttons.items()}

        assert set(before.values()) == {True}
        assert set(after.values()) == {False}

    def test_its_programs_read_and_change_nothing(self, office: Office) -> None:
        with in_substation(office.shop):
            owner = User.objects.get(pk=office.users["OWNER"])
            _token, secret = tokens.create(
                user=owner, name="Robot", scopes=["listings:read", "listings:write"], by=SYSTEM, now=clock.utc_now()
            )
        self.begin(office)
        office.owner.post("/panel/closing/finish/")
        with_token: Any = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
        before, browser = office.counts(), office.browser()

        read = browser.get("/api/v1/panel/listings/", **with_token)
        refused = browser.patch(
            f"/api/v1/panel/listings/{office.goods.code}/",
            {"on_shelf": False},
            content_type="application/json",
            **with_token,
        )

        assert (read.status_code, refused.status_code) == (200, 403)
        assert "closed for good" in refused.json()["error"]["message"]
        assert office.counts() == before

    def test_money_that_comes_after_the_end_becomes_a_case(self, office: Office) -> None:
        from shared_apps.receipts.models import PaymentCase
        from tenant_apps.orders import services as orders
        from tenant_apps.orders.models import Order
        from tenant_apps.payments import services as payments
        from tests.tenant_apps import market

        late = office.place()
        with in_substation(office.shop):
            payment = market.announce(late, office.account, now=clock.utc_now())
        orders.expire_due(now=clock.utc_now() + timedelta(hours=1))
        self.begin(office)
        assert office.owner.post("/panel/closing/finish/").status_code == 302

        fact = market.pay_fact(office.account, payment, late.total_minor, occurred_at=clock.utc_now())
        assert payments.take_fact(fact=fact, now=clock.utc_now()) == "CASE"

        assert office.read(Order, number=late.number).state == "EXPIRED"
        with in_main():
            case = PaymentCase.objects.get(substation_id=office.shop.pk)
        assert (case.kind, case.amount_minor) == ("LATE", late.total_minor)

    def test_what_is_owed_is_shown_and_stays(self, office: Office) -> None:
        from shared_apps.ledger import selectors as ledger
        from tenant_apps.finance import sync

        office.pay(office.place())
        sync.sync_statement(office.shop)
        self.begin(office)
        office.owner.post("/panel/closing/finish/")

        assert "¥1.80" in words(office.owner.get("/panel/closing/"))
        with in_main():
            assert ledger.balance_minor(f"substation:{office.shop.pk}:pending") == 180


def test_the_owner_alone(office: Office) -> None:
    for path in ("domains/", "archives/", "closing/"):
        assert office.owner.get(f"/panel/{path}").status_code == 200
        assert office.staff.get(f"/panel/{path}").status_code == 403
        assert office.viewer.get(f"/panel/{path}").status_code == 403
    for path in ("archives/make/", "closing/begin/", "closing/keep/", "closing/finish/", "domains/first/"):
        assert office.staff.post(f"/panel/{path}").status_code == 403
