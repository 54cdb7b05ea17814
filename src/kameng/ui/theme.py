"""One accent colour per shop, made readable by computation (WCAG 2.2, contrast of relative luminance).

An owner picks any colour; every pair of text and ground that is made of it reaches AA (4.5:1), in light and in dark.
The neutrals that it is set against are the ones of `assets/css/tokens.css`; a test holds the two files together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Invalid

DEFAULT_ACCENT = "#3451d1"
AA_TEXT = 4.5  # WCAG 2.2, 1.4.3: text of normal size.
AA_EDGE = 3.0  # WCAG 2.2, 1.4.11: what shows where a control ends.
# Grounds and inks, as in tokens.css.
LIGHT_GROUNDS = ("#ffffff", "#f6f7f9", "#f0f2f5")
DARK_GROUNDS = ("#171a21", "#0f1116", "#1f232c")
DARK_INK = "#14171c"
LIGHT_INK = "#ffffff"
# White text is preferred on a fill: a colour this close to carrying it is darkened until it does.
WHITE_WITHIN_REACH = 2.9
# An accent without a hue must differ from ordinary quiet text by being stronger.
GREY_WITHIN = 24
GREY_TEXT = 7.0
_HEX = re.compile(r"#?([0-9a-fA-F]{6}|[0-9a-fA-F]{3})\Z")

Rgb = tuple[int, int, int]


class AccentRefused(Invalid):
    """The text is not a colour."""

    code = "accent_refused"


@dataclass(frozen=True)
class Palette:
    """The accent's colours on one ground, each "#rrggbb"."""

    accent: str  # A filled button, a switch that is on.
    hover: str  # The same under the pointer.
    content: str  # Text on `accent` and on `hover`.
    text: str  # Links and chosen items, on every ground and on `soft`.
    soft: str  # A quiet ground: chosen row, chip, notice.
    soft_hover: str  # The same under the pointer.
    edge: str  # Border of a fill, and the focus ring: 3:1 against every ground.


@dataclass(frozen=True)
class Theme:
    """An accent on light and on dark."""

    light: Palette
    dark: Palette

    def css(self) -> str:
        """The custom properties, for one <style> in the page's head. Contains nothing that a person typed."""
        light, dark = _properties(self.light), _properties(self.dark)
        return (
            f":root{{{light}}}"
            f"@media (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
            f":root[data-theme=dark]{{{dark}}}"
        )


def parse_hex(text: str) -> Rgb:
    """ "#3451d1", "3451D1" or "#35d" as three numbers of 0 to 255. Raises AccentRefused for anything else."""
    match = _HEX.match(text.strip())
    if match is None:
        raise AccentRefused(_("That is not a colour. Write it like #3451d1."), field="accent")
    digits = match[1] if len(match[1]) == 6 else "".join(digit * 2 for digit in match[1])
    return int(digits[0:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)


def is_hex(text: str) -> bool:
    """Whether `parse_hex` would take it."""
    return _HEX.match(text.strip()) is not None


def to_hex(rgb: Rgb) -> str:
    """(52, 81, 209) → "#3451d1"."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def luminance(rgb: Rgb) -> float:
    """Relative luminance of WCAG 2.2: 0 for black, 1 for white."""

    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = rgb
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)


def contrast(one: str, other: str) -> float:
    """The ratio of WCAG 2.2 between two colours, 1 to 21."""
    first, second = luminance(parse_hex(one)), luminance(parse_hex(other))
    lighter, darker = max(first, second), min(first, second)
    return (lighter + 0.05) / (darker + 0.05)


def mix(colour: str, other: str, share: float) -> str:
    """`colour` with `share` (0 to 1) of `other` stirred in."""
    pairs = zip(parse_hex(colour), parse_hex(other), strict=True)
    red, green, blue = (round(mine + (theirs - mine) * share) for mine, theirs in pairs)
    return to_hex((red, green, blue))


@lru_cache(maxsize=512)
def accent_theme(accent: str) -> Theme:
    """The whole theme of one colour, "#rrggbb". Raises AccentRefused when it is none."""
    base = to_hex(parse_hex(accent))
    light = _palette(base, LIGHT_GROUNDS, toward="#000000")
    return Theme(light=light, dark=_palette(base, DARK_GROUNDS, toward="#ffffff"))


def _palette(base: str, grounds: tuple[str, ...], *, toward: str) -> Palette:
    surface = grounds[0]
    dark = toward == "#ffffff"
    fill = _until(base, toward, (surface,), 2.2) if dark else base  # A black accent must still be seen on a dark page.
    content, fill = _content(fill)
    hover = mix(fill, "#000000" if content == LIGHT_INK else "#ffffff", 0.12)
    grey = max(parse_hex(base)) - min(parse_hex(base)) < GREY_WITHIN
    tint = mix(base, toward, 0.35) if grey else base  # White on white, or black on black, would be no tint at all.
    soft = mix(surface, tint, 0.16 if dark else 0.08)
    soft_hover = mix(surface, tint, 0.24 if dark else 0.14)
    return Palette(
        accent=fill,
        hover=hover,
        content=content,
        text=_until(base, toward, (*grounds, soft, soft_hover), GREY_TEXT if grey else AA_TEXT),
        soft=soft,
        soft_hover=soft_hover,
        edge=_until(fill, toward, grounds, AA_EDGE),
    )


def _content(fill: str) -> tuple[str, str]:
    """The ink for a fill, and the fill, darkened a little where that lets white be read on it."""
    if contrast(fill, LIGHT_INK) >= WHITE_WITHIN_REACH:
        return LIGHT_INK, _until(fill, "#000000", (LIGHT_INK,), AA_TEXT)
    return DARK_INK, _until(fill, "#ffffff", (DARK_INK,), AA_TEXT)


def _until(colour: str, toward: str, grounds: tuple[str, ...], ratio: float) -> str:
    """`colour` moved toward black or white, no further than needed, until it stands out from every ground."""
    for step in range(101):
        moved = mix(colour, toward, step / 100)
        if all(contrast(moved, ground) >= ratio for ground in grounds):
            return moved
    raise AssertionError(f"{toward} itself does not reach {ratio} against {grounds}")


def _properties(palette: Palette) -> str:
    return (
        f"--accent:{palette.accent};--accent-hover:{palette.hover};--accent-content:{palette.content};"
        f"--accent-text:{palette.text};--accent-soft:{palette.soft};--accent-soft-hover:{palette.soft_hover};"
        f"--accent-edge:{palette.edge};"
    )
