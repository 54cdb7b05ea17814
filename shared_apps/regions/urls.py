"""Pages of the main site about cities."""

from __future__ import annotations

from django.urls import path

from shared_apps.regions import views

app_name = "regions"
urlpatterns = [
    path("your-city/", views.your_city, name="your_city"),
    path("cities/", views.find, name="find"),
]
