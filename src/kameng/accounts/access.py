"""The one door to a console page: who may open it, and what a deed of money or codes asks on top.

    @allowed(catalogue.GOODS_LOOK, change=catalogue.GOODS_CHANGE)
    def product(request): ...

A view names the permission to look and the one to change; one is enough where it only does one of the two. The test
`tests/kameng/accounts/test_catalogue.py` walks every address and fails by name where a view names none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _

from kameng.accounts import catalogue, step_up
from kameng.accounts.models import Role, User, place
from kameng.lib.errors import Forbidden
from kameng.lib.words import worded

View = Callable[..., HttpResponseBase]
READING = ("GET", "HEAD")


class NotInYourRole(Forbidden):
    """The page or the deed is not of the reader's role; the words say who can give it."""

    code = "not_allowed"

    def __init__(self, permission: str, *, role: Any, to_look: bool, askable: Sequence[str]) -> None:
        told = _("Your role (%(role)s) does not include this: “%(what)s”. Nothing was changed.")
        if not to_look and permission in catalogue.CATALOGUES[place()] and not _changes(permission):
            told = _(
                "Your role (%(role)s) can look here and not change: “%(what)s” is all it includes. Nothing was changed."
            )
        said = worded(told, role=role, what=catalogue.label(place(), permission))
        if askable:
            ask = worded(_("You can be given it by: %(who)s."), who=", ".join(askable))
            said = worded(_two_sentences, first=said, second=ask)
        super().__init__(said, details={"permission": permission})


_two_sentences = "%(first)s %(second)s"
ASKABLE = 3


def _who_grants(user: Any) -> list[str]:
    """Names of owners who can log in, for somebody who works here. Support's visitor is told nobody's name."""
    if getattr(user, "is_support", False):
        return []
    with transaction.atomic():  # A view that calls the outside has none around it.
        owners = User.objects.filter(role__in=(Role.OWNER, Role.OPERATOR), is_active=True).order_by("pk")
        return [str(one) for one in owners if one.has_usable_password()][:ASKABLE]


def allowed(look: str, *, change: str = "") -> Callable[[View], View]:
    """Open a view to those whose role has `look`, its POST to those who have `change` (`look`, where that changes).

    A stranger is led to the log-in and back. Where the permission is of money or codes, a POST asks for a second factor
    first (`accounts.step_up`), and nothing that was typed is lost by it. Sets `request.may_change`: whether this reader
    may do what the page's buttons do.
    """

    def decorated(view: View) -> View:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return _to_log_in(request)
            wanted = demand(request, look, change=change)
            missing = step_up.everybody_needs_one(request)
            if missing is not None:
                return missing
            if request.method not in READING and _needs_proof(wanted):
                asked = step_up.require_step_up(request, wanted)
                if asked is not None:
                    return asked
            return view(request, *args, **kwargs)

        guarded.permissions = (look, change or look)  # type: ignore[attr-defined]
        return guarded

    return decorated


def demand(request: HttpRequest, look: str, *, change: str = "") -> str:
    """The check alone, for a view that knows only from its row what it needs. Answers the permission that counts.

    Raises: NotInYourRole.
    """
    user: Any = request.user
    reading, deed = request.method in READING, change or look
    wanted = look if reading else deed
    if not user.may(wanted) or not (reading or _changes(wanted)):
        raise NotInYourRole(wanted, role=user.role_label, to_look=reading, askable=_who_grants(user))
    may_do(request, deed)
    return wanted


def may_do(request: HttpRequest, *deeds: str) -> None:
    """Note which deeds the page offers: it is open to change for whoever may do one of them."""
    user: Any = request.user
    request.may_change = any(_changes(deed) and user.may(deed) for deed in deeds)  # type: ignore[attr-defined]


def may(request: HttpRequest, permission: str) -> bool:
    """Whether the reader may; nobody is logged in: no."""
    user: Any = request.user
    return bool(user.is_authenticated and user.may(permission))


def permission_words(request: HttpRequest) -> dict[str, bool]:
    """The reader's permissions as templates ask for them: `may.prices_change`."""
    user: Any = request.user
    return {code.replace(".", "_"): True for code in getattr(user, "permissions", ())}


def may_change(request: HttpRequest) -> bool:
    """Whether the reader may do the deeds of the page that is asked for: see `allowed`."""
    return bool(getattr(request, "may_change", False))


def own_account(view: View) -> View:
    """A page of the reader's own log-in: everybody's who has one."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user: Any = request.user
        if not user.is_authenticated:
            return _to_log_in(request)
        if getattr(user, "is_support", False):
            from kameng.accounts.support import NotForSupport

            raise NotForSupport()
        return view(request, *args, **kwargs)

    guarded.permissions = (catalogue.OWN, catalogue.OWN)  # type: ignore[attr-defined]
    return guarded


def _to_log_in(request: HttpRequest) -> HttpResponseBase:
    if getattr(request, "htmx", False):
        response = HttpResponse(status=401)
        response["HX-Redirect"] = "/login/"
        return response
    return redirect("/login/?" + urlencode({"next": request.get_full_path()}))


def _permission(code: str) -> catalogue.Permission | None:
    return catalogue.CATALOGUES[place()].get(code)


def _changes(code: str) -> bool:
    """Everybody may do the deeds of their own account: ticking off a first step, ending one's own sessions."""
    found = _permission(code)
    return code == catalogue.OWN or (found is not None and found.changes)


def _needs_proof(code: str) -> bool:
    found = _permission(code)
    return found is not None and found.proof
