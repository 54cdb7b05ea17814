"""The one path on which everything stands, in a real browser: a stranger opens a shop, and a buyer gets a code."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from django.core import mail

from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from shared_apps.ledger import selectors as ledger
from tests.tenant_apps.market import legs, make_goods


@pytest.fixture
def goods(prepared: None) -> Any:
    with in_main():
        from shared_apps.receipts import services as receipts
        from shared_apps.stock import services as stock

        made = make_goods(codes=5, name="Night card")
        stock.count_now(sku_ids=[made.sku_id], now=clock.utc_now())
        receipts.ensure_testpay_account()
        return made


def test_from_signup_to_the_revealed_code_every_party_sees_the_same_cents(
    site: str, goods: Any, open_page: Any
) -> None:
    page = open_page()
    slug = f"first-sale-{os.getpid()}"

    # Signup, with the code from the mail.
    page.goto(f"{site}/signup/")
    page.fill("[name=name]", "夜市点卡")
    page.fill("[name=slug]", slug)
    page.wait_for_selector("#address-state .k-ok")
    page.fill("[name=email]", "nina@example.com")
    page.fill("[name=password]", "correct horse battery staple")
    page.click("main button[type=submit]")
    page.wait_for_url("**/verify/")
    found = re.search(r"\b(\d{6})\b", mail.outbox[-1].subject)
    assert found is not None
    page.fill("[name=code]", found[1])
    page.click("main form button[type=submit] >> nth=0")

    # The shop is made while we watch, and the way leads into its panel, logged in.
    page.click("form[action$='/enter/'] button", timeout=30_000)
    page.wait_for_url("**/panel/**")

    with in_main():
        from tenants.models import Substation

        shop = Substation.objects.select_related("plan").get(slug=slug)

    # A buyer on a phone.
    host = site.replace("localhost", f"{slug}.localhost")
    phone = open_page(390, 844)
    phone.goto(f"{host}/")
    phone.click("a[href*='card-'] >> nth=0")
    phone.fill("[name=contact]", "buyer@example.com")
    phone.click(".k-paybar button[type=submit]")
    # On a phone the shop hands over to the channel's page, and the channel hands back.
    phone.wait_for_url(re.compile(r"127\.0\.0\.1"))
    phone.click("button[value=pay] >> nth=0")
    phone.wait_for_url("**/o/**", timeout=20_000)
    code = phone.wait_for_selector("#codes .k-code-text, #codes code, #codes [data-kameng-copy]", timeout=30_000)
    assert goods.texts[0] in phone.inner_text("#codes")
    assert code is not None

    # The same cents in the ledger and on the order.
    with in_substation(shop):
        from tenant_apps.orders.models import Order

        order = Order.objects.get()
        assert order.state == "DELIVERED"
    split = legs(order.number)
    assert sum(split.values()) == 0
    assert split["channel:testpay:clearing"] == order.total_minor
    assert split["main:revenue"] == -order.cost_minor
    assert split[f"substation:{shop.pk}:pending"] == -order.earned_minor
    with in_main():
        assert ledger.balance_minor(f"substation:{shop.pk}:pending") == order.earned_minor
