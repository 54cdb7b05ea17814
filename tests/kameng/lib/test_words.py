"""Sentences with places."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from kameng.lib.words import shorten, worded


class TestWorded:
    def test_fills_its_places(self) -> None:
        assert str(worded(_("“%(slug)s” is here"), slug="a")) == "“a” is here"

    def test_renders_in_the_language_of_its_reader(self) -> None:
        with override("en"):
            sentence = worded(_("%(day)s!"), day=_("Monday"))

        with override("zh-hans"):
            assert str(sentence) == "星期一!"


class TestShorten:
    def test_keeps_what_is_short(self) -> None:
        assert shorten("ABC 中文") == "ABC 中文"

    def test_cuts_with_an_ellipsis_within_the_limit(self) -> None:
        assert shorten("A" * 100, 10) == "A" * 9 + "…"

    def test_shows_no_control_characters(self) -> None:
        assert shorten("a\r\nb\x00\u200bc") == "a  b  c"
