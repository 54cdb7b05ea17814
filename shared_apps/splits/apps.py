"""The app's registration."""

from django.apps import AppConfig


class SplitsConfig(AppConfig):
    name = "shared_apps.splits"
    label = "splits"
