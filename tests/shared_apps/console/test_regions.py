"""Regions in the console: the map, a province, giving and ending a city, leads."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.console.tiles import TILES
from shared_apps.regions import selectors, services
from shared_apps.regions.models import Lead, RegionGrant
from tests.api.test_regions import free_city
from tests.shared_apps.console.conftest import csv_rows
from tests.shared_apps.console.test_access import url
from tests.shared_apps.console.test_tenants import trail
from tests.tenant_apps.storefront.conftest import words


def form(shop: Any, **changes: str) -> dict[str, str]:
    today = timezone.localtime(clock.utc_now()).date()
    given = {"substation": shop.slug, "starts": f"{today}", "ends": f"{today + timedelta(days=9)}", "answer_days": "2"}
    return {**given, "note": "first", **changes}


def give(operator: Client, shop: Any, city: str) -> RegionGrant:
    assert operator.post(url("region_grant", city), form(shop)).status_code == 302
    with in_main():
        return selectors.grants(substation_id=shop.pk).get(region__code=city)


def asked(city: str, **said: str) -> Lead:
    given = {"name": "Lin Hua", "phone": "138 0000 0000", "email": "", "message": "Hello", "language": "en"}
    with in_main():
        return services.ask(**{**given, **said}, region=city, now=clock.utc_now())


def fresh(row: Lead) -> Lead:
    with in_main():
        return selectors.lead(row.public_id)


class TestTheMap:
    def test_has_a_tile_for_each_province_in_a_place_of_its_own(self, db: None) -> None:
        provinces = {share.region.code[:2] for share in selectors.provinces(clock.utc_now())}

        assert set(TILES) == provinces
        assert len({(column, row) for _zh, _en, column, row in TILES.values()}) == 34
        assert {column for _zh, _en, column, _row in TILES.values()} == set(range(1, 9))

    def test_says_in_words_and_shade_how_much_is_held(self, operator: Client, fresh_shop: Any) -> None:
        with in_main():
            before = {share.region.code: share for share in selectors.provinces(clock.utc_now())}["820000"]
        assert before.held == 0, "Macau is no other test's."
        grant = give(operator, fresh_shop, "820000")

        page = operator.get(url("regions")).content.decode()

        tile = re.search(r'<a class="k-tile" data-share="(\d)" href="/console/regions/at/820000/".*?</a>', page)
        assert tile is not None
        assert tile[1] == "5"
        assert "1 of 1 held" in tile[0]
        assert "style=" not in page[page.index("k-map") : page.index("k-map-scale")]
        with in_main():
            services.end_grant(public_id=grant.public_id, by=_system(), now=clock.utc_now())

    def test_a_province_lists_its_cities_free_or_held(self, operator: Client, fresh_shop: Any) -> None:
        city = free_city()
        give(operator, fresh_shop, city)
        with in_main():
            place = selectors.region(city)
        province = f"{city[:2]}0000"

        held = words(operator.get(url("region", province), {"state": "HELD"}))
        free = words(operator.get(url("region", province), {"state": "FREE"}))

        assert f"{place.name} " in held
        assert fresh_shop.name in held
        assert fresh_shop.name not in free

    @pytest.mark.parametrize(
        ("typed", "found"), [("深圳", "440300"), ("shenzhen", "440300"), ("440300", "440300"), ("Berlin", "DE-BE")]
    )
    def test_finds_by_name_pinyin_or_code(self, operator: Client, typed: str, found: str) -> None:
        assert f"/console/regions/at/{found}/" in operator.get(url("regions"), {"q": typed}).content.decode()

    def test_reaches_every_place_elsewhere(self, operator: Client) -> None:
        assert "/console/regions/at/DE/" in operator.get(url("regions_elsewhere"), {"q": "德国"}).content.decode()
        assert "/console/regions/at/DE-BE/" in operator.get(url("region", "DE")).content.decode()
        assert "/console/regions/at/FR-75C/" in operator.get(url("region", "FR-IDF")).content.decode()


def _system() -> Any:
    from kameng.accounts.types import SYSTEM

    return SYSTEM


class TestGiving:
    def test_whole_days_of_the_reader_s_zone_first_and_last_among_them(self, operator: Client, fresh_shop: Any) -> None:
        city = free_city()

        made = give(operator, fresh_shop, city)

        starts, ends = timezone.localtime(made.starts_at), timezone.localtime(made.ends_at)
        assert (starts.hour, starts.minute, ends.hour, ends - starts) == (0, 0, 0, timedelta(days=10))
        assert (made.note, made.answer_days, made.granted_by) == ("first", 2, "Operator")
        assert trail(made.public_id) == ["regions.grant.made"]
        assert fresh_shop.name in words(operator.get(url("region", city)))

    def test_the_shop_s_own_page_says_where_it_is_and_what_it_holds(self, operator: Client, fresh_shop: Any) -> None:
        from tenants.models import Substation

        city = free_city()
        give(operator, fresh_shop, city)
        with in_main():
            Substation.objects.filter(pk=fresh_shop.pk).update(region="440300")
            label = selectors.region(city).label

        page = words(operator.get(url("substation", fresh_shop.public_id)))

        assert "Shenzhen, Guangdong" in page
        assert label in page

    def test_a_refusal_keeps_what_was_typed_and_says_who_holds_it(
        self, operator: Client, fresh_shop: Any, alice: Any
    ) -> None:
        city = free_city()
        give(operator, fresh_shop, city)

        answer = operator.post(url("region_grant", city), form(alice, note="typed before"))

        assert answer.status_code == 422
        assert f"is held by {fresh_shop.name} from" in words(answer)
        assert b'value="typed before"' in answer.content
        assert b"data-open-now" in answer.content
        with in_main():
            assert RegionGrant.objects.filter(region__code=city).count() == 1

    @pytest.mark.parametrize(
        ("changes", "said"),
        [
            ({"substation": "no-such-shop"}, "There is no such substation."),
            ({"ends": "2020-01-01"}, "It has to end after it begins."),
            ({"starts": "2020-01-01", "ends": "2020-01-02"}, "That is over already."),
            ({"starts": "2026-12-01", "ends": "9999-12-31"}, "Ten years at most"),
            ({"starts": ""}, "This field is required."), ({"answer_days": "99"}, "less than or equal to 30"),
        ],
    )  # fmt: skip
    def test_names_the_field_that_is_wrong(
        self, operator: Client, fresh_shop: Any, changes: dict[str, str], said: str
    ) -> None:
        city = free_city()

        answer = operator.post(url("region_grant", city), form(fresh_shop, **changes))

        assert answer.status_code == 422
        assert said in words(answer)
        with in_main():
            assert RegionGrant.objects.filter(region__code=city).count() == 0

    def test_suggests_shops_that_may_hold_something(self, operator: Client, fresh_shop: Any) -> None:
        found = operator.get(url("region_shops"), {"q": fresh_shop.slug}).json()["found"]
        assert found == [{"value": fresh_shop.slug, "note": fresh_shop.name}]

    def test_an_end_is_now_and_once(self, operator: Client, fresh_shop: Any) -> None:
        city = free_city()
        made = give(operator, fresh_shop, city)

        first = operator.post(url("grant_end", made.public_id))
        second = operator.post(url("grant_end", made.public_id))

        assert (first.status_code, second.status_code) == (302, 409)
        assert "Nobody holds it now" in words(operator.get(url("region", city)))
        assert trail(made.public_id) == ["regions.grant.made", "regions.grant.ended"]


class TestLeads:
    def test_what_waits_is_done_or_offered_to_the_present_holder(self, operator: Client, fresh_shop: Any) -> None:
        city = free_city()
        first, second = asked(city), asked(city)
        page = words(operator.get(url("leads"), {"state": "WAITING", "q": first.public_id}))
        assert "Lin Hua" in page

        operator.post(url("lead_done", first.public_id))
        give(operator, fresh_shop, city)
        operator.post(url("lead_offer", second.public_id))

        assert (fresh(first).state, fresh(second).state) == ("HANDLED", "OFFERED")
        page = words(operator.get(url("lead", second.public_id)))
        assert "138 0000 0000" in page
        assert fresh_shop.name in page

    def test_a_deed_that_comes_too_late_says_so(self, operator: Client) -> None:
        row = asked(free_city())
        operator.post(url("lead_done", row.public_id))

        answer = operator.post(url("lead_done", row.public_id), follow=True)

        assert "It is “Done” now. Nothing was changed." in words(answer)

    def test_a_contact_is_removed_when_they_wish(self, operator: Client) -> None:
        row = asked(free_city())

        operator.post(url("lead_forget", row.public_id))

        assert fresh(row).phone == ""
        assert "138 0000 0000" not in words(operator.get(url("lead", row.public_id)))

    def test_the_list_goes_out_as_a_file(self, operator: Client) -> None:
        row = asked(free_city(), name="=1+1")

        rows = csv_rows(operator.get(url("leads"), {"q": row.public_id, "export": "csv"}))

        assert rows[0] == [
            "Id", "Kind", "State", "Region", "Name", "Phone", "Mail", "Message", "Shop", "Offered to", "Came", "Answered",
        ]  # fmt: skip
        assert rows[1][0] == row.public_id
        assert not rows[1][4].startswith("=")
        assert rows[1][5:8] == ["138 0000 0000", "", "Hello"]
