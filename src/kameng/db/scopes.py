"""Names of the database's roles and schemas, and the refusals of the backend."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

PUBLIC_SCHEMA = "public"
TEMPLATE_SCHEMA = "template_substation"
GATE_SCHEMA = "gate"

OWNER_ROLE = "kameng_owner"
APP_ROLE = "kameng_app"
MAIN_ROLE = "kameng_main"
SYNC_ROLE = "kameng_sync"
LEDGER_ROLE = "kameng_ledger"
TENANT_ROLE = "kameng_tenant"


class OutsideTransaction(ImproperlyConfigured):
    """A programmer's mistake: a query was sent where no transaction carries its role."""


class StatementRefused(ImproperlyConfigured):
    """A statement that is not plain DML was sent from a tenant's request."""


class NoTenant(ImproperlyConfigured):
    """Work that belongs to one substation was started without saying which."""
