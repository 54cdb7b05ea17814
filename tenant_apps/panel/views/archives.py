"""Everything that the shop owns as one file: made in the background, fetched here."""

from __future__ import annotations

from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import audit
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.words import worded
from kameng.web.actors import actor
from tenant_apps.panel import step_up
from tenant_apps.panel.access import open_when_closed, owner_screen
from tenant_apps.panel.forms.lifecycle import ProofForm
from tenant_apps.panel.page import page, refuse, say
from tenants.archive import exports
from tenants.models import ShopExport
from tenants.states import ExportState

PURPOSE = "archive"
SHOWN = 20


@require_GET
@owner_screen
@never_cache
def index(request: HttpRequest) -> HttpResponseBase:
    return _listed(request)


def _listed(request: HttpRequest, form: ProofForm | None = None) -> HttpResponse:
    user: Any = request.user
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    with in_main():
        rows = [_row(request, export) for export in exports.exports_of(tenant.id, for_owner=True)[:SHOWN]]
    waiting = form is not None or step_up.is_waiting(user, PURPOSE)
    return page(
        request, "panel/archives.html", here="archives", heading=pgettext("menu", "Archives"), rows=rows,
        under_way=any(row["under_way"] for row in rows), proof=(form or ProofForm()) if waiting else None,
        mailed_to=user.email, status=422 if form is not None and form.errors else 200,
    )  # fmt: skip


def _row(request: HttpRequest, export: ShopExport) -> dict[str, Any]:
    ready = export.state == ExportState.DONE
    link = reverse("panel:archive_fetch", args=[exports.make_link(export, request.get_host())]) if ready else ""
    percent = round(100 * export.parts_done / export.parts_total) if export.parts_total else 0
    return {
        "export": export, "link": link, "percent": percent, "under_way": export.state in exports.UNDER_WAY,
        "running": export.state == ExportState.RUNNING,
    }  # fmt: skip


@require_POST
@owner_screen
@open_when_closed
@sensitive_post_parameters("password", "code")
def make(request: HttpRequest) -> HttpResponse:
    """An archive without codes at once; one with them after the person proved once more who they are."""
    deed = request.POST.get("deed", "plain")
    user: Any = request.user
    if deed == "mail":
        step_up.send(user, PURPOSE)
        audit.record(action="panel.archive.code_mailed", by=actor(request), target=user.email, at=clock.utc_now())
        say(request, worded(gettext_lazy("A code is on its way to %(email)s."), email=user.email))
        return redirect("panel:archives")
    if deed != "codes":
        return _asked(request, codes=False)
    form = ProofForm(request.POST)
    if form.is_valid():
        try:
            step_up.check(user, PURPOSE, **form.cleaned_data)
        except DomainError as error:
            refuse(form, error)
        else:
            return _asked(request, codes=True)
    return _listed(request, form)


def _asked(request: HttpRequest, *, codes: bool) -> HttpResponse:
    exports.ask(
        substation_id=request.tenant.id, by=actor(request), now=clock.utc_now(), for_owner=True, codes=codes,  # type: ignore[attr-defined]
    )  # fmt: skip
    say(request, _("The archive is being written. You can leave this page; it waits here for you."))
    return redirect("panel:archives")


@require_GET
@owner_screen
@never_cache
def fetch(request: HttpRequest, token: str) -> HttpResponseBase:
    """The file, for whoever has both the link and the owner's log-in."""
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    export = exports.open_link(token, request.get_host(), substation_id=tenant.id)
    return FileResponse(
        exports.path_of(export).open("rb"), as_attachment=True, filename=exports.filename(export),
        content_type="application/zip",
    )  # fmt: skip
