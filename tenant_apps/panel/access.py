"""Who may open a screen of the panel, and in whose time zone it is drawn."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kameng.accounts import access, catalogue
from kameng.accounts.access import allowed, may
from kameng.lib.errors import Forbidden
from kameng.web.transactions import own_transactions
from tenant_apps.shop import selectors as shops

View = Callable[..., HttpResponseBase]


class PanelReadOnly(Forbidden):
    """The shop's plan is not paid: everything can be looked at, and nothing changed but the payment."""

    code = "panel_read_only"

    def __init__(self) -> None:
        super().__init__(
            _("Your plan is not paid, so that the panel can only be looked at. Nothing was changed. Pay under “Plan and "
              "billing”, and everything works again at once."),
            details={"pay": "/panel/billing/"},
        )  # fmt: skip


class ShopClosed(Forbidden):
    """A closed shop's panel is read and exported from, and changes nothing."""

    code = "shop_closed"


def open_when_closed(view: View) -> View:
    """Mark a screen whose deeds an owner needs of a closed shop, too."""
    view.open_when_closed = True  # type: ignore[attr-defined]
    return view


def screen(look: str, *, change: str = "") -> Callable[[View], View]:
    """A screen for those whose role has the permission; the other one is needed to change (`accounts.access.allowed`)."""
    door = allowed(look, change=change)

    def decorated(view: View) -> View:
        return door(_paid_to_change(_in_shop_zone(view)))

    return decorated


def even_unpaid(view: View) -> View:
    """Mark a deed that an unpaid shop may still do: what is owed to a buyer, paying, taking along what is its own,
    and closing. Innermost decorator."""
    view.even_unpaid = True  # type: ignore[attr-defined]
    return view


def outside_deed(permission: str) -> Callable[[View], View]:
    """A deed that calls the outside: no transaction is around it but those that it opens.

    Who asks stands in the database, so that is looked up in a transaction of its own. Paying is always allowed, to a
    closed shop by those that are marked (`open_when_closed`).
    """

    def decorated(view: View) -> View:
        passed = HttpResponse()  # What the door answers when it is open, told by identity.
        door = allowed(permission)(lambda _request, *_args, **_kwargs: passed)

        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            with transaction.atomic():
                answer = door(request)
            if answer is not passed:
                return answer
            _refuse_when_closed(request, view)
            return view(request, *args, **kwargs)

        checked.permissions = (permission, permission)  # type: ignore[attr-defined]
        return own_transactions(checked)

    return decorated


def _paid_to_change(view: View) -> View:
    """The one place where an unpaid shop's panel is read-only; the API's is kameng.web.api.HasScope."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        unpaid = bool(getattr(_tenant(request), "read_only", False))
        if unpaid and request.method not in ("GET", "HEAD") and not getattr(view, "even_unpaid", False):
            raise PanelReadOnly()
        return view(request, *args, **kwargs)

    return guarded


def _tenant(request: HttpRequest) -> Any:
    return getattr(request, "tenant", None)


def is_closed(request: HttpRequest) -> bool:
    """Whether the shop is closed for good."""
    return bool(getattr(_tenant(request), "closed", False))


def may_change(request: HttpRequest) -> bool:
    """Whether the page offers its deeds: the reader's role allows them, and the shop is neither unpaid nor closed."""
    held = is_closed(request) or getattr(_tenant(request), "read_only", False)
    return access.may_change(request) and not held


def sees_money(request: HttpRequest) -> bool:
    """Whether the reader may see what the shop earns."""
    return may(request, catalogue.MONEY_LOOK)


def _refuse_when_closed(request: HttpRequest, view: View) -> None:
    """Raises: ShopClosed, unless the view is marked."""
    if is_closed(request) and not getattr(view, "open_when_closed", False):
        raise ShopClosed(_("Your shop is closed for good: it can be read and exported, not changed."))


def _in_shop_zone(view: View) -> View:
    @wraps(view)
    def zoned(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            _refuse_when_closed(request, view)
        with timezone.override(zoneinfo.ZoneInfo(shops.shop_settings().time_zone)):
            return view(request, *args, **kwargs)

    return zoned
