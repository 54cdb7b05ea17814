"""Tags and filters: the exact text that they write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.paginator import Paginator
from django.utils import timezone

from kameng.ui import drawing, tones
from kameng.ui.templatetags import ui
from tests.kameng.ui.rendering import Elements, rendered

NOW = datetime(2026, 3, 5, 6, 7, 9, tzinfo=UTC)


class TestMoney:
    def test_is_written_with_symbol_thousands_and_a_real_minus(self) -> None:
        assert rendered('{{ a|money:"CNY" }} {{ b|money }} {{ c|money:"JPY" }}', a=123456, b=-5, c=1200) == (
            "¥1,234.56 \u2212¥0.05 JP¥1,200"
        )

    def test_shows_a_dash_where_there_is_none(self) -> None:
        assert (
            rendered("{{ a|money }}|{{ a|unit_price }}|{{ a|bps }}|{{ a|count }}|{{ a|when }}", a=None) == "–|–|–|–|–"
        )

    def test_signed_marks_what_came_in(self) -> None:
        assert [ui.money_signed(n, "CNY") for n in (500, 0, -500)] == ["+¥5.00", "¥0.00", "\u2212¥5.00"]

    def test_unit_price_keeps_its_places(self) -> None:
        assert [ui.unit_price(Decimal(text), "CNY") for text in ("12.5", "0.0085", "3")] == [
            "¥12.50",
            "¥0.0085",
            "¥3.00",
        ]

    def test_bps_are_percent_without_idle_zeros(self) -> None:
        assert [ui.bps(n) for n in (1250, 60, -30, 10000, 0)] == ["12.5%", "0.6%", "\u22120.3%", "100%", "0%"]

    def test_counts_part_their_thousands(self) -> None:
        assert [ui.count(n) for n in (0, 1234567, -1000)] == ["0", "1,234,567", "\u22121,000"]


class TestWhen:
    @pytest.mark.parametrize(
        ("ago", "english", "chinese"),
        [
            (timedelta(seconds=59), "just now", "刚刚"),
            (timedelta(minutes=3), "3 min ago", "3 分钟前"),
            (timedelta(hours=23, minutes=59), "23 h ago", "23 小时前"),
            (timedelta(days=6), "6 d ago", "6 天前"),
            (timedelta(minutes=-5), "in 5 min", "5 分钟后"),
            (timedelta(days=20), "13 Feb", "2月13日"),
            (timedelta(days=400), "29 Jan 2025", "2025年1月29日"),
        ],
    )
    def test_is_relative_up_to_a_week(self, ago: timedelta, english: str, chinese: str) -> None:
        with time_machine.travel(NOW, tick=False), timezone.override("Asia/Shanghai"):
            assert f">{english}</time>" in rendered("{{ at|when }}", at=NOW - ago)
            assert f">{chinese}</time>" in rendered("{{ at|when }}", at=NOW - ago, language="zh-hans")

    def test_says_the_exact_time_of_the_shops_zone_on_hover(self) -> None:
        with time_machine.travel(NOW, tick=False), timezone.override("Asia/Shanghai"):
            time = Elements(rendered("{{ at|when }}", at=NOW)).first("time")

        assert time["title"] == "2026-03-05 14:07:09"
        assert time["datetime"] == "2026-03-05T14:07:09+08:00"

    def test_can_be_exact_or_a_date(self) -> None:
        with timezone.override("Asia/Shanghai"):
            assert ">2026-03-05 14:07</time>" in rendered('{{ at|when:"exact" }}', at=NOW)
            assert ">2026-03-05</time>" in rendered('{{ at|when:"date" }}', at=NOW)

    def test_refuses_a_style_that_does_not_exist(self) -> None:
        with pytest.raises(ValueError, match="hourly"):
            ui.when(NOW, "hourly")


class TestQueryString:
    def test_changes_one_thing_and_starts_at_the_first_page(self) -> None:
        source = '{% query_string sort="price" as there %}{{ there|safe }}'
        assert rendered(source, path="/?q=steam&page=4&sort=name") == "?q=steam&sort=price"

    def test_keeps_the_filters_when_paging(self) -> None:
        assert rendered("{% query_string page=2 as there %}{{ there|safe }}", path="/?q=a%26b") == "?q=a%26b&page=2"

    def test_takes_out_what_is_empty(self) -> None:
        assert rendered('{% query_string "state" q="" as there %}{{ there|safe }}', path="/?q=x&state=PAID") == "?"

    def test_is_escaped_in_an_attribute(self) -> None:
        html = rendered('<a href="{% query_string page=2 %}">', path="/?q=%22%3E%3Cscript%3E")
        assert "<script" not in html

    def test_sort_link_turns_around(self) -> None:
        source = '{% sort_link "price" "-created" as link %}{{ link.url }} {{ link.direction }}'
        assert rendered(source) == "?sort=price "
        assert rendered(source, path="/?sort=price") == "?sort=-price ascending"
        assert rendered(source, path="/?sort=-price") == "?sort=price descending"


class TestTones:
    @pytest.mark.parametrize(
        ("state", "tone"),
        [("PAID", "success"), ("paid", "success"), ("AWAITING_PAYMENT", "info"), ("HELD", "warning"),
         ("FAILED", "danger"), ("EXPIRED", "neutral"), ("never-heard", "neutral"), (None, "neutral")],
    )  # fmt: skip
    def test_follow_the_state(self, state: object, tone: str) -> None:
        assert tones.tone_of(state) == tone


class TestDrawing:
    def test_a_sparkline_of_nothing_is_a_level_line(self) -> None:
        assert 'points="0.0,16.0 120.0,16.0"' in drawing.sparkline_svg([])

    def test_a_sparkline_reaches_from_floor_to_ceiling(self) -> None:
        assert 'points="0.0,29.0 60.0,3.0 120.0,16.0"' in drawing.sparkline_svg([0, 10, 5])

    def test_a_waterfall_lays_parts_end_to_end(self) -> None:
        rows = drawing.waterfall_rows([{"label": "a", "minor": 9000}, {"label": "b", "minor": 1000}], 10_000)

        assert [(row.start, row.length, row.share_bps) for row in rows] == [(0, 900, 9000), (900, 100, 1000)]

    def test_a_waterfall_of_nothing_has_no_length(self) -> None:
        assert drawing.waterfall_rows([{"label": "a", "minor": 0}], 0)[0].length == 0

    def test_a_loss_stays_inside_the_picture(self) -> None:
        rows = drawing.waterfall_rows([{"label": "cost", "minor": 120}, {"label": "you", "minor": -20}], 100)

        assert all(row.start >= 0 and row.start + row.length <= drawing.BAR for row in rows)

    def test_a_qr_code_is_dark_on_white_with_its_quiet_zone(self) -> None:
        svg = drawing.qr_svg("https://example.com", label='"x"')

        assert 'fill="#fff"' in svg
        assert 'aria-label="&quot;x&quot;"' in svg
        assert "style=" not in svg


class TestTrend:
    def test_knows_which_way_is_good(self) -> None:
        assert ui.trend_of(1250) == {"text": "+12.5%", "icon": "trend-up", "tone": "success"}
        assert ui.trend_of(1250, "down") == {"text": "+12.5%", "icon": "trend-up", "tone": "danger"}
        assert ui.trend_of("-100", "none") == {"text": "\u22121%", "icon": "trend-down", "tone": "neutral"}
        assert ui.trend_of("") is None


class TestNavigation:
    def test_a_phones_bar_holds_what_is_marked(self) -> None:
        nav: list[dict[str, Any]] = [
            {"items": [{"label": "a"}, {"label": "b", "bar": True}]},
            {"items": [{"label": "c", "bar": True}]},
        ]
        assert [item["label"] for item in ui.bar_items(nav)] == ["b", "c"]

    def test_or_the_first_of_each_group(self) -> None:
        nav: list[dict[str, Any]] = [
            {"items": [{"label": "a"}, {"label": "b"}]},
            {"items": []},
            {"items": [{"label": "c"}]},
        ]
        assert [item["label"] for item in ui.bar_items(nav)] == ["a", "c"]
        assert ui.bar_items(None) == []

    def test_pages_far_away_are_left_out(self) -> None:
        assert ui.page_numbers(Paginator(range(400), 20).page(10)) == [1, "…", 8, 9, 10, 11, 12, "…", 20]
