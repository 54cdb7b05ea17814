"""The app's registration."""

from django.apps import AppConfig


class LibraryConfig(AppConfig):
    name = "shared_apps.library"
    label = "library"
