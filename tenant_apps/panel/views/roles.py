"""Roles: what each may do, and the place's own ones."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue, views_roles
from kameng.accounts.models import StaffRole
from tenant_apps.panel.access import screen
from tenant_apps.panel.page import page


@require_GET
@screen(catalogue.PEOPLE_MANAGE)
def index(request: HttpRequest) -> HttpResponseBase:
    rows = views_roles.listed()
    for row in rows:
        if row["choice"].own:
            row["edit_url"] = reverse("panel:role_edit", args=[row["choice"].own.pk])
            row["remove_url"] = reverse("panel:role_remove", args=[row["choice"].own.pk])
    return page(request, "panel/roles.html", here="roles", heading=_("Roles"), listed=rows)


@require_http_methods(["GET", "POST"])
@screen(catalogue.PEOPLE_MANAGE)
def new(request: HttpRequest) -> HttpResponseBase:
    return _form(request, None)


@require_http_methods(["GET", "POST"])
@screen(catalogue.PEOPLE_MANAGE)
def edit(request: HttpRequest, pk: int) -> HttpResponseBase:
    return _form(request, views_roles.found(pk))


def _form(request: HttpRequest, row: StaffRole | None) -> HttpResponseBase:
    form, saved = views_roles.filled(request, row)
    if saved is not None:
        return redirect("panel:roles")
    return page(
        request, "panel/role.html", here="roles", heading=row.name if row else _("New role"), form=form,
        crumbs=((_("Roles"), reverse("panel:roles")),), back=reverse("panel:roles"), status=422 if form.is_bound else 200,
    )  # fmt: skip


@require_POST
@screen(catalogue.PEOPLE_MANAGE)
def remove(request: HttpRequest, pk: int) -> HttpResponseBase:
    views_roles.removed(request, pk)
    return redirect("panel:roles")
