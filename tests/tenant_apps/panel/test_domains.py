"""A shop's own domains, as its owner goes about them."""

from __future__ import annotations

from typing import Any

import pytest

from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock
from tenants import dns, hosts
from tenants.models import Domain, DomainClaim, Substation
from tests.shared_apps.billing.stage import make_plan
from tests.tenant_apps.panel.office import Office
from tests.tenant_apps.storefront.conftest import words

pytestmark = pytest.mark.usefixtures("no_jobs")


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

    def test_a_plan_without_them_is_said_before_anything_is_typed(self, office: Office) -> None:
        now = clock.utc_now()
        with in_main():
            plan = make_plan(own_domain_allowed=False)
            Substation.objects.filter(pk=office.shop.pk).update(plan=plan)
            claim = DomainClaim.objects.create(
                substation_id=office.shop.pk, domain=f"{office.shop.slug}.net", token="t", state="VERIFIED",
                created_at=now, checked_at=now,
            )  # fmt: skip

        page = office.owner.get("/panel/domains/")

        assert (
            "The shop’s plan has no domain of its own None can be added. Those that are connected are taken off"
            in words(page)
        )
        assert 'href="/panel/billing/plans/"' in page.content.decode()
        assert "Add a domain" not in words(page) and 'name="domain"' not in page.content.decode()
        assert f"{office.shop.slug}.net" in words(page)
        refused = office.owner.post("/panel/domains/", {"domain": "cards.example.org"})
        assert refused.status_code == 422
        assert office.owner.post(f"/panel/domains/{claim.pk}/remove/").status_code == 302
        with in_main():
            assert not DomainClaim.objects.filter(substation_id=office.shop.pk).exists()

    def test_a_plan_with_them_has_the_form_and_no_warning(self, office: Office) -> None:
        shown = words(office.owner.get("/panel/domains/"))

        assert "Add a domain" in shown
        assert "plan has no domain" not in shown

    def test_one_that_is_about_to_be_taken_off_for_the_plan_says_so(self, office: Office) -> None:
        now = clock.utc_now()
        with in_main():
            DomainClaim.objects.create(
                substation_id=office.shop.pk, domain=f"{office.shop.slug}.net", token="t", state="FAILING",
                problem="not_in_plan", created_at=now, checked_at=now, failing_since=now,
            )  # fmt: skip

        shown = words(office.owner.get("/panel/domains/"))

        assert "Connected, but not in the plan" in shown
        assert "The plan has no domain of its own If that is still so at" in shown
        assert "records are gone" not in shown

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
