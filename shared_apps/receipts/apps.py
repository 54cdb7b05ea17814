"""The app's registration."""

from django.apps import AppConfig


class ReceiptsConfig(AppConfig):
    name = "shared_apps.receipts"
    label = "receipts"
