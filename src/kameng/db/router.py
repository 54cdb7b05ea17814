"""Which app's tables belong in which schema, for migrations; everything else uses the default connection."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import connections
from django_tenants.routers import TenantSyncRouter

from kameng.db.scopes import PUBLIC_SCHEMA


class SchemaRouter(TenantSyncRouter):  # type: ignore[misc]
    """django-tenants' router, but migrations run on the `owner` alias alone."""

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        if db != settings.OWNER_ALIAS:
            return False
        wrapper: Any = connections[db]
        apps = settings.SHARED_APPS if wrapper.schema_name == PUBLIC_SCHEMA else settings.TENANT_APPS
        return None if self.app_in_list(app_label, apps) else False
