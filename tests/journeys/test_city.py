"""One city, one agent, in a real browser: somebody signs up in a held city, and its holder takes them."""

from __future__ import annotations

import os
import re
from datetime import timedelta
from typing import Any

from django.core import mail
from playwright.sync_api import expect

from kameng.accounts.models import Role, User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from shared_apps.regions import services
from shared_apps.regions.models import Lead
from tests.api.test_regions import free_city
from tests.journeys.conftest import PATIENCE_MS, reload_until_there
from tests.tenant_apps import market

expect.set_options(timeout=PATIENCE_MS)
PASSWORD = "correct horse battery staple"


def held_city(holder: Any) -> tuple[str, str]:
    """A city that the shop holds from now on: its Chinese name, and its pinyin."""
    from shared_apps.regions.models import Region

    code, now = free_city(), clock.utc_now()
    with in_main():
        services.make_grant(
            region_code=code, substation_id=holder.pk, starts_at=now, ends_at=now + timedelta(days=30), by=SYSTEM, now=now
        )  # fmt: skip
        place = Region.objects.get(code=code)
        return place.name_zh, place.search.split()[0]


def test_a_signup_of_a_held_city_is_offered_and_its_contact_shown_when_taken(
    site: str, make_shop: Any, open_page: Any
) -> None:
    holder = make_shop(f"agent-{market.public_id('x')[2:8].lower()}")
    with in_substation(holder):
        owner = User.objects.get(role=Role.OWNER)
        owner.set_password(PASSWORD)
        owner.save()
    name, pinyin = held_city(holder)
    slug = f"in-town-{os.getpid()}"

    # A stranger names the city by its pinyin and the keyboard, on a phone.
    phone = open_page(390, 844)
    phone.goto(f"{site}/signup/")
    phone.fill("[name=name]", "城里的店")
    phone.fill("[name=slug]", slug)
    phone.locator("[name=region]").press_sequentially(pinyin)
    expect(phone.locator(".k-suggest [role=option]").first).to_contain_text(name)
    phone.press("[name=region]", "ArrowDown")
    phone.press("[name=region]", "Enter")
    expect(phone.locator("[name=region]")).to_have_value(re.compile(name))
    phone.fill("[name=owner_name]", "Nina Zhou")
    phone.fill("[name=email]", "nina-of-the-city@example.com")
    phone.fill("[name=password]", PASSWORD)
    phone.click("main button[type=submit]")
    phone.wait_for_url("**/verify/")
    code = re.search(r"\b(\d{6})\b", mail.outbox[-1].subject)
    assert code is not None
    phone.fill("[name=code]", code[1])
    phone.click("main form button[type=submit] >> nth=0")
    expect(phone.locator("form[action$='/enter/'] button")).to_be_visible()

    # The holder's panel says that somebody waits, and not who.
    desk = open_page(1440, 900, "en-US")
    host = site.replace("localhost", f"{holder.slug}.localhost")
    desk.goto(f"{host}/login/?next=/panel/region/")
    desk.fill("[name=email]", holder.owner_email)
    desk.fill("[name=password]", PASSWORD)
    desk.press("[name=password]", "Enter")
    desk.wait_for_url("**/panel/region/")
    reload_until_there(desk, desk.get_by_text("A new shop was opened"))
    assert "nina-of-the-city@example.com" not in desk.content()
    assert "城里的店" not in desk.content()

    # Taken, the contact is there, and the main station knows.
    desk.get_by_role("button", name="Take it").click()
    row = desk.locator("tbody tr")
    expect(row).to_contain_text("城里的店")
    expect(row).to_contain_text("nina-of-the-city@example.com")
    with in_main():
        lead = Lead.objects.select_related("grant").get(substation__slug=slug)
        assert lead.grant is not None
        assert (lead.state, lead.grant.substation_id) == ("TAKEN", holder.pk)
