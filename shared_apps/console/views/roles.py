"""Roles: what each may do, and the place's own ones (`accounts.views_roles`)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.accounts.views_roles import RolePages
from shared_apps.console.page import page

PAGES = RolePages("console", page)


@require_GET
@allowed(catalogue.STATION_PEOPLE_LOOK, change=catalogue.STATION_PEOPLE)
def index(request: HttpRequest) -> HttpResponseBase:
    return PAGES.index(request)


@require_http_methods(["GET", "POST"])
@allowed(catalogue.STATION_PEOPLE)
def new(request: HttpRequest) -> HttpResponseBase:
    return PAGES.new(request)


@require_http_methods(["GET", "POST"])
@allowed(catalogue.STATION_PEOPLE)
def edit(request: HttpRequest, pk: int) -> HttpResponseBase:
    return PAGES.edit(request, pk)


@require_POST
@allowed(catalogue.STATION_PEOPLE)
def remove(request: HttpRequest, pk: int) -> HttpResponseBase:
    return PAGES.remove(request, pk)
