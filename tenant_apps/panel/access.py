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

from kameng.accounts.access import owner_required, staff_required
from kameng.accounts.models import Role
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


def screen(view: View) -> View:
    """Everybody with a log-in to this shop; a viewer may look and not change."""
    return staff_required(_paid_to_change(_in_shop_zone(view)))


def owner_screen(view: View) -> View:
    """Money, staff and tokens: the owner's alone."""
    return owner_required(_paid_to_change(_in_shop_zone(view)))


def even_unpaid(view: View) -> View:
    """Mark a deed that an unpaid shop may still do: what is owed to a buyer, and paying. Innermost decorator."""
    view.even_unpaid = True  # type: ignore[attr-defined]
    return view


def owner_deed(view: View) -> View:
    """A deed of the owner's that calls the outside: no transaction is around it but those that it opens.

    Who asks stands in the database, so that is looked up in a transaction of its own. Paying is always allowed.
    """

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with transaction.atomic():
            answer = owner_required(lambda _request: HttpResponse())(request)
        return view(request, *args, **kwargs) if answer.status_code == 200 else answer

    return own_transactions(checked)


def _paid_to_change(view: View) -> View:
    """The one place where an unpaid shop's panel is read-only; the API's is kameng.web.api.HasScope."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        tenant: Any = getattr(request, "tenant", None)
        unpaid = tenant is not None and tenant.read_only
        if unpaid and request.method not in ("GET", "HEAD") and not getattr(view, "even_unpaid", False):
            raise PanelReadOnly()
        return view(request, *args, **kwargs)

    return guarded


def is_owner(request: HttpRequest) -> bool:
    """Whether the reader may see what the shop earns."""
    return getattr(request.user, "role", "") == Role.OWNER


def _in_shop_zone(view: View) -> View:
    @wraps(view)
    def zoned(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        tenant: Any = getattr(request, "tenant", None)
        closed = tenant is not None and tenant.state == "CLOSED" and not getattr(view, "open_when_closed", False)
        if closed and request.method not in ("GET", "HEAD"):
            raise ShopClosed(_("Your shop is closed for good: it can be read and exported, not changed."))
        with timezone.override(zoneinfo.ZoneInfo(shops.shop_settings().time_zone)):
            return view(request, *args, **kwargs)

    return zoned
