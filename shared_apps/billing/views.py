"""Paying to open a shop: between the mail code and the making, on the main station's site.

What was typed at signup is kept; a page that is not paid can be tried again, and another plan be chosen.
"""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.words import in_english
from kameng.web.actors import actor, client_ip
from kameng.web.transactions import own_transactions
from shared_apps.billing import selectors, services
from shared_apps.billing.forms import TermsForm
from shared_apps.billing.types import WayToPay
from tenants import paying
from tenants.models import Signup
from tenants.states import SignupState
from tenants.views import mine, site_nav


@require_GET
def pay(request: HttpRequest, public_id: str) -> HttpResponse:
    """What opening costs, line by line, and the ways to pay it."""
    signup = mine(request, public_id)
    if signup.state == SignupState.VERIFYING:
        return redirect("tenants:verify", public_id)
    if signup.state not in (SignupState.PAYING, SignupState.EXPIRED):
        return redirect("tenants:progress", public_id)
    return _page(request, signup)


def _page(
    request: HttpRequest, signup: Signup, *, form: TermsForm | None = None, problem: str = "", status: int = 200
) -> HttpResponse:
    english = in_english()
    now = clock.utc_now()
    with in_main():
        plans = selectors.plans_on_offer()
        ways = selectors.ways_to_pay()
        balance = selectors.balance_or_nothing(signup.substation_id, "prepaid")
    lines = services.opening_lines(signup.plan, signup.interval, now)
    total = sum(line.amount_minor for line in lines)
    context: dict[str, Any] = {
        "signup": signup, "site_nav": site_nav(request), "expired": signup.state == SignupState.EXPIRED,
        "plan_name": signup.plan.label,
        "lines": [{"text": line.text_en if english else line.text_zh, "amount_minor": line.amount_minor} for line in lines],
        "total_minor": total, "balance_minor": balance, "missing_minor": max(0, total - balance),
        "ways": _shown(ways, signup), "problem": problem, "came_back": "back" in request.GET,
        "form": form or TermsForm(
            plans=plans, opens=True, initial={"terms": f"{signup.plan.code}/{signup.interval}"}
        ),
        "then_minor": signup.plan.period_fee_minor(signup.interval), "trial_days": signup.plan.trial_days if signup.plan.has_trial else 0,
    }  # fmt: skip
    return render(request, "billing/pay.html", context, status=status)


def _shown(ways: tuple[WayToPay, ...], signup: Signup) -> list[dict[str, Any]]:
    """The ways to pay as buttons; a subscription by card where there is a period to renew."""
    shown = []
    for way in ways:
        if way.renews and not signup.plan.costs:
            continue
        if way.renews:
            label, note = (
                _("Pay by card, renewed by itself"),
                _("Stripe keeps the card; you can change or cancel it at any time."),
            )
        else:
            label = (
                _("Pay through the test channel")
                if way.channel == "testpay"
                else _("Pay once, through %(name)s") % {"name": way.name}
            )
            note = _("The money goes onto your prepaid balance, which pays what opening costs and later your plan.")
        shown.append({"value": f"{way.account_id}:{'card' if way.renews else 'once'}", "label": label, "note": note})
    return shown


@require_POST
def choose(request: HttpRequest, public_id: str) -> HttpResponse:
    """Open on another plan, or for another period."""
    signup = mine(request, public_id)
    form = TermsForm(request.POST, plans=selectors.plans_on_offer(), opens=True)
    if not form.is_valid():
        return _page(request, signup, form=form, status=422)
    code, interval = form.chosen
    paying.choose_plan(signup=signup, plan_code=code, interval=interval)
    return redirect("tenants:progress", public_id)


@require_POST
@own_transactions
def go(request: HttpRequest, public_id: str) -> HttpResponse:
    """To the hosted page. Its own transactions: the page is written down before the channel is asked."""
    signup = mine(request, public_id)
    if signup.state != SignupState.PAYING or signup.substation_id is None:
        return redirect("tenants:progress", public_id)
    account, _colon, how = request.POST.get("way", "").partition(":")
    now = clock.utc_now()
    with in_main():
        total = signup.plan.due_at_signup_minor(signup.interval)
        missing = total - selectors.balance_or_nothing(signup.substation_id, "prepaid")
        if missing <= 0 and services.open_if_covered(substation_id=signup.substation_id, now=now):
            return redirect("tenants:progress", public_id)
    back_url = request.build_absolute_uri(reverse("billing:back", args=[public_id]))
    here = request.build_absolute_uri(reverse("billing:pay", args=[public_id]))
    try:
        opened = services.open_signup_page(
            signup=signup, account_id=int(account) if account.isascii() and account.isdigit() else 0,
            by_card=how == "card", missing_minor=missing, return_url=back_url + "?page={page}", cancel_url=here,
            notify_base=f"{request.scheme}://{request.get_host()}", locale=_locale(), payer_ip=client_ip(request),
            by=actor(request), now=now,
        )  # fmt: skip
    except DomainError as refusal:
        return _page(request, signup, problem=str(refusal), status=refusal.status)
    return HttpResponseRedirect(opened.url)


def _locale() -> str:
    return "en" if in_english() else "zh"


@require_GET
def back(request: HttpRequest, public_id: str) -> HttpResponse:
    """Where the hosted page sends the payer. Coming back says nothing about money: the channel is asked, by `check`."""
    signup = mine(request, public_id)
    if signup.state != SignupState.PAYING:
        return redirect("tenants:progress", public_id)
    context = {
        "signup": signup, "site_nav": site_nav(request), "page": request.GET.get("page", ""),
        "asked": "asked" in request.GET,
    }  # fmt: skip
    return render(request, "billing/back.html", context)


@require_POST
@own_transactions
def check(request: HttpRequest, public_id: str) -> HttpResponse:
    """Ask the channel what became of the page; goes on as soon as the money is there."""
    signup = mine(request, public_id)
    page = request.POST.get("page", "")
    with in_main():
        known = (
            signup.substation_id is not None and selectors.page(page, substation_id=signup.substation_id) is not None
        )
    if signup.state == SignupState.PAYING and known:
        try:
            services.ask_about(page_public_id=page, now=clock.utc_now())
        except services.ChannelAway:
            pass  # The page says that we wait; the next question is asked by itself.
        signup = mine(request, public_id)
    paid = signup.state != SignupState.PAYING
    url = (
        reverse("tenants:progress", args=[public_id])
        if paid
        else f"{reverse('billing:back', args=[public_id])}?page={page}&asked=1"
    )
    if getattr(request, "htmx", False):
        response = HttpResponse(status=204)
        if paid:
            response["HX-Redirect"] = url
        return response
    return redirect(url)
