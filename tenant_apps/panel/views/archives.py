"""Everything that the shop owns as one file: made in the background, fetched here. With the codes, for whoever may have them,
after a second factor: when it is asked for, and again when it is fetched."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue, step_up
from kameng.accounts.access import demand
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.web.actors import actor
from tenant_apps.panel.access import even_unpaid, open_when_closed, screen
from tenant_apps.panel.page import page, say
from tenants.archive import exports
from tenants.models import ShopExport
from tenants.states import ExportState

SHOWN = 20


@require_GET
@screen(catalogue.ARCHIVE_MAKE)
@never_cache
def index(request: HttpRequest) -> HttpResponseBase:
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    with in_main():
        rows = [_row(request, export) for export in exports.exports_of(tenant.id, for_owner=True)[:SHOWN]]
    under_way = any(row["under_way"] for row in rows)
    response = page(
        request, "panel/archives.html", here="archives", heading=pgettext("menu", "Archives"), rows=rows,
        under_way=under_way,
    )  # fmt: skip
    if (
        not under_way and request.headers.get("HX-Target") == "archives"
    ):  # The page that watched: its buttons come back.
        response["HX-Refresh"] = "true"
    return response


def _row(request: HttpRequest, export: ShopExport) -> dict[str, Any]:
    ready = export.state == ExportState.DONE
    link = reverse("panel:archive_fetch", args=[exports.make_link(export, request.get_host())]) if ready else ""
    percent = round(100 * export.parts_done / export.parts_total) if export.parts_total else 0
    return {
        "export": export, "link": link, "percent": percent, "under_way": export.state in exports.UNDER_WAY,
        "running": export.state == ExportState.RUNNING,
    }  # fmt: skip


def _proved(request: HttpRequest) -> HttpResponse | None:
    """None when the reader may have codes and has just proved a second factor; else the page that asks.

    Raises: NotInYourRole.
    """
    demand(request, catalogue.ARCHIVE_CODES)
    return step_up.require_step_up(request, catalogue.ARCHIVE_CODES)


@require_POST
@screen(catalogue.ARCHIVE_MAKE)
@open_when_closed
@even_unpaid  # It changes nothing of the shop; who owes may take what is theirs along.
def make(request: HttpRequest) -> HttpResponse:
    """An archive without codes at once; one with them after a second factor."""
    codes = request.POST.get("deed", "plain") == "codes"
    if codes:
        asked = _proved(request)
        if asked is not None:
            return asked
    exports.ask(
        substation_id=request.tenant.id, by=actor(request), now=clock.utc_now(), for_owner=True, codes=codes,  # type: ignore[attr-defined]
    )  # fmt: skip
    say(request, _("The archive is being written. You can leave this page; it waits here for you."))
    return redirect("panel:archives")


@require_http_methods(["GET", "POST"])
@screen(catalogue.ARCHIVE_MAKE)
@open_when_closed
@even_unpaid
@never_cache
def fetch(request: HttpRequest, token: str) -> HttpResponseBase:
    """The file, for whoever has both the link and a log-in that may have it. The POST is the answer to the second factor that
    one with codes asks for."""
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    export = exports.open_link(token, request.get_host(), substation_id=tenant.id)
    if export.with_codes:
        asked = _proved(request)
        if asked is not None:
            return asked
    if request.method == "POST":
        say(request, _("Thank you. The archive with the codes can be downloaded now."))
        return redirect("panel:archives")
    return FileResponse(
        exports.path_of(export).open("rb"), as_attachment=True, filename=exports.filename(export),
        content_type="application/zip",
    )  # fmt: skip
