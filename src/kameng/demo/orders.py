"""A fortnight of orders for one demonstration shop: placed, paid, delivered, expired; and a few that went wrong."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max

from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import in_main, in_substation
from kameng.demo.network import moments
from kameng.lib import ids, money
from shared_apps.receipts import services as receipts
from shared_apps.receipts.types import AccountInfo, Fact
from tenant_apps.listings.models import Listing
from tenant_apps.orders import services as orders
from tenant_apps.orders.models import Order, OrderLine
from tenant_apps.payments import services as payments
from tenants.models import Substation

DAYS, A_DAY = 14, 5
FEE_BPS = 60  # What the test channel keeps.
BUYER = Actor(ActorKind.BUYER, "buyer")
SHOWN_LATEST_QUEUED = timedelta(hours=20)  # Orders by hand of the last hours still wait for the owner.


def load(
    substation: Substation, buyers: list[dict[str, str]], account: AccountInfo, *, now: datetime, seed: int
) -> int:
    """A fortnight of orders, through the services that real buyers go through; answers how many the shop has then.

    A load that was killed goes on after the last order that it placed.
    """
    with in_substation(substation):
        last = Order.objects.aggregate(at=Max("placed_at"))["at"]
        shelf = list(
            Listing.objects.filter(active=True, on_shelf=True, stock_state="IN_STOCK", suggested__lte=400)
            .order_by("id").values_list("id", flat=True)
        )  # fmt: skip
    dice = random.Random(seed)
    # A few things sell most of the time, as they do.
    favourites = dice.sample(shelf, min(len(shelf), 12))
    for at in moments(now, DAYS, A_DAY, dice):
        if last is not None and at <= last:
            continue
        sku_id = dice.choice(favourites) if dice.random() < 0.6 else dice.choice(shelf)
        quantity = 1 if dice.random() < 0.85 else dice.randint(2, 3)
        _one(substation, sku_id, quantity, dice.choice(buyers), account, at, now, dice)
    with in_substation(substation):
        return Order.objects.count()


def _one(
    substation: Substation, sku_id: int, quantity: int, buyer: dict[str, str], account: AccountInfo, at: datetime,
    now: datetime, dice: random.Random,
) -> None:  # fmt: skip
    with in_substation(substation):
        try:
            placed = orders.place_order(
                lines=[(sku_id, quantity)], contact=buyer["email"], buyer_fields=_answers(sku_id, buyer),
                expected_total_minor=None, language="zh-hans", ip="203.0.113.9", source="WEB", by=BUYER, now=at,
            )  # fmt: skip
        except (orders.SoldOut, orders.OffShelf, orders.PriceOutOfBounds):
            return  # As a buyer would: goes away.
        attempt = payments.begin_payment(order_number=placed.number, account_id=account.id, by=BUYER, now=at)
    luck = dice.random()
    if luck < 0.10:
        with in_substation(substation):
            orders.expire_order(number=placed.number, now=at + timedelta(minutes=20))
        return
    paid_at = at + timedelta(seconds=dice.randint(20, 240))
    amount = placed.total_minor - (dice.randint(1, 50) if luck > 0.985 and placed.total_minor > 100 else 0)
    _pay(account, attempt.public_id, amount, placed.currency, paid_at)
    if luck > 0.955:
        _pay(account, attempt.public_id, amount, placed.currency, paid_at + timedelta(seconds=40))
    if at < now - SHOWN_LATEST_QUEUED:
        _deliver(substation, placed.number, paid_at + timedelta(minutes=dice.randint(3, 90)))


def _pay(account: AccountInfo, payment_id: str, amount: int, currency: str, at: datetime) -> None:
    fact = Fact(
        account_id=account.id, channel=account.channel, fact_id=f"demo_{ids.random_token(16)}", kind="PAID",
        amount_minor=amount, currency=currency, fee_minor=money.share_bps_minor(amount, FEE_BPS), occurred_at=at,
        payment_id=payment_id, channel_ref=f"demo_{payment_id}",
    )  # fmt: skip
    payments.take_fact(fact=fact, now=at)


def _deliver(substation: Substation, number: str, at: datetime) -> None:
    owner = Actor(ActorKind.USER, substation.owner_name)
    with in_substation(substation):
        for line in OrderLine.objects.filter(order__number=number, delivery_state="QUEUED"):
            orders.deliver_by_hand(line_id=line.pk, note="已为您办理完成，请查收。", by=owner, now=at)


def _answers(sku_id: int, buyer: dict[str, str]) -> dict[str, Any]:
    """What the buyer fills in for a product's fields."""
    from tenant_apps.listings.models import ListedProduct

    product = ListedProduct.objects.get(pk=Listing.objects.get(pk=sku_id).product_id)
    return {field["key"]: _answer(field, buyer) for field in product.buyer_fields}


def _answer(field: dict[str, Any], buyer: dict[str, str]) -> str:
    if field["kind"] == "choice":
        choice = field["choices"][0]
        return str(choice.get("value", choice) if isinstance(choice, dict) else choice)
    if field["kind"] == "phone":
        return buyer["phone"]
    if field["kind"] == "email":
        return buyer["email"]
    if "address" in field["key"]:
        return "上海市徐汇区漕溪北路 88 号 1203 室"
    return buyer["qq"] or buyer["phone"]


def open_account(now: datetime) -> AccountInfo:
    """The main station's account at the test channel."""
    with in_main():
        return receipts.ensure_testpay_account()
