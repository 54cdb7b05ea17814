"""The one path on which everything stands, in a real browser: a stranger opens a shop, and a buyer gets a code."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from playwright.sync_api import expect

from kameng.accounts.models import Role, User
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from kameng.lib.ids import public_id
from shared_apps.ledger import selectors as ledger
from tests.journeys.conftest import PATIENCE_MS
from tests.tenant_apps.market import Goods, legs, make_goods
from tests.tenant_apps.panel.office import move

expect.set_options(timeout=PATIENCE_MS)
PASSWORD = "correct horse battery staple"
PERSON = "clerk-of-the-journey@example.com"


@pytest.fixture
def goods(prepared: None) -> Goods:
    """A card with five codes in a category of its own: ¥9.50 on the basic plan."""
    with in_main():
        from shared_apps.library.models import Category
        from shared_apps.receipts import services as receipts
        from shared_apps.stock import services as stock

        name = public_id("c")[2:10].lower()
        category = Category.objects.create(slug=name, name_zh=f"夜市 {name}", name_en=f"Night {name}")
        made = make_goods(codes=5, name="Night card")
        move(made, category.pk)
        stock.count_now(sku_ids=[made.sku_id], now=clock.utc_now())
        receipts.ensure_testpay_account()
        return made


@pytest.fixture
def clerk(prepared: None) -> None:
    """Somebody of the main station who may look at the books."""
    with in_main():
        if not User.objects.filter(email=PERSON).exists():
            User.objects.create_user(PERSON, PASSWORD, name="Clerk", role=Role.OPERATOR)


def open_shop(page: Any, site: str, slug: str) -> Any:
    """Sign up with the code from the mail, watch the shop being made, and stand in its panel; answers the shop."""
    page.goto(f"{site}/signup/")
    page.fill("[name=name]", "夜市点卡")
    page.fill("[name=slug]", slug)
    page.wait_for_selector("#address-state .k-ok")
    page.fill("[name=email]", "nina@example.com")
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/verify/")
    found = re.search(r"\b(\d{6})\b", mail.outbox[-1].subject)
    assert found is not None
    page.fill("[name=code]", found[1])
    page.click("main form button[type=submit] >> nth=0")
    page.click("form[action$='/enter/'] button")
    page.wait_for_url("**/panel/**")
    with in_main():
        from tenants.models import Substation

        return Substation.objects.select_related("plan").get(slug=slug)


def price_category(page: Any, host: str, goods: Goods, percent: str) -> None:
    """Give the goods' category a markup through the panel's screen, after a look at what it would do."""
    with in_main():
        from shared_apps.library.models import Product

        category = Product.objects.select_related("category").get(pk=goods.product_id).category
    page.goto(f"{host}/panel/pricing/")
    page.locator("tr", has_text=category.name_zh).locator("[data-kameng-open=price-drawer]").click()
    drawer = page.locator("#price-drawer-body")
    drawer.locator("[name=kind][value=PERCENT]").check(force=True)
    drawer.locator("[name=value]").fill(percent)
    expect(drawer.locator("#preview")).to_contain_text("10.70")
    drawer.locator("button[type=submit]").click()
    expect(page.locator("tr", has_text=category.name_zh)).to_contain_text("12")


def buy_on_a_phone(phone: Any, host: str, goods: Goods) -> None:
    """From the shop's search to the revealed code, through the channel's own page."""
    phone.goto(f"{host}/")
    phone.fill("[name=q]", goods.code.removeprefix("SKU-"))
    phone.press("[name=q]", "Enter")
    phone.click("a[href*='card-'] >> nth=0")
    expect(phone.locator("main")).to_contain_text("10.70")
    phone.fill("[name=contact]", "buyer@example.com")
    phone.click(".k-paybar button[type=submit]")
    # On a phone the shop hands over to the channel's page, and the channel hands back.
    phone.wait_for_url(re.compile(r"127\.0\.0\.1"))
    phone.click("button[value=pay] >> nth=0")
    phone.wait_for_url("**/o/**")
    expect(phone.locator("#codes")).to_contain_text(goods.texts[0])


def in_yuan(minor: int) -> str:
    return f"{Decimal(minor) / 100:.2f}"


def test_from_signup_to_the_revealed_code_every_party_sees_the_same_cents(
    site: str, goods: Goods, clerk: None, open_page: Any
) -> None:
    page = open_page()
    shop = open_shop(page, site, f"first-sale-{os.getpid()}")
    host = site.replace("localhost", f"{shop.slug}.localhost")

    price_category(page, host, goods, "12")
    buy_on_a_phone(open_page(390, 844), host, goods)

    with in_substation(shop):
        from tenant_apps.orders.models import Order

        order = Order.objects.get()
    # 9.50 at +12 % is 10.64, up to the next ten cents: 10.70. Of the 1.20 above the supply price the channel keeps 0.06,
    # and the platform 2 % of what is left.
    assert (order.state, order.total_minor, order.cost_minor, order.earned_minor) == ("DELIVERED", 1070, 950, 112)
    split = legs(order.number)
    assert split == {
        "channel:testpay:clearing": 1070, "main:revenue": -950, "channel:testpay:fee": -6, "main:platform_fee": -2,
        f"substation:{shop.pk}:pending": -112,
    }  # fmt: skip
    with in_main():
        assert ledger.balance_minor(f"substation:{shop.pk}:pending") == 112

    # The owner's statement says the same, as soon as it was synced.
    from tenant_apps.finance import sync

    sync.sync_statement(shop)
    page.goto(f"{host}/panel/statement/")
    line = page.locator("tbody tr", has_text=order.number)
    expect(line).to_contain_text(in_yuan(112))
    expect(page.locator("tfoot")).to_contain_text(in_yuan(112))

    # And so does the main station's ledger, leg by leg.
    console = open_page()
    console.goto(f"{site}/console/")
    console.fill("[name=email]", PERSON)
    console.fill("[name=password]", PASSWORD)
    console.click("main button[type=submit]")
    console.wait_for_url("**/console/")
    console.goto(f"{site}/console/ledger/transfers/{order.transfer_id}/")
    for code, amount in split.items():
        row = console.locator("tr", has_text=code)
        expect(row).to_contain_text(in_yuan(abs(amount)))
