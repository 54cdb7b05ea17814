"""The API of the main station's host, below /api/v1/."""

from __future__ import annotations

from django.urls import path, re_path

from kameng.web.apidocs import Contract, DocsView, IndexView, SchemaView
from kameng.web.endpoint import NothingHere
from shared_apps.billing import api as billing
from shared_apps.console import api as console
from shared_apps.library import api as library
from tenants import api as tenants
from tenants.views import site_nav

CONTRACT = Contract(
    title="Kameng",
    description="The main station: plans and signup for everybody; library, stock, substations and their syncs for "
    "programs with a token.",
    patterns=[*tenants.urlpatterns, *billing.urlpatterns, *library.urlpatterns, *console.urlpatterns],
    layout="ui/main_site.html",
    context=lambda request: {"site_nav": site_nav(request)},
)
urlpatterns = [
    path("", IndexView.as_view(contract=CONTRACT), name="api_index"),
    path("schema/", SchemaView.as_view(contract=CONTRACT), name="api_schema"),
    path("docs/", DocsView.as_view(contract=CONTRACT), name="api_docs"),
    *CONTRACT.patterns,
    re_path(r"", NothingHere.as_view()),
]
