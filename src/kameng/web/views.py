"""Pages that belong to no app: health, the local mailbox, public files, the owner's first entry."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.core.paginator import Paginator
from django.db import connection
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from kameng.db.context import current_schema
from kameng.web import mailbox
from kameng.web.transactions import own_transactions

MAILS_PER_PAGE = 25
PICTURE_TYPES = {".webp", ".png", ".jpg", ".jpeg", ".svg"}


@require_GET
def healthz(request: HttpRequest) -> HttpResponse:
    """Answers 200 when this process can reach its database and its cache."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    cache.set("healthz", 1, 5)
    return JsonResponse({"ok": cache.get("healthz") == 1})


@require_GET
def mails(request: HttpRequest) -> HttpResponse:
    """The mailbox of a machine without a mail server; on a real one there is no such page."""
    if settings.ENV.email_url:
        raise Http404
    query = request.GET.get("q", "").strip()
    rows = Paginator(mailbox.messages(query), MAILS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "web/mailbox.html", {"rows": rows, "query": query})


@require_GET
@own_transactions
def public_file(request: HttpRequest, folder: str, name: str) -> HttpResponseBase:
    """A picture: `library` is everybody's, `shop` is this host's own. Names are content hashes, so they keep."""
    root = Path(settings.MEDIA_ROOT) / ("library" if folder == "library" else f"{current_schema()}/shop")
    path = (root / name).resolve()
    if not path.is_relative_to(root.resolve()) or path.suffix not in PICTURE_TYPES or not path.is_file():
        raise Http404
    response = FileResponse(path.open("rb"), content_type=mimetypes.guess_type(name)[0] or "image/webp")
    response["Cache-Control"] = "public, max-age=31536000, immutable"
    response["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    return response
