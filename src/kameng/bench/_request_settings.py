"""The product's settings with the middleware that its tenancy is, and no other."""

from kameng.settings import *  # noqa: F403  # The differences are below.

MIDDLEWARE = [
    "kameng.middleware.RequestContext",
    "kameng.middleware.TenantFromHost",
    "kameng.middleware.RequestTransaction",
]
ROOT_URLCONF = "kameng.bench._request_urls"
