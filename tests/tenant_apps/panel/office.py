"""A shop with its people at their desks: owner, staff and viewer, each with a browser that is logged in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.core.cache import cache
from django.test import Client

from kameng.accounts.models import AuditRecord, User
from kameng.db.context import in_main, in_substation, pointed_at
from kameng.lib import clock
from tests.tenant_apps import market

PASSWORD = "correct horse battery staple"
BACKEND = "kameng.accounts.backends.EmailBackend"


@dataclass
class Office:
    """A shop of the test's own, its goods in a category of their own, and its people."""

    shop: Any
    goods: market.Goods
    account: Any
    category_id: int
    users: dict[str, int] = field(default_factory=dict)

    def browser(self, role: str = "", **headers: str) -> Client:
        """A browser on the shop's host, in English; logged in as `role` when one is given."""
        client = Client(HTTP_HOST=f"{self.shop.slug}.localhost", HTTP_ACCEPT_LANGUAGE="en", **headers)  # type: ignore[arg-type]
        if role:
            with in_substation(self.shop):
                client.force_login(User.objects.get(pk=self.users[role]), backend=BACKEND)
        return client

    @property
    def owner(self) -> Client:
        return self.browser("OWNER")

    @property
    def staff(self) -> Client:
        return self.browser("STAFF")

    @property
    def viewer(self) -> Client:
        return self.browser("VIEWER")

    def add_goods(self, **wishes: Any) -> market.Goods:
        """Another product in the category, on the shelf."""
        with in_main():
            goods = market.make_goods(**wishes)
            move(goods, self.category_id)
        self.sync()
        return goods

    def sync(self) -> None:
        market.stock_shelves(self.shop)
        with pointed_at(self.shop):
            cache.clear()

    def place(self, goods: market.Goods | None = None, **changes: Any) -> Any:
        """An order of one piece, committed."""
        with in_substation(self.shop):
            return market.place(goods or self.goods, **{"now": clock.utc_now(), **changes})

    def pay(self, placed: Any) -> str:
        """Its money arrives, with the channel's fee of 6 per mille."""
        from tenant_apps.payments import services as payments

        now = clock.utc_now()
        with in_substation(self.shop):
            payment_id = market.announce(placed, self.account, now=now)
        fact = market.pay_fact(self.account, payment_id, placed.total_minor, occurred_at=now)
        return payments.take_fact(fact=fact, now=now)

    def read(self, model: Any, **lookup: Any) -> Any:
        """One row of the shop as it is committed."""
        with in_substation(self.shop):
            return model.objects.get(**lookup)

    def counts(self) -> dict[str, int]:
        """How many rows the shop has of what the panel can write, and of what its services can."""
        from kameng.accounts.models import ApiToken
        from tenant_apps.listings.models import ListedCategory, Listing, MarkupRule
        from tenant_apps.orders.models import Order, OrderStep

        with in_substation(self.shop):
            own = {model.__name__: model.objects.count() for model in (User, ApiToken, MarkupRule, Order, OrderStep)}
            own["acts"] = AuditRecord.objects.exclude(action__startswith="accounts.log").count()
            own["on_shelf"] = Listing.objects.filter(on_shelf=True).count()
            own["hidden"] = ListedCategory.objects.filter(hidden=True).count()
        return own

    def acts(self) -> list[str]:
        """What the audit trail says was done, oldest first."""
        with in_substation(self.shop):
            return list(AuditRecord.objects.order_by("pk").values_list("action", flat=True))


def move_shop(office: Office, *events: str, **fields: Any) -> None:
    """Take the shop through events of its life, as whoever moves it does; `fields` are set with the last."""
    from kameng.accounts.types import SYSTEM
    from tenants import lifecycle
    from tenants.states import SubstationEvent

    with in_main():
        for event in events:
            lifecycle.move(
                substation_id=office.shop.pk, event=SubstationEvent(event), by=SYSTEM, now=clock.utc_now(),
                **(fields if event == events[-1] else {}),
            )  # fmt: skip


def owe(office: Office, standing: str) -> None:
    """An unpaid shop, as dunning leaves it."""
    move_shop(office, "MISS_PAYMENT", standing=standing)


def move(goods: market.Goods, category_id: int) -> None:
    """Into another category. Main scope."""
    from shared_apps.library.models import Product

    Product.objects.filter(pk=goods.product_id).update(category_id=category_id)


def csv_rows(response: Any) -> list[list[str]]:
    """An exported file as rows of cells."""
    import csv
    import io

    text = b"".join(response.streaming_content if response.streaming else [response.content]).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text)))
