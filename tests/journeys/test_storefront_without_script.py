"""A buyer whose browser runs no script: from the product to the channel's page, and back to the order by its number."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from playwright.sync_api import expect

from kameng.db.context import in_main, in_substation, pointed_at
from kameng.lib import clock
from tests.journeys.conftest import PATIENCE_MS
from tests.tenant_apps import market
from tests.tenant_apps.storefront.conftest import Stall

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def stall(make_shop: Callable[..., Any]) -> Stall:
    """A shop with five codes of one product, which sells through the main station's account at the test channel."""
    from shared_apps.receipts import services as receipts
    from shared_apps.stock import services as stock

    shop = make_shop()
    with in_main():
        goods = market.make_goods(codes=5, name="Day card")
        stock.count_now(sku_ids=[goods.sku_id], now=clock.utc_now())
        account = receipts.ensure_testpay_account()
    made = Stall(shop, goods, account)
    made.sync()
    return made


def at(site: str, stall: Stall, path: str) -> str:
    return site.replace("localhost", f"{stall.shop.slug}.localhost") + path


def test_orders_and_comes_to_the_payment_page(site: str, stall: Stall, open_page: Any) -> None:
    page = open_page(390, 844, language="en-US", script=False)
    page.goto(at(site, stall, "/"))
    page.fill("[name=q]", stall.goods.code.removeprefix("SKU-"))
    page.press("[name=q]", "Enter")
    page.click(f"a[href='{stall.path}']")

    # Another quantity is priced by a button that only those without a script see; nothing else is dead.
    page.fill("[name=quantity]", "2")
    page.click("button[name=deed]")
    expect(page.locator(".k-paybar-total")).to_have_text("¥22.80")
    assert page.locator("[data-step]:visible, [data-kameng-copy]:visible").count() == 0

    # A contact that reaches nobody: what was typed stays, and the page is back at the field.
    page.fill("[name=contact]", "nobody")
    page.click(".k-paybar button[type=submit]")
    expect(page.locator("[name=contact]")).to_be_focused()
    assert page.input_value("[name=contact]") == "nobody"
    assert page.input_value("[name=quantity]") == "2"
    with in_substation(stall.shop):
        from tenant_apps.orders.models import Order

        assert not Order.objects.exists()

    page.fill("[name=contact]", "ann@example.com")
    page.click(".k-paybar button[type=submit]")

    page.wait_for_url(re.compile(r"^http://127\.0\.0\.1:\d+/pay/tp_"))
    assert "¥22.80" in page.inner_text("main")
    with in_substation(stall.shop):
        order = Order.objects.get()
        assert (order.state, order.total_minor) == ("PENDING_PAYMENT", 2280)


def test_on_a_desk_shows_the_code_to_scan_and_a_way_to_pay_here(site: str, stall: Stall, open_page: Any) -> None:
    page = open_page(language="en-US", script=False)
    page.goto(at(site, stall, stall.path))
    page.fill("[name=contact]", "ann@example.com")
    page.click(".k-paybar button[type=submit]")

    page.wait_for_url("**/o/*/*/pay/")
    assert page.locator(".k-qr svg").is_visible()
    assert "¥11.40" in page.inner_text("main")
    page.click("main a[href^='http://127.0.0.1']")
    expect(page.locator("button[value=pay]").first).to_be_visible()


def test_finds_the_order_by_its_number_and_password_and_by_nothing_less(
    site: str, stall: Stall, open_page: Any
) -> None:
    placed = stall.place(lookup_secret="my own words")
    assert stall.pay(placed) == "SALE"
    with pointed_at(stall.shop):
        cache.clear()  # No tries counted yet.
    page = open_page(390, 844, language="en-US", script=False)
    page.goto(at(site, stall, "/"))
    page.click("header a[href='/find/']")

    # The contact opens nothing, and what was typed stays.
    page.fill("[name=number]", placed.number)
    page.fill("[name=secret]", "ann@example.com")
    page.click("main button[type=submit]")
    expect(page.locator("[role=alert]")).to_be_visible()
    assert page.input_value("[name=number]") == placed.number
    assert market.rows("SELECT count(*) FROM stock_codereveal WHERE order_number = %s", placed.number) == [(0,)]

    # However it is typed.
    page.fill("[name=number]", f" {placed.number[:6].lower()} {placed.number[6:]} ")
    page.fill("[name=secret]", "MY own  words")
    page.click("main button[type=submit]")
    page.wait_for_url(f"**/o/{placed.number}/*/")
    assert stall.goods.texts[0] not in page.content()

    page.click("#codes button[type=submit]")
    assert page.inner_text(".k-code-text") == stall.goods.texts[0]
