"""Passkeys as a second factor (WebAuthn level 3, by Yubico's fido2): asked for beside the password, never in its place.

A passkey belongs to one host: the browser signs for it, and the origin is compared exactly, for a shop is a subdomain of
the main station's and must not be able to ask for an operator's. A challenge is good for one answer.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from fido2.server import Fido2Server
from fido2.webauthn import (
    AttestedCredentialData,
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from kameng.accounts import audit, factors, notices
from kameng.accounts.models import Passkey, User
from kameng.accounts.types import Actor
from kameng.db.context import current_schema
from kameng.lib import clock
from kameng.lib.errors import Invalid, Missing

STATE = "passkey_state"  # In the session: the challenge that waits for its answer, and what for.
CHALLENGE_S = 10 * 60  # So long a challenge waits for its answer; the page that shows it asks for a new one each time.
MOST = 10


class PasskeyWrong(Invalid):
    """The browser's answer does not fit: another host, an old challenge, a key that is not this person's."""

    code = "passkey_wrong"

    def __init__(self) -> None:
        super().__init__(_("The passkey was not accepted. Try once more, or use a code."), field="passkey")


def _server(request: HttpRequest) -> Fido2Server:
    authority = request.get_host()
    host = authority.rsplit(":", 1)[0]
    tenant = getattr(request, "tenant", None)
    name = str(tenant.name) if tenant else "Kameng"
    origin = f"{settings.SCHEME}://{authority}"
    return Fido2Server(PublicKeyCredentialRpEntity(id=host, name=name), verify_origin=lambda said: said == origin)


def _mine(request: HttpRequest, user: User) -> list[Passkey]:
    host = request.get_host().rsplit(":", 1)[0]
    return list(Passkey.objects.filter(user_id=user.pk, host=host))


def _data(row: Passkey) -> AttestedCredentialData:
    return AttestedCredentialData(bytes(row.credential))


def _keep(request: HttpRequest, purpose: str, state: Any) -> None:
    request.session[STATE] = {purpose: dict(state), "at": clock.utc_now().timestamp()}


def _take(request: HttpRequest, purpose: str, now: datetime) -> dict[str, Any] | None:
    """The challenge that waits for its answer, gone with the asking; None: there is none, or it waited too long.

    Race: one answer in two requests. Both may have read the session before either has written it, so that of the two the
    one goes on that notes the challenge in the cache.
    """
    kept = request.session.pop(STATE, None) or {}
    state: dict[str, Any] | None = kept.get(purpose)
    if state is None or now.timestamp() - kept.get("at", 0) > CHALLENGE_S:
        return None
    used = hashlib.sha256(str(state["challenge"]).encode()).hexdigest()
    return state if cache.add(f"accounts:challenge:{used}", 1, 2 * CHALLENGE_S) else None


# -- Adding one.


def options_to_add(request: HttpRequest, user: User) -> str:
    """What the browser's `navigator.credentials.create` is called with, as JSON."""
    person = PublicKeyCredentialUserEntity(
        id=f"{current_schema()}:{user.pk}".encode(), name=user.email, display_name=user.name or user.email
    )
    options, state = _server(request).register_begin(
        person, [_data(row) for row in _mine(request, user)], user_verification=UserVerificationRequirement.PREFERRED,
        resident_key_requirement=ResidentKeyRequirement.DISCOURAGED,
    )  # fmt: skip
    _keep(request, "add", state)
    return json.dumps(dict(options)["publicKey"], default=dict)


def add(request: HttpRequest, *, user: User, answer: str, name: str, by: Actor, now: datetime) -> list[str]:
    """Keep the passkey that the browser made; answers recovery codes when the person had none. Raises: PasskeyWrong."""
    state = _take(request, "add", now)
    try:
        made = _server(request).register_complete(state, RegistrationResponse.from_dict(json.loads(answer)))
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        AssertionError,
    ) as error:  # Whatever a forged answer breaks.
        raise PasskeyWrong() from error
    credential = made.credential_data
    if credential is None or Passkey.objects.filter(credential_id=credential.credential_id).exists():
        raise PasskeyWrong()
    if Passkey.objects.filter(user_id=user.pk).count() >= MOST:
        raise factors.FactorRefused(_("Ten passkeys are enough. Take one off first."))
    Passkey.objects.create(
        user_id=user.pk, name=name.strip()[:60] or str(_("Passkey")), host=request.get_host().rsplit(":", 1)[0],
        credential_id=credential.credential_id, credential=bytes(credential), sign_count=made.counter,
    )  # fmt: skip
    audit.record(action="accounts.factor.passkey_added", by=by, target=user.email, at=now, name=name[:60])
    notices.tell(user, "passkey_added", at=now, by=by)
    return factors.first_codes(user)


def remove(*, user: User, passkey_id: int, by: Actor, now: datetime) -> None:
    """Take one of one's own off. Raises: Missing."""
    gone, _by_model = Passkey.objects.filter(pk=passkey_id, user_id=user.pk).delete()
    if not gone:
        raise Missing(_("There is no such passkey of yours."))
    factors.drop_codes_of_nobody(user)
    audit.record(action="accounts.factor.passkey_removed", by=by, target=user.email, at=now)
    notices.tell(user, "passkey_removed", at=now, by=by)


# -- Proving with one.


def options_to_prove(request: HttpRequest, user: User) -> str:
    """What `navigator.credentials.get` is called with, as JSON; empty when none of theirs is of this host."""
    mine = _mine(request, user)
    if not mine:
        return ""
    options, state = _server(request).authenticate_begin(
        [_data(row) for row in mine], user_verification=UserVerificationRequirement.PREFERRED
    )
    _keep(request, "prove", state)
    return json.dumps(dict(options)["publicKey"], default=dict)


def check(request: HttpRequest, *, user: User, answer: str, by: Actor, now: datetime) -> None:
    """Take the browser's signature, once. Raises: PasskeyWrong (counted like a wrong code), TooManyTries."""
    tried = factors.begin_try(user)
    state = _take(request, "prove", now)
    rows = _mine(request, user)
    try:
        said = AuthenticationResponse.from_dict(json.loads(answer))
        used = _server(request).authenticate_complete(state, [_data(row) for row in rows], said)
        counter = said.response.authenticator_data.counter
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        AssertionError,
    ) as error:  # Whatever a forged answer breaks.
        factors.note_wrong(user=user, tried=tried, by=by, now=now)
        raise PasskeyWrong() from error
    row = next(row for row in rows if bytes(row.credential_id) == used.credential_id)
    # A key that counts, and counts backwards or not any more, was copied. Race: of two answers one finds the smaller number.
    counted = Q(sign_count__lt=counter) if counter else Q(sign_count=0)
    later = Passkey.objects.filter(counted, pk=row.pk)
    if later.update(sign_count=counter, used_at=now) != 1:
        factors.note_wrong(user=user, tried=tried, by=by, now=now)
        raise PasskeyWrong()
    factors.forget_tries(user)
