"""The icons, as inline SVG: outlines on a 24-pixel grid from Lucide (ISC licence, static/ui/vendor/LICENCES.txt)."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe


@lru_cache(maxsize=1)
def shapes() -> dict[str, str]:
    """Name → the inside of the <svg>, as `assets/vendor.mjs` wrote it."""
    loaded: dict[str, str] = json.loads((Path(__file__).parent / "icon_shapes.json").read_text("utf-8"))
    return loaded


@lru_cache(maxsize=1024)
def icon_svg(name: str, size: int = 20, css: str = "") -> SafeString:
    """An <svg> that takes the text's colour and is silent to screen readers: the words beside it speak.

    Args:
        name: One of `shapes()`; KeyError otherwise, so that a slip shows at the first render.
        size: Pixels.
        css: Further classes.
    """
    return format_html(
        '<svg class="k-icon{}" width="{}" height="{}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        'stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{}</svg>',
        f" {css}" if css else "",
        size,
        size,
        mark_safe(shapes()[name]),
    )
