"""Who may open a console page."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from kameng.accounts.models import Role
from kameng.lib.errors import Forbidden

View = Callable[..., HttpResponseBase]


def staff_required(view: View) -> View:
    """A log-in of this host's schema; a viewer may look and not change. Money needs `owner_required`."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user: Any = request.user
        if not user.is_authenticated:
            if getattr(request, "htmx", False):
                response = HttpResponse(status=401)
                response["HX-Redirect"] = "/login/"
                return response
            return redirect("/login/?" + urlencode({"next": request.get_full_path()}))
        if request.method not in ("GET", "HEAD") and not user.may_change:
            raise Forbidden(_("Your account can look, not change. Ask the owner for a role that can."))
        return view(request, *args, **kwargs)

    return guarded


def owner_required(view: View) -> View:
    """The owner of the shop, or an operator of the main station."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        user: Any = request.user
        if user.role not in (Role.OWNER, Role.OPERATOR):
            raise Forbidden(_("Only the owner may do this."))
        return view(request, *args, **kwargs)

    return staff_required(guarded)
