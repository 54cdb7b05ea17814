"""Regions over the API: the tree, giving and ending a city, who asked about one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.regions import selectors, services
from shared_apps.regions.models import Region, RegionGrant
from tests.api.conftest import Api


def free_city() -> str:
    """The code of a city of China that nobody holds or will hold."""
    with in_main():
        taken = RegionGrant.objects.values("region_id")
        row = Region.objects.filter(level="CITY", holdable=True).exclude(pk__in=taken).order_by("-code").first()
        assert row is not None
        return row.code


def a_grant(city: str, shop: str, **changes: Any) -> dict[str, Any]:
    now = clock.utc_now()
    ends = (now + timedelta(days=365)).isoformat()
    return {"region": city, "substation": shop, "starts_at": now.isoformat(), "ends_at": ends, **changes}


def codes(api: Api, query: str) -> list[str]:
    return [row["code"] for row in api.get(f"regions/?{query}").body["results"]]


class TestTree:
    def test_china_is_walked_from_its_root(self, operator: Api) -> None:
        assert len(codes(operator, "parent=CN&limit=100")) == 34
        assert len(codes(operator, "parent=440000&limit=100")) == 21
        assert len(codes(operator, "parent=440300&limit=100")) == 9

    def test_finds_by_name_pinyin_and_code(self, operator: Api) -> None:
        for query in ("q=深圳&level=CITY", "q=shenzhen&level=CITY", "q=440300"):
            assert codes(operator, query) == ["440300"], query

    def test_says_who_holds_a_city_until_when(self, operator: Api, shop: Any) -> None:
        city = free_city()
        free = operator.get(f"regions/?q={city}&held=false").body["results"][0]
        made = operator.post("regions/grants/", a_grant(city, shop.slug)).body

        held = operator.get(f"regions/?q={city}&held=true").body["results"][0]

        assert (free["held_by"], free["held_until"]) == (None, None)
        assert held["held_by"] == shop.public_id
        assert held["held_until"][:19] == made["ends_at"][:19]
        assert operator.get(f"regions/?q={city}&held=false").body["results"] == []


class TestGrants:
    def test_a_city_is_given_and_ended(self, operator: Api, shop: Any) -> None:
        city = free_city()

        made = operator.post("regions/grants/", a_grant(city, shop.slug, answer_days=7, note="first"))

        assert made.status == 201
        assert {name: made.body[name] for name in ("region", "substation", "answer_days", "note", "ended_at")} == {
            "region": city, "substation": shop.public_id, "answer_days": 7, "note": "first", "ended_at": None,
        }  # fmt: skip
        ended = operator.post(f"regions/grants/{made.body['id']}/end/")
        assert ended.status == 200
        assert ended.body["ended_at"] == ended.body["ends_at"]
        assert operator.post(f"regions/grants/{made.body['id']}/end/").error["code"] == "region_grant_over"
        assert [row["id"] for row in operator.get(f"regions/grants/?region={city}&when=over").body["results"]] == [
            made.body["id"]
        ]

    def test_what_somebody_holds_is_refused_and_says_who(self, operator: Api, shop: Any, other_shop: Any) -> None:
        city = free_city()
        made = operator.post("regions/grants/", a_grant(city, shop.slug)).body

        refused = operator.post("regions/grants/", a_grant(city, other_shop.slug))

        assert (refused.status, refused.error["code"], refused.error["field"]) == (409, "region_held", "region")
        assert refused.error["details"]["grant"] == made["id"]
        assert refused.error["details"]["substation"] == shop.public_id
        with in_main():
            assert RegionGrant.objects.filter(region__code=city).count() == 1

    def test_names_the_field_that_is_wrong(self, operator: Api, shop: Any) -> None:
        for changes, status, code in (
            ({"region": "440000"}, 422, "region_not_holdable"), ({"region": "999999"}, 404, "region_unknown"),
            ({"substation": "nobody"}, 404, "substation_unknown"), ({"ends_at": "2020-01-01T00:00:00Z"}, 422, "region_grant_invalid"),
        ):  # fmt: skip
            refused = operator.post("regions/grants/", {**a_grant(free_city(), shop.slug), **changes})
            assert (refused.status, refused.error["code"]) == (status, code), changes


class TestLeads:
    def test_are_listed_with_their_contact(self, operator: Api) -> None:
        city, now = free_city(), clock.utc_now()
        with in_main():
            made = services.ask(
                name="Lin", phone="138 0000 0000", email="", message="Hello", region=city, language="en", now=now
            )

        [found] = operator.get(f"regions/leads/?region={city[:2]}0000&state=OPEN&q={made.public_id}").body["results"]

        assert {**found, "created_at": ""} == {
            "id": made.public_id, "kind": "ASKED", "state": "OPEN", "region": city, "name": "Lin",
            "phone": "138 0000 0000", "email": "", "message": "Hello", "substation": None, "offered_to": None,
            "lapses_at": None, "answered_at": None, "created_at": "",
        }  # fmt: skip
        with in_main():
            assert selectors.lead(made.public_id).state == "OPEN"
