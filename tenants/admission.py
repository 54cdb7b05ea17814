"""Who may send what anybody may send, a signup or a question about a city: a proof of work for each, and so many an hour
from one address. For form and API alike."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.core.cache import cache
from django.utils.translation import gettext_lazy as _

from kameng.lib import pow
from kameng.lib.errors import TooMany
from kameng.lib.words import Sentence
from kameng.web.counting import count

PURPOSE = "signup"
SIGNUPS_PER_HOUR = 20
QUESTIONS_PER_HOUR = 6
HOUR_S = 3600


def challenge(*, now: datetime, purpose: str = PURPOSE) -> str:
    """A fresh challenge; good for one signup, or for one of another purpose."""
    return pow.issue(settings.SECRET_KEY.encode(), purpose, now, settings.POW_BITS)


def check_proof(*, challenge: str, nonce: str, now: datetime, purpose: str = PURPOSE) -> None:
    """Use up a proof of work. Raises: the ProofRefused family; a used one is ChallengeExpired."""
    pow.check(settings.SECRET_KEY.encode(), challenge, nonce, purpose, now)
    # `add` writes only where nothing is: two requests with one proof can't both pass.
    if not cache.add(pow.replay_key(challenge), 1, pow.LIFETIME_S):
        raise pow.ChallengeExpired(_("This check of your browser was used already; please send once more."))


def count_signup(*, ip: str) -> None:
    """Count one signup from an address. Raises: TooMany."""
    _count(f"signup:{ip}", SIGNUPS_PER_HOUR, _("Many shops were opened from here in the last hour. Try again later."))


def count_question(*, ip: str) -> None:
    """Count one question about a city from an address. Raises: TooMany."""
    _count(f"lead:{ip}", QUESTIONS_PER_HOUR, _("Many questions were sent from here in the last hour. Try again later."))


def _count(key: str, most: int, words: Sentence) -> None:
    if count(key, HOUR_S) > most:
        raise TooMany(words, details={"retry_after_s": HOUR_S})
