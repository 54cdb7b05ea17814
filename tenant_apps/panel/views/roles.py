"""Roles: what each may do, and the place's own ones (`accounts.views_roles`)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue
from kameng.accounts.views_roles import RolePages
from tenant_apps.panel.access import screen
from tenant_apps.panel.page import page

PAGES = RolePages("panel", page)


@require_GET
@screen(catalogue.PEOPLE_MANAGE)
def index(request: HttpRequest) -> HttpResponseBase:
    return PAGES.index(request)


@require_http_methods(["GET", "POST"])
@screen(catalogue.PEOPLE_MANAGE)
def new(request: HttpRequest) -> HttpResponseBase:
    return PAGES.new(request)


@require_http_methods(["GET", "POST"])
@screen(catalogue.PEOPLE_MANAGE)
def edit(request: HttpRequest, pk: int) -> HttpResponseBase:
    return PAGES.edit(request, pk)


@require_POST
@screen(catalogue.PEOPLE_MANAGE)
def remove(request: HttpRequest, pk: int) -> HttpResponseBase:
    return PAGES.remove(request, pk)
