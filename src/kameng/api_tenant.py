"""The API of a shop's host, below /api/v1/."""

from __future__ import annotations

from django.urls import path, re_path

from kameng.web.apidocs import Contract, DocsView, IndexView, SchemaView
from kameng.web.endpoint import NothingHere
from tenant_apps.panel import api as panel
from tenant_apps.storefront import api as storefront

CONTRACT = Contract(
    title="Shop",
    description="A shop: what it sells and orders for everybody; listings, prices, orders and the statement for "
    "programs of its owner, with a token.",
    patterns=[*storefront.urlpatterns, *panel.urlpatterns],
    layout="ui/storefront.html",
)
urlpatterns = [
    path("", IndexView.as_view(contract=CONTRACT), name="api_index"),
    path("schema/", SchemaView.as_view(contract=CONTRACT), name="api_schema"),
    path("docs/", DocsView.as_view(contract=CONTRACT), name="api_docs"),
    *CONTRACT.patterns,
    re_path(r"", NothingHere.as_view()),
]
