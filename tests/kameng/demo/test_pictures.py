"""Product covers."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from kameng.demo.pictures import cover


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


class TestCover:
    def test_is_a_square_picture(self) -> None:
        picture = opened(cover("Steam", "#1b2838", "¥100"))

        assert (picture.format, picture.size, picture.mode) == ("PNG", (600, 600), "RGB")

    def test_is_the_same_for_the_same_arguments(self) -> None:
        assert cover("Steam", "#1b2838", "¥100") == cover("Steam", "#1b2838", "¥100")

    def test_shows_brand_colour_and_value(self) -> None:
        plain = cover("Steam", "#1b2838")

        assert len({plain, cover("Xbox", "#1b2838"), cover("Steam", "#107c10"), cover("Steam", "#1b2838", "¥5")}) == 4

    @pytest.mark.parametrize("colour", ["#ffffff", "#ffe600", "#00ffff"])
    def test_darkens_a_light_colour_until_white_text_can_be_read(self, colour: str) -> None:
        corner = opened(cover("Meituan", colour, "¥30")).getpixel((20, 300))

        assert isinstance(corner, tuple)
        linear = [(part / 255 + 0.055) ** 2.4 / 1.055**2.4 for part in corner[:3]]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        assert 1.05 / (luminance + 0.05) >= 3

    @pytest.mark.parametrize(
        ("brand", "label"),
        [("", ""), ("腾讯", "100元"), ("A" * 200, "1" * 200), ("é", "₺200"), ("O'Neill & Sons", "\x00"), ("+", "¥¥¥")],
    )
    def test_draws_something_whatever_the_words(self, brand: str, label: str) -> None:
        assert opened(cover(brand, "#3451d1", label)).size == (600, 600)

    @pytest.mark.parametrize("colour", ["", "red", "#fff", "#12345g", "#1234567"])
    def test_refuses_what_is_no_colour(self, colour: str) -> None:
        with pytest.raises(ValueError, match="^" + colour.replace("#", "\\#") + "$"):
            cover("Steam", colour)
