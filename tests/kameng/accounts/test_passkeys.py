"""A passkey's signature: for this host, this challenge and this moment alone, and once. Signed here as an authenticator does."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.sessions.backends.cache import SessionStore
from django.test import Client, RequestFactory
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from kameng.accounts import passkeys, step_up
from kameng.accounts.models import Passkey, User
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_substation, pointed_at
from kameng.lib import clock
from kameng.web import sessions
from tests.tenant_apps.panel.conftest import make_office, office  # noqa: F401  # Fixtures.
from tests.tenant_apps.panel.office import PASSWORD, Office
from tests.tenant_apps.racing import all_at_once

pytestmark = pytest.mark.unproved

PRESENT = AuthenticatorData.FLAG.USER_PRESENT


@dataclass
class Key:
    """What makes and signs passkeys. `count` is what it says that it has signed."""

    host: str
    count: int = 0
    private: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    credential: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    @property
    def _rp(self) -> bytes:
        return hashlib.sha256(self.host.encode()).digest()

    def _said(self, kind: str, challenge: str, origin: str) -> CollectedClientData:
        return CollectedClientData.create(kind, websafe_decode(challenge), origin or f"http://{self.host}")

    def made(self, options: str, origin: str = "") -> str:
        """The answer to `navigator.credentials.create`."""
        public = ES256.from_cryptography_key(self.private.public_key())
        data = AttestedCredentialData.create(bytes(16), self.credential, public)
        flags = PRESENT | AuthenticatorData.FLAG.ATTESTED
        auth = AuthenticatorData.create(self._rp, flags, self.count, bytes(data))
        said = self._said("webauthn.create", json.loads(options)["challenge"], origin)
        return self._answer(
            clientDataJSON=said, attestationObject=AttestationObject.create("none", auth, {}),
        )  # fmt: skip

    def signed(self, options: str, origin: str = "") -> str:
        """The answer to `navigator.credentials.get`."""
        auth = AuthenticatorData.create(self._rp, PRESENT, self.count)
        said = self._said("webauthn.get", json.loads(options)["challenge"], origin)
        signature = self.private.sign(bytes(auth) + said.hash, ec.ECDSA(hashes.SHA256()))
        return self._answer(clientDataJSON=said, authenticatorData=auth, signature=signature)

    def _answer(self, **parts: bytes) -> str:
        own = websafe_encode(self.credential)
        response = {name: websafe_encode(bytes(part)) for name, part in parts.items()}
        return json.dumps({"id": own, "rawId": own, "type": "public-key", "response": response})


def host_of(office: Office) -> str:
    return f"{office.shop.slug}.localhost"


@pytest.fixture
def browser(office: Office) -> Client:
    return office.owner


def add(office: Office, browser: Client, *, count: int = 0) -> Key:
    """A passkey of the owner's; its proof is forgotten again."""
    key = Key(host_of(office), count)
    options = browser.get("/security/passkeys/new/").context["options"]
    done = browser.post(
        "/security/passkeys/new/", {"passkey": key.made(options), "name": "Mine", "step_up_password": PASSWORD}
    )
    assert done.status_code == 200
    forget_proof(office, browser)
    return key


def asked(browser: Client) -> str:
    """The challenge of the page that stands before a deed."""
    return str(browser.post("/panel/staff/second-step/", {"for_all": "0"}).context["passkey_options"])


def prove(browser: Client, answer: str) -> int:
    """307: it was taken, and the browser sends its form again. 422: it was not."""
    sent = {"for_all": "0", "step_up": "passkey", "step_up_passkey": answer}
    return browser.post("/panel/staff/second-step/", sent).status_code


def forget_proof(office: Office, browser: Client) -> None:
    """As if the fifteen minutes were over; sessions are kept by shop and host."""
    with in_session(office):
        session = browser.session
        del session[step_up.PROVED]
        session.save()


@contextmanager
def in_session(office: Office) -> Iterator[None]:
    bound = sessions.made_at.set(host_of(office))
    try:
        with pointed_at(office.shop):
            yield
    finally:
        sessions.made_at.reset(bound)


class TestAnAnswer:
    def test_lets_the_deed_through(self, office: Office, browser: Client) -> None:
        key = add(office, browser)

        assert prove(browser, key.signed(asked(browser))) == 307

    def test_is_good_once(self, office: Office, browser: Client) -> None:
        key = add(office, browser)
        answer = key.signed(asked(browser))
        first = prove(browser, answer)
        forget_proof(office, browser)

        assert (first, prove(browser, answer)) == (307, 422)

    def test_to_an_earlier_challenge_is_none(self, office: Office, browser: Client) -> None:
        key = add(office, browser)
        earlier = asked(browser)
        asked(browser)

        assert prove(browser, key.signed(earlier)) == 422

    def test_of_another_browser_s_challenge_is_none(self, office: Office, browser: Client) -> None:
        key = add(office, browser)
        thief = office.owner
        asked(thief)

        assert prove(thief, key.signed(asked(browser))) == 422

    @pytest.mark.parametrize(
        "origin", ["http://localhost", "https://{host}", "http://{host}:8080", "http://evil.{host}"]
    )
    def test_that_another_origin_asked_for_is_none(self, office: Office, browser: Client, origin: str) -> None:
        key = add(office, browser)

        assert prove(browser, key.signed(asked(browser), origin.format(host=host_of(office)))) == 422

    def test_comes_within_ten_minutes(self, office: Office, browser: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        key = add(office, browser)
        answer, start = key.signed(asked(browser)), clock.utc_now()
        monkeypatch.setattr(clock, "utc_now", lambda: start + timedelta(minutes=11))

        assert prove(browser, answer) == 422

    def test_to_be_added_is_of_this_host_and_once(self, office: Office, browser: Client) -> None:
        key = Key(host_of(office))
        options = browser.get("/security/passkeys/new/").context["options"]
        sent = {"passkey": key.made(options, "http://localhost"), "name": "", "step_up_password": PASSWORD}

        answers = [browser.post("/security/passkeys/new/", sent).status_code for _ in range(2)]

        assert answers == [422, 422]
        with in_substation(office.shop):
            assert Passkey.objects.count() == 0


class TestTheCount:
    @pytest.mark.parametrize(
        ("before", "now", "status"), [(5, 6, 307), (5, 5, 422), (5, 4, 422), (5, 0, 422), (0, 0, 307)]
    )
    def test_goes_up_or_the_key_never_counts(
        self, office: Office, browser: Client, before: int, now: int, status: int
    ) -> None:
        key = add(office, browser, count=before)
        key.count = now

        assert prove(browser, key.signed(asked(browser))) == status
        with in_substation(office.shop):
            assert Passkey.objects.get().sign_count == (now if status == 307 else before)


def test_of_two_requests_with_one_answer_one_gets_through(office: Office, browser: Client) -> None:
    """Both have read the session before either has written it, as two processes do."""
    key = add(office, browser)
    answer = key.signed(asked(browser))
    with in_session(office):
        waiting = dict(browser.session[passkeys.STATE])

    def once() -> bool:
        request: Any = RequestFactory().post("/", HTTP_HOST=host_of(office))
        request.session = SessionStore()
        request.session[passkeys.STATE] = dict(waiting)
        with in_substation(office.shop):
            user = User.objects.get(pk=office.users["OWNER"])
            try:
                passkeys.check(request, user=user, answer=answer, by=SYSTEM, now=clock.utc_now())
            except passkeys.PasskeyWrong:
                return False
            return True

    assert sorted(all_at_once([once, once])) == [False, True]
