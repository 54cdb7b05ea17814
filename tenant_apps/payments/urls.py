"""Included by both hosts: `path("hooks/", include("tenant_apps.payments.urls"))`."""

from __future__ import annotations

from django.urls import path

from tenant_apps.payments.views import CallbackView

app_name = "payments"
urlpatterns = [path("<slug:channel>/<slug:account>/", CallbackView.as_view(), name="callback")]
