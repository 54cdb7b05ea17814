"""Two shops that sell, programs with tokens, and calls as a program makes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from tests.api import conformance
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel

PASSWORD = "correct horse battery staple"
PLENTY = "100000/min"
RATES = "rest_framework.throttling.SimpleRateThrottle.THROTTLE_RATES"


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: Any
    body: Any
    again: Callable[..., Answer]  # The same request once more, with more headers.

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.body["error"]
        return found


@dataclass(frozen=True)
class Api:
    """One reader of one host's API."""

    host: str
    client: Client
    headers: tuple[tuple[str, str], ...] = ()

    def call(self, method: str, path: str, data: Any = None, **headers: str) -> Answer:
        """`headers` by their names with underscores: `Idempotency_Key="k"`. The answer must be a documented one."""
        sent = {**dict(self.headers), **{name.replace("_", "-"): value for name, value in headers.items()}}
        body = data if isinstance(data, str | bytes) else "" if data is None else json.dumps(data)
        response = self.client.generic(
            method, f"/api/v1/{path}", body, content_type="application/json" if data is not None else "",
            headers=sent, HTTP_HOST=self.host,
        )  # fmt: skip
        content = json.loads(response.content) if response.content else None
        conformance.check(self.host, method, path, response.status_code, response.headers, content)
        again = lambda **more: self.call(method, path, data, **{**headers, **more})  # noqa: E731
        return Answer(response.status_code, response.headers, content, again)

    def get(self, path: str, **headers: str) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path: str, data: Any = None, **headers: str) -> Answer:
        return self.call("POST", path, data, **headers)

    def with_header(self, name: str, value: str) -> Api:
        return Api(self.host, self.client, (*self.headers, (name, value)))


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Limits stand out of the way; what is about them sets its own. No worker is woken."""
    from kameng import celery
    from kameng.db.context import MAIN, pointed_at
    from kameng.web import counting
    from tenants import admission

    rates = dict.fromkeys(("anon", "token", "signup", "signup_code"), PLENTY)
    monkeypatch.setattr(RATES, rates)
    monkeypatch.setattr(admission, "SIGNUPS_PER_HOUR", 100_000)
    monkeypatch.setattr(celery, "wake", lambda job_id: None)
    yield
    with pointed_at(MAIN):
        counting.forget("signup:127.0.0.1")  # Tests elsewhere have the product's limit, and the same address.


@pytest.fixture(scope="session")
def shop(make_shop: Callable[..., Any]) -> Any:
    """A shop that sells through the test channel. Committed; tests put goods of their own on its shelves."""
    return _open(make_shop(f"api-{market.public_id('x')[2:8].lower()}"))


@pytest.fixture(scope="session")
def other_shop(make_shop: Callable[..., Any]) -> Any:
    return _open(make_shop(f"api-{market.public_id('x')[2:8].lower()}", plan="pro"))


def _open(made: Any) -> Any:
    from kameng.db.context import in_main

    with in_main():
        market.open_books(made)
    return made


@pytest.fixture(scope="session")
def account(prepared: None) -> Any:
    from kameng.db.context import in_main

    with in_main():
        return market.ensure_account()


@pytest.fixture
def sell(shop: Any) -> Callable[..., market.Goods]:
    """Goods on the shop's shelves: `sell(codes=3)`."""

    def put(**wishes: Any) -> market.Goods:
        from kameng.db.context import in_main

        with in_main():
            goods = some_goods(**wishes)
        market.stock_shelves(shop)
        return goods

    return put


def some_goods(**wishes: Any) -> market.Goods:
    """`market.make_goods` with a code as the library writes them, in capitals, and its stock counted."""
    from kameng.lib import clock
    from shared_apps.library.models import Sku
    from shared_apps.stock import services as stock

    goods = market.make_goods(**wishes)
    goods.code = goods.code.upper()
    Sku.objects.filter(pk=goods.sku_id).update(code=goods.code)
    stock.count_now(sku_ids=[goods.sku_id], now=clock.utc_now())
    return goods


@pytest.fixture
def outbox(no_jobs: None) -> None:
    """Mail that goes out from here on is in `django.core.mail.outbox`."""
    from django.core import mail

    mail.outbox = []


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> MemoryChannel:
    from tenant_apps.payments import providers

    memory = MemoryChannel()
    monkeypatch.setattr(providers, "get", lambda name: memory)
    return memory


# -- Readers.


def host_of(substation: Any) -> str:
    return f"{substation.slug}.localhost"


def stranger_at(host: str) -> Api:
    return Api(host, Client(), (("Accept-Language", "en"),))


def a_user(role: str, substation: Any = None) -> Any:
    """A person of the main station's, or of a shop's, schema. Committed."""
    from kameng.accounts.models import User
    from kameng.db.context import in_main, in_substation

    email = f"{market.public_id('u')[2:10].lower()}@example.com"
    with in_substation(substation) if substation is not None else in_main():
        return User.objects.create_user(email, PASSWORD, role=role, name=role.title())


def a_token(scopes: tuple[str, ...] | list[str], substation: Any = None) -> str:
    """The secret of a token of the main station, or of a shop. Committed."""
    from kameng.accounts import tokens
    from kameng.accounts.types import SYSTEM
    from kameng.db.context import in_main, in_substation
    from kameng.lib import clock

    user = a_user("OPERATOR" if substation is None else "OWNER", substation)
    with in_substation(substation) if substation is not None else in_main():
        _row, secret = tokens.create(user=user, name="test", scopes=list(scopes), by=SYSTEM, now=clock.utc_now())
    return secret


def program_at(host: str, secret: str) -> Api:
    return stranger_at(host).with_header("Authorization", f"Bearer {secret}")


def person_at(host: str, user: Any) -> Api:
    """Logged in with a cookie; writes carry the token that a page would have."""
    client = Client(enforce_csrf_checks=True)
    client.get("/login/", HTTP_HOST=host)
    page = client.get("/login/", HTTP_HOST=host)
    csrf = client.cookies["kameng_csrf"].value
    assert page.status_code == 200
    done = client.post(
        "/login/", {"email": user.email, "password": PASSWORD, "csrfmiddlewaretoken": csrf}, HTTP_HOST=host
    )
    assert done.status_code == 302, done.content[:500]
    return Api(host, client, (("Accept-Language", "en"), ("X-CSRFToken", client.cookies["kameng_csrf"].value)))


@pytest.fixture(scope="session")
def main() -> Api:
    """A stranger at the main station."""
    return stranger_at("localhost")


@pytest.fixture(scope="session")
def operator(prepared: None) -> Api:
    """A program of the main station with every scope."""
    from kameng.accounts.tokens import MAIN_SCOPES

    return program_at("localhost", a_token(MAIN_SCOPES))


@pytest.fixture(scope="session")
def visitor(shop: Any) -> Api:
    """A stranger at the shop."""
    return stranger_at(host_of(shop))


@pytest.fixture(scope="session")
def owner(shop: Any) -> Api:
    """A program of the shop's owner with every scope."""
    from kameng.accounts.tokens import SHOP_SCOPES

    return program_at(host_of(shop), a_token(SHOP_SCOPES, shop))


# -- An order and its buyer.


@dataclass(frozen=True)
class Bought:
    """An order placed over the API, and the buyer who holds its token."""

    number: str
    token: str
    goods: market.Goods
    buyer: Api
    placed: dict[str, Any]


Buy = Callable[..., Bought]
Sell = Callable[..., market.Goods]


@pytest.fixture
def buy(visitor: Api, sell: Sell) -> Buy:
    """Place an order for goods of its own: `buy(codes=2)`."""

    def place(quantity: int = 1, **wishes: Any) -> Bought:
        goods = sell(**wishes)
        answer = visitor.post("orders/", an_order(goods, quantity))
        assert answer.status == 201, answer.body
        token = answer.body["token"]
        return Bought(answer.body["number"], token, goods, visitor.with_header("X-Order-Token", token), answer.body)

    return place


def an_order(goods: market.Goods, quantity: int = 1, **changes: Any) -> dict[str, Any]:
    return {"lines": [{"sku_id": goods.sku_id, "quantity": quantity}], "contact": "ann@example.com", **changes}


def pay(substation: Any, account: Any, bought: Bought) -> str:
    """The channel says that the payment which was begun is paid; what became of it."""
    from kameng.db.context import in_substation
    from kameng.lib import clock
    from tenant_apps.payments import services as payments
    from tenant_apps.payments.models import Payment

    with in_substation(substation):
        payment = Payment.objects.get(order__number=bought.number).public_id
    now = clock.utc_now()
    fact = market.pay_fact(account, payment, bought.placed["total_minor"], occurred_at=now)
    return payments.take_fact(fact=fact, now=now)


def begin_payment(bought: Bought, account: Any) -> Answer:
    return bought.buyer.post(f"orders/{bought.number}/payments/", {"channel_id": account.public_id})


def an_invoice(shop: Any) -> str:
    """A due invoice of the shop; its number. Committed."""
    from kameng.db.context import in_main
    from shared_apps.billing import services as billing
    from shared_apps.billing.states import InvoiceKind
    from shared_apps.billing.types import Line
    from tenants.models import Substation

    with in_main():
        row = Substation.objects.get(pk=shop.pk)
        line = Line("period", "专业版一个月", "Professional, a month", 9900)
        return billing.issue(substation=row, kind=InvoiceKind.PERIOD, lines=[line], at=market.NOW).number


def shop_rows(shop: Any) -> dict[str, int]:
    """How much there is of what the API can write in a shop."""
    from kameng.accounts.models import AuditRecord, IdempotencyRecord
    from kameng.db.context import in_substation
    from tenant_apps.listings.models import Listing, MarkupRule
    from tenant_apps.orders.models import Order, OrderStep
    from tenant_apps.payments.models import Payment

    with in_substation(shop):
        counted = {
            model.__name__: model.objects.count()
            for model in (Order, OrderStep, Payment, MarkupRule, IdempotencyRecord, AuditRecord)
        }
        return {**counted, "on shelf": Listing.objects.filter(on_shelf=True).count()}


def main_rows() -> dict[str, int]:
    """The same of the main station."""
    from kameng.accounts.models import AuditRecord, IdempotencyRecord
    from kameng.db.context import in_main
    from kameng.jobs.models import Job
    from shared_apps.library.models import Product, Sku, SupplyPrice
    from shared_apps.stock.models import Code, CodeBatch
    from tenants.models import Signup

    with in_main():
        models = (Product, Sku, SupplyPrice, Code, CodeBatch, Signup, IdempotencyRecord, AuditRecord, Job)
        return {model.__name__: model.objects.count() for model in models}


@pytest.fixture
def untouched(shop: Any, request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    """Call it once all is set up; after the test, neither schema may have a row more or less."""
    before: list[Any] = []
    yield lambda: before.append((shop_rows(shop), main_rows()))
    assert before, "The test has not said from when on nothing may change."
    assert (shop_rows(shop), main_rows()) == before[-1]
