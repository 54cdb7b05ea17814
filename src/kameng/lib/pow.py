"""A proof-of-work captcha without state: the server signs a challenge, the browser finds a number, both are checked.

A challenge is `v1.<bits>.<expires, Unix seconds>.<random>.<signature>`; the proof is a nonce for which
sha256(challenge + ":" + nonce) begins with `bits` zero bits. 16 bits cost a phone about half a second.
Single use is the caller's: store `replay_key(challenge)` (under the site's own prefix) until `expires_at`, and refuse
when it was there.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import re
import secrets
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Invalid

VERSION = "v1"
LIFETIME_S = 600  # Issued when the form is opened: long enough to fill it in, and a new one is fetched by itself after.
MIN_BITS, MAX_BITS = 1, 30  # Beyond 30 a phone would work for hours; such a setting is a mistake.
_SHAPE = re.compile(r"v1\.([1-9][0-9]?)\.([0-9]{1,11})\.([0-9a-f]{32})\.([0-9a-f]{64})", re.ASCII)
_NONCE = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


class ProofRefused(Invalid):
    """The family: one place may catch it to hand out a new challenge."""

    code = "proof_refused"


class ChallengeForged(ProofRefused):
    """Not ours, changed, or issued for another form."""

    code = "challenge_forged"


class ChallengeExpired(ProofRefused):
    """Ours, but too old."""

    code = "challenge_expired"


class ProofInsufficient(ProofRefused):
    """The nonce does not give enough zero bits, or is not a nonce."""

    code = "proof_insufficient"


def issue(secret: bytes, purpose: str, now: datetime, difficulty_bits: int, lifetime_s: int = LIFETIME_S) -> str:
    """A fresh challenge for one form (`purpose`). Raises ValueError for a difficulty out of 1–30 bits."""
    if not MIN_BITS <= difficulty_bits <= MAX_BITS:
        raise ValueError(f"difficulty {difficulty_bits} is not within {MIN_BITS}–{MAX_BITS} bits")
    expires = int((now + timedelta(seconds=lifetime_s)).timestamp())
    body = f"{VERSION}.{difficulty_bits}.{expires}.{secrets.token_hex(16)}"
    return f"{body}.{_signature(secret, purpose, body)}"


def check(secret: bytes, challenge: str, nonce: str, purpose: str, now: datetime) -> None:
    """Returns when the proof holds. Raises: ChallengeForged, ChallengeExpired, ProofInsufficient."""
    shape = _SHAPE.fullmatch(challenge)
    body = challenge.rpartition(".")[0]
    if shape is None or not hmac.compare_digest(shape[4], _signature(secret, purpose, body)):
        raise ChallengeForged(
            _("The check of your browser does not belong to this form. Reload the page and try again.")
        )
    if now >= expires_at(challenge):
        raise ChallengeExpired(
            _("The check of your browser is too old. It is made again by itself; please send once more.")
        )
    if not _NONCE.fullmatch(nonce) or zero_bits(challenge, nonce) < int(shape[1]):
        raise ProofInsufficient(_("The check of your browser did not finish. Wait a moment and send again."))


def expires_at(challenge: str) -> datetime:
    """When it ends; until then its replay key is kept. Raises ChallengeForged for a text that is no challenge."""
    shape = _SHAPE.fullmatch(challenge)
    if shape is None:
        raise ChallengeForged(
            _("The check of your browser does not belong to this form. Reload the page and try again.")
        )
    return datetime.fromtimestamp(int(shape[2]), tz=UTC)


def replay_key(challenge: str) -> str:
    """The name under which a used challenge is remembered. A checked challenge has exactly one spelling."""
    return "pow:" + hashlib.sha256(challenge.encode()).hexdigest()[:32]


def zero_bits(challenge: str, nonce: str) -> int:
    """How many zero bits the proof's hash begins with (0–256)."""
    digest = hashlib.sha256(f"{challenge}:{nonce}".encode()).digest()
    return 256 - int.from_bytes(digest, "big").bit_length()


def solve(challenge: str) -> str:
    """The work itself, as the browser does it; for API clients written in Python. Raises ChallengeForged."""
    expires_at(challenge)
    bits = int(challenge.split(".")[1])
    return next(str(number) for number in itertools.count() if zero_bits(challenge, str(number)) >= bits)


def _signature(secret: bytes, purpose: str, body: str) -> str:
    return hmac.digest(secret, f"kameng.pow\n{purpose}\n{body}".encode(), "sha256").hex()
