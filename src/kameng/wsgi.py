"""The WSGI application that gunicorn serves; it is not there while a wall between shops is down."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kameng.settings")

application = get_wsgi_application()

from kameng import selftest  # noqa: E402  # It needs Django to be set up.

selftest.require_or_exit()
