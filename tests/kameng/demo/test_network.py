"""The demonstration network's own arithmetic, and its library through the import that people use."""

from __future__ import annotations

import io
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from django.test import override_settings
from django.utils import timezone

from kameng.accounts.types import SYSTEM
from kameng.demo import catalogue, network
from shared_apps.library import services as library

NOW = datetime(2026, 11, 25, 21, 30, tzinfo=UTC)


class TestCodes:
    @pytest.mark.parametrize("skus", [6, 224, 500])
    def test_are_twenty_thousand_with_a_few_skus_low(self, skus: int) -> None:
        each = network.codes_each(skus, random.Random(7))

        assert (len(each), sum(each)) == (skus, 20_000)
        assert each.count(2) == (skus + 31) // 37
        assert min(count for count in each if count != 2) > 5


class TestMoments:
    @override_settings(TIME_ZONE="Asia/Shanghai")
    @pytest.mark.parametrize("hour", [0, 3, 12, 20])
    def test_reach_from_a_fortnight_ago_to_today_and_not_into_the_future(self, hour: int) -> None:
        now = datetime(2026, 11, 25, 16, tzinfo=UTC) + timedelta(hours=hour, minutes=50)  # Midnight in Shanghai.

        found = network.moments(now, 14, 5, random.Random(1))

        days = [timezone.localtime(at).date() for at in found]
        assert found == sorted(found)
        assert found[-1] < now - network.LEAST_AGE
        assert (days[0], days[-1]) == (date(2026, 11, 12), date(2026, 11, 26))

    @override_settings(TIME_ZONE="Asia/Shanghai")
    def test_are_more_in_the_shops_evening_than_in_its_night(self) -> None:
        hours = [timezone.localtime(at).hour for at in network.moments(NOW, 60, 20, random.Random(1))]

        assert sum(15 <= hour < 22 for hour in hours) > 6 * sum(hour < 8 for hour in hours)


class TestLibrary:
    def test_is_taken_by_the_import_without_a_bad_row(self, prepared: None) -> None:
        content = catalogue.flat_file({"steam-wallet-cn": "cover.webp"})

        result = library.import_library(
            stream=io.BytesIO(content.encode()), filename=catalogue.FILENAME, by=SYSTEM, now=NOW, dry_run=True
        )

        # Categories and brands are made first, with their icons and colours; here only their names are missing.
        unknown = {"category_zh", "brand_zh"}
        assert [error for error in result.report.errors if error.column not in unknown] == []
        assert result.report.rows == 500

    def test_says_of_every_product_the_same_in_each_of_its_rows(self) -> None:
        lines = catalogue.flat_file({}).splitlines()

        assert lines[0].split(",")[:3] == ["face_value", "currency", "suggested"]
        assert len(lines) == 501
