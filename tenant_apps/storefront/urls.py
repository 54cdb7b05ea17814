"""Addresses of the buyer's pages. What stands in them is short: they are read out, typed and shared."""

from __future__ import annotations

from django.urls import path

from tenant_apps.storefront import views

app_name = "storefront"

urlpatterns = [
    path("", views.home, name="home"),
    path("c/<slug:slug>/", views.category, name="category"),
    path("search/", views.search, name="search"),
    path("p/<slug:slug>/", views.product, name="product"),
    path("o/<str:number>/<str:token>/", views.order, name="order"),
    path("o/<str:number>/<str:token>/pay/", views.pay_page, name="pay_page"),
    path("o/<str:number>/<str:token>/pay/begin/", views.pay, name="pay"),
    path("o/<str:number>/<str:token>/codes/", views.codes, name="codes"),
    path("o/<str:number>/<str:token>/codes.txt", views.codes_file, name="codes_file"),
    path("o/<str:number>/<str:token>/cancel/", views.cancel, name="cancel"),
    path("find/", views.find, name="find"),
    path("about/", views.about, name="about"),
    path("robots.txt", views.robots, name="robots"),
    path("sitemap.xml", views.sitemap, name="sitemap"),
]
