"""Forgotten, first and changed passwords, on every host that has a log-in."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from email.utils import formataddr, parseaddr
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.mail import EmailMessage
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from kameng.accounts import entering, recovery, sessions, support
from kameng.accounts.forms import ChangePasswordForm, ForgotForm, SetPasswordForm
from kameng.accounts.models import User
from kameng.accounts.types import Actor, ActorKind
from kameng.accounts.views import home_of
from kameng.lib import clock
from kameng.lib.errors import DomainError, TooMany
from kameng.web.actors import actor, client_ip
from kameng.web.counting import count
from kameng.web.transactions import own_transactions

WINDOW_S = 3600
PER_MAILBOX = 3
PER_ADDRESS = 20


@require_http_methods(["GET", "POST"])
@own_transactions
def forgot(request: HttpRequest) -> HttpResponse:
    """Ask for a link by mail. The answer is the same for an address that nobody has, and so is the work: that address
    is told that it has no log-in here, which helps whoever mistook it and tells a stranger nothing.
    """
    form = ForgotForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        email = form.cleaned_data["email"].lower()
        if _may_ask(email, client_ip(request)):
            with transaction.atomic():
                user = User.objects.filter(email=email, is_active=True).first()
                path = recovery.link_path(user) if user else ""
            _mail(request, email, path)  # Outside of any transaction: a mail server may take its time.
        return render(request, "accounts/forgot_sent.html", {"email": email})
    return render(request, "accounts/forgot.html", {"form": form}, status=422 if form.is_bound else 200)


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def set_password(request: HttpRequest, entry: str) -> HttpResponse:
    """Behind the link: choose a password, and be logged in. A link that is worth nothing says so before the form."""
    user = recovery.holder_of(entry)
    form = SetPasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = recovery.set_by_pass(
                entry=entry, password=form.cleaned_data["password"], by=_themself(request, user), now=clock.utc_now()
            )
        except recovery.PasswordRefused as error:
            form.add_error("password", str(error))
        else:
            return entering.come_in(request, user, home_of(request))
    context = {"form": form, "email": user.email, "fresh": not user.has_usable_password()}
    response = render(request, "accounts/set_password.html", context, status=422 if form.is_bound else 200)
    # The address holds the pass, which no other site may read. Not "no-referrer": under that browsers send this page's
    # own form with "Origin: null", and the check against forged forms refuses it.
    response["Referrer-Policy"] = "same-origin"
    return response


@sensitive_post_parameters()
@require_http_methods(["GET", "POST"])
def change(request: HttpRequest) -> HttpResponseBase:
    """One's own password, whatever the role; other browsers of the same person are logged out."""
    user: Any = request.user
    if not user.is_authenticated:
        return redirect(f"/login/?next={request.path}")
    if getattr(user, "is_support", False):
        raise support.NotForSupport()
    form = ChangePasswordForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            by, now = actor(request), clock.utc_now()
            changed = recovery.change(user=user, by=by, now=now, **form.cleaned_data)
        except DomainError as error:
            form.add_error(error.field if error.field in form.fields else None, str(error))
        else:
            # The new password ends the other sessions by itself; their rows must say so, or the list shows them.
            sessions.end_elsewhere(request=request, user=changed, by=by, now=now)
            messages.success(request, _("Your password is changed. Other browsers were logged out."))
            return redirect(home_of(request))
    context = {"form": form, "home": home_of(request)}
    return render(request, "accounts/change_password.html", context, status=422 if form.is_bound else 200)


@require_http_methods(["POST"])
def elsewhere(request: HttpRequest) -> HttpResponseBase:
    """Log oneself out of every other browser, and keep the password."""
    user: Any = request.user
    if not user.is_authenticated:
        return redirect("/login/?next=/password/")
    if getattr(user, "is_support", False):
        raise support.NotForSupport()
    sessions.end_elsewhere(request=request, user=user, by=actor(request), now=clock.utc_now())
    messages.success(request, _("Every other browser was logged out."))
    return redirect("password_change")


def _themself(request: HttpRequest, user: Any) -> Actor:
    """Whoever holds the pass acts as the person whose it is, though nobody has logged in yet."""
    return replace(actor(request), kind=ActorKind.USER, label=str(user), id=user.pk)


def _mail(request: HttpRequest, email: str, path: str) -> None:
    tenant = getattr(request, "tenant", None)
    name = tenant.name if tenant else "Kameng"
    base = tenant.url if tenant else f"{settings.SCHEME}://{settings.BASE_DOMAIN}{settings.AUTHORITY}"
    subject = _("%(name)s: your password") % {"name": name}
    if path:
        first = _("Choose a new password here. The link works once and for 24 hours:")
        last = _("If it was not you who asked, forget this mail: nothing has changed.")
        body = f"{first}\n\n{base}{path}\n\n{last}\n"
    else:
        body = _("Somebody asked for a new password for this address, but it has no log-in at %(name)s.") % {
            "name": name
        }
    sender = formataddr((name, parseaddr(settings.DEFAULT_FROM_EMAIL)[1]))
    EmailMessage(subject, body, sender, [email]).send()


def _may_ask(email: str, ip: str) -> bool:
    """A few mails an hour to one mailbox: beyond that nothing goes out, and the page says nothing of it.

    Raises: TooMany for one address that asks for many.
    """
    mailbox = hashlib.sha256(email.encode()).hexdigest()[:24]
    if count(f"password:ip:{ip}", WINDOW_S) > PER_ADDRESS:
        raise TooMany(_("Too many tries. Please wait an hour."), details={"retry_after_s": WINDOW_S})
    return count(f"password:mailbox:{mailbox}", WINDOW_S) <= PER_MAILBOX
