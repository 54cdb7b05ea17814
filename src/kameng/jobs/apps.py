"""The app's registration; at start, every app's `tasks.py` registers its work."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class JobsConfig(AppConfig):
    name = "kameng.jobs"
    label = "jobs"
    # A program that mostly finds nothing to do sets this to False before Django starts, and calls `load` when it does.
    at_once = True

    def ready(self) -> None:
        if self.at_once:
            load()


def load() -> None:
    """Import every app's `tasks.py`, and with it nearly all code. Safe to repeat."""
    autodiscover_modules("tasks")
