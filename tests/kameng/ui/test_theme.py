"""Whatever colour an owner chooses, its words can be read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kameng.ui import theme
from kameng.ui.i18n import UI
from kameng.ui.icons import shapes

colours = st.tuples(*[st.integers(0, 255)] * 3).map(theme.to_hex)
NAMED = ["#000000", "#ffffff", "#808080", "#ffd400", "#ff0000", "#00ff00", "#0000ff", "#00c853", "#ff6a00", "#7f7f00"]


def assert_readable(palette: theme.Palette, grounds: tuple[str, ...]) -> None:
    assert theme.contrast(palette.content, palette.accent) >= 4.5
    assert theme.contrast(palette.content, palette.hover) >= 4.5
    for ground in (*grounds, palette.soft, palette.soft_hover):
        assert theme.contrast(palette.text, ground) >= 4.5
    for ground in grounds:
        assert theme.contrast(palette.edge, ground) >= 3.0


class TestContrast:
    def test_is_21_between_black_and_white_and_1_with_itself(self) -> None:
        assert round(theme.contrast("#000000", "#ffffff"), 6) == 21.0
        assert theme.contrast("#3451d1", "#3451d1") == 1.0

    def test_agrees_with_the_figure_that_wcag_publishes_for_777(self) -> None:
        assert round(theme.contrast("#777777", "#ffffff"), 2) == 4.48


class TestAccentTheme:
    @pytest.mark.parametrize("accent", NAMED)
    def test_is_readable_for_hard_colours(self, accent: str) -> None:
        made = theme.accent_theme(accent)

        assert_readable(made.light, theme.LIGHT_GROUNDS)
        assert_readable(made.dark, theme.DARK_GROUNDS)

    @settings(max_examples=300, deadline=None)
    @given(colours)
    def test_is_readable_for_any_colour(self, accent: str) -> None:
        made = theme.accent_theme(accent)

        assert_readable(made.light, theme.LIGHT_GROUNDS)
        assert_readable(made.dark, theme.DARK_GROUNDS)

    def test_keeps_a_colour_that_is_readable_as_it_is(self) -> None:
        assert theme.accent_theme("#3451d1").light.accent == "#3451d1"
        assert theme.accent_theme("#3451d1").light.content == "#ffffff"

    def test_writes_dark_words_on_a_bright_fill(self) -> None:
        assert theme.accent_theme("#ffd400").light.accent == "#ffd400"
        assert theme.accent_theme("#ffd400").light.content == theme.DARK_INK

    def test_soft_grounds_leave_ordinary_words_readable(self) -> None:
        for accent in NAMED:
            made = theme.accent_theme(accent)
            assert theme.contrast("#4d5563", made.light.soft) >= 4.5
            assert theme.contrast("#b0b7c3", made.dark.soft) >= 4.5

    @pytest.mark.parametrize("text", ["", "red", "#12", "#1234567", "#ggg000", "#fff;}body{display:none", "３４５"])
    def test_refuses_what_is_no_colour(self, text: str) -> None:
        with pytest.raises(theme.AccentRefused):
            theme.accent_theme(text)
        assert theme.is_hex(text) is False

    def test_takes_the_short_form(self) -> None:
        assert theme.to_hex(theme.parse_hex("35d")) == "#3355dd"

    def test_css_holds_both_themes_and_nothing_but_properties(self) -> None:
        css = theme.accent_theme("#3451d1").css()

        assert css.startswith(":root{--accent:#3451d1;")
        assert css.count("--accent-text:") == 3
        assert re.fullmatch(r"[-:(){}\[\]@=;# a-z0-9]+", css)


def tokens() -> dict[str, dict[str, str]]:
    text = (UI / "assets" / "css" / "tokens.css").read_text("utf-8")
    blocks = {
        "light": text.split(":root {", 1)[1].split("}", 1)[0],
        "device": text.split(':root:not([data-theme="light"]) {', 1)[1].split("}", 1)[0],
        "dark": text.split(':root[data-theme="dark"] {', 1)[1].split("}", 1)[0],
    }
    return {name: dict(re.findall(r"--([\w-]+):\s*([^;]+);", block)) for name, block in blocks.items()}


class TestTokens:
    def test_dark_is_the_same_by_choice_and_by_device(self) -> None:
        assert tokens()["dark"] == tokens()["device"]

    def test_grounds_are_those_that_accents_are_computed_against(self) -> None:
        made = tokens()
        names = ("surface", "canvas", "sunken")
        assert tuple(made["light"][name] for name in names) == theme.LIGHT_GROUNDS
        assert tuple(made["dark"][name] for name in names) == theme.DARK_GROUNDS

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("ink", ["ink", "ink-muted", "ink-faint", "success", "warning", "danger", "info"])
    def test_every_ink_is_readable_on_every_ground(self, scheme: str, ink: str) -> None:
        made = tokens()[scheme]
        for ground in ("surface", "canvas", "sunken"):
            assert theme.contrast(made[ink], made[ground]) >= 4.5, (ink, ground)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize("tone", ["success", "warning", "danger", "info"])
    def test_a_tone_is_readable_on_its_soft_ground(self, scheme: str, tone: str) -> None:
        made = tokens()[scheme]
        assert theme.contrast(made[tone], made[f"{tone}-soft"]) >= 4.5
        assert theme.contrast(made["ink"], made[f"{tone}-soft"]) >= 4.5

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_badges_without_a_tone_and_controls_are_seen(self, scheme: str) -> None:
        made = tokens()[scheme]
        assert theme.contrast(made["ink-muted"], made["neutral-soft"]) >= 4.5
        assert theme.contrast(made["control-line"], made["surface"]) >= 3.0
        assert theme.contrast(made["danger-content"], made["danger-hover"]) >= 4.5

    def test_icons_are_drawn_without_script_or_reference(self) -> None:
        assert len(shapes()) >= 50
        for name, shape in shapes().items():
            assert re.fullmatch(
                r'(<(path|circle|rect|line|polyline|polygon|ellipse)( [a-z0-9]+="[^"<>]*")+/>)+', shape
            ), name
