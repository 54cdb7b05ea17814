"""Log in and out of this host's console or panel."""

from __future__ import annotations

from django.contrib.auth import login, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST

from kameng.accounts import audit, support
from kameng.accounts.forms import LoginForm
from kameng.lib import clock
from kameng.web.actors import actor


def home_of(request: HttpRequest) -> str:
    """Where somebody lands who has logged in."""
    return "/panel/" if getattr(request, "tenant", None) else "/console/"


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else home_of(request)


def log_in(request: HttpRequest) -> HttpResponse:
    """The form, and what comes of it. Somebody who is logged in already is sent on."""
    if request.method != "POST" and request.user.is_authenticated:
        return redirect(_next(request))
    form = LoginForm(request.POST or None, request=request)
    if request.method == "POST" and form.is_valid():
        login(request, form.user, backend="kameng.accounts.backends.EmailBackend")
        audit.record(action="accounts.log_in", by=actor(request), target=form.user.email)
        return redirect(_next(request))
    context = {"form": form, "next": request.GET.get("next", "")}
    return render(request, "accounts/login.html", context, status=422 if form.is_bound else 200)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    if getattr(request.user, "is_support", False):
        support.leave(request, now=clock.utc_now())
    elif request.user.is_authenticated:
        audit.record(action="accounts.log_out", by=actor(request), target=str(getattr(request.user, "email", "")))
    logout(request)
    return redirect("/login/")
