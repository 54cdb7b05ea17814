"""The page of the request bench and its rows, for each of the three Djangos."""

from __future__ import annotations

import time
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test.client import RequestFactory

QUERIES = 10
_handlers: list[Any] = []


def ten(request: HttpRequest) -> HttpResponse:
    """Ten rows, each by a query of its own, as a page reads its bits."""
    from tenant_apps.listings.models import MarkupRule

    values = [MarkupRule.objects.get(scope="SKU", target_id=number).value for number in range(1, QUERIES + 1)]
    return HttpResponse(", ".join(map(str, values)), content_type="text/plain; charset=utf-8")


def _rows() -> None:
    from tenant_apps.listings.models import MarkupRule

    for number in range(1, QUERIES + 1):
        MarkupRule.objects.create(scope="SKU", target_id=number, kind="PERCENT", value=number)


def fill_kameng() -> None:
    """A shop, made as the product makes one."""
    from kameng.db.context import in_main, in_substation
    from tenants import prepare, provisioning
    from tenants.models import Plan, Substation

    prepare.prepare(spare_count=0)
    with in_main():
        plan = Plan.objects.create(
            code="basic", name_zh="基础版", name_en="Basic", supply_level="BASIC", platform_fee_bps=200, sort=1
        )
        shop = Substation(slug="bench", name="Bench", plan=plan, owner_email="bench@example.com", owner_name="Bench")
        shop.schema_name = provisioning.schema_placeholder(shop.public_id)
        shop.save()
    provisioning.run(shop)
    with in_substation(shop):
        _rows()


def fill_django_tenants() -> None:
    """A tenant of the library's, with its domain."""
    from django_tenants.utils import tenant_context

    from kameng.bench._plain_tenant.models import Domain, Tenant

    call_command("migrate_schemas", shared=True, run_syncdb=True, interactive=False, verbosity=0)
    tenant = Tenant.objects.create(schema_name="t0000001", name="Bench")
    tenant.create_schema(check_if_exists=True, sync_schema=True, verbosity=0)
    Domain.objects.create(domain="bench.example", tenant=tenant, is_primary=True)
    with tenant_context(tenant):
        _rows()


def fill_no_tenancy() -> None:
    """The same tables in `public`."""
    call_command("migrate", run_syncdb=True, interactive=False, verbosity=0)
    _rows()


def ask(host: str, count: int) -> float:
    """Seconds of `count` requests, from the WSGI call to the closed response."""
    if not _handlers:
        _handlers.append(WSGIHandler())
    handler, factory = _handlers[0], RequestFactory()
    environs = [factory.get("/", HTTP_HOST=host).environ for _ in range(count)]
    statuses: list[str] = []
    began = time.perf_counter()
    for environ in environs:
        response = handler(environ, lambda status, headers: statuses.append(status))
        body = b"".join(response)
        response.close()
    took = time.perf_counter() - began
    assert set(statuses) == {"200 OK"}, f"{statuses[-1]}: {body[:300]!r}"
    return took
