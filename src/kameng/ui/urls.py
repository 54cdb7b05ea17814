"""Addresses of the gallery, and of the language switch when it runs alone."""

from django.urls import include, path

from kameng.ui import views

urlpatterns = [
    path("ui/gallery/", views.gallery, name="ui_gallery"),
    path("ui/gallery/<slug:frame>/", views.gallery_frame, name="ui_gallery_frame"),
    path("i18n/", include("django.conf.urls.i18n")),
]
