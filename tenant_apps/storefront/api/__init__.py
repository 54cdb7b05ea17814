"""A shop's public endpoints: what it sells, at what price and why, and an order from the first wish to the codes."""

from __future__ import annotations

from django.urls import path

from tenant_apps.storefront.api.orders import Channels, Codes, OneOrder, Orders, Payments
from tenant_apps.storefront.api.shelf import ListingPrice, Listings, OneListing

urlpatterns = [
    path("listings/", Listings.as_view()),
    path("listings/<str:code>/", OneListing.as_view()),
    path("listings/<str:code>/price/", ListingPrice.as_view()),
    path("channels/", Channels.as_view()),
    path("orders/", Orders.as_view()),
    path("orders/<str:number>/", OneOrder.as_view()),
    path("orders/<str:number>/payments/", Payments.as_view()),
    path("orders/<str:number>/codes/", Codes.as_view()),
]
