"""Product covers for the demonstration: a square with the brand's colour, its initials and the face value.

Drawn with pillow and the font inside it, so that they look the same on every machine; that font is Latin, so only
Latin letters and digits are drawn, and the yuan sign is made of strokes.
"""

from __future__ import annotations

import colorsys
import functools
import hashlib
import io
import re
import unicodedata

from PIL import Image, ImageDraw, ImageFont

SIZE = 600
SCALE = 2  # Drawn twice as large and made smaller: pillow's shapes have no smooth edges of their own.
EDGE = SIZE * SCALE
MARGIN = 48 * SCALE
WHITE = (255, 255, 255)
_INK = re.compile("[^A-Za-z0-9¥$.,:+&%'()/ -]")

Rgb = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def cover(brand_name: str, colour: str, label: str = "") -> bytes:
    """A 600 × 600 PNG, for the library to encode as it likes.

    `colour` is `#rrggbb`; `label` is a face value such as `¥100` or `12 months`, or nothing. The same
    arguments give the same picture. Raises ValueError for a colour that is none.
    """
    base = _toned(_rgb(colour))
    brand, value = _latin(brand_name), _latin(label)
    canvas = _ground(base)
    layer = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
    seed = hashlib.sha256(brand_name.encode()).digest()
    _MOTIFS[seed[0] % len(_MOTIFS)](ImageDraw.Draw(layer), seed)
    canvas = Image.alpha_composite(canvas, layer)
    _plate(canvas, base, _initials(brand) or "K")
    _words(ImageDraw.Draw(canvas), brand, value, base)
    out = io.BytesIO()
    # Barely packed: it is read once, and what is kept is the library's own WebP.
    canvas.convert("RGB").reduce(SCALE).save(out, "PNG", compress_level=1)
    return out.getvalue()


def _rgb(colour: str) -> Rgb:
    if not re.fullmatch("#[0-9a-fA-F]{6}", colour):
        raise ValueError(colour)
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _toned(colour: Rgb) -> Rgb:
    """The brand's colour, dark enough for large white text at 3:1 where it is lightest (WCAG 2.2, 1.4.3)."""
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in colour))
    while _luminance(_from_hls(hue, light, saturation)) > 0.26:
        light -= 0.01
    return _from_hls(hue, light, saturation)


def _from_hls(hue: float, light: float, saturation: float) -> Rgb:
    red, green, blue = colorsys.hls_to_rgb(hue % 1.0, min(1.0, max(0.0, light)), saturation)
    return round(red * 255), round(green * 255), round(blue * 255)


def _luminance(colour: Rgb) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _ground(base: Rgb) -> Image.Image:
    """From the colour at the upper left to a deeper neighbour of it at the lower right."""
    hue, light, saturation = colorsys.rgb_to_hls(*(part / 255 for part in base))
    deep = _from_hls(hue + 0.045, light * 0.5, saturation)
    canvas = Image.new("RGBA", (EDGE, EDGE), (*base, 255))
    canvas.paste((*deep, 255), (0, 0), _ramp())
    return canvas


@functools.cache
def _ramp() -> Image.Image:
    """From black at the upper left to white at the lower right."""
    centre = (EDGE // 2, EDGE // 2, EDGE // 2 + EDGE, EDGE // 2 + EDGE)
    return Image.linear_gradient("L").resize((EDGE * 2, EDGE * 2)).rotate(45).crop(centre)


def _rings(draw: ImageDraw.ImageDraw, seed: bytes) -> None:
    middle = (EDGE - seed[1] * SCALE // 2, 40 * SCALE + seed[2] // 2)
    for number in range(5):
        radius = (120 + 95 * number) * SCALE
        box = (middle[0] - radius, middle[1] - radius, middle[0] + radius, middle[1] + radius)
        draw.ellipse(box, outline=(*WHITE, 44 - number * 6), width=(26 - number * 2) * SCALE)


def _discs(draw: ImageDraw.ImageDraw, seed: bytes) -> None:
    for number, (x, y, radius) in enumerate(((500, 90, 190), (610, 330, 150), (330, -60, 130))):
        shift = (seed[number + 1] - 128) // 6
        x, y, radius = (x + shift) * SCALE, y * SCALE, radius * SCALE
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*WHITE, 24))


def _bands(draw: ImageDraw.ImageDraw, seed: bytes) -> None:
    start = (300 + seed[1] // 4) * SCALE
    for number in range(4):
        left, width = start + number * 110 * SCALE, 56 * SCALE
        foot = EDGE
        points = [(left, 0), (left + width, 0), (left + width - foot, foot), (left - foot, foot)]
        draw.polygon(points, fill=(*WHITE, 26 - number * 4))


def _squares(draw: ImageDraw.ImageDraw, seed: bytes) -> None:
    for number in range(4):
        side, radius = (150 + number * 105) * SCALE, (34 + number * 10) * SCALE
        left, top = EDGE - side + 30 * SCALE + seed[1] // 3, -side // 2 + 60 * SCALE
        draw.rounded_rectangle(
            (left, top, left + side * 1.2, top + side * 1.2),
            radius,
            outline=(*WHITE, 46 - number * 8),
            width=14 * SCALE,
        )


def _dots(draw: ImageDraw.ImageDraw, seed: bytes) -> None:
    step = 44 * SCALE
    for column in range(9):
        for row in range(7):
            if column + row < 3:
                continue
            radius = max(2, (column - row + 4)) * SCALE
            x, y = EDGE - 400 * SCALE + column * step + seed[1] // 4, 40 * SCALE + row * step
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(*WHITE, 30))


_MOTIFS = (_rings, _discs, _bands, _squares, _dots)


def _plate(canvas: Image.Image, base: Rgb, initials: str) -> None:
    """The white tile with the initials, at the upper left."""
    side, radius = 168 * SCALE, 38 * SCALE
    shadow = Image.new("RGBA", canvas.size, (0, 0, 0, 0))
    for spread in range(10, 0, -2):
        edge = spread * SCALE
        box = (MARGIN - edge, MARGIN - edge + 8 * SCALE, MARGIN + side + edge, MARGIN + side + edge + 8 * SCALE)
        ImageDraw.Draw(shadow).rounded_rectangle(box, radius + edge, fill=(0, 0, 0, 4 + (10 - spread) * 2))
    canvas.alpha_composite(shadow)
    draw = ImageDraw.Draw(canvas)
    draw.rounded_rectangle((MARGIN, MARGIN, MARGIN + side, MARGIN + side), radius, fill=WHITE)
    font = _fitting(initials, 116 * SCALE, side - 44 * SCALE)
    left, top, right, bottom = _box(initials, font)
    x, y = MARGIN + (side - (right - left)) // 2 - left, MARGIN + (side - (bottom - top)) // 2 - top
    draw.text((x, y), initials, font=font, fill=base, stroke_width=3 * SCALE, stroke_fill=base)


def _words(draw: ImageDraw.ImageDraw, brand: str, value: str, base: Rgb) -> None:
    """The brand at the foot, the value above it; the value alone is large."""
    width, foot = EDGE - 2 * MARGIN, EDGE - MARGIN
    if not value:
        font = _fitting(brand, 74 * SCALE, width)
        _write(draw, (MARGIN, foot), brand, font)
        return
    name_font = _fitting(brand, 40 * SCALE, width)
    _write(draw, (MARGIN, foot), brand, name_font, alpha=230)
    draw.rounded_rectangle(
        (MARGIN, foot - 78 * SCALE, MARGIN + 56 * SCALE, foot - 72 * SCALE), 3 * SCALE, fill=(*_tint(base), 255)
    )
    _write(draw, (MARGIN, foot - 112 * SCALE), value, _fitting(value, 128 * SCALE, width))


def _tint(base: Rgb) -> Rgb:
    red, green, blue = (part + (255 - part) * 6 // 10 for part in base)
    return red, green, blue


def _write(draw: ImageDraw.ImageDraw, foot: tuple[int, int], text: str, font: Font, *, alpha: int = 255) -> None:
    """`text` in white with its base line at `foot`; the yuan sign is a Y with two strokes, for the font has none."""
    x, y = foot
    tall = _box("Y", font)
    weight = (tall[3] - tall[1]) // 45  # The font has one weight: a stroke in proportion makes it a bolder one.
    fill = (*WHITE, alpha)
    for piece in re.split("(¥)", text):
        shown = "Y" if piece == "¥" else piece
        draw.text((x, y), shown, font=font, fill=fill, stroke_width=weight, stroke_fill=fill, anchor="ls")
        advance = font.getlength(shown)
        if piece == "¥":
            height = _box("Y", font)[3] - _box("Y", font)[1]
            thick = max(2, round(height * 0.09)) + weight
            for part in (0.16, 0.38):
                level = y - height * part
                draw.rounded_rectangle(
                    (x + advance * 0.14, level - thick, x + advance * 0.86, level), thick // 2, fill=fill
                )
            advance += height * 0.08
        x += round(advance)


def _fitting(text: str, largest: int, width: int) -> Font:
    """The built-in font at `largest`, or smaller until `text` is no wider than `width`."""
    size = float(largest)
    font = ImageFont.load_default(size)
    length = font.getlength(text.replace("¥", "Y"))
    return font if length <= width else ImageFont.load_default(size * width / length)


def _box(text: str, font: Font) -> tuple[int, int, int, int]:
    left, top, right, bottom = font.getbbox(text)
    return round(left), round(top), round(right), round(bottom)


def _latin(text: str) -> str:
    """What of the text the font can draw: accents are taken off, other scripts left out."""
    plain = unicodedata.normalize(
        "NFKD", text.replace("₺", "TL ").replace("￥", "¥").replace("–", "-").replace("×", "x")
    )
    return " ".join(_INK.sub("", plain).split())


def _initials(brand: str) -> str:
    """A short first word whole (WPS, JD), else two letters: of two words, or the capitals of one, or its first."""
    words: list[str] = re.findall("[A-Za-z0-9]+", brand)
    if words and len(words[0]) <= 3 and words[0].isupper():
        return words[0]
    if len(words) >= 2:
        return (words[0][0] + words[1][0]).upper()
    capitals = "".join(char for char in brand if char.isupper())
    return capitals[:2] if len(capitals) >= 2 else brand[:1].upper()
