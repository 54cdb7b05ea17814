"""A passkey, in a real browser with an authenticator of its own: added, asked for at log-in, and good for this host alone."""

from __future__ import annotations

from typing import Any

import pytest

from kameng.accounts.models import Passkey, User
from kameng.db.context import in_substation
from tests.tenant_apps import market

PASSWORD = "correct horse battery staple"


@pytest.fixture
def shop(make_shop: Any) -> Any:
    made = make_shop(f"key-{market.public_id('x')[2:8].lower()}")
    with in_substation(made):
        owner = User.objects.get(email=made.owner_email)
        owner.set_password(PASSWORD)
        owner.save()
    return made


def with_authenticator(page: Any) -> Any:
    """Chromium's own virtual security key, as a phone's or a laptop's would be."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send(
        "WebAuthn.addVirtualAuthenticator",
        {"options": {"protocol": "ctap2", "transport": "internal", "hasUserVerification": True,
                     "isUserVerified": True, "automaticPresenceSimulation": True}},
    )  # fmt: skip
    return session


def log_in(page: Any, home: str, email: str) -> None:
    page.goto(f"{home}/login/")
    page.fill("[name=email]", email)
    page.fill("[name=password]", PASSWORD)
    page.press("[name=password]", "Enter")


def test_a_passkey_is_added_and_opens_the_second_door(site: str, shop: Any, open_page: Any) -> None:
    home = site.replace("localhost", f"{shop.slug}.localhost")
    page = open_page(1440, 900, "en-US")
    with_authenticator(page)

    log_in(page, home, shop.owner_email)
    page.wait_for_url("**/panel/")
    page.goto(f"{home}/panel/account/")
    page.click("main a[href='/security/passkeys/new/']")
    page.fill("[name=name]", "My laptop")
    page.fill("[name=step_up_password]", PASSWORD)
    page.click("main form button[type=submit]")
    assert len(page.inner_text("#recovery-codes").split()) == 10
    page.click("main a.k-btn-primary")
    page.wait_for_url("**/panel/account/")
    assert "My laptop" in page.inner_text("main")

    page.goto(f"{home}/panel/")
    page.click(".k-avatar")
    page.click(".k-menu form[action='/logout/'] button")
    page.wait_for_url("**/login/")
    log_in(page, home, shop.owner_email)
    page.wait_for_url("**/login/confirm/")
    page.click("[data-kameng-passkey] button[type=submit]")
    page.wait_for_url("**/panel/")

    # Logged in by it, a deed of its kind is done without asking again.
    page.goto(f"{home}/panel/roles/new/")
    page.fill("[name=name]", "Clerk")
    page.check("[value='goods.look']")
    page.click("main form button[type=submit]")
    page.wait_for_url("**/panel/roles/")
    assert "Clerk" in page.inner_text("main")

    with in_substation(shop):
        [key] = Passkey.objects.all()
    assert (key.name, key.host) == ("My laptop", f"{shop.slug}.localhost")
    assert key.used_at is not None


def test_whoever_has_none_makes_a_passkey_on_the_way_and_the_deed_is_done(site: str, shop: Any, open_page: Any) -> None:
    home = site.replace("localhost", f"{shop.slug}.localhost")
    page = open_page(390, 844, "en-US")
    with_authenticator(page)
    log_in(page, home, shop.owner_email)
    page.wait_for_url("**/panel/")

    page.goto(f"{home}/panel/roles/new/")
    page.fill("[name=name]", "Night shift")
    page.check("[value='orders.look']")
    page.click("main form button[type=submit]")
    page.click("details summary")
    page.fill("#passkey_password", "not mine")
    page.click("[data-kameng-passkey] button[type=submit]")
    page.wait_for_selector("text=This is not your password.")
    page.fill("#passkey_password", PASSWORD)
    page.click("[data-kameng-passkey] button[type=submit]")
    assert len(page.inner_text("#recovery-codes").split()) == 10
    page.click("form button[type=submit]")

    page.wait_for_url("**/panel/roles/")
    assert "Night shift" in page.inner_text("main")
