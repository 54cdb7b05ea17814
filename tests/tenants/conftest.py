"""A shop that was lived in, a writer of archives, and the name server of the outside."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.core import mail
from django.test import override_settings
from PIL import Image

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from tests.fakes.dns import NameServer
from tests.tenant_apps.panel.conftest import make_office, office  # noqa: F401  # A shop with its people.

if TYPE_CHECKING:
    from tests.tenant_apps.panel.office import Office


@pytest.fixture
def no_wake(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs stay in their table: these tests have no worker."""
    from kameng.jobs import services

    monkeypatch.setattr(services, "_wake", lambda job_id: None)


@pytest.fixture
def lived_in(no_wake: None, office: Office) -> Office:  # noqa: F811
    """The office after some weeks of trade."""
    from kameng.accounts import tokens
    from kameng.accounts.models import User
    from tenant_apps.finance import sync
    from tenant_apps.listings.models import MarkupRule
    from tenant_apps.orders import services as orders
    from tenant_apps.shop import services as shops

    paid, left, dropped = office.place(), office.place(), office.place()
    office.pay(paid)
    now = clock.utc_now()
    picture = io.BytesIO()
    Image.new("RGB", (20, 20), "teal").save(picture, "PNG")
    picture.seek(0)
    with in_substation(office.shop):
        orders.cancel_order(number=dropped.number, by=SYSTEM, now=now, note='He wrote "no, thanks",\nand left; "\\."')
        shops.update_settings(by=SYSTEM, now=now, notice='Zeilen\nund "Zeichen", 中文, =1+1, \\N und \\.', about="")
        shops.set_logo(file=picture, by=SYSTEM, now=now)
        MarkupRule.objects.create(scope="SKU", target_id=office.goods.sku_id, kind="FIXED", value=Decimal("1.2500"))
        owner = User.objects.get(pk=office.users["OWNER"])
        tokens.create(user=owner, name="ERP", scopes=["orders:read"], by=SYSTEM, now=now)
    sync.sync_statement(office.shop)
    assert left
    return office


@pytest.fixture
def archived(tmp_path: Path) -> Callable[..., Path]:
    """Write an archive of a shop to a file."""
    from tenants.archive import writing
    from tenants.models import Substation

    def write(shop: Any, **more: Any) -> Path:
        path = tmp_path / f"{shop.slug}.zip"
        with in_main():
            row = Substation.objects.select_related("plan").get(pk=shop.pk)
        with path.open("wb") as out:
            writing.write(substation=row, out=out, now=clock.utc_now(), **more)
        return path

    return write


INGRESS = ("198.51.100.10", "2001:db8::10")


@pytest.fixture
def outside(no_wake: None, no_jobs: None) -> Iterator[NameServer]:
    """The name server that we ask about shops' own domains."""
    with (
        NameServer().running() as server,
        override_settings(DNS_RESOLVERS=[server.address], INGRESS_ADDRESSES=list(INGRESS)),
    ):
        yield server


@pytest.fixture
def outbox(no_jobs: None) -> None:
    """Mail that goes out from here on is in `django.core.mail.outbox`."""
    mail.outbox = []
