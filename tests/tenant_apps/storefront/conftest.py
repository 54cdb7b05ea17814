"""A stocked shop whose rows are committed, and visitors who reach it over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from kameng.db.context import in_main, in_substation, pointed_at
from kameng.lib import clock
from tenant_apps.storefront import memory
from tests.tenant_apps import market


@dataclass
class Stall:
    """A shop with one product on its shelf, and the merchant account that takes its money."""

    shop: Any
    goods: market.Goods
    account: Any

    @property
    def path(self) -> str:
        with in_substation(self.shop):
            from tenant_apps.listings.models import ListedProduct

            return f"/p/{ListedProduct.objects.get(pk=self.goods.product_id).slug}/"

    def visitor(self, **headers: str) -> Client:
        """A browser without a past. Chinese unless told otherwise."""
        given = {"HTTP_HOST": f"{self.shop.slug}.localhost", "HTTP_ACCEPT_LANGUAGE": "en", **headers}
        return Client(**given)  # type: ignore[arg-type]

    def order_form(self, **changes: Any) -> dict[str, Any]:
        """What the product's page sends for one piece at ¥11.40."""
        sku = self.goods.sku_id
        return {
            "sku": sku, "quantity": 1, "contact": "ann@example.com", "expected_total_minor": 1140, "seen_sku": sku,
            "seen_quantity": 1, **changes,
        }  # fmt: skip

    def place(self, **changes: Any) -> Any:
        """An order of one piece, committed."""
        with in_substation(self.shop):
            return market.place(self.goods, **{"now": clock.utc_now(), **changes})

    def pay(self, placed: Any, **changes: Any) -> str:
        """The money for an order arrives; answers what became of it: SALE or CASE."""
        from tenant_apps.payments import services as payments

        now = clock.utc_now()
        with in_substation(self.shop):
            payment_id = market.announce(placed, self.account, now=now)
        return payments.take_fact(
            fact=market.pay_fact(self.account, payment_id, placed.total_minor, **changes), now=now
        )

    def sync(self) -> None:
        """Bring the library's rows to the shelves, at 20 percent above the supply price of 9.50."""
        market.stock_shelves(self.shop)
        with pointed_at(self.shop):
            cache.clear()

    def counts(self) -> dict[str, int]:
        """How many rows the shop and the network have of what an order writes."""
        from tenant_apps.orders.models import Order, OrderStep
        from tenant_apps.payments.models import Payment

        with in_substation(self.shop):
            own = {model.__name__: model.objects.count() for model in (Order, OrderStep, Payment)}
        return {**own, **market.network_counts()}


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    memory.forget_all()


@pytest.fixture
def make_stall(make_shop: Callable[..., Any]) -> Callable[..., Stall]:
    """`make_stall(codes=3, **goods)`: a shop of the test's own."""

    def make(*, codes: int = 3, **goods: Any) -> Stall:
        shop = make_shop()
        with in_main():
            made = market.make_goods(codes=codes, **goods)
            _count(made.sku_id)
            account = market.ensure_account(substation_id=shop.pk)
        stall = Stall(shop, made, account)
        stall.sync()
        _clear_shelves(stall)
        return stall

    return make


@pytest.fixture
def stall(make_stall: Callable[..., Stall]) -> Stall:
    return make_stall()


def _clear_shelves(stall: Stall) -> None:
    """Leave its own product alone on the shelf, of all that other tests put into the library."""
    from tenant_apps.listings.models import Listing

    with in_substation(stall.shop):
        Listing.objects.exclude(pk=stall.goods.sku_id).update(on_shelf=False)


def _count(sku_id: int) -> None:
    from shared_apps.stock import services as stock

    stock.count_now(sku_ids=[sku_id], now=clock.utc_now())


def recount(stall: Stall) -> None:
    """The shop learns how much is left."""
    with in_main():
        _count(stall.goods.sku_id)
    stall.sync()


def set_markup(stall: Stall, percent: int) -> None:
    """The owner changes the shop's rule."""
    from tenant_apps.listings.models import MarkupRule

    with in_substation(stall.shop):
        MarkupRule.objects.filter(scope="SHOP").update(value=Decimal(percent))


def words(response: Any) -> str:
    """What a person sees: the page without its tags, its scripts and its head."""
    import re

    body = response.content.decode().partition("<body")[2]
    body = re.sub(r"<(script|style|svg|noscript)\b.*?</\1>", " ", body, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", "<body" + body)).split())
