"""The demonstration network: plans, codes, three shops with their prices, a fortnight of orders; by real services."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.contrib.auth.hashers import make_password
from django.utils import timezone

from kameng.accounts.models import Role, User
from kameng.accounts.types import Actor, ActorKind
from kameng.db.context import in_main, in_substation
from kameng.demo.catalogue import DATA, Say
from kameng.lib import ids
from shared_apps.billing import selectors as billing_selectors
from shared_apps.billing import services as billing
from shared_apps.ledger import provisioning as accounts
from shared_apps.ledger import services as ledger
from shared_apps.ledger.types import Leg
from shared_apps.library import services as library
from shared_apps.library.models import Sku
from shared_apps.receipts import services as receipts
from shared_apps.stock import services as stock
from shared_apps.stock.models import CodeBatch
from tenant_apps.listings import services as listings
from tenant_apps.listings import sync
from tenant_apps.listings.models import ListedCategory, ListedProduct, Listing
from tenant_apps.shop import services as shop
from tenants import provisioning
from tenants.models import Plan, Substation

PASSWORD = "kameng-demo-2026"
OPERATOR = "operator@kameng.example"
CODES = 20_000
LEAST_AGE = timedelta(minutes=30)  # Of an order, so that it is paid and delivered before now.
# Free to begin with; what a better plan costs is its own trade: it is for shops that sell more.
PLANS = (
    ("basic", "基础版", "Basic", "一个人开店，先试试", "One person, to try it out", "BASIC", 1000,
     {"max_staff": 3, "api_allowed": False, "own_domain_allowed": False}),
    ("pro", "专业版", "Professional", "供货价更低，适合每天有单的店", "Lower supply prices, for a shop that sells daily", "PRO", 600,
     {"monthly_fee_minor": 98_00, "yearly_fee_minor": 980_00, "trial_days": 14, "max_staff": 10}),
    ("flagship", "旗舰版", "Flagship", "最低供货价和平台费", "The lowest supply prices and platform fee", "FLAGSHIP", 300,
     {"opening_fee_minor": 199_00, "monthly_fee_minor": 298_00, "yearly_fee_minor": 2_980_00, "deposit_minor": 500_00,
      "settlement_days": 0}),
)  # fmt: skip
LODGED = 2_000_00  # What a shop on a plan that is paid for has put on its prepaid balance.


def load_plans() -> None:
    with in_main():
        for sort, (code, name_zh, name_en, pitch_zh, pitch_en, level, bps, terms) in enumerate(PLANS):
            Plan.objects.get_or_create(
                code=code,
                defaults={
                    "name_zh": name_zh, "name_en": name_en, "pitch_zh": pitch_zh, "pitch_en": pitch_en,
                    "supply_level": level, "platform_fee_bps": bps, "sort": sort, **terms,
                },
            )  # fmt: skip


def load_operator() -> None:
    with in_main():
        if not User.objects.filter(email=OPERATOR).exists():
            User.objects.create_user(OPERATOR, PASSWORD, name="运营 Mia", role=Role.OPERATOR)


def load_stock(*, by: Actor, now: datetime, say: Say) -> None:
    """20,000 codes over the SKUs that are sold by codes, and counts for the counted ones. Each code is unlike the rest.

    An import is one transaction a SKU: a load that was killed goes on with the SKUs that have none.
    """
    with in_main():
        coded = list(Sku.objects.filter(stock_policy="CODES").order_by("id"))
        counted = list(Sku.objects.filter(stock_policy="COUNTED").order_by("id"))
        stocked = set(CodeBatch.objects.values_list("sku_id", flat=True))
    dice = random.Random(7)  # The same network every time; codes themselves come from the system's randomness.
    for number, (sku, count) in enumerate(zip(coded, codes_each(len(coded), dice), strict=True), start=1):
        if number % 40 == 0:
            say(f"codes of {number} of {len(coded)} SKUs")
        if sku.pk in stocked:
            continue
        text = "\n".join("-".join(ids.random_token(4) for _ in range(4)) for _ in range(count))
        stock.import_codes(sku=sku, stream=text, filename="", by=by, now=now, note="demonstration")
    for sku in counted:
        with in_main():
            stock.set_count(sku=sku, available=dice.randint(5, 80), by=by, now=now, reason="demonstration")
    with in_main():
        stock.roll_up(now=now)
    say("codes and counts")


def codes_each(skus: int, dice: random.Random) -> list[int]:
    """How many codes each of so many SKUs gets: 20,000 in all, and a few so low that the warnings have something to say."""
    weights = [0.0 if number % 37 == 5 else dice.uniform(0.2, 1.8) for number in range(skus)]
    spread = CODES - 2 * weights.count(0.0)
    each = [int(spread * weight / sum(weights)) if weight else 2 for weight in weights]
    each[0] += CODES - sum(each)
    return each


def load_shops(*, now: datetime, say: Say) -> list[Substation]:
    """The three shops, live, with their faces and prices."""
    made = []
    for wanted in json.loads((DATA / "shops.json").read_text(encoding="utf-8"))["shops"]:
        substation = _shop(wanted, now)
        made.append(substation)
        say(f"shop {substation.slug}")
    return made


def _shop(wanted: dict[str, Any], now: datetime) -> Substation:
    with in_main():
        substation: Substation | None = Substation.objects.select_related("plan").filter(slug=wanted["slug"]).first()
        if substation is None:
            substation = Substation(
                slug=wanted["slug"], name=wanted["name"], plan=Plan.objects.get(code=wanted["plan"]),
                preset=wanted["preset"], language=wanted["language"], owner_email=wanted["owner"]["email"],
                owner_name=wanted["owner"]["name"],
            )  # fmt: skip
            substation.schema_name = provisioning.schema_placeholder(substation.public_id)
            substation.save()
    _pay_for_opening(substation, now - timedelta(days=12))
    provisioning.run(substation, None, now)
    _agree(substation, wanted.get("terms", []), now)
    sync.sync_substation(substation)
    by = Actor(ActorKind.USER, wanted["owner"]["name"])
    with in_substation(substation):
        User.objects.filter(email=wanted["owner"]["email"]).update(password=make_password(PASSWORD))
        contact = wanted["contact"]
        shop.update_settings(
            name=wanted["name"], tagline=wanted["tagline_zh"], accent=wanted["accent"], notice=wanted["notice_zh"],
            about=wanted["about_zh"], contact_qq=contact["qq"], contact_wechat=contact["wechat"],
            contact_email=contact["email"], service_hours=contact["hours_zh"], by=by, now=now,
        )  # fmt: skip
        for rule in wanted["markup"]:
            listings.set_rule(
                scope=rule["scope"], target_id=_target(rule), kind=rule["kind"], value=Decimal(rule["value"]),
                rounding=rule["rounding"], by=by, now=now,
            )  # fmt: skip
        _take_off_shelf(wanted["off_shelf_categories"], by, now)
    return substation


def _agree(substation: Substation, terms: list[dict[str, Any]], now: datetime) -> None:
    """Private terms: a price from some days ago (or to come) for so many days, or until it is ended. Once."""
    by = Actor(ActorKind.USER, "运营 Mia")
    with in_main():
        if substation.private_prices.exists():
            return
        for one in terms:
            begins = now + timedelta(days=one["from_day"])
            library.set_private_price(
                substation_id=substation.pk, sku_id=Sku.objects.get(code=one["sku"]).pk, unit=Decimal(one["unit"]),
                starts_at=begins, ends_at=begins + timedelta(days=one["days"]) if one["days"] else None, note=one["note"],
                by=by, now=min(begins, now),
            )  # fmt: skip


def _pay_for_opening(substation: Substation, at: datetime) -> None:
    """What its plan costs to open, paid as at signup: topped up by the test channel, charged by invoices. Once."""
    lines = billing.opening_lines(substation.plan, "MONTH", at)
    with in_main():
        if not lines or billing_selectors.subscription(substation.pk) is not None:
            return
        receipts.ensure_testpay_account()
        accounts.open_accounts(substation, None, at)
        ledger.post_transfer(
            key=f"topup:demo:{substation.slug}", kind="topup", currency=substation.currency, event_at=at,
            legs=[
                Leg("channel:testpay:clearing", LODGED), Leg(f"substation:{substation.pk}:prepaid", -LODGED)
            ],
            reference_type="demonstration", reference=substation.public_id, substation_id=substation.pk,
        )  # fmt: skip
        billing.charge_opening(substation=substation, interval="MONTH", lines=lines, now=at)


def _target(rule: dict[str, str]) -> int:
    if rule["scope"] == "CATEGORY":
        return int(ListedCategory.objects.get(slug=rule["target"]).pk)
    if rule["scope"] == "PRODUCT":
        return int(ListedProduct.objects.get(slug=rule["target"]).pk)
    if rule["scope"] == "SKU":
        return int(Listing.objects.get(code=rule["target"]).pk)
    return 0


def _take_off_shelf(slugs: list[str], by: Actor, now: datetime) -> None:
    categories = ListedCategory.objects.filter(slug__in=slugs).values_list("pk", flat=True)
    products = ListedProduct.objects.filter(category_id__in=list(categories)).values_list("pk", flat=True)
    chosen = list(Listing.objects.filter(product_id__in=list(products)).values_list("pk", flat=True))
    if chosen:
        listings.set_on_shelf(listing_ids=chosen, on=False, by=by, now=now)


def moments(now: datetime, days: int, a_day: int, dice: random.Random) -> list[datetime]:
    """When the orders of a fortnight were placed: more in the evening of the shops' time zone, none in the future.

    Some are of today, however early it is: an owner's first look is at today.
    """
    today = timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    latest = now - LEAST_AGE
    found = []
    for day in range(days, -1, -1):
        midnight = today - timedelta(days=day)
        for _ in range(max(1, int(dice.gauss(a_day, a_day / 3)))):
            at = midnight + timedelta(hours=min(23.9, max(0.0, dice.gauss(17, 4))))
            if at >= latest:
                at = midnight + dice.random() * max(latest - midnight, timedelta())
            if at < latest:
                found.append(at)
    return sorted(found)
