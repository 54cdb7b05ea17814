"""The app's registration."""

from django.apps import AppConfig


class StockConfig(AppConfig):
    name = "shared_apps.stock"
    label = "stock"
