"""The app's registration; at start, every app's `tasks.py` registers its work."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "kameng.jobs"
    label = "jobs"

    def ready(self) -> None:
        autodiscover_modules("tasks")
