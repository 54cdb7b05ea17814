"""Domains, archives and the end of a shop, as its owner goes about them."""

from __future__ import annotations

import io
import re
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core import mail

from kameng.accounts import catalogue
from kameng.accounts.models import StaffRole, User
from kameng.db.context import in_main, in_substation
from kameng.jobs import services as jobs
from kameng.lib import clock
from tenant_apps.orders.services import ShopClosed
from tenants import closing, dns, hosts
from tenants.archive import exports
from tenants.models import Domain, DomainClaim, ShopExport, Substation
from tests.kameng.accounts.test_second_factor import with_app
from tests.tenant_apps.panel.office import Office
from tests.tenant_apps.storefront.conftest import words


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch, no_jobs: None) -> None:
    monkeypatch.setattr(jobs, "_wake", lambda job_id: None)


def state(office: Office) -> str:
    with in_main():
        return str(Substation.objects.get(pk=office.shop.pk).state)


class TestArchives:
    def test_everything_is_made_in_the_background_and_fetched_by_a_link(self, office: Office) -> None:
        owner = office.owner

        asked = owner.post("/panel/archives/make/", {"deed": "plain"})
        waiting = words(owner.get("/panel/archives/"))
        watched = [owner.get("/panel/archives/", headers={"HX-Request": "true", "HX-Target": "archives"})]
        jobs.run_all_due()
        watched.append(owner.get("/panel/archives/", headers={"HX-Request": "true", "HX-Target": "archives"}))
        page = owner.get("/panel/archives/")

        assert asked.status_code == 302
        assert "Waiting for a worker" in waiting
        assert "Ready" in words(page)
        assert ["HX-Refresh" in one for one in watched] == [False, True]  # Its buttons come back when it is ready.
        link = re.search(r'href="(/panel/archives/fetch/[^"]+)"', page.content.decode())
        assert link is not None
        fetched = owner.get(link[1])
        assert fetched["Content-Disposition"].startswith(f'attachment; filename="{office.shop.slug}-')
        assert "no-store" in fetched["Cache-Control"] and "private" in fetched["Cache-Control"]
        content = b"".join(fetched.streaming_content)
        fetched.close()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert "tables/orders_order.csv" in archive.namelist()
            assert "codes.csv" not in archive.namelist()
        with in_main():
            export = ShopExport.objects.get(substation_id=office.shop.pk)
        assert (export.state, export.size_bytes, export.parts_done) == ("DONE", len(content), export.parts_total)

    def test_the_link_is_good_on_this_host_for_a_day_and_for_the_owner(
        self, office: Office, make_office: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        office.owner.post("/panel/archives/make/", {})
        jobs.run_all_due()
        with in_main():
            export = ShopExport.objects.select_related("substation").get(substation_id=office.shop.pk)
        host = f"{office.shop.slug}.localhost"
        path = f"/panel/archives/fetch/{exports.make_link(export, host)}/"
        other = make_office()

        got = office.owner.get(path)
        got.close()
        assert got.status_code == 200
        assert office.browser().get(path).status_code == 302  # To the log-in.
        assert office.staff.get(path).status_code == 403
        assert other.owner.get(path).status_code == 403
        foreign = f"/panel/archives/fetch/{exports.make_link(export, f'{other.shop.slug}.localhost')}/"
        assert other.owner.get(foreign).status_code == 403
        monkeypatch.setattr(exports, "LINK_LIFE_S", -1)
        assert office.owner.get(path).status_code == 403

    def test_two_clicks_make_one(self, office: Office) -> None:
        first = office.owner.post("/panel/archives/make/", {})
        second = office.owner.post("/panel/archives/make/", {})

        assert (first.status_code, second.status_code) == (302, 409)
        with in_main():
            assert ShopExport.objects.filter(substation_id=office.shop.pk).count() == 1

    def test_it_is_taken_away_after_a_week(self, office: Office) -> None:
        office.owner.post("/panel/archives/make/", {})
        jobs.run_all_due()
        with in_main():
            export = ShopExport.objects.select_related("substation").get(substation_id=office.shop.pk)
        path = exports.path_of(export)
        assert path.is_file()

        exports.sweep(now=clock.utc_now() + timedelta(days=8))

        assert not path.exists()
        link = exports.make_link(export, f"{office.shop.slug}.localhost")
        assert office.owner.get(f"/panel/archives/fetch/{link}/").status_code == 404

    def test_three_are_kept_and_the_oldest_goes(self, office: Office) -> None:
        for _time in range(4):
            office.owner.post("/panel/archives/make/", {})
            jobs.run_all_due()

        with in_main():
            made = list(ShopExport.objects.filter(substation_id=office.shop.pk).order_by("id"))
        assert [export.state for export in made] == ["EXPIRED", "DONE", "DONE", "DONE"]
        assert [exports.path_of(export).is_file() for export in made] == [False, True, True, True]

    @pytest.mark.unproved
    def test_codes_want_a_second_factor_to_be_asked_for_and_to_be_fetched(self, office: Office) -> None:
        office.pay(office.place())
        totp, owner = with_app(office), office.owner

        asked = owner.post("/panel/archives/make/", {"deed": "codes"})
        wrong = owner.post("/panel/archives/make/", {"deed": "codes", "step_up": "code", "step_up_code": "1"})

        assert (asked.status_code, wrong.status_code) == (403, 422)
        assert 'name="deed" value="codes"' in asked.content.decode()
        with in_main():
            assert ShopExport.objects.filter(substation_id=office.shop.pk).count() == 0

        right = owner.post("/panel/archives/make/", {"deed": "codes", "step_up": "code", "step_up_code": totp.now()})
        made = owner.post("/panel/archives/make/", {"deed": "codes"})
        jobs.run_all_due()

        assert (right.status_code, made.status_code) == (307, 302)
        with in_main():
            export = ShopExport.objects.select_related("substation").get(substation_id=office.shop.pk)
        with zipfile.ZipFile(exports.path_of(export)) as archive:
            assert office.goods.texts[0] in archive.read("codes.csv").decode("utf-8-sig")
        path = f"/panel/archives/fetch/{exports.make_link(export, f'{office.shop.slug}.localhost')}/"
        another = office.owner  # Another browser of the same person, which has proved nothing.
        refused, fetched, back = another.get(path), owner.get(path), owner.post(path)
        fetched.close()
        assert (refused.status_code, fetched.status_code, back.status_code) == (403, 200, 302)
        assert refused["Content-Type"].startswith("text/html") and fetched["Content-Type"] == "application/zip"

    @pytest.mark.unproved
    def test_one_without_codes_asks_for_nothing(self, office: Office) -> None:
        assert office.owner.post("/panel/archives/make/", {"deed": "plain"}).status_code == 302

    def test_whoever_may_make_one_and_not_see_codes_gets_none_with_codes(self, office: Office) -> None:
        with in_substation(office.shop):
            role = StaffRole.objects.create(name="Keeper", permissions=[catalogue.ARCHIVE_MAKE])
            User.objects.filter(pk=office.users["VIEWER"]).update(own_role=role)
        keeper = office.browser("VIEWER")

        codes = keeper.post("/panel/archives/make/", {"deed": "codes"})
        plain = keeper.post("/panel/archives/make/", {"deed": "plain"})

        assert (codes.status_code, plain.status_code) == (403, 302)
        with in_main():
            assert [one.with_codes for one in ShopExport.objects.filter(substation_id=office.shop.pk)] == [False]


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


class TestDomains:
    def test_shows_the_records_and_connects_when_they_stand(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owner = office.owner
        name = f"shop.{office.shop.slug}-cards.com"
        answers = dns.Answers()
        monkeypatch.setattr(dns, "look_up", lambda domain, challenge: answers)

        added = owner.post("/panel/domains/", {"domain": f"https://{name.upper()}/"})
        page = owner.get("/panel/domains/")
        with in_main():
            claim = DomainClaim.objects.get(substation_id=office.shop.pk)

        assert added.status_code == 302
        shown = words(page)
        assert f"_kameng-challenge.{name}" in shown and claim.token in shown and office.shop.host in shown
        assert "Being checked" in shown
        jobs.run_all_due()
        assert "The TXT record is not there yet." in words(owner.get("/panel/domains/"))

        answers = dns.Answers((claim.token,), (office.shop.host,), ())
        owner.post(f"/panel/domains/{claim.pk}/check/")
        jobs.run_all_due()

        connected = owner.get("/panel/domains/")
        assert "Connected" in words(connected)
        assert "Being checked" not in words(connected)
        assert b'hx-trigger="every 2s"' not in connected.content
        from django.test import Client

        assert Client(HTTP_HOST=name).get("/").status_code == 200

    def test_the_first_address_and_whether_the_others_lead_there(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from django.test import Client

        name = f"{office.shop.slug}.net"
        with in_main():
            now = clock.utc_now()
            claim = DomainClaim.objects.create(
                substation_id=office.shop.pk, domain=name, token="t", state="VERIFIED", created_at=now, checked_at=now
            )
            Domain.objects.create(domain=name, tenant_id=office.shop.pk, is_primary=False, verified_at=now)
        hosts.forget(office.shop)

        office.owner.post("/panel/domains/first/", {"claim": str(claim.pk), "sends_on": "1"})
        here = Client(HTTP_HOST=office.shop.host)
        got, sent = here.get("/p/card/?a=1&b=%E5%8D%A1"), here.post("/find/", {})

        assert (got.status_code, got["Location"]) == (301, f"http://{name}:8000/p/card/?a=1&b=%E5%8D%A1")
        assert (sent.status_code, sent["Location"]) == (308, f"http://{name}:8000/find/")
        assert here.get("/panel/").status_code == 302 and "/login/" in here.get("/panel/")["Location"]
        assert here.get("/healthz").status_code == 200
        assert Client(HTTP_HOST=name).get("/").status_code == 200

        office.owner.post(f"/panel/domains/{claim.pk}/remove/")
        assert here.get("/").status_code == 200
        assert Client(HTTP_HOST=name).get("/").status_code == 404

    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            ("*.example.com", "A wildcard can't be connected"),
            ("203.0.113.7", "This is an IP address"),
            ("other.localhost", "belongs to the platform"),
            ("com.cn", "nobody's own"),
            ("", "Write the domain that you own."),
        ],
    )
    def test_what_can_t_be_one_is_said_at_the_field_and_kept(self, office: Office, typed: str, said: str) -> None:
        answer = office.owner.post("/panel/domains/", {"domain": typed})

        assert answer.status_code == 422
        assert said in words(answer)
        assert f'value="{typed}"'.encode() in answer.content or not typed
        with in_main():
            assert DomainClaim.objects.filter(substation_id=office.shop.pk).count() == 0

    def test_another_shop_s_claim_is_nothing_here(self, office: Office, make_office: Any) -> None:
        other = make_office()
        with in_main():
            claim = DomainClaim.objects.create(
                substation_id=other.shop.pk, domain="theirs.example.org", token="t", created_at=clock.utc_now()
            )

        for path, data in (("check", {}), ("remove", {})):
            assert office.owner.post(f"/panel/domains/{claim.pk}/{path}/", data).status_code == 404
        assert office.owner.post("/panel/domains/first/", {"claim": str(claim.pk)}).status_code == 404
        with in_main():
            assert DomainClaim.objects.filter(pk=claim.pk).count() == 1


def test_the_owner_alone(office: Office) -> None:
    for path in ("domains/", "archives/", "closing/"):
        assert office.owner.get(f"/panel/{path}").status_code == 200
        assert office.staff.get(f"/panel/{path}").status_code == 403
        assert office.viewer.get(f"/panel/{path}").status_code == 403
    for path in ("archives/make/", "closing/begin/", "closing/keep/", "closing/finish/", "domains/first/"):
        assert office.staff.post(f"/panel/{path}").status_code == 403
