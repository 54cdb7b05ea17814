"""Signup in the browser: the form, the code's page, and what a refusal keeps."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.conf import settings
from django.core import mail
from django.test import Client

from kameng.jobs import services as jobs
from kameng.lib import pow
from tests.tenants.signing_up import PASSWORD, apply, begin, counts, mailed_code, unused_slug

pytestmark = pytest.mark.usefixtures("outbox")


class TestPages:
    def test_signs_up_through_the_pages(self) -> None:
        client, slug = Client(), unused_slug()
        posted = apply(client, slug)
        sent = client.post(posted["Location"], {"code": mailed_code()}, HTTP_HOST="localhost")
        assert sent.status_code == 302
        jobs.run_all_due()
        live = client.get(sent["Location"], HTTP_HOST="localhost")
        assert "is open" in live.content.decode()
        public_id = sent["Location"].strip("/").split("/")[1]
        handed = client.post(f"/signup/{public_id}/enter/", HTTP_HOST="localhost")
        assert handed["Location"].startswith(f"http://{slug}.localhost{settings.AUTHORITY}/enter/?pass=")

        entry = parse_qs(urlsplit(handed["Location"]).query)["pass"][0]
        shop = Client(HTTP_ACCEPT_LANGUAGE="zh-CN")
        shop.get(handed["Location"], HTTP_HOST=f"{slug}.localhost")
        entered = shop.post("/enter/", {"pass": entry}, HTTP_HOST=f"{slug}.localhost")
        assert entered["Location"] == "/panel/"
        panel = shop.get("/panel/", HTTP_HOST=f"{slug}.localhost")
        assert panel["Content-Language"] == "en"  # As chosen at the main station, whatever the browser asks for.
        again = Client().post("/enter/", {"pass": entry}, HTTP_HOST=f"{slug}.localhost")
        assert again.status_code == 403

    def test_keeps_what_was_typed_when_it_refuses(self) -> None:
        client = Client()
        challenge = client.get("/signup/", HTTP_HOST="localhost").context["challenge"]

        page = client.post(
            "/signup/",
            {
                "name": "Night Market",
                "slug": "www",
                "plan": "basic",
                "email": "nina@example.com",
                "password": PASSWORD,
                "pow_challenge": challenge,
                "pow_nonce": pow.solve(challenge),
            },
            HTTP_HOST="localhost",
        )

        assert page.status_code == 422
        text = page.content.decode()
        assert 'value="Night Market"' in text
        assert 'value="nina@example.com"' in text

    def test_names_all_that_is_wrong_at_once_and_uses_up_no_proof(self, alice: Any) -> None:
        client = Client()
        challenge = client.get("/signup/?lang=en", HTTP_HOST="localhost").context["challenge"]
        good = {
            "name": "Night Market", "slug": unused_slug(), "plan": "basic", "email": "nina@example.com",
            "password": PASSWORD, "pow_challenge": challenge, "pow_nonce": pow.solve(challenge),
        }  # fmt: skip
        before = counts()

        page = client.post(
            "/signup/",
            {**good, "name": "x", "slug": "alice", "email": "nina@", "password": "short"},
            HTTP_HOST="localhost",
        )

        assert page.status_code == 422
        assert set(page.context["form"].errors) == {"name", "slug", "email", "password"}
        text = page.content.decode()
        assert "alice is taken. Choose another address." in text
        assert "This password is too short. It must have at least 10 characters." in text
        assert counts() == before
        assert client.post("/signup/", good, HTTP_HOST="localhost").status_code == 302

    def test_tells_on_the_codes_own_page_what_became_of_another_code(self) -> None:
        client, path = self.begun()

        for _ in range(3):
            sent = client.post(f"{path}resend/", HTTP_HOST="localhost")
            assert sent["Location"] == f"{path}verify/?sent=1"
        told = client.get(sent["Location"], HTTP_HOST="localhost").content.decode()
        refused = client.post(f"{path}resend/", HTTP_HOST="localhost")

        assert "A new code is on its way." in told
        assert refused.status_code == 429
        assert "Four codes were sent." in refused.content.decode()
        assert 'name="code"' in refused.content.decode()
        assert len(mail.outbox) == 4

    def test_begins_again_with_what_was_typed_but_for_the_password(self) -> None:
        client, path = self.begun()
        public_id = path.strip("/").split("/")[1]

        mine = client.get(f"/signup/?again={public_id}", HTTP_HOST="localhost").content.decode()
        anothers = Client().get(f"/signup/?again={public_id}", HTTP_HOST="localhost").content.decode()

        assert 'value="Night Market"' in mine
        assert 'value="nina@example.com"' in mine
        assert PASSWORD not in mine
        assert "Night Market" not in anothers

    def begun(self) -> tuple[Client, str]:
        """A browser with a signup that waits for its code, and the signup's address."""
        client = Client()
        challenge = client.get("/signup/?lang=en", HTTP_HOST="localhost").context["challenge"]
        fields = {
            "name": "Night Market", "slug": unused_slug(), "plan": "basic", "email": "nina@example.com",
            "password": PASSWORD, "pow_challenge": challenge, "pow_nonce": pow.solve(challenge),
        }  # fmt: skip
        posted = client.post("/signup/", fields, HTTP_HOST="localhost")
        return client, posted["Location"].removesuffix("verify/")

    def test_refuses_a_form_without_the_proof(self) -> None:
        before = counts()

        page = Client().post(
            "/signup/",
            {
                "name": "Night Market",
                "slug": unused_slug(),
                "plan": "basic",
                "email": "a@example.com",
                "password": PASSWORD,
            },
            HTTP_HOST="localhost",
        )

        assert page.status_code == 422
        assert counts() == before

    def test_refuses_a_proof_that_was_used(self) -> None:
        client = Client()
        challenge = client.get("/signup/", HTTP_HOST="localhost").context["challenge"]
        fields = {
            "name": "Night Market",
            "plan": "basic",
            "email": "nina@example.com",
            "password": PASSWORD,
            "pow_challenge": challenge,
            "pow_nonce": pow.solve(challenge),
        }
        first = client.post("/signup/", {**fields, "slug": unused_slug()}, HTTP_HOST="localhost")
        before = counts()
        second = client.post("/signup/", {**fields, "slug": unused_slug()}, HTTP_HOST="localhost")

        assert (first.status_code, second.status_code) == (302, 422)
        assert counts() == before

    def test_another_browser_sees_nothing_of_a_signup(self) -> None:
        started = begin()

        assert Client().get(f"/signup/{started.signup.public_id}/", HTTP_HOST="localhost").status_code == 404

    def test_says_live_whether_an_address_is_free(self, alice: Any) -> None:
        client = Client()

        taken = client.get("/signup/address/?slug=alice&lang=en", HTTP_HOST="localhost").content.decode()
        free = client.get(f"/signup/address/?slug={unused_slug()}", HTTP_HOST="localhost").content.decode()

        assert "alice is taken" in taken
        assert 'data-kameng-fill="slug" value="alice-shop"' in taken
        assert "is free" in free
