"""Who may begin a signup: a proof of work for each, and so many an hour from one address. For form and API alike."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from django.utils.translation import gettext_lazy as _

from kameng.lib import pow
from kameng.lib.errors import TooMany
from kameng.web.counting import count

PURPOSE = "signup"
SIGNUPS_PER_HOUR = 20
HOUR_S = 3600


def challenge(*, now: datetime) -> str:
    """A fresh challenge; good for one signup."""
    return pow.issue(settings.SECRET_KEY.encode(), PURPOSE, now, settings.POW_BITS)


def check_proof(*, challenge: str, nonce: str, now: datetime) -> None:
    """Use up a proof of work. Raises: the ProofRefused family; a used one is ChallengeExpired."""
    pow.check(settings.SECRET_KEY.encode(), challenge, nonce, PURPOSE, now)
    # `add` writes only where nothing is: two requests with one proof can't both pass.
    if not cache.add(pow.replay_key(challenge), 1, pow.LIFETIME_S):
        raise pow.ChallengeExpired(_("This check of your browser was used already; please send once more."))


def count_signup(*, ip: str) -> None:
    """Count one signup from an address. Raises: TooMany."""
    if count(f"signup:{ip}", HOUR_S) > SIGNUPS_PER_HOUR:
        raise TooMany(
            _("Many shops were opened from here in the last hour. Try again later."), details={"retry_after_s": HOUR_S}
        )
