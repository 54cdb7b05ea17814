"""django-tenants by itself: its own backend, router and tenant, around the same tenant apps as ours and nothing else."""

from kameng.bench._peers import stock_database
from kameng.settings import *  # noqa: F403  # The tenant apps' own settings.
from kameng.settings import TENANT_APPS

SHARED_APPS = ["django_tenants", "django.contrib.contenttypes", "kameng.bench._plain_tenant"]
INSTALLED_APPS = [*SHARED_APPS, *TENANT_APPS]
TENANT_MODEL = "_plain_tenant.Tenant"
TENANT_DOMAIN_MODEL = "_plain_tenant.Domain"
DATABASES = {"default": stock_database("django_tenants.postgresql_backend")}
TENANT_SYNC_ROUTER = "django_tenants.routers.TenantSyncRouter"
DATABASE_ROUTERS = [TENANT_SYNC_ROUTER]
