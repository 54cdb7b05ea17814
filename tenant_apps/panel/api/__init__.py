"""The panel over the API: listings, prices, orders and the statement of one shop, for programs of its owner."""

from __future__ import annotations

from django.urls import path

from tenant_apps.panel.api.listings import Listings, OneListing, PricePreview, PriceRules
from tenant_apps.panel.api.orders import Deliver, OneOrder, Orders
from tenant_apps.panel.api.statement import Statement

urlpatterns = [
    path("panel/listings/", Listings.as_view()),
    path("panel/listings/<str:code>/", OneListing.as_view()),
    path("panel/prices/preview/", PricePreview.as_view()),
    path("panel/prices/rules/", PriceRules.as_view()),
    path("panel/orders/", Orders.as_view()),
    path("panel/orders/<str:number>/", OneOrder.as_view()),
    path("panel/orders/<str:number>/deliver/", Deliver.as_view()),
    path("panel/statement/", Statement.as_view()),
]
