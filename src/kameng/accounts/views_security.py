"""One's own log-in: the second step, passkeys, recovery codes, browsers. The page itself is the panel's or the console's."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from kameng.accounts import agents, entering, factors, passkeys, sessions, step_up
from kameng.accounts.access import own_account
from kameng.accounts.models import User
from kameng.accounts.views import home_of, local_address
from kameng.lib import clock
from kameng.web.actors import actor

HISTORY = 20


def own_page(request: HttpRequest) -> str:
    """The page of one's own log-in on this host."""
    return f"{home_of(request)}account/"


def about(request: HttpRequest, user: User) -> dict[str, Any]:
    """What that page shows."""
    now = clock.utc_now()
    here = sessions.present_row(request)
    rows = sessions.of(user, now=now)
    return {
        "factors": factors.of(user),
        "passkeys": list(user.passkeys.all()),
        "for_all": step_up.factor_for_all(),
        "devices": [{"row": row, "device": agents.words(row.agent), "here": row.pk == here} for row in rows],
        "others": any(row.pk != here for row in rows),
        "history": [
            {
                "record": record,
                "device": agents.words(str(record.details["agent"])) if "agent" in record.details else "–",
            }
            for record in entering.history(user, HISTORY)
        ],
    }


@require_http_methods(["GET", "POST"])
@own_account
@never_cache
@sensitive_post_parameters("step_up_password", "step_up_code")
def second_step(request: HttpRequest) -> HttpResponse:
    """Set an authenticator app up, outside of any deed. Its recovery codes stand on the answer and nowhere else."""
    user: Any = request.user
    to = local_address(request, request.POST.get("next") or request.GET.get("next") or "", own_page(request))
    has = factors.of(user)
    if has.app:
        return redirect(to)
    if has.any:  # A passkey: it says yes to the app first. A password alone adds no factor beside one.
        asked = step_up.require_step_up(request, "")
        if asked is not None:
            return asked
    error: Any = None
    if request.method == "POST" and request.POST.get(step_up.FIELD) == "app":
        try:
            codes = step_up.set_up(request, by=actor(request), now=clock.utc_now())
        except (factors.CodeWrong, step_up.PasswordWrong) as refused:
            error = refused  # Shown in the form, so that the try is counted.
        else:
            return render(request, "accounts/codes.html", {"codes": codes, "to": to, "carried": []})
    context = {
        "action": request.path, "next": to, "error": error, "carried": [], "lost_files": [],
        "needed": request.GET.get("needed") == "1", "home": own_page(request), **step_up.pending_app(request, user),
    }  # fmt: skip
    return render(request, "accounts/set_up.html", context, status=422 if error else 200)


def _after_removal(request: HttpRequest, user: User) -> None:
    """Without a factor nothing of it stands, here or in another browser, which may have been let in or trusted by it."""
    if not factors.has_any(user):
        step_up.forget(request)
        sessions.end_elsewhere(request=request, user=user, by=actor(request), now=clock.utc_now())


@require_POST
@own_account
def app_remove(request: HttpRequest) -> HttpResponse:
    asked = step_up.require_step_up(request, "")
    if asked is not None:
        return asked
    user: Any = request.user
    factors.remove_app(user=user, by=actor(request), now=clock.utc_now())
    _after_removal(request, user)
    messages.success(request, _("The app is taken off. Its codes are worth nothing now."))
    return redirect(own_page(request))


@require_http_methods(["GET", "POST"])
@own_account
@never_cache
@sensitive_post_parameters("step_up_password")
def passkey_new(request: HttpRequest) -> HttpResponse:
    """Add a passkey: who has a factor confirms with it first, who has none gives the password."""
    user: Any = request.user
    now, by = clock.utc_now(), actor(request)
    has_factor = factors.has_any(user)
    error: Any = None
    if request.method == "POST":
        if has_factor:
            asked = step_up.require_step_up(request, "")
            if asked is not None:
                return asked
        try:
            if not has_factor:
                step_up.check_password(user, request.POST.get("step_up_password", ""), by=by, now=now)
            codes = passkeys.add(
                request, user=user, answer=request.POST.get("passkey", ""), name=request.POST.get("name", ""), by=by,
                now=now,
            )  # fmt: skip
        except (step_up.PasswordWrong, passkeys.PasskeyWrong) as refused:
            error = refused
        else:
            step_up.mark(request, user, now=now)
            if codes:
                return render(request, "accounts/codes.html", {"codes": codes, "to": own_page(request), "carried": []})
            messages.success(request, _("The passkey is added."))
            return redirect(own_page(request))
    context = {
        "error": error, "options": passkeys.options_to_add(request, user), "has_factor": has_factor,
        "name": request.POST.get("name", "") or agents.words(request.headers.get("User-Agent", "")),
        "home": own_page(request),
    }  # fmt: skip
    return render(request, "accounts/passkey.html", context, status=422 if error else 200)


@require_POST
@own_account
def passkey_remove(request: HttpRequest, pk: int) -> HttpResponse:
    asked = step_up.require_step_up(request, "")
    if asked is not None:
        return asked
    user: Any = request.user
    passkeys.remove(user=user, passkey_id=pk, by=actor(request), now=clock.utc_now())
    _after_removal(request, user)
    messages.success(request, _("The passkey is taken off."))
    return redirect(own_page(request))


@require_POST
@own_account
@never_cache
def recovery_codes(request: HttpRequest) -> HttpResponse:
    """Ten new ones, shown once."""
    asked = step_up.require_step_up(request, "")
    if asked is not None:
        return asked
    user: Any = request.user
    codes = factors.fresh_codes(user=user, by=actor(request), now=clock.utc_now())
    return render(request, "accounts/codes.html", {"codes": codes, "to": own_page(request), "carried": []})


@require_POST
@own_account
def session_end(request: HttpRequest, pk: int) -> HttpResponse:
    user: Any = request.user
    sessions.end_one(user=user, session_id=pk, by=actor(request), now=clock.utc_now())
    messages.success(request, _("That browser is logged out."))
    return redirect(own_page(request))
