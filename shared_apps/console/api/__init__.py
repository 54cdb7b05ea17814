"""The main station over the API: its stock, its substations, their syncs, and payment cases to look at."""

from __future__ import annotations

from django.urls import path

from shared_apps.console.api.billing import Invoices, OneInvoice, OneSubscription
from shared_apps.console.api.network import Cases, OneSubstation, RepeatSync, Substations, Syncs
from shared_apps.console.api.regions import EndGrant, Grants, Leads, Regions
from shared_apps.console.api.stock import Batches, Levels
from shared_apps.console.api.terms import EndPrivatePrice, OnePrivatePrice, PrivatePrices

urlpatterns = [
    path("stock/levels/", Levels.as_view()),
    path("stock/batches/", Batches.as_view()),
    path("substations/", Substations.as_view()),
    path("substations/<str:public_id>/", OneSubstation.as_view()),
    path("substations/<str:public_id>/subscription/", OneSubscription.as_view()),
    path("substations/<str:public_id>/terms/", PrivatePrices.as_view()),
    path("substations/<str:public_id>/terms/<str:price>/", OnePrivatePrice.as_view()),
    path("substations/<str:public_id>/terms/<str:price>/end/", EndPrivatePrice.as_view()),
    path("billing/invoices/", Invoices.as_view()),
    path("billing/invoices/<str:number>/", OneInvoice.as_view()),
    path("sync/", Syncs.as_view()),
    path("sync/<str:public_id>/repeat/", RepeatSync.as_view()),
    path("cases/", Cases.as_view()),
    path("regions/", Regions.as_view()),
    path("regions/grants/", Grants.as_view()),
    path("regions/grants/<str:public_id>/end/", EndGrant.as_view()),
    path("regions/leads/", Leads.as_view()),
]
