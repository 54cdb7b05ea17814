"""A scene for the console: one shop that sold, was paid twice once, and people who may look or act. Committed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from tests.tenant_apps import market

HOST = "localhost"


@dataclass
class Scene:
    """What the pages show. `order` was paid and delivered; `case` is the second payment of it."""

    shop: Any
    account: Any
    goods: market.Goods
    counted: market.Goods
    order: str
    total_minor: int
    case: str
    transfer: str
    event: int
    batch: str
    run: str
    job: int
    token: int


@pytest.fixture(autouse=True)
def _no_wake(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No Celery in the tests: jobs stay in their table until a test runs them."""
    monkeypatch.setattr("kameng.jobs.services._wake", lambda job_id: None)
    return


def _person(role: str) -> Any:
    from kameng.accounts.models import User
    from kameng.db.context import in_main

    with in_main():
        email = f"{role.lower()}@console.example"
        found = User.objects.filter(email=email).first()
        return found or User.objects.create_user(email, "a long enough password", name=role.title(), role=role)


def _with_own_role(*permissions: str) -> Any:
    """Somebody whose role is one of the station's own, made for a test."""
    from kameng.accounts.models import Role, StaffRole, User
    from kameng.db.context import in_main
    from kameng.lib.ids import public_id

    with in_main():
        name = public_id("role")
        own = StaffRole.objects.create(name=name, permissions=list(permissions))
        return User.objects.create_user(f"{name.lower()}@console.example", None, role=Role.VIEWER, own_role=own)


def _client(user: Any = None) -> Client:
    from kameng.db.context import in_main

    client = Client(HTTP_HOST=HOST, HTTP_ACCEPT_LANGUAGE="en")
    if user is not None:
        with in_main():
            client.force_login(user, backend="kameng.accounts.backends.EmailBackend")
    return client


@pytest.fixture
def operator(prepared: None) -> Client:
    """Somebody who may do everything on the main station."""
    return _client(_person("OPERATOR"))


@pytest.fixture
def viewer(prepared: None) -> Client:
    """Somebody who may look, and change nothing."""
    return _client(_person("VIEWER"))


@pytest.fixture
def stranger(prepared: None) -> Client:
    return _client()


@pytest.fixture(scope="session")
def scene(make_shop: Callable[..., Any]) -> Scene:
    from kameng.accounts import tokens
    from kameng.accounts.models import User
    from kameng.accounts.types import Actor, ActorKind
    from kameng.db.context import in_main, in_substation
    from kameng.jobs.models import Job
    from kameng.lib import clock
    from shared_apps.library import services as library
    from shared_apps.library.models import Sku
    from shared_apps.receipts import services as receipts
    from shared_apps.splits.services import ensure_first_rule
    from shared_apps.stock import services as stock
    from tenant_apps.payments import services as payments

    shop = make_shop(f"scene-{market.public_id('x')[2:8].lower()}")
    by = Actor(ActorKind.USER, "Mia", 1)
    ensure_first_rule()
    with in_main():
        market.open_books(shop)
        account = market.ensure_account()
        goods = make_goods("CODES", by)
        counted = make_goods("COUNTED", by)
        sku = Sku.objects.get(pk=goods.sku_id)
        stock.set_count(sku=Sku.objects.get(pk=counted.sku_id), available=4, by=by, now=market.NOW)
    batch = stock.import_codes(sku=sku, stream="A-1\nA-2\nA-3\nA-4\n", filename="a.txt", by=by, now=market.NOW).batch
    stock.count_now(sku_ids=[goods.sku_id, counted.sku_id], now=market.NOW)
    market.stock_shelves(shop)
    with in_substation(shop):
        placed = market.place(goods)
        payment = market.announce(placed, account)
    for _ in range(2):
        payments.take_fact(fact=market.pay_fact(account, payment, placed.total_minor), now=market.NOW)
    [(case,)] = market.rows("SELECT public_id FROM receipts_paymentcase WHERE order_number = %s", placed.number)
    [(transfer,)] = market.rows(
        "SELECT public_id FROM ledger_transfer WHERE reference = %s AND kind = 'sale'", placed.number
    )
    with in_main():
        event = receipts.store_event(
            account_id=account.id, channel="testpay", event_id=market.public_id("evt"), kind="payment.paid",
            payment_id=payment, channel_ref="ref", body=b'{"amount": 1140, "note": "\xe4\xbb\x98\xe6\xac\xbe"}',
            headers={"Content-Type": "application/json"}, now=market.NOW,
        )  # fmt: skip
        run = library.start_import(
            stream=_file(b"sku,nonsense\n1,2\n"), filename="wrong.csv", by=by, now=clock.utc_now(), dry_run=True
        )
        job = Job.objects.create(kind="listings.sync_all", state="FAILED", attempts=12, run_at=clock.utc_now())
        owner = User.objects.create_user(f"{market.public_id('o')}@console.example", role="OPERATOR")
        token, _secret = tokens.create(user=owner, name="ERP", scopes=["stock:read"], by=by, now=clock.utc_now())
    library.execute_run(run=run.public_id, now=clock.utc_now() + timedelta(seconds=1))
    return Scene(
        shop, account, goods, counted, placed.number, placed.total_minor, case, transfer, event.id, batch, run.public_id,
        job.pk, token.pk,
    )  # fmt: skip


def make_goods(policy: str, by: Any) -> market.Goods:
    """A product with one SKU, by the library's services. Main scope."""
    from shared_apps.library import services as library
    from shared_apps.library.models import Category

    number = market.public_id("n")[2:9]
    category, _ = Category.objects.get_or_create(slug="cards", defaults={"name_zh": "卡", "name_en": "Cards"})
    product = library.create_product(
        slug=f"card-{number.lower()}", category_id=category.pk, kind="CARD_CODE", name_zh=f"卡 {number}",
        name_en=f"Card {number}", delivery="CODES" if policy == "CODES" else "MANUAL", by=by, now=market.NOW,
    )  # fmt: skip
    sku = library.create_sku(
        code=f"CARD-{number}", product_id=product.pk, name_zh="10 元", name_en="10 yuan", stock_policy=policy,
        suggested=Decimal("12.00"), floor=Decimal("9.00"), ceiling=Decimal("20.00"), supply=market.SUPPLY, by=by,
        now=market.NOW,
    )  # fmt: skip
    return market.Goods(sku.pk, sku.code, product.pk)


def _file(content: bytes) -> Any:
    import io

    return io.BytesIO(content)


def csv_rows(response: Any) -> list[list[str]]:
    """The rows of an exported CSV file, its heading first."""
    import csv

    content = b"".join(response.streaming_content) if response.streaming else response.content
    assert content.startswith(b"\xef\xbb\xbf"), "Excel needs the mark to read Chinese"
    return list(csv.reader(content.decode("utf-8-sig").splitlines()))
