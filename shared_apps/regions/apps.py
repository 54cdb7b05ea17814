"""The app's registration."""

from django.apps import AppConfig


class RegionsConfig(AppConfig):
    name = "shared_apps.regions"
    label = "regions"
