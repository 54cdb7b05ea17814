"""Addresses of billing on the main station's host."""

from __future__ import annotations

from django.urls import path

from shared_apps.billing import views

app_name = "billing"
urlpatterns = [
    path("signup/<str:public_id>/pay/", views.pay, name="pay"),
    path("signup/<str:public_id>/pay/plan/", views.choose, name="choose"),
    path("signup/<str:public_id>/pay/go/", views.go, name="go"),
    path("signup/<str:public_id>/pay/back/", views.back, name="back"),
    path("signup/<str:public_id>/pay/check/", views.check, name="check"),
]
