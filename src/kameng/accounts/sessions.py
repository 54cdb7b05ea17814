"""Who is logged in where: the list of somebody's browsers, and the end of each.

A session lives in the cache, keyed by the tenant, so it is nothing on another host. Beside it stands a row
(`StaffSession`), because a list must be complete, must outlive the session (what was there last week?) and must be found
by person, which a cache can't do. The cache answers the question of every request, whether the session still stands:
"live" for five minutes, then the row is asked again; "ended" as soon as somebody ends it.

To a session's fingerprint (Django's own, of the password) belongs a count that is kept in the cache, too: raising it ends
all others at once. If the cache is lost, the sessions are lost with it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import update_session_auth_hash
from django.contrib.auth.signals import user_logged_in
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext_lazy as _

from kameng.accounts import agents, audit, notices
from kameng.accounts.models import StaffSession, User, sessions_key
from kameng.accounts.types import Actor
from kameng.db.context import current_tenant, pointed_at
from kameng.lib import clock
from kameng.lib.errors import Missing
from kameng.web.actors import client_ip

DEVICE_COOKIE = "kameng_device"  # Of this host alone. Tells a browser that was here before from one that was not.
DEVICE_COOKIE_S = 400 * 24 * 3600  # As long as browsers keep one.
SEEN_EVERY = timedelta(minutes=5)
LIVE, ENDED = "live", "ended"
_ROW = "session_row"  # In the session: the row's id.


class SessionUnknown(Missing):
    """No such session of this person, or it has ended."""

    code = "session_unknown"


def note_log_in(sender: Any, request: HttpRequest, user: User, **_rest: Any) -> None:
    """Write the row of a session that begins, and mail its person when the browser is new to them."""
    now = clock.utc_now()
    cookie = request.COOKIES.get(DEVICE_COOKIE, "")
    if not (20 <= len(cookie) <= 64 and cookie.isascii()):
        cookie = secrets.token_urlsafe(24)
    device = hashlib.sha256(cookie.encode()).hexdigest()
    request.new_device_cookie = cookie  # type: ignore[attr-defined]  # `keep_device` sends it.
    agent, ip = agents.of(request), client_ip(request)
    earlier = StaffSession.objects.filter(user_id=user.pk)
    request.is_new_device = earlier.exists() and not earlier.filter(device=device).exists()  # type: ignore[attr-defined]
    row = StaffSession.objects.create(user_id=user.pk, device=device, agent=agent, ip=ip, created_at=now, seen_at=now)
    request.session[_ROW] = row.pk


user_logged_in.connect(note_log_in, dispatch_uid="kameng.accounts.sessions")


def tell_of_new_device(request: HttpRequest, user: User, by: Actor) -> bool:
    """Mail somebody who logged in on a device that they were not seen on before. Not at their first log-in."""
    if not getattr(request, "is_new_device", False):
        return False
    notices.tell(user, "new_device", at=clock.utc_now(), by=by, agent=agents.of(request))
    return True


def keep_device(request: HttpRequest, response: HttpResponseBase) -> None:
    """Let the browser be known next time. Call it on the answer to a log-in."""
    cookie = getattr(request, "new_device_cookie", "")
    if cookie:
        response.set_cookie(
            DEVICE_COOKIE, cookie, max_age=DEVICE_COOKIE_S, httponly=True, samesite="Lax",
            secure=settings.SESSION_COOKIE_SECURE, path="/",
        )  # fmt: skip


def still_standing(request: HttpRequest, user: Any) -> Any:
    """`user`, or nobody when this session was ended from elsewhere. Asked once a request, where the user is loaded."""
    pk = request.session.get(_ROW)
    if pk is None or not user.is_authenticated:
        return user
    said = cache.get(_key(pk))
    if said == LIVE:
        return user
    if said == ENDED or not StaffSession.objects.filter(pk=pk, user_id=user.pk, ended_at__isnull=True).exists():
        request.session.flush()
        from django.contrib.auth.models import (
            AnonymousUser,
        )  # Here: its module wants its app, which a bench's settings lack.

        return AnonymousUser()
    # Race: it is ended between the look at the row and here. `add` leaves "ended" in its place, and `end` overwrites.
    if cache.add(_key(pk), LIVE, int(SEEN_EVERY.total_seconds())):
        _note_seen(pk)
    return user


def _note_seen(pk: int) -> None:
    """Keep `seen_at`, to five minutes. After the request's transaction, for a read's is READ ONLY."""
    tenant, now = current_tenant(), clock.utc_now()

    def write() -> None:
        with pointed_at(tenant), transaction.atomic():
            StaffSession.objects.filter(pk=pk, seen_at__lt=now).update(seen_at=now)

    transaction.on_commit(write, robust=True)  # The answer stands already; a failure here is logged and spoils nothing.


def of(user: User, *, now: datetime) -> list[StaffSession]:
    """Browsers in which somebody is logged in, the one that was seen last first. A session ends unused after two weeks."""
    oldest = now - timedelta(seconds=settings.SESSION_COOKIE_AGE)
    return list(StaffSession.objects.filter(user_id=user.pk, ended_at__isnull=True, created_at__gte=oldest)[:50])


def present_row(request: HttpRequest) -> int | None:
    """The row of the session that asks."""
    found = request.session.get(_ROW)
    return int(found) if found is not None else None


def end_one(*, user: User, session_id: int, by: Actor, now: datetime) -> None:
    """Log `user` out of one browser, at once. Raises: SessionUnknown."""
    with transaction.atomic():
        mine = StaffSession.objects.filter(pk=session_id, user_id=user.pk, ended_at__isnull=True)
        if mine.update(ended_at=now) != 1:
            raise SessionUnknown(_("This session has ended already, or is not yours."))
        audit.record(action="accounts.session.ended", by=by, target=user.email, at=now)
    _mark_ended([session_id])


def end_elsewhere(*, request: HttpRequest, user: User, by: Actor, now: datetime) -> None:
    """Log `user` out of every browser but the one that asks."""
    _raise_count(user.pk)
    others = StaffSession.objects.filter(user_id=user.pk, ended_at__isnull=True).exclude(pk=present_row(request) or 0)
    ended = list(others.values_list("pk", flat=True))
    others.update(ended_at=now)
    _mark_ended(ended)
    audit.record(action="accounts.sessions.ended", by=by, target=user.email, at=now)
    update_session_auth_hash(request, user)


def end_all(*, user: User, now: datetime) -> None:
    """Log somebody out everywhere: their rights or their factors were taken. The caller writes the audit record."""
    _raise_count(user.pk)
    rows = StaffSession.objects.filter(user_id=user.pk, ended_at__isnull=True)
    ended = list(rows.values_list("pk", flat=True))
    rows.update(ended_at=now)
    _mark_ended(ended)


def end_this(request: HttpRequest, *, now: datetime) -> None:
    """Somebody logs out: their row ends with the session."""
    pk = present_row(request)
    if pk is not None:
        StaffSession.objects.filter(pk=pk, ended_at__isnull=True).update(ended_at=now)


def _raise_count(user_id: int) -> None:
    key = sessions_key(user_id)
    cache.add(key, 0, None)
    cache.incr(key)


def _mark_ended(ids: list[int]) -> None:
    cache.set_many({_key(pk): ENDED for pk in ids}, settings.SESSION_COOKIE_AGE)


def _key(pk: int) -> str:
    return f"accounts:session:{pk}"
