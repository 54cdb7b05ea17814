"""A shop's addresses and the least that a page of it can be: one query, one line of text, the same middleware."""

from __future__ import annotations

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

from kameng.urls_tenant import handler400, handler403, handler404, handler500
from kameng.urls_tenant import urlpatterns as shop_urlpatterns

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]


def hello(request: HttpRequest) -> HttpResponse:
    """One query and one line."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM shop_shopsettings WHERE id = 1")
        row = cursor.fetchone()
    return HttpResponse(f"Hello from {row[0] if row else ''}", content_type="text/plain; charset=utf-8")


urlpatterns = [path("bench/hello/", hello), *shop_urlpatterns]
