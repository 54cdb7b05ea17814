"""The app's registration; work in a schema that this code does not serve waits until it does."""

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "tenants"
    label = "tenants"

    def ready(self) -> None:
        from kameng.jobs import registry
        from tenants.upgrades import versions

        registry.hold_while(versions.holds_jobs)
