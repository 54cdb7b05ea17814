"""The main site: a city at signup, and the form that leaves a contact."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.cache import cache
from django.test import Client

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock, pow
from kameng.lib.errors import Invalid
from shared_apps.regions import selectors, services
from shared_apps.regions.models import Lead
from tenants import admission, answers, signup
from tenants.models import Signup, Substation
from tests.tenant_apps.storefront.conftest import words
from tests.tenants.test_signup import PASSWORD, unused_slug


@pytest.fixture(autouse=True)
def _quiet(no_jobs: None) -> None:
    mail.outbox = []
    for key in ("lead:127.0.0.1", "signup:127.0.0.1"):
        cache.delete(key)


def browser() -> Client:
    return Client(HTTP_HOST="localhost", HTTP_ACCEPT_LANGUAGE="en")


def leave(client: Client, **said: str) -> Any:
    """Send the form with a proof of its own."""
    page = client.get("/your-city/").content.decode()
    found = re.search(r'name="pow_challenge" value="([^"]+)"', page)
    assert found is not None
    form = {
        "region": "Shenzhen, Guangdong",
        "name": "Lin Hua",
        "phone": "138 0000 0000",
        "email": "",
        "message": "Hello",
    }
    proof = {"pow_challenge": found[1], "pow_nonce": pow.solve(found[1])}
    return client.post("/your-city/", {**form, **proof, **said})


def lead_count() -> int:
    with in_main():
        return Lead.objects.count()


class TestTheForm:
    def test_leaves_a_contact_and_thanks(self) -> None:
        before = lead_count()

        answer = leave(browser(), message="Two\nlines")

        assert (answer.status_code, answer["Location"]) == (302, "/your-city/?sent=1")
        assert "Thank you, it has arrived" in words(browser().get("/your-city/?sent=1"))
        assert lead_count() == before + 1
        with in_main():
            row = Lead.objects.order_by("-pk")[0]
            assert (row.region.code, row.name, row.phone, row.message) == (
                "440300",
                "Lin Hua",
                "138 0000 0000",
                "Two\nlines",
            )
            assert row.language == "en"

    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ({"region": "Atlantis"}, "We don't know a city called “Atlantis”."),
            ({"region": "taizhou"}, "There are several: Taizhou, Jiangsu; Taizhou, Zhejiang. Choose one."),
            ({"region": ""}, "This field is required."), ({"phone": ""}, "Leave a phone number or a mail address"),
            ({"pow_nonce": "not a nonce"}, "check"), ({"email": "nobody"}, "Enter a valid email address."),
        ],
    )  # fmt: skip
    def test_a_refusal_keeps_what_was_typed(self, said: dict[str, str], told: str) -> None:
        before = lead_count()

        answer = leave(browser(), **said, name="Somebody <b>")

        assert answer.status_code == 422
        assert told in words(answer)
        assert b'value="Somebody &lt;b&gt;"' in answer.content
        assert lead_count() == before

    def test_a_proof_is_good_once_and_a_signup_s_is_none(self) -> None:
        client = browser()
        page = client.get("/your-city/").content.decode()
        challenge = re.search(r'name="pow_challenge" value="([^"]+)"', page)[1]  # type: ignore[index]
        proof = {"pow_challenge": challenge, "pow_nonce": pow.solve(challenge)}
        foreign = admission.challenge(now=clock.utc_now())
        before = lead_count()

        assert leave(client, **proof).status_code == 302
        assert leave(client, **proof).status_code == 422
        assert leave(client, pow_challenge=foreign, pow_nonce=pow.solve(foreign)).status_code == 422
        assert lead_count() == before + 1

    def test_six_an_hour_from_one_address(self) -> None:
        before = lead_count()
        statuses = [leave(browser()).status_code for _ in range(admission.QUESTIONS_PER_HOUR + 1)]

        assert statuses == [302] * 6 + [422]
        assert lead_count() == before + 6

    def test_looking_writes_nothing(self) -> None:
        before = lead_count()

        assert browser().get("/your-city/?city=Beijing").status_code == 200
        assert b'value="Beijing"' in browser().get("/your-city/?city=Beijing").content
        assert lead_count() == before


class TestFinding:
    def test_offers_cities_and_says_nothing_of_who_holds_them(self, alice: Any, city: Callable[[], str]) -> None:
        code, now = city(), clock.utc_now()
        with in_main():
            services.make_grant(
                region_code=code, substation_id=alice.pk, starts_at=now, ends_at=now + timedelta(days=1), by=SYSTEM, now=now
            )  # fmt: skip
            label = selectors.region(code).label

        assert browser().get("/cities/", {"q": code}).json() == {"found": [{"value": label, "note": code}]}
        assert browser().get("/cities/").json() == {"found": []}

    def test_takes_any_nonsense(self) -> None:
        for typed in ("%", "_", "'; DROP TABLE", "\x00", "a" * 5000, "，"):
            assert browser().get("/cities/", {"q": typed}).json()["found"] in ([],), typed


class TestSignup:
    def begin(self, **changes: str) -> signup.Started:
        return signup.begin(
            **{"name": "Night Market", "slug": unused_slug(), "plan_code": "basic", "email": "nina@example.com",
               "password": PASSWORD, **changes}
        )  # fmt: skip

    def finish(self, started: signup.Started) -> Substation:
        code = re.search(r"\b(\d{6})\b", mail.outbox[-1].subject)
        assert code is not None
        signup.verify(started.signup, code[1])
        jobs.run_all_due()
        jobs.run_all_due()
        with in_main():
            made = Signup.objects.select_related("substation").get(pk=started.signup.pk)
            assert made.state == "LIVE"
            assert made.substation is not None
            return made.substation

    def test_a_shop_of_a_held_city_is_offered_to_its_holder(self, alice: Any, city: Callable[[], str]) -> None:
        code, now = city(), clock.utc_now()
        with in_main():
            services.make_grant(
                region_code=code, substation_id=alice.pk, starts_at=now, ends_at=now + timedelta(days=1), by=SYSTEM, now=now
            )  # fmt: skip
            label = selectors.region(code).label

        shop = self.finish(self.begin(region=label))

        assert shop.region == code
        with in_main():
            row = Lead.objects.select_related("grant").get(substation=shop)
            assert row.grant is not None
            assert (row.kind, row.state, row.grant.substation_id) == ("SHOP", "OFFERED", alice.pk)
        assert [alice.owner_email] in [message.to for message in mail.outbox]

    def test_without_a_city_nothing_is_different(self) -> None:
        shop = self.finish(self.begin())

        assert shop.region == ""
        with in_main():
            assert Lead.objects.filter(substation=shop).count() == 0

    def test_the_signup_is_live_whatever_becomes_of_the_offer(
        self, city: Callable[[], str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(**_: object) -> None:
            raise RuntimeError("nobody answers")

        monkeypatch.setattr(services, "offer_shop", broken)

        shop = self.finish(self.begin(region=city()))

        assert shop.state == "ACTIVE"

    def test_a_city_that_there_is_not_is_named_with_its_field_and_nothing_begins(self) -> None:
        with in_main():
            before = Signup.objects.count()

        with pytest.raises(Invalid) as refused:
            self.begin(region="Atlantis")

        assert refused.value.field == "region"
        assert answers.problems(
            name="ok", slug=unused_slug(), email="a@b.cn", password=PASSWORD, region="Atlantis"
        ).keys() == {"region"}
        with in_main():
            assert Signup.objects.count() == before

    def test_the_form_offers_the_browser_s_own_list_without_script(self) -> None:
        page = browser().get("/signup/").content.decode()

        assert 'list="cities"' in page
        assert page.count("<option value=") >= 372
        assert '<option value="Shenzhen, Guangdong">' in page
