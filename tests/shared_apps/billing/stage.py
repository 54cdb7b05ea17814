"""Plans with prices, shops on them, and money to pay with. Imported by the tests, once the settings stand."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from kameng.db.context import in_main
from shared_apps.billing import selectors, services
from shared_apps.billing.models import Subscription
from shared_apps.ledger import services as ledger
from shared_apps.ledger.types import Leg
from tenants.models import Plan, Substation

_serial = itertools.count(1)
MARCH = datetime(2031, 3, 1, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai.
APRIL = datetime(2031, 4, 1, 2, 0, tzinfo=UTC)


def make_plan(code: str = "", **values: Any) -> Plan:
    """A plan of one test's own."""
    name = code or f"p{next(_serial)}-{os.getpid()}"
    terms = {"name_zh": name, "name_en": name, "supply_level": "BASIC", "sort": 900, **values}
    with in_main():
        return Plan.objects.create(code=name, **terms)


def subscribe(
    make_shop: Callable[..., Any], plan: Plan, *, at: datetime = MARCH, interval: str = "MONTH", paid: bool = True
) -> Substation:
    """A live shop on a plan, whose subscription begins at `at`; its first period has been paid."""
    shop: Substation = make_shop()
    with in_main():
        Substation.objects.filter(pk=shop.pk).update(plan=plan, state="TRIAL" if plan.has_trial else "ACTIVE")
        Subscription.objects.filter(substation_id=shop.pk).delete()
        shop = Substation.objects.select_related("plan").get(pk=shop.pk)
        services.begin(substation=shop, interval=interval, now=at, paid_period=paid)
    return shop


def top_up(shop: Substation, amount_minor: int, at: datetime = MARCH) -> None:
    """Put money on a substation's prepaid balance, as a channel would."""
    with in_main():
        ledger.open_account(code="channel:till:clearing", account_class="ASSET", currency="CNY", now=at)
        ledger.post_transfer(
            key=f"test-topup:{next(_serial)}:{os.getpid()}", kind="topup", currency="CNY", event_at=at,
            legs=[Leg("channel:till:clearing", amount_minor), Leg(f"substation:{shop.pk}:prepaid", -amount_minor)],
        )  # fmt: skip


def state(shop: Substation) -> tuple[str, str, str]:
    """The subscription's state, the shop's, and its standing."""
    with in_main():
        row = Substation.objects.get(pk=shop.pk)
        found = selectors.subscription(shop.pk)
        return (found.state if found else "", row.state, row.standing)


def prepaid(shop: Substation) -> int:
    """What is on a substation's prepaid balance."""
    with in_main():
        return selectors.balance(shop.pk, "prepaid")
