"""The owner prices a category on a phone: looks before saving, sees the prices where they count, is kept from a loss."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from playwright.sync_api import expect

from kameng.accounts.models import User
from kameng.db.context import in_main, in_substation
from kameng.lib.ids import public_id
from tenant_apps.listings.models import MarkupRule
from tests.journeys.conftest import PATIENCE_MS
from tests.tenant_apps import market
from tests.tenant_apps.panel.office import move

expect.set_options(timeout=PATIENCE_MS)
PASSWORD = "correct horse battery staple"
OWNER = "mia@example.com"
NIGHT, MORNING = "Night card", "Morning card"


@dataclass(frozen=True)
class Stall:
    """A shop with two goods in a category of their own: ¥9.50 and ¥20.00 to buy, 20 % on top."""

    shop: Any
    host: str
    category: str
    category_id: int
    cheap: market.Goods
    dear: market.Goods

    def rules(self) -> list[tuple[Any, ...]]:
        with in_substation(self.shop):
            rules = MarkupRule.objects.exclude(scope="SHOP")
            return sorted(rules.values_list("scope", "target_id", "kind", "value", "rounding"))


@pytest.fixture
def stall(site: str, make_shop: Callable[..., Any]) -> Stall:
    from shared_apps.library.models import Category
    from shared_apps.receipts import services as receipts

    number = public_id("c")[2:10].lower()
    shop = make_shop(f"stall-{number}-{os.getpid()}")
    with in_main():
        market.open_books(shop)
        receipts.ensure_testpay_account()
        category = Category.objects.create(slug=f"night-{number}", name_zh=f"夜市 {number}", name_en=f"Night {number}")
        cheap = market.make_goods(codes=2, name=f"{NIGHT} {number}")
        dear = market.make_goods(
            codes=2, name=f"{MORNING} {number}", supply={level: Decimal(20) for level in ("BASIC", "PRO", "FLAGSHIP")}
        )
        for goods in (cheap, dear):
            move(goods, category.pk)
    market.stock_shelves(shop)
    with in_substation(shop):
        User.objects.create_user(OWNER, PASSWORD, name="Mia", role="OWNER")
    host = site.replace("localhost", f"{shop.slug}.localhost")
    return Stall(shop, host, f"Night {number}", category.pk, cheap, dear)


def log_in(page: Any, stall: Stall) -> None:
    page.goto(f"{stall.host}/panel/pricing/")
    page.get_by_label("Email").fill(OWNER)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/panel/pricing/")


def row(page: Any, goods: market.Goods) -> Any:
    return page.locator("tr", has_text=goods.code)


def test_a_category_is_priced_after_a_look_and_the_shop_asks_the_new_prices(stall: Stall, open_page: Any) -> None:
    page = open_page(390, 844, "en-US")
    log_in(page, stall)

    # The form opens beside the list and says what it would do before anything is saved.
    page.get_by_role("link", name=f"Set a rule: {stall.category}").click()
    form = page.get_by_role("form", name=f"Price of {stall.category}")
    form.get_by_text("Percent", exact=True).click()
    form.get_by_label("How much").fill("12")
    form.get_by_label("Rounding").select_option("TENTH")
    # 9.50 × 1.12 = 10.64 and 20.00 × 1.12 = 22.40; up to the next ten cents.
    expect(row(form, stall.cheap)).to_contain_text(re.compile(r"¥11\.40.*¥10\.70", re.DOTALL))
    expect(row(form, stall.dear)).to_contain_text(re.compile(r"¥24\.00.*¥22\.40", re.DOTALL))
    assert stall.rules() == []
    form.get_by_role("button", name="Reprice 2 SKUs").click()

    expect(page.get_by_role("link", name=f"Change: {stall.category}")).to_be_visible()
    expect(page.locator("tr", has_text=stall.category)).to_contain_text("+12%")
    assert stall.rules() == [("CATEGORY", stall.category_id, "PERCENT", Decimal("12.0000"), "TENTH")]

    # The owner's list has them, and so has the shop.
    page.goto(f"{stall.host}/panel/listings/?category={stall.category_id}")
    expect(row(page, stall.cheap)).to_contain_text("¥10.70")
    expect(row(page, stall.dear)).to_contain_text("¥22.40")
    buyer = open_page(390, 844, "en-US")
    buyer.goto(f"{stall.host}/p/card-{stall.cheap.code.removeprefix('SKU-').lower()}/")
    expect(buyer.locator("main")).to_contain_text("¥10.70")
    expect(buyer.locator("main")).not_to_contain_text("¥11.40")


def test_a_price_below_cost_is_refused_with_its_cure_and_what_was_typed_is_kept(stall: Stall, open_page: Any) -> None:
    page = open_page(390, 844, "en-US")
    log_in(page, stall)

    page.goto(f"{stall.host}/panel/listings/?category={stall.category_id}")
    row(page, stall.cheap).get_by_role("link", name="¥11.40").click()
    form = page.get_by_role("form", name="Price of Night card")
    form.get_by_text("Price", exact=True).click()
    form.get_by_label("How much").fill("9.50")

    # 9.56 is the least: the channel keeps 0.06 of it, and nothing is left to take a fee of.
    expect(form.get_by_role("alert")).to_contain_text("1 SKU can't be sold at this price")
    expect(form.get_by_role("alert")).to_contain_text("Below cost and fees. Set at least ¥9.56.")
    expect(form.get_by_role("button", name="Reprice 1 SKU")).to_be_disabled()
    expect(form.get_by_label("How much")).to_have_value("9.50")

    # A tab from before the cost rose would send it all the same.
    form.evaluate("form => form.requestSubmit()")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Night card")
    expect(page.get_by_label("How much")).to_have_value("9.50")
    expect(page.get_by_role("radio", name="Price What the buyer pays")).to_be_checked()
    expect(page.get_by_role("alert").first).to_contain_text("Set at least ¥9.56.")
    assert stall.rules() == []

    # What the refusal says would do, does.
    page.get_by_label("How much").fill("9.56")
    page.get_by_role("button", name="Reprice 1 SKU").click()
    page.wait_for_url("**/panel/listings/**")
    expect(row(page, stall.cheap)).to_contain_text("¥9.56")
    assert stall.rules() == [("SKU", stall.cheap.sku_id, "PRICE", Decimal("9.5600"), "NONE")]


def test_on_a_phone_the_list_is_sorted_chosen_and_exported_as_it_is_filtered(stall: Stall, open_page: Any) -> None:
    page = open_page(390, 844, "en-US")
    log_in(page, stall)

    page.goto(f"{stall.host}/panel/listings/?category={stall.category_id}")
    page.get_by_label("Sort").select_option("-price")
    expect(page.locator("tbody tr").first).to_contain_text(stall.dear.code)
    page.get_by_placeholder("Name, product or SKU code").fill(stall.cheap.code)
    expect(page.locator("tbody tr")).to_have_count(1)

    # The file is what is on the screen, not what was there before the search.
    page.get_by_label("Export").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = csv.reader(download.value.path().read_text("utf-8-sig").splitlines())
    assert [cells[0] for cells in lines] == ["SKU code", stall.cheap.code]

    # All that match are taken off the shelf, after a question.
    page.get_by_placeholder("Name, product or SKU code").fill("")
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("checkbox", name=NIGHT).first.check()
    page.get_by_role("button", name="Select this page").click()
    page.get_by_role("button", name="Take off the shelf").click()
    question = page.get_by_role("alertdialog", name="Take the chosen goods off the shelf?")
    expect(question).to_contain_text("you can put them back")
    question.get_by_role("button", name="Take off the shelf").click()

    expect(page.get_by_role("status").first).to_contain_text("2 SKUs are off the shelf now.")
    with in_substation(stall.shop):
        from tenant_apps.listings.models import Listing

        taken = Listing.objects.filter(on_shelf=False).values_list("pk", flat=True)
        assert sorted(taken) == sorted([stall.cheap.sku_id, stall.dear.sku_id])
