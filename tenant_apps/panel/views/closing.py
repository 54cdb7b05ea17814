"""The end of a shop, as its owner goes about it: what it means, what is open, what is owed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import demand, may, may_do
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from tenant_apps.finance import selectors as finance
from tenant_apps.orders import closing as open_orders
from tenant_apps.panel import services, words
from tenant_apps.panel.access import even_unpaid, screen
from tenant_apps.panel.forms.lifecycle import CloseForm, RefundForm
from tenant_apps.panel.page import page, refuse, say
from tenants import closing
from tenants import selectors as tenants

LISTED = 50


@require_GET
@screen(catalogue.OWN)
def index(request: HttpRequest) -> HttpResponseBase:
    """For whoever may close the shop, and for whoever gives the money of its open orders back."""
    if not may(request, catalogue.ORDERS_REFUND):
        demand(request, catalogue.SHOP_CLOSE)
    may_do(request, catalogue.SHOP_CLOSE)
    return _shown(request)


def _shown(request: HttpRequest, form: CloseForm | None = None, refund_form: RefundForm | None = None) -> HttpResponse:
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    with in_main():
        row = tenants.substation(tenant.public_id)
        matters = closing.open_matters(row) if row.state == "CLOSING" else []
    orders = list(open_orders.waiting()[:LISTED]) if row.state == "CLOSING" else []
    balances = finance.balances()
    owed = [(words.ACCOUNTS[name], minor) for name, minor in balances.items() if minor]
    by_itself = row.closing_at + timedelta(hours=settings.CLOSING_HOURS) if row.closing_at else None
    return page(
        request, "panel/closing.html", here="settings", heading=_("Close the shop"), row=row, matters=matters, orders=orders,
        owed=owed, by_itself=by_itself, form=form or CloseForm(), refund_form=refund_form or RefundForm(),
        hold_days=settings.DOMAIN_HOLD_DAYS, closing_hours=settings.CLOSING_HOURS, currency=row.currency,
        status=422 if (form and form.errors) or (refund_form and refund_form.errors) else 200,
    )  # fmt: skip


@require_POST
@screen(catalogue.SHOP_CLOSE)
@even_unpaid  # Who can't pay any more may stop, and need not wait to be stopped.
def begin(request: HttpRequest) -> HttpResponse:
    form = CloseForm(request.POST)
    if form.is_valid():
        try:
            with in_main():
                closing.begin(
                    public_id=request.tenant.public_id, **form.cleaned_data, by=actor(request), now=clock.utc_now(),  # type: ignore[attr-defined]
                    by_owner=True,
                )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            say(request, _("Your shop takes no new orders. Buyers whose orders are open are told by mail."))
            return redirect("panel:closing")
    return _shown(request, form)


@require_POST
@screen(catalogue.SHOP_CLOSE)
@even_unpaid
def keep(request: HttpRequest) -> HttpResponse:
    with in_main():
        closing.keep(public_id=request.tenant.public_id, by=actor(request), now=clock.utc_now())  # type: ignore[attr-defined]
    say(request, _("The closing is called off. Your shop is what it was before."))
    return redirect("panel:closing")


@require_POST
@screen(catalogue.SHOP_CLOSE)
@even_unpaid
def finish(request: HttpRequest) -> HttpResponse:
    """Close now, without waiting for the clock. Refused while something is open."""
    with in_main():
        closing.close(public_id=request.tenant.public_id, by=actor(request), now=clock.utc_now())  # type: ignore[attr-defined]
    say(request, _("Your shop is closed for good. You can still read and export everything here."))
    return redirect("panel:closing")


@require_POST
@screen(catalogue.ORDERS_REFUND)
@even_unpaid  # What is owed to a buyer is given back, whatever the shop owes.
def refund(request: HttpRequest, number: str) -> HttpResponse:
    """Give the money of an order back that can't be delivered any more."""
    form = RefundForm(request.POST)
    if not form.is_valid():
        return _shown(request, refund_form=form)
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    services.refund_while_closing(
        number=number, state=tenant.state, reason=form.cleaned_data["reason"], by=actor(request), now=clock.utc_now()
    )
    say(request, _("The money is on its way back. This list shows it as soon as the channel says so."))
    return redirect("panel:closing")
