"""“Confirm it's you”: a second factor before a deed of money or codes, good for fifteen minutes.

The page that asks carries what was typed in hidden fields and is sent to the address of the deed itself. A right code is
answered by 307, at which the browser sends the same form again: the use of the code is committed by itself, whatever the
deed then says, and nothing of the form is kept on the server. Files can't be carried; the page says so.

Somebody without a factor is led to set one up on the same way, with their password, and goes on from there.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from kameng.accounts import agents, audit, catalogue, factors, passkeys
from kameng.accounts.catalogue import Place
from kameng.accounts.models import AccessPolicy, User, place
from kameng.lib import clock
from kameng.lib.errors import Forbidden
from kameng.web.actors import actor

GOOD_FOR_S = 15 * 60
PROVED = "proved"  # In the session: when, as seconds of the epoch, and who.
PENDING = "factor_pending"  # In the session: the sealed secret of an app that is being set up.
HAS_FACTOR = "has_factor"  # In the session: this person has one, so that nobody has to ask the tables.
NEW_PASSKEY = "new_passkey"
FIELD = "step_up"  # The fields of the page itself begin with it, and are not carried on.
POLICY_KEY = "accounts:policy"


class ProofNeeded(Forbidden):
    """A program, or a script of a page, did a deed that a person has to confirm."""

    code = "step_up_required"

    def __init__(self) -> None:
        super().__init__(_("Confirm that it is you first: reload the page and send it as a form. Nothing was changed."))


class Again(HttpResponseRedirect):
    """The same method and the same form to the same address once more (RFC 9110, 15.4.8)."""

    status_code = 307


# -- What the session knows.


def is_fresh(request: HttpRequest, *, now: datetime | None = None) -> bool:
    """Whether this session's person proved a second factor within the last fifteen minutes."""
    kept = request.session.get(PROVED) or {}
    age = (now or clock.utc_now()).timestamp() - float(kept.get("at", 0))
    return kept.get("user") == request.user.pk and -60 <= age <= GOOD_FOR_S  # A minute for clocks that differ.


def mark(request: HttpRequest, user: User, *, now: datetime) -> None:
    """Note the proof, under a new key of the session: whoever knew the old one has proved nothing."""
    request.session.cycle_key()
    request.session[PROVED] = {"at": now.timestamp(), "user": user.pk}
    request.session[HAS_FACTOR] = True


def forget(request: HttpRequest) -> None:
    """The factor was taken off: nothing of it stands."""
    request.session.pop(PROVED, None)
    request.session[HAS_FACTOR] = False


# -- Before a deed.


def require_step_up(request: HttpRequest, purpose: str) -> HttpResponse | None:
    """None when the deed may be done; otherwise the answer to give in its place. Call it before anything is written.

    `purpose` is a permission of the catalogue: its words say on the page what is confirmed.
    """
    if is_fresh(request):
        return None
    if request.path.startswith("/api/") or "application/json" in request.headers.get("Accept", ""):
        raise ProofNeeded()
    with transaction.atomic():  # A view that calls the outside has none around it.
        return _answer(request, purpose)


def _answer(request: HttpRequest, purpose: str) -> HttpResponse:
    user: Any = request.user
    now, by = clock.utc_now(), actor(request)
    deed = request.POST.get(FIELD, "")
    has_factor = factors.has_any(user)
    try:
        if deed == "code" and has_factor:
            factors.check_code(user=user, code=request.POST.get("step_up_code", ""), by=by, now=now)
        elif deed == "passkey" and has_factor:
            passkeys.check(request, user=user, answer=request.POST.get("step_up_passkey", ""), by=by, now=now)
        elif deed == "app" and not has_factor:
            codes = set_up(request, by=by, now=now)
            return _page(request, "accounts/codes.html", purpose, codes=codes)
        elif deed == NEW_PASSKEY and not has_factor:
            check_password(user, request.POST.get("step_up_password", ""), by=by, now=now)
            codes = passkeys.add(
                request, user=user, answer=request.POST.get("step_up_passkey", ""),
                name=agents.words(request.headers.get("User-Agent", "")), by=by, now=now,
            )  # fmt: skip
            mark(request, user, now=now)
            return _page(request, "accounts/codes.html", purpose, codes=codes)
        else:
            return ask(request, purpose, has_factor=has_factor)
    except (
        factors.CodeWrong,
        factors.CodeUsed,
        passkeys.PasskeyWrong,
        PasswordWrong,
    ) as refused:  # Shown in the form: the try is counted.
        return ask(request, purpose, has_factor=has_factor, error=refused)
    mark(request, user, now=now)
    return Again(request.get_full_path())


def ask(request: HttpRequest, purpose: str, *, has_factor: bool, error: Any = None) -> HttpResponse:
    """The page that asks for the second factor, or for one to be set up."""
    user: Any = request.user
    status = 403 if error is None else 422
    if not has_factor:
        return _page(
            request, "accounts/set_up.html", purpose, status=status, error=error,
            passkey_options=passkeys.options_to_add(request, user),
            passkey_open=request.POST.get(FIELD) == NEW_PASSKEY, **pending_app(request, user),
        )  # fmt: skip
    has = factors.of(user)
    return _page(
        request, "accounts/confirm.html", purpose, status=status, error=error, has=has,
        passkey_options=passkeys.options_to_prove(request, user) if has.passkeys else "",
    )  # fmt: skip


def _page(request: HttpRequest, template: str, purpose: str, *, status: int = 200, **context: Any) -> HttpResponse:
    carried = [
        (name, value)
        for name, values in request.POST.lists()
        for value in values
        if not name.startswith(FIELD) and name != "csrfmiddlewaretoken"
    ]
    permission = catalogue.CATALOGUES[place()].get(purpose)
    response = render(
        request, template,
        {"carried": carried, "lost_files": [str(one) for one in request.FILES.values()], "action": request.get_full_path(),
         "purpose": permission.label if permission else "", **context},
        status=status,
    )  # fmt: skip
    response["Cache-Control"] = "no-store"  # What was typed stands in it.
    if getattr(request, "htmx", False):
        response["HX-Retarget"], response["HX-Reswap"] = "body", "innerHTML"
    return response


# -- Setting up.


class PasswordWrong(Forbidden):
    """A factor is set up by whoever knows the password, not by whoever sits at an open browser."""

    code = "password_wrong"

    def __init__(self) -> None:
        super().__init__(_("This is not your password. Nothing was set up."), field="password")


def pending_app(request: HttpRequest, user: User) -> dict[str, Any]:
    """The secret on its way into somebody's app, with its QR code: the same until it is used."""
    kept = request.session.get(PENDING)
    secret = (
        factors.open_pending(user, kept["sealed"]) if kept and kept.get("user") == user.pk else factors.new_secret()
    )
    request.session[PENDING] = {"user": user.pk, "sealed": factors.seal_pending(user, secret)}
    tenant = getattr(request, "tenant", None)
    uri = factors.app_uri(user, secret, tenant.name if tenant else "Kameng")
    spaced = " ".join(secret[n : n + 4] for n in range(0, len(secret), 4))
    return {"app_uri": uri, "app_secret": spaced}


def set_up(request: HttpRequest, *, by: Any, now: datetime) -> list[str]:
    """Finish what `pending_app` began; answers recovery codes. Raises: PasswordWrong, CodeWrong, FactorRefused."""
    user: Any = request.user
    kept = request.session.get(PENDING)
    if not kept or kept.get("user") != user.pk:
        raise factors.CodeWrong()
    check_password(user, request.POST.get("step_up_password", ""), by=by, now=now)
    secret = factors.open_pending(user, kept["sealed"])
    code = "".join(char for char in request.POST.get("step_up_code", "") if char.isalnum())
    codes = factors.set_up_app(user=user, secret=secret, code=code, by=by, now=now)
    del request.session[PENDING]
    mark(request, user, now=now)
    return codes


def check_password(user: User, password: str, *, by: Any, now: datetime) -> None:
    """Raises: PasswordWrong (counted like a wrong code), TooManyTries."""
    tried = factors.begin_try(user)
    if not user.check_password(password):
        factors.note_wrong(user=user, tried=tried, by=by, now=now)
        raise PasswordWrong()
    factors.forget_tries(user)


# -- Where everybody needs one.


def factor_for_all() -> bool:
    """Whether nobody works here without a second factor: the shop's own setting; at the main station, the environment's."""
    if place() == Place.MAIN:
        return bool(settings.SECOND_FACTOR_FOR_ALL)
    said = cache.get(POLICY_KEY)
    if said is None:
        row = AccessPolicy.objects.first()
        said = bool(row and row.factor_for_all)
        cache.add(POLICY_KEY, said, 300)  # Not `set`: whoever changes it meanwhile has the last word.
    return bool(said)


def lacks_one(request: Any) -> bool:
    """Whether this browser's person has no factor in a place that wants one of everybody."""
    user: Any = request.user
    if request.session.get(HAS_FACTOR) or getattr(user, "is_support", False) or not factor_for_all():
        return False
    with transaction.atomic():  # A view that calls the outside has none around it.
        has_factor = factors.has_any(user)
    if has_factor:
        request.session[HAS_FACTOR] = True
    return not has_factor


def everybody_needs_one(request: HttpRequest) -> HttpResponse | None:
    """Lead somebody without a factor to set one up, where the place wants one of everybody; None: let them through."""
    if not lacks_one(request):
        return None
    back = request.get_full_path() if request.method in ("GET", "HEAD") else ""
    response: HttpResponse = redirect(reverse("second_step") + "?" + urlencode({"next": back, "needed": "1"}))
    return response


def demand_of_all(*, wanted: bool, by: Any, now: datetime) -> None:
    """The shop's rule whether everybody needs a second factor. Raises: NotAllowed, FactorRefused."""
    by.must(catalogue.PEOPLE_MANAGE)
    with transaction.atomic():
        row, _made = AccessPolicy.objects.select_for_update().get_or_create(pk=1)
        if row.factor_for_all != wanted:
            row.factor_for_all = wanted
            row.save()
            audit.record(action="accounts.policy.factor", by=by, at=now, target="policy", wanted=wanted)
    transaction.on_commit(lambda: cache.set(POLICY_KEY, wanted, 300))
