"""The app's registration."""

from django.apps import AppConfig


class PanelConfig(AppConfig):
    name = "tenant_apps.panel"
    label = "panel"
