"""The app's registration."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "kameng.accounts"
    label = "accounts"

    def ready(self) -> None:
        from kameng.accounts import sessions  # noqa: F401  # Listens for log-ins.
