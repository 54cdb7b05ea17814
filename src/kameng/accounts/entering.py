"""Coming in, by whichever door: a password, a mailed link, the first pass of a new shop. One place for the second step.

Whoever has a second factor is not logged in by the first one: the session notes who stands between the two doors, for
ten minutes, and `login/confirm/` opens the second.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.crypto import constant_time_compare

from kameng.accounts import agents, audit, factors, sessions, step_up
from kameng.accounts.models import AuditRecord, User
from kameng.accounts.types import Actor
from kameng.lib import clock
from kameng.web.actors import actor

BACKEND = "kameng.accounts.backends.EmailBackend"
BETWEEN_S = 10 * 60
HALF = "half_in"  # In the session: who gave the first proof, when, and where they wanted to go.
LOG_IN, FAILED, LOCKED, OUT = "accounts.log_in", "accounts.log_in.failed", "accounts.log_in.locked", "accounts.log_out"
HISTORY = (LOG_IN, FAILED, LOCKED, OUT, "accounts.factor.wrong", "accounts.factor.paused", "accounts.password.set")


def come_in(request: HttpRequest, user: User, to: str, *, action: str = LOG_IN) -> HttpResponse:
    """The first proof was good: log in, or ask for the second. `to` is an address of this host."""
    if factors.has_any(user):
        request.session.cycle_key()
        request.session[HALF] = {
            "user": user.pk, "print": user.get_session_auth_hash(), "at": clock.utc_now().timestamp(), "to": to,
            "action": action,
        }  # fmt: skip
        return redirect("login_confirm")
    return finish(request, user, to, action=action, has_factor=False)


def half_in(request: HttpRequest, *, now: datetime) -> tuple[User, dict[str, Any]] | None:
    """Who stands between the doors in this browser; nobody, when it took too long or the password changed meanwhile."""
    kept = request.session.get(HALF)
    if kept is None or now.timestamp() - kept["at"] > BETWEEN_S:
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True).first()
    if user is None or not constant_time_compare(user.get_session_auth_hash(), kept["print"]):
        return None
    return user, kept


def finish(request: HttpRequest, user: User, to: str, *, action: str, has_factor: bool) -> HttpResponse:
    """Log in, write it down, and tell by mail of a device that is new."""
    now = clock.utc_now()
    request.session.pop(HALF, None)
    login(request, user, backend=BACKEND)
    request.session[step_up.HAS_FACTOR] = has_factor
    if has_factor:  # The second proof was given a moment ago.
        step_up.mark(request, user, now=now)
    by = actor(request)
    told = sessions.tell_of_new_device(request, user, by)
    agent = agents.of(request)
    audit.record(action=action, by=by, target=user.email, at=now, agent=agent, **({"new_device": True} if told else {}))
    response: HttpResponse = redirect(to)
    sessions.keep_device(request, response)
    return response


def note_failure(request: HttpRequest, email: str, *, locked: bool = False) -> None:
    """A wrong password goes into the history of the log-in that was tried, if there is one: others' addresses are not kept."""
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        return
    agent = agents.of(request)
    by = actor(request)
    stranger = Actor(by.kind, "", None, by.ip, by.request_id)
    audit.record(action=LOCKED if locked else FAILED, by=stranger, target=user.email, agent=agent)


def history(user: User, limit: int) -> list[AuditRecord]:
    """What was tried at somebody's log-in, the newest first."""
    return list(AuditRecord.objects.filter(target=user.email, action__in=HISTORY)[:limit])
