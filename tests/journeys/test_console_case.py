"""Money that does not fit, in a real browser: paid short at the channel, found in the console, given back with evidence."""

from __future__ import annotations

import re
from typing import Any

import pyotp
import pytest

from kameng.accounts.models import Authenticator
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from shared_apps.ledger import selectors as ledger
from tests.journeys.conftest import reload_until_there
from tests.shared_apps.console.conftest import _person
from tests.tenant_apps import market

EVIDENCE = "The channel's dashboard shows half of the price; the buyer asked for it back by mail."


@pytest.fixture
def shop(make_shop: Any) -> Any:
    """A shop with goods on its shelf, the test channel, and an operator of the main station."""
    from shared_apps.library.models import Product
    from shared_apps.receipts import services as receipts
    from shared_apps.splits.services import ensure_first_rule
    from shared_apps.stock import services as stock

    made = make_shop(f"case-{market.public_id('x')[2:8].lower()}")
    ensure_first_rule()
    with in_main():
        goods = market.make_goods(codes=3, name="Short card")
        stock.count_now(sku_ids=[goods.sku_id], now=clock.utc_now())
        receipts.ensure_testpay_account()
        market.open_books(made)
        made.card = Product.objects.get(pk=goods.product_id).slug  # The library has other tests' goods, too.
    market.stock_shelves(made)
    with in_main():
        Authenticator.objects.filter(user=_person("OPERATOR")).delete()  # It is set up on the way.
    return made


def suspense() -> int:
    with in_main():
        return ledger.balance_minor("suspense:testpay")


def prove(console: Any) -> None:
    """Money wants a second factor: it is set up on the way, and the form goes on from there with what was chosen."""
    console.wait_for_selector("[name=step_up_code]")
    secret = re.search(r"secret=([A-Z2-7]+)", str(console.get_attribute("a[href^='otpauth:']", "href")))
    assert secret
    console.fill("[name=step_up_code]", pyotp.TOTP(secret[1]).now())
    console.fill("[name=step_up_password]", "a long enough password")
    console.click("main form button[type=submit]")
    assert len(console.inner_text("#recovery-codes").split()) == 10
    console.click("main form button[type=submit]")


def test_a_short_payment_is_refunded_from_the_console_and_suspense_is_empty_again(
    site: str, shop: Any, open_page: Any
) -> None:
    before = suspense()

    # A buyer pays half of the price.
    buyer = open_page(390, 844)
    buyer.goto(f"{site.replace('localhost', f'{shop.slug}.localhost')}/p/{shop.card}/")
    buyer.fill("[name=contact]", "buyer@example.com")
    buyer.click(".k-paybar button[type=submit]")
    buyer.wait_for_url(re.compile(r"127\.0\.0\.1"))
    buyer.click("summary")
    buyer.click("button[value=short]")
    buyer.wait_for_url("**/o/**")
    with in_substation(shop):
        from tenant_apps.orders.models import Order

        order = Order.objects.get()

    # A person of the main station finds the case in what needs them.
    console = open_page(1440, 900, "en-US")
    console.goto(f"{site}/login/?next=/console/")
    console.fill("[name=email]", "operator@console.example")
    console.fill("[name=password]", "a long enough password")
    console.press("[name=password]", "Enter")
    console.wait_for_url("**/console/")
    console.click("main a[href*='/console/cases/?state=OPEN']")
    row = console.locator("tr", has_text=order.number)
    reload_until_there(console, row)  # The channel's callback is handled in the background.
    assert "Paid too little" in row.inner_text()
    assert suspense() - before == order.total_minor // 2
    row.locator("a.k-row-link").click()

    # Without evidence nothing happens, and what was chosen is kept.
    console.check("input[value=REFUND]")
    console.click("main [data-kameng-open=settle]")
    console.click("#settle button[type=submit]")
    prove(console)
    console.wait_for_selector("main .k-error, main [data-kameng-field=evidence] [id$=_error]")
    assert console.is_checked("input[value=REFUND]")
    assert console.inner_text(".k-page-title-row .k-badge") == "Open"

    # With it the channel gives the money back, while the page follows by itself.
    console.fill("[name=evidence]", EVIDENCE)
    console.click("main [data-kameng-open=settle]")
    console.click("#settle button[type=submit]")
    console.wait_for_selector(".k-page-title-row .k-badge:has-text('Settled')")
    assert EVIDENCE in console.inner_text("main")

    # The books: nothing is left in suspense, the channel owes nothing for it, the order is unpaid, and all sums to zero.
    assert suspense() == before
    moved = market.legs(order.number)
    assert moved == {"channel:testpay:clearing": 0, "suspense:testpay": 0}
    [(debit_and_credit,)] = market.rows("SELECT sum(amount_minor)::bigint FROM ledger_entry")
    assert debit_and_credit == 0
    with in_substation(shop):
        order.refresh_from_db()
    assert (order.state, order.paid_at) == ("PENDING_PAYMENT", None)
    [(state, resolution, evidence)] = market.rows(
        "SELECT state, resolution, evidence FROM receipts_paymentcase WHERE order_number = %s", order.number
    )
    assert (state, resolution, evidence) == ("SETTLED", "REFUND", EVIDENCE)
