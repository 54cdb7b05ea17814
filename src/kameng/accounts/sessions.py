"""End a person's sessions in every other browser.

A session carries a fingerprint of its person's password (Django's own), so that a changed password ends all others. To the
fingerprint belongs a count, kept beside the sessions in the cache: raising it ends them without a new password. If the
cache is lost, the sessions are lost with it.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth import update_session_auth_hash
from django.core.cache import cache
from django.http import HttpRequest

from kameng.accounts import audit
from kameng.accounts.models import User, sessions_key
from kameng.accounts.types import Actor


def end_elsewhere(*, request: HttpRequest, user: User, by: Actor, now: datetime) -> None:
    """Log `user` out of every browser but the one that asks."""
    key = sessions_key(user.pk)
    cache.add(key, 0, None)
    cache.incr(key)
    audit.record(action="accounts.sessions.ended", by=by, target=user.email, at=now)
    update_session_auth_hash(request, user)
