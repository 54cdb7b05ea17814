"""A tenant and its domain, with nothing of ours."""

from __future__ import annotations

from django.db import models
from django_tenants.models import DomainMixin, TenantMixin


class Tenant(TenantMixin):  # type: ignore[misc]
    name = models.CharField(max_length=60)

    auto_create_schema = False  # The bench calls `create_schema` itself, as `save` would.


class Domain(DomainMixin):  # type: ignore[misc]
    pass
