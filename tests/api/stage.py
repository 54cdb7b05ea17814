"""What the fuzzing finds in the database: something of everything, in every state, and four who ask about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.api.conftest import a_token, host_of, some_goods
from tests.tenant_apps import market


@dataclass(frozen=True)
class Asker:
    """Who asks: the headers that say so. A buyer holds the secret of the order or signup that is asked about."""

    name: str
    fixed: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, Sequence[str]] = field(default_factory=dict)

    def headers(self, pick: int) -> dict[str, str]:
        return {**self.fixed, **{name: held[pick % len(held)] for name, held in self.secrets.items()}}


@dataclass(frozen=True)
class Stage:
    """`real`: values by the names of places, of parameters and of body fields; lists that belong together have the
    same order and length, so that one pick finds an order and its secret."""

    shop_host: str
    askers: list[Asker]
    real: dict[str, list[Any]]

    def entitled(self, operation_id: str) -> Asker:
        """Whom the operation is for."""
        stranger, buyer, owner, main_station = self.askers
        if operation_id.startswith(("signups_", "orders_")):
            return buyer
        if operation_id.startswith(("plans_", "listings_", "channels_")):
            return stranger
        return owner if operation_id.startswith("panel_") else main_station

    def grounded(self, operation_id: str, value: Any, pick: int) -> Any:
        """`value` with what is really there in the places of what was drawn, where the kind of value is the same."""
        if isinstance(value, list):
            return [self.grounded(operation_id, item, pick) for item in value]
        if not isinstance(value, dict):
            return value
        return {name: self._real(operation_id, name, inner, pick) for name, inner in value.items()}

    def _real(self, operation_id: str, name: str, drawn: Any, pick: int) -> Any:
        known = self.real.get(f"{operation_id.partition('_')[0]}.{name}") or self.real.get(name)
        if known and type(drawn) is type(known[0]):
            return known[pick % len(known)]
        return self.grounded(operation_id, drawn, pick)


def set_up(make_shop: Callable[..., Any], account: Any) -> Stage:
    """A shop of its own, which may end in any state, and tokens with every scope. Committed."""
    from kameng.accounts.tokens import MAIN_SCOPES, SHOP_SCOPES
    from kameng.db.context import in_main, in_substation
    from kameng.lib import clock
    from shared_apps.library.models import Brand

    shop = make_shop(f"fuzz-shop-{market.public_id('x')[2:8].lower()}")
    with in_main():
        market.open_books(shop)
        goods, by_hand = some_goods(codes=5_000), some_goods(delivery="MANUAL")
        brand = Brand.objects.create(slug=f"brand-{shop.slug}", name_zh="牌", name_en="Brand")
    market.stock_shelves(shop)
    now = clock.utc_now()
    with in_substation(shop):
        orders = [market.place(one, now=now) for one in (goods, goods, by_hand)]
    lines = [_paid(shop, account, order, now) for order in orders[1:]]
    signups = _signups()
    product = goods.code.lower().replace("sku", "card")
    real: dict[str, list[Any]] = {
        "code": [goods.code, by_hand.code], "sku": [goods.code], "sku_id": [goods.sku_id, by_hand.sku_id],
        "number": [order.number for order in orders], "line_id": [*lines, lines[-1]], "contact": ["ann@example.com"],
        "signups.public_id": [one.signup.public_id for one in signups], "public_id": [shop.public_id],
        "signups.code": ["000000"], "slug": ["cards", product, brand.slug], "product": [product],
        "category": ["cards"], "brand": [brand.slug], "plan": ["basic"], "channel_id": [account.public_id],
        "substation": [shop.slug], "email": ["nina@example.com"], "target_id": [goods.sku_id, 0],
        "password": ["correct horse battery staple"], "cursor": ["cD0x"],
        "panel.cursor": [1],
    }  # fmt: skip
    secrets = {
        "X-Order-Token": [order.token for order in orders], "X-Signup-Token": [one.token for one in signups],
    }  # fmt: skip
    askers = [
        Asker("stranger"),
        Asker("buyer", secrets=secrets),
        Asker("owner", {"Authorization": f"Bearer {a_token(SHOP_SCOPES, shop)}"}),
        Asker("main station", {"Authorization": f"Bearer {a_token(MAIN_SCOPES)}"}),
    ]
    return Stage(host_of(shop), askers, real)


def _paid(shop: Any, account: Any, order: Any, now: Any) -> int:
    """Pay the order in full; its first line's id. By hand, it waits for a person."""
    from kameng.db.context import in_substation
    from tenant_apps.orders.models import Order, OrderLine
    from tenant_apps.payments import services as payments

    with in_substation(shop):
        payment = market.announce(order, account, now=now)
        total = Order.objects.get(number=order.number).total_minor
        line = OrderLine.objects.get(order__number=order.number).pk
    assert payments.take_fact(fact=market.pay_fact(account, payment, total, occurred_at=now), now=now) == "SALE"
    return int(line)


def _signups() -> list[Any]:
    """One that waits for its code, one whose making failed, one more that waits: as many as there are orders."""
    from kameng.db.context import in_main
    from tenants import signup
    from tenants.models import Signup
    from tenants.states import SignupState

    begun = [
        signup.begin(
            name="Night Market", slug=f"fuzz-{market.public_id('x')[2:10].lower()}", plan_code="basic",
            email="nina@example.com", password="correct horse battery staple",
        )
        for _ in range(3)
    ]  # fmt: skip
    with in_main():
        Signup.objects.filter(pk=begun[1].signup.pk).update(state=SignupState.FAILED)
    return begun
