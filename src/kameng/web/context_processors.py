"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """`tenant` (TenantInfo or None), `csp_nonce`, the languages with the address of this page in each."""
    languages = []
    for code, label in settings.LANGUAGES:
        query = request.GET.copy()
        query["lang"] = code
        languages.append({"code": code, "label": label, "url": f"{request.path}?{query.urlencode()}"})
    return {
        "tenant": getattr(request, "tenant", None),
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "language_links": languages,
        "currency": settings.CURRENCY,
    }
