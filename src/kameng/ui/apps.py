"""The app's registration."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    name = "kameng.ui"
    label = "ui"
