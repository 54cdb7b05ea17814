"""The end of a shop as the main station goes about it: closing, what is open, archives, erasure and its proof."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from shared_apps.console.access import in_own_transactions
from shared_apps.console.forms.tenants import CloseForm, EraseForm
from shared_apps.console.page import refuse
from shared_apps.console.views.tenants import substation_page
from tenants import closing, erasure
from tenants import selectors as tenants
from tenants.archive import exports


@require_POST
@allowed(catalogue.NETWORK_END)
def close(request: HttpRequest, public_id: str) -> HttpResponse:
    """Begin to close a shop, with a reason that its owner reads."""
    form = CloseForm(request.POST, auto_id="close_%s")
    if form.is_valid():
        try:
            closing.begin(public_id=public_id, **form.cleaned_data, by=actor(request), now=clock.utc_now())
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("The shop takes no new orders. Once nothing is open, it is closed for good."))
            return redirect("console:substation", public_id)
    return substation_page(request, tenants.substation(public_id), 422, close_form=form, open_dialog="close")


@require_POST
@allowed(catalogue.NETWORK_END)
def keep(request: HttpRequest, public_id: str) -> HttpResponse:
    closing.keep(public_id=public_id, by=actor(request), now=clock.utc_now())
    messages.success(request, _("The closing is called off. The shop is what it was before."))
    return redirect("console:substation", public_id)


@require_POST
@allowed(catalogue.NETWORK_END)
def finish(request: HttpRequest, public_id: str) -> HttpResponse:
    """Close for good now. Refused while something is open."""
    closing.close(public_id=public_id, by=actor(request), now=clock.utc_now())
    messages.success(request, _("The shop is closed for good. Its owner can still read and export."))
    return redirect("console:substation", public_id)


@in_own_transactions
@require_POST
@allowed(catalogue.NETWORK_END)
def erase(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """Erase a closed shop. Its schema is dropped by another connection, so the request has no transaction of its own."""
    form = EraseForm(request.POST, auto_id="erase_%s")
    if form.is_valid():
        try:
            erasure.erase(public_id=public_id, **form.cleaned_data, by=actor(request), now=clock.utc_now())
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("The shop is erased. The proof stands on its page."))
            return redirect("console:substation", public_id)
    with in_main():
        return substation_page(request, tenants.substation(public_id), 422, erase_form=form, open_dialog="erase")


@require_POST
@allowed(catalogue.NETWORK_END)
def export(request: HttpRequest, public_id: str) -> HttpResponse:
    """Have an archive written, without codes."""
    row = tenants.substation(public_id)
    exports.ask(substation_id=row.pk, by=actor(request), now=clock.utc_now(), for_owner=False)
    messages.success(request, _("The archive is being written; it waits on this page."))
    return redirect("console:substation", public_id)


@require_GET
@allowed(catalogue.NETWORK_END)
@never_cache
def fetch(request: HttpRequest, public_id: str, token: str) -> HttpResponseBase:
    """The file of an archive that the main station asked for, for an operator with its link."""
    found: Any = exports.open_link(token, request.get_host(), substation_id=None)
    if found.substation.public_id != public_id:
        raise exports.LinkRefused()
    return FileResponse(
        exports.path_of(found).open("rb"), as_attachment=True, filename=exports.filename(found),
        content_type="application/zip",
    )  # fmt: skip
