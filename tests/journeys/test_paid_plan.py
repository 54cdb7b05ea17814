"""A shop on a plan that is paid for, in a real browser: opened, upgraded, unpaid, closed, paid, open again."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from playwright.sync_api import expect

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.money import format_minor
from shared_apps.billing import selectors, services
from shared_apps.billing.models import Invoice
from shared_apps.receipts import services as receipts
from shared_apps.receipts.models import InboxEvent
from tenant_apps.payments import services as payments
from tenants.models import Plan, Substation
from tests.fakes.stripe import FakeStripe, Merchant
from tests.journeys.conftest import PATIENCE_MS

expect.set_options(timeout=PATIENCE_MS)
PASSWORD = "correct horse battery staple"
DAY = 86_400
_serial = itertools.count(1)


@dataclass
class Stripe:
    fake: FakeStripe
    merchant: Merchant
    key: str
    account_ref: str

    def tell(self) -> None:
        """Let everything that happened be told and followed up: the worker may be busy with something else for long."""
        deliveries = self.fake.webhooks(self.key).send_pending()
        assert {delivery.status for delivery in deliveries} <= {200}
        with in_main():
            events = InboxEvent.objects.filter(account__account_ref=self.account_ref, state="RECEIVED").order_by("pk")
            waiting = list(events.values_list("pk", flat=True))
        for event_id in waiting:
            payments.handle_event(event_id=event_id, now=clock.utc_now())


@pytest.fixture
def plans(prepared: None) -> Iterator[tuple[Plan, Plan]]:
    """Two plans on offer for the time of the journey: ¥98 a month, and ¥298 with a place for more people."""
    name = f"j{next(_serial)}-{os.getpid()}"
    with in_main():
        small = Plan.objects.create(
            code=f"{name}-s", name_zh="小店版", name_en="Small", supply_level="BASIC", monthly_fee_minor=9_800,
            opening_fee_minor=20_000, deposit_minor=50_000, grace_days=7, max_staff=3, sort=90,
        )  # fmt: skip
        big = Plan.objects.create(
            code=f"{name}-b", name_zh="大店版", name_en="Big", supply_level="PRO", monthly_fee_minor=29_800,
            opening_fee_minor=20_000, deposit_minor=50_000, sort=91,
        )  # fmt: skip
    yield small, big
    with in_main():
        Plan.objects.filter(pk__in=(small.pk, big.pk)).update(active=False)


@pytest.fixture
def stripe(site: str, one_channel: None) -> Iterator[Stripe]:
    """The main station's account at the fake, where it is half a month ago."""
    name = f"j{next(_serial)}x{os.getpid()}"
    key = f"sk_test_{name}"
    with FakeStripe(clock=time.time) as fake:
        fake.advance(-15.5 * DAY)
        with in_main():
            account = receipts.create_account(
                channel="stripe", account_ref=f"acct_{name}", name="Stripe", api_base=fake.base_url, by=SYSTEM,
                credentials={"api_key": key, "webhook_secret": f"whsec_{name}"},
            )  # fmt: skip
        hooks = fake.webhooks(key)
        hooks.url, hooks.secret = f"{site}/hooks/stripe/{account.public_id}/", f"whsec_{name}"
        yield Stripe(fake, fake.merchant(key), key, f"acct_{name}")
        with in_main():
            receipts.set_enabled(account_public_id=account.public_id, enabled=False, by=SYSTEM)


def apply(page: Any, site: str, plan: Plan) -> str:
    """Sign up on a plan up to the page that asks for the payment; answers the shop's slug."""
    slug = f"paid-{next(_serial)}-{os.getpid()}"
    page.goto(f"{site}/signup/?plan={plan.code}")
    page.fill("[name=name]", "Paid Market")
    page.fill("[name=slug]", slug)
    page.wait_for_selector("#address-state .k-ok")
    page.fill("[name=email]", f"{slug}@example.com")
    page.fill("[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/verify/")
    found = re.search(r"\b(\d{6})\b", mail.outbox[-1].subject)
    assert found is not None
    page.fill("[name=code]", found[1])
    page.click("main form button[type=submit] >> nth=0")
    page.wait_for_url("**/pay/")
    return slug


def shop_of(slug: str) -> Substation:
    with in_main():
        found: Substation = Substation.objects.get(slug=slug)
        return found


def invoices(shop: Substation) -> list[tuple[str, str, int]]:
    with in_main():
        return list(
            Invoice.objects.filter(substation_id=shop.pk).order_by("id").values_list("kind", "state", "total_minor")
        )


def rest_of(shop: Substation, a_month: int) -> float:
    """What a sum that is paid by the month comes to from now on; the calendar's months are 28 to 31 days."""
    with in_main():
        row = selectors.subscription(shop.pk)
    assert row is not None and row.period_start is not None and row.period_end is not None
    return a_month * ((row.period_end - clock.utc_now()) / (row.period_end - row.period_start))


def test_by_card_from_the_signup_through_an_upgrade_and_an_unpaid_month(
    site: str, open_page: Any, plans: tuple[Plan, Plan], stripe: Stripe
) -> None:
    small, big = plans
    page = open_page(1440, 900, "en-US")

    # What opening costs stands there line by line before anything is paid.
    slug = apply(page, site, small)
    expect(page.locator(".k-bill")).to_contain_text("Opening fee, Small")
    expect(page.locator(".k-bill-total")).to_contain_text("¥798.00")
    assert shop_of(slug).state == "APPLIED"

    # Given up on Stripe's page, nothing is lost and it can be tried again.
    page.get_by_role("button", name="Pay by card, renewed by itself").click()
    page.wait_for_url("**/c/pay/**")
    page.go_back()
    expect(page.locator(".k-bill-total")).to_contain_text("¥798.00")

    # Paid, the shop is made and its owner stands in its panel.
    page.get_by_role("button", name="Pay by card, renewed by itself").click()
    page.wait_for_url("**/c/pay/**")
    page.get_by_role("button", name="pay", exact=True).click()
    page.click("form[action$='/enter/'] button")
    page.wait_for_url("**/panel/**")
    shop = shop_of(slug)
    stripe.tell()
    assert (shop.state, shop.plan_id) == ("ACTIVE", small.pk)
    assert invoices(shop) == [("OPENING", "PAID", 29_800), ("DEPOSIT", "PAID", 50_000)]

    # Half a month later: the sum that is shown before the upgrade is the sum that is charged.
    stripe.fake.advance(15.5 * DAY)
    most = rest_of(shop, 20_000)  # ¥200 a month more.
    host = f"http://{slug}.localhost:{site.rsplit(':', 1)[1]}"
    page.goto(f"{host}/panel/billing/plans/")
    page.locator(f"[name=terms][value='{big.code}/MONTH']").check(force=True)
    page.get_by_role("button", name="See what it costs").click()
    page.wait_for_url("**/change/**")
    shown = page.locator("#total").inner_text()
    assert invoices(shop)[2:] == []
    page.get_by_role("button", name=f"Pay {shown} and change").click()
    page.wait_for_url("**/panel/billing/")
    expect(page.get_by_role("status").first).to_contain_text("Your shop is on Big now.")
    ((kind, state, total),) = invoices(shop)[2:]
    assert (kind, state, format_minor(total)) == ("PRORATA", "PAID", shown)
    assert rest_of(shop, 20_000) - 1 <= total <= most + 1  # To a second, and two sums that are rounded.
    expect(page.locator("tbody tr").first).to_contain_text(shown)
    with page.expect_download() as download:
        page.locator("tbody tr").first.get_by_role("link", name="PDF").click()
    assert download.value.path().read_bytes().startswith(b"%PDF-")

    # The card is declined at the renewal: due, and the owner is told.
    with in_main():
        row = selectors.subscription(shop.pk)
    assert row is not None
    stripe.merchant.billing.decline(row.stripe_customer)
    stripe.fake.advance(16.2 * DAY)
    stripe.tell()
    buyer = open_page(390, 844, "en-US")
    buyer.goto(f"{host}/")
    expect(buyer.locator("body")).not_to_contain_text("closed")
    page.goto(f"{host}/panel/billing/")
    expect(page.get_by_role("main")).to_contain_text("¥298.00 is due")

    # After the days of grace the panel only shows, and then the storefront closes with a notice.
    with in_main():
        due = selectors.subscription(shop.pk).due_since  # type: ignore[union-attr]
    assert due is not None
    services.dun(now=due + timedelta(days=7))
    page.goto(f"{host}/panel/settings/")
    expect(page.get_by_role("main")).to_contain_text("the panel can only be looked at")
    expect(page.get_by_role("button", name="Save the settings")).to_have_count(0)
    services.dun(now=due + timedelta(days=14))
    buyer.goto(f"{host}/")
    expect(buyer.locator("body")).to_contain_text("closed")

    # Paid: everything is back at once, and nothing was lost.
    stripe.merchant.billing.accept(row.stripe_customer)
    page.goto(f"{host}/panel/billing/")
    expect(page.get_by_role("main")).to_contain_text("the storefront is closed")
    page.get_by_role("button", name="Try the card again").click()
    expect(page.get_by_role("status").first).to_contain_text("The card was charged.")
    assert invoices(shop)[3:] == [("PERIOD", "PAID", 29_800)]
    buyer.goto(f"{host}/")
    expect(buyer.locator("body")).not_to_contain_text("closed")
    assert (shop_of(slug).state, shop_of(slug).standing) == ("ACTIVE", "GOOD")


def test_by_prepaid_balance_through_the_test_channel(site: str, open_page: Any, plans: tuple[Plan, Plan]) -> None:
    small, big = plans
    with in_main():
        receipts.ensure_testpay_account()
    page = open_page(390, 844, "en-US")

    # Another plan can be chosen without typing anything twice.
    slug = apply(page, site, big)
    expect(page.locator(".k-bill-total")).to_contain_text("¥998.00")
    page.get_by_text("Choose another plan").click()
    page.locator(f"[name=terms][value='{small.code}/MONTH']").check(force=True)
    page.get_by_role("button", name="Take this plan").click()
    expect(page.locator(".k-bill-total")).to_contain_text("¥798.00")

    page.get_by_role("button", name="Pay through the test channel").click()
    page.get_by_role("button", name="¥798.00").click()
    page.click("form[action$='/enter/'] button")
    page.wait_for_url("**/panel/**")

    shop = shop_of(slug)
    assert (shop.state, shop.plan_id) == ("ACTIVE", small.pk)
    assert invoices(shop) == [("OPENING", "PAID", 29_800), ("DEPOSIT", "PAID", 50_000)]
    with in_main():
        assert selectors.balance(shop.pk, "prepaid") == 0
        assert selectors.balance(shop.pk, "deposit") == 50_000

    # A top-up later, in the panel.
    host = f"http://{slug}.localhost:{site.rsplit(':', 1)[1]}"
    page.goto(f"{host}/panel/billing/")
    page.get_by_label("Amount").fill("98.50")
    page.get_by_role("button", name="To the payment page").click()
    page.get_by_role("button", name="¥98.50").click()
    page.wait_for_url("**/panel/billing/")
    expect(page.get_by_role("main")).to_contain_text("¥98.50")
    with in_main():
        assert selectors.balance(shop.pk, "prepaid") == 9_850
