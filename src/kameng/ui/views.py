"""The gallery: each component in each state. `?accent=3451d1` shows it in another shop's colour."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from kameng.ui import samples, theme

# Frames are whole pages: what a layout looks like with a screen's worth in it.
FRAMES = {
    "console": "ui/gallery/index.html",
    "storefront": "ui/gallery/storefront.html",
    "product": "ui/gallery/product.html",
    "main-site": "ui/gallery/main_site.html",
    "log-in": "ui/gallery/auth.html",
    "error": "404.html",
}


def gallery(request: HttpRequest) -> HttpResponse:
    """Every component. GET only reads; there is nothing to write."""
    return render(request, "ui/gallery/index.html", _context(request))


def gallery_frame(request: HttpRequest, frame: str) -> HttpResponse:
    """One of the layouts, filled with samples."""
    if frame not in FRAMES:
        raise Http404(frame)
    return render(request, FRAMES[frame], _context(request))


def _context(request: HttpRequest) -> dict[str, Any]:
    accent = request.GET.get("accent", "")
    shop = {
        "name": "小陈的点卡铺",
        "logo_url": "",
        "accent": accent if theme.is_hex(accent) else "",
        "notice": "双十一期间充值到账可能稍慢，请耐心等待；24 小时内未到账自动退款。",
        "contact": "QQ 10001",
    }
    return {
        **samples.context(),
        "shop": shop,
        "search_url": "#",
        "lookup_url": "#",
        "frames": list(FRAMES),
        "palette": theme.accent_theme(shop["accent"] or theme.DEFAULT_ACCENT),
    }
