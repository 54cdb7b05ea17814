"""Small pictures drawn on the server: no script, no inline style, nothing fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import segno
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

WIDE, HIGH, PAD = 120, 32, 3  # PAD keeps the line inside at top and bottom.
BAR = 1000  # Length of a whole waterfall bar in its own units.


def sparkline_svg(values: Sequence[int | float | Decimal], *, label: str = "") -> SafeString:
    """A line through `values`, oldest first, with its ground filled. Fewer than two values draw a level line.

    Args:
        label: What a screen reader says; without one the picture is silent.
    """
    numbers = [float(value) for value in values] or [0.0]
    if len(numbers) == 1:
        numbers *= 2
    low, high = min(numbers), max(numbers)
    span = high - low
    step = WIDE / (len(numbers) - 1)
    points = [
        (index * step, HIGH / 2 if span == 0 else HIGH - PAD - (value - low) / span * (HIGH - 2 * PAD))
        for index, value in enumerate(numbers)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    end_x, end_y = points[-1]
    role = format_html(' role="img" aria-label="{}"', label) if label else mark_safe(' aria-hidden="true"')
    return format_html(
        '<svg class="k-spark" viewBox="0 0 {} {}" preserveAspectRatio="none"{}>'
        '<polygon class="k-spark-area" points="{},{} {} {},{}"/>'
        '<polyline class="k-spark-line" points="{}" vector-effect="non-scaling-stroke"/>'
        '<circle class="k-spark-end" cx="{}" cy="{}" r="2"/></svg>',
        WIDE, HIGH, role, 0, HIGH, line, f"{end_x:.1f}", HIGH, line, f"{end_x:.1f}", f"{end_y:.1f}",
    )  # fmt: skip


@dataclass(frozen=True)
class WaterfallRow:
    """One part of a sale, with where its bar starts and how long it is (of `BAR`)."""

    label: str
    minor: int
    note: str
    url: str
    tone: str
    start: int
    length: int
    share_bps: int


def waterfall_rows(parts: Sequence[Mapping[str, Any]], total_minor: int) -> list[WaterfallRow]:
    """Where each part of a sale lies on the whole, one after the other.

    Args:
        parts: Mappings with `label` and `minor` (what the part takes; positive), and `note`, `url`, `tone` at will.
        total_minor: The whole, in the minor unit. The parts sum to it, or the last bar ends short of the edge.
    """
    rows: list[WaterfallRow] = []
    taken = 0
    for number, part in enumerate(parts):
        minor = int(part["minor"])
        start = _clip(taken, total_minor)
        end = _clip(taken + minor, total_minor)
        rows.append(
            WaterfallRow(
                label=part["label"],
                minor=minor,
                note=part.get("note", ""),
                url=part.get("url", ""),
                tone=part.get("tone", "") or f"s{number % 6 + 1}",
                start=min(start, end),
                length=abs(end - start),
                share_bps=round(minor * 10_000 / total_minor) if total_minor else 0,
            )
        )
        taken += minor
    return rows


def _clip(amount: int, whole: int) -> int:
    return max(0, min(BAR, round(amount * BAR / whole))) if whole > 0 else 0


def qr_svg(text: str, *, label: str) -> SafeString:
    """A QR code of `text` as inline SVG, error correction M, dark on white in every theme so that a camera reads it."""
    code = segno.make(text, error="m", micro=False)
    border = 2
    size = code.symbol_size(border=border)[0]
    runs: list[tuple[int, int, int]] = []
    for y, row in enumerate(code.matrix):
        x = 0
        while x < len(row):
            if not row[x]:
                x += 1
                continue
            start = x
            while x < len(row) and row[x]:
                x += 1
            runs.append((start + border, y + border, x - start))
    path = format_html_join("", "M{} {}h{}v1h-{}z", ((x, y, length, length) for x, y, length in runs))
    return format_html(
        '<svg class="k-qr-code" viewBox="0 0 {} {}" role="img" aria-label="{}" shape-rendering="crispEdges">'
        '<rect width="{}" height="{}" fill="#fff"/><path d="{}" fill="#000"/></svg>',
        size, size, label, size, size, path,
    )  # fmt: skip
