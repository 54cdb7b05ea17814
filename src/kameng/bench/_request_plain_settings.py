"""Django without tenancy: the same tables in one schema, the same page, no middleware."""

from kameng.bench._peers import stock_database
from kameng.settings import *  # noqa: F403  # The tenant apps' own settings.
from kameng.settings import TENANT_APPS

INSTALLED_APPS = ["django.contrib.contenttypes", *TENANT_APPS]
DATABASES = {"default": {**stock_database("django.db.backends.postgresql"), "CONN_MAX_AGE": 600}}
DATABASE_ROUTERS = []
MIDDLEWARE = []
ROOT_URLCONF = "kameng.bench._request_urls"
