"""The public site of the main station."""

from __future__ import annotations

from django.urls import path

from tenants import views

app_name = "tenants"
urlpatterns = [
    path("", views.home, name="home"),
    path("plans/", views.plan_list, name="plans"),
    path("signup/", views.begin, name="signup"),
    path("signup/address/", views.address, name="address"),
    path("signup/<str:public_id>/", views.progress, name="progress"),
    path("signup/<str:public_id>/verify/", views.verify, name="verify"),
    path("signup/<str:public_id>/resend/", views.resend, name="resend"),
    path("signup/<str:public_id>/retry/", views.retry, name="retry"),
    path("signup/<str:public_id>/enter/", views.enter, name="enter"),
]
