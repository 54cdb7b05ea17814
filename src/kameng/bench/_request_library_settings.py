"""django-tenants as it comes, around the same page; its connection is kept, as ours is."""

from kameng.bench._library_settings import *  # noqa: F403  # The differences are below.
from kameng.bench._library_settings import DATABASES

MIDDLEWARE = ["django_tenants.middleware.main.TenantMainMiddleware"]
ROOT_URLCONF = "kameng.bench._request_urls"
DATABASES["default"]["CONN_MAX_AGE"] = 600
