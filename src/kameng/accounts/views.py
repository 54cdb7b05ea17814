"""Log in and out of this host's console or panel."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from kameng.accounts import audit, entering, factors, passkeys, sessions, support
from kameng.accounts.forms import LoginForm
from kameng.accounts.types import Actor, ActorKind
from kameng.lib import clock
from kameng.web.actors import actor, client_ip


def home_of(request: HttpRequest) -> str:
    """Where somebody lands who has logged in."""
    return "/panel/" if getattr(request, "tenant", None) else "/console/"


def local_address(request: HttpRequest, wanted: str, fallback: str) -> str:
    """`wanted`, when it is an address of this host."""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else fallback


def _next(request: HttpRequest) -> str:
    return local_address(request, request.POST.get("next") or request.GET.get("next") or "", home_of(request))


@sensitive_post_parameters("password")
def log_in(request: HttpRequest) -> HttpResponse:
    """The form, and what comes of it. Somebody who is logged in already is sent on."""
    if request.method != "POST" and request.user.is_authenticated:
        return redirect(_next(request))
    form = LoginForm(request.POST or None, request=request)
    if request.method == "POST":
        if form.is_valid():
            return entering.come_in(request, form.user, _next(request))
        locked_out = getattr(request, "axes_locked_out", False)  # `lockout` writes that down, once.
        if form.cleaned_data.get("email") and form.data.get("password") and not locked_out:
            entering.note_failure(request, form.cleaned_data["email"])
    context = {"form": form, "next": request.GET.get("next", "")}
    return render(request, "accounts/login.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["GET", "POST"])
@never_cache
@sensitive_post_parameters("step_up_code")
def confirm(request: HttpRequest) -> HttpResponse:
    """The second step of a log-in. Who has not taken the first, or took too long, begins anew."""
    now = clock.utc_now()
    found = entering.half_in(request, now=now)
    if found is None:
        return redirect("login")
    user, kept = found
    by = Actor(ActorKind.USER, str(user), user.pk, client_ip(request), getattr(request, "request_id", ""))
    error: Any = None
    if request.method == "POST":
        try:
            if request.POST.get("step_up") == "passkey":
                passkeys.check(request, user=user, answer=request.POST.get("step_up_passkey", ""), by=by, now=now)
            else:
                factors.check_code(user=user, code=request.POST.get("step_up_code", ""), by=by, now=now)
        except (factors.CodeWrong, factors.CodeUsed, passkeys.PasskeyWrong) as refused:
            error = refused  # Shown in the form, so that the try is counted.
        else:
            return entering.finish(request, user, kept["to"], action=kept["action"], has_factor=True)
    has = factors.of(user)
    return render(
        request, "accounts/confirm.html",
        {"action": request.path, "has": has, "error": error, "carried": [], "lost_files": [], "logging_in": True,
         "who": user.email, "passkey_options": passkeys.options_to_prove(request, user) if has.passkeys else ""},
        status=422 if error else 200,
    )  # fmt: skip


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    if getattr(request.user, "is_support", False):
        support.leave(request, now=clock.utc_now())
    elif request.user.is_authenticated:
        sessions.end_this(request, now=clock.utc_now())
        audit.record(action=entering.OUT, by=actor(request), target=str(getattr(request.user, "email", "")))
    logout(request)
    return redirect("/login/")
