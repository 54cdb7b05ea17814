"""The holder's side: what the shop holds, who waits, the contact only of what was taken."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.regions import selectors, services
from shared_apps.regions.models import Lead
from tests.api.test_regions import free_city
from tests.tenant_apps.panel.office import Office
from tests.tenant_apps.storefront.conftest import words


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr("kameng.jobs.services._wake", lambda job_id: None)
    return


def hold(office: Office) -> str:
    city, now = free_city(), clock.utc_now()
    with in_main():
        services.make_grant(
            region_code=city, substation_id=office.shop.pk, starts_at=now, ends_at=now + timedelta(days=30), by=SYSTEM,
            now=now,
        )  # fmt: skip
    return city


def ask(city: str) -> Lead:
    with in_main():
        return services.ask(
            name="Lin Hua", phone="138 0000 4321", email="lin@example.com", message="How do I begin?", region=city,
            language="en", now=clock.utc_now(),
        )  # fmt: skip


def state(row: Lead) -> str:
    with in_main():
        return selectors.lead(row.public_id).state


class TestLooking:
    def test_a_shop_that_holds_nothing_is_told_what_it_is(self, office: Office) -> None:
        page = words(office.owner.get("/panel/region/"))

        assert "Your shop holds no city yet" in page
        assert "What you hold" not in page

    def test_says_what_is_held_and_counts_who_waits(self, office: Office) -> None:
        city = hold(office)
        ask(city), ask(city)
        with in_main():
            label = selectors.region(city).label

        response = office.owner.get("/panel/region/")

        page = words(response)
        assert label in page
        assert page.count("Somebody asks about a shop") == 2
        [badge] = [
            item["badge"]
            for group in response.context["nav"]
            for item in group["items"]
            if item["url"] == "/panel/region/"
        ]
        assert badge == "2"

    def test_the_contact_is_not_in_the_page_before_it_is_taken(self, office: Office) -> None:
        ask(hold(office))

        page = office.owner.get("/panel/region/").content.decode()

        for secret in ("Lin Hua", "138 0000 4321", "lin@example.com", "How do I begin?"):
            assert secret not in page

    @pytest.mark.parametrize("role", ["STAFF", "VIEWER"])
    def test_is_the_owner_s_alone(self, office: Office, role: str) -> None:
        row = ask(hold(office))

        assert office.browser(role).get("/panel/region/").status_code == 403
        for deed in ("take", "decline"):
            assert office.browser(role).post(f"/panel/region/offers/{row.public_id}/{deed}/").status_code == 403
        assert state(row) == "OFFERED"


class TestAnswering:
    def test_who_takes_it_sees_the_contact(self, office: Office) -> None:
        row = ask(hold(office))

        answer = office.owner.post(f"/panel/region/offers/{row.public_id}/take/", follow=True)

        page = words(answer)
        assert state(row) == "TAKEN"
        for shown in ("Lin Hua", "138 0000 4321", "lin@example.com", "How do I begin?", "Nobody waits"):
            assert shown in page
        assert office.acts()[-1] == "panel.offer.taken"

    def test_who_declines_it_never_does(self, office: Office) -> None:
        row = ask(hold(office))

        page = words(office.owner.post(f"/panel/region/offers/{row.public_id}/decline/", follow=True))

        assert state(row) == "DECLINED"
        assert "Lin Hua" not in page
        assert "138 0000 4321" not in page
        assert office.acts()[-1] == "panel.offer.declined"

    def test_what_was_answered_before_says_so_and_is_not_written_down_again(self, office: Office) -> None:
        row = ask(hold(office))
        office.owner.post(f"/panel/region/offers/{row.public_id}/decline/")
        acts = office.acts()

        page = words(office.owner.post(f"/panel/region/offers/{row.public_id}/take/", follow=True))

        assert "It is “Declined” now. Nothing was changed." in page
        assert (state(row), office.acts()) == ("DECLINED", acts)

    def test_another_shop_s_offer_is_not_there(self, office: Office, make_office: Any) -> None:
        row, other = ask(hold(office)), make_office(codes=0)

        for deed in ("take", "decline"):
            assert other.owner.post(f"/panel/region/offers/{row.public_id}/{deed}/").status_code == 404
        assert state(row) == "OFFERED"
        assert "Somebody asks" not in words(other.owner.get("/panel/region/"))
