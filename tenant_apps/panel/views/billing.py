"""Plan and billing: what the shop pays the main station, what is due, and every invoice. Another plan: `plan_changes`.

What is shown is read in the request's transaction; what calls a payment channel is an `outside_deed`, which opens its own
and only ever answers with a redirect. A shop that is closed reads all of it and pays what it owes; no more is asked of it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue
from kameng.db.context import in_main
from kameng.lib import clock, money
from kameng.lib.errors import DomainError
from kameng.lib.words import Sentence, in_english, worded
from kameng.ui.fields import CardLabel
from kameng.web.actors import actor, client_ip
from shared_apps.billing import pdf, selectors, services
from shared_apps.billing.states import Method, SubscriptionState
from shared_apps.billing.types import Overview, WayToPay
from tenant_apps.panel.access import even_unpaid, is_closed, open_when_closed, outside_deed, screen
from tenant_apps.panel.forms.billing import TopUpForm
from tenant_apps.panel.lists import paged
from tenant_apps.panel.page import page, say
from tenant_apps.panel.selectors import plan as usage
from tenant_apps.panel.views._billing_words import facts, method_words, notice_of, usage_rows

HERE = "billing"
GOING = ("CLOSING", "CLOSED")  # Nothing more is charged to these, so that no deed about a plan is offered.


def shop_id(request: HttpRequest) -> int:
    """Of the shop whose panel this is."""
    return int(request.tenant.id)  # type: ignore[attr-defined]


# -- Looking.


@require_GET
@screen(catalogue.BILLING_MANAGE)
def index(request: HttpRequest) -> HttpResponseBase:
    """The present plan, what it holds, what is due and what was paid."""
    tenant: Any = request.tenant  # type: ignore[attr-defined]
    going = tenant.state in GOING
    with in_main():
        seen = selectors.overview(shop_id(request))
        lacking = selectors.lacking_minor(shop_id(request)) if going else 0
        found = paged(request, selectors.invoices(substation_id=shop_id(request)))
        rows = list(found.object_list)
    found.object_list = rows
    wanted = request.GET.get("amount", "")
    missing = lacking if going else max(0, seen.due_minor - seen.prepaid_minor)
    amount = wanted or (str(money.minor_to_decimal(missing)) if missing else "")
    form = TopUpForm(ways=_way_choices(seen.ways), initial={"amount": amount})
    return page(
        request, "panel/billing.html", here=HERE, heading=_("Plan and billing"), seen=seen, rows=found,
        plan_label=seen.plan.label, facts=facts(seen, going=going), notice=notice_of(seen, tenant.state, tenant.standing),
        usage=usage_rows(usage.shelf(), usage.staff(), seen.plan), form=form, top_up_open="amount" in request.GET,
        by_card=selectors.pays_by_card(seen.subscription), card_ways=[] if going else _card_ways(seen), going=going,
        may_top_up=bool(lacking) or not going, **_deeds(seen, going=going),
    )  # fmt: skip


def _deeds(seen: Overview, *, going: bool) -> dict[str, Any]:
    row = seen.subscription
    runs = not going and row is not None and row.state in (SubscriptionState.TRIAL, SubscriptionState.ACTIVE)
    has_end = row is not None and (row.period_end is not None or row.trial_ends_at is not None)
    return {
        "may_cancel": runs and has_end and not row.cancel_at_period_end,
        "may_keep": runs and not row.is_moved and (row.cancel_at_period_end or row.next_plan_id is not None),
        "covers": seen.prepaid_minor >= seen.due_minor,
        "ends_at": (row.trial_ends_at or row.period_end) if row is not None else None,
    }


def _way_choices(ways: tuple[WayToPay, ...]) -> list[tuple[str, CardLabel]]:
    return [(str(way.account_id), CardLabel(method_words(way), "", "")) for way in ways if not way.renews]


def _card_ways(seen: Overview) -> list[WayToPay]:
    """Where a card could take over: a plan with a price, nothing due, and no card yet."""
    row = seen.subscription
    if row is None or not row.plan.costs or row.state == SubscriptionState.PAST_DUE or seen.due_minor:
        return []
    if row.method == Method.STRIPE and row.state != SubscriptionState.ENDED:
        return []
    return [way for way in seen.ways if way.renews]


@require_GET
@screen(catalogue.BILLING_MANAGE)
def invoice(request: HttpRequest, number: str) -> HttpResponseBase:
    """One invoice, as a file: PDF, in the reader's language."""
    with in_main():
        found = services.find_invoice(number=number, substation_id=shop_id(request))
        body = pdf.render(found, english=in_english())
    response = HttpResponse(body, content_type="application/pdf")
    response["Content-Disposition"] = f'attachment; filename="{found.number}.pdf"'
    response["Cache-Control"] = "private, no-store"
    return response


@require_GET
@screen(catalogue.BILLING_MANAGE)
def back(request: HttpRequest) -> HttpResponseBase:
    """Where a payment page sends the payer. Coming back says nothing about money: the channel is asked, by `check`."""
    public_id = request.GET.get("page", "")
    with in_main():
        found = selectors.page(public_id, substation_id=shop_id(request))
    if found is None or found.ended_at is not None:
        return redirect("panel:billing")
    return page(
        request, "panel/billing_back.html", here=HERE, heading=_("Your payment"), payment=found, asked="asked" in request.GET,
        crumbs=((_("Plan and billing"), reverse("panel:billing")),),
    )  # fmt: skip


# -- Deeds that stay at home.


@require_POST
@screen(catalogue.BILLING_MANAGE)
@open_when_closed
@even_unpaid
def pay(request: HttpRequest) -> HttpResponseBase:
    """Pay what is due from the prepaid balance; what it does not cover leads to the top-up."""
    with in_main():
        paid = services.collect(substation_id=shop_id(request), now=clock.utc_now(), by=actor(request))
        seen = selectors.overview(shop_id(request))
    if paid:
        say(request, worded(gettext_lazy("Paid: %(numbers)s."), numbers=", ".join(one.number for one in paid)))
    if seen.due_minor:
        missing = money.minor_to_decimal(seen.due_minor - seen.prepaid_minor)
        return redirect(f"{reverse('panel:billing')}?{urlencode({'amount': missing})}#top-up")
    return redirect("panel:billing")


# -- Deeds that call a channel.


@require_POST
@outside_deed(catalogue.BILLING_MANAGE)
@open_when_closed
def top_up(request: HttpRequest) -> HttpResponseBase:
    """To a hosted page that fills the prepaid balance."""
    with in_main():
        seen = selectors.overview(shop_id(request))
    form = TopUpForm(request.POST, ways=_way_choices(seen.ways))
    if not form.is_valid():
        problem = next(iter(form.errors.values()))[0]
        return refused(request, str(problem), amount=request.POST.get("amount", "")[:20])
    return _to_page(
        request,
        lambda: services.open_top_up(
            substation_id=shop_id(request), account_id=int(form.cleaned_data["way"]),
            amount_minor=form.cleaned_data["amount"], notify_base=_host(request), payer_ip=client_ip(request),
            now=clock.utc_now(), by=actor(request), **_addresses(request),
        ),
        amount=request.POST.get("amount", "")[:20],
    )  # fmt: skip


@require_POST
@outside_deed(catalogue.BILLING_MANAGE)
def card(request: HttpRequest) -> HttpResponseBase:
    """To Stripe's page, where a card takes the subscription over."""
    with in_main():
        seen = selectors.overview(shop_id(request))
    ways = _card_ways(seen)
    row = seen.subscription
    if not ways or row is None:
        return refused(request, _("A card can't take over now. Pay what is due first."))
    return _to_page(
        request,
        lambda: services.open_subscription_page(
            substation_id=shop_id(request), account_id=ways[0].account_id, plan_code=row.plan.code,
            interval=row.interval, now=clock.utc_now(), by=actor(request), **_addresses(request),
        ),
    )  # fmt: skip


@require_POST
@outside_deed(catalogue.BILLING_MANAGE)
@open_when_closed
def portal(request: HttpRequest) -> HttpResponseBase:
    """To the channel's own page of cards and receipts."""
    with in_main():
        row = selectors.subscription(shop_id(request))
    try:
        url = services.portal_url(
            substation_id=shop_id(request), customer=row.stripe_customer if row else "",
            return_url=request.build_absolute_uri(reverse("panel:billing")),
        )  # fmt: skip
    except DomainError as refusal:
        return refused(request, refusal)
    return HttpResponseRedirect(url)


@require_POST
@outside_deed(catalogue.BILLING_MANAGE)
@open_when_closed
def retry(request: HttpRequest) -> HttpResponseBase:
    """Have the card tried again for what is due."""
    try:
        paid = services.pay_by_card(substation_id=shop_id(request), now=clock.utc_now())
    except DomainError as refusal:
        return refused(request, refusal)
    if paid:
        say(
            request,
            _("The card was charged. Nothing is due any more.")
            if is_closed(request)
            else _("The card was charged. Everything works again."),
        )
    return redirect("panel:billing")


@require_http_methods(["POST"])
@outside_deed(catalogue.BILLING_MANAGE)
@open_when_closed
def check(request: HttpRequest) -> HttpResponseBase:
    """Ask the channel what became of a payment page; goes on as soon as it has ended."""
    public_id = request.POST.get("page", "")
    with in_main():
        found = selectors.page(public_id, substation_id=shop_id(request))
    ended = found is None
    if found is not None:
        try:
            ended = services.ask_about(page_public_id=public_id, now=clock.utc_now()) in ("PAID", "ENDED")
        except services.ChannelAway:
            ended = False  # The page says that we wait; the next question is asked by itself.
    url = (
        reverse("panel:billing")
        if ended
        else f"{reverse('panel:billing_back')}?{urlencode({'page': public_id, 'asked': 1})}"
    )
    if request.headers.get("HX-Request"):
        response = HttpResponse(status=204)
        if ended:
            response["HX-Redirect"] = url
        return response
    return redirect(url)


def _to_page(request: HttpRequest, open_it: Any, **back_with: str) -> HttpResponseBase:
    try:
        opened = open_it()
    except DomainError as refusal:
        return refused(request, refusal, **back_with)
    return HttpResponseRedirect(opened.url)


def refused(request: HttpRequest, why: DomainError | Sentence, **back_with: str) -> HttpResponseBase:
    """Back to the overview with the reason, and with what was typed."""
    messages.error(request, str(why))
    url = reverse("panel:billing")
    return redirect(f"{url}?{urlencode(back_with)}#top-up" if back_with else url)


def _addresses(request: HttpRequest) -> dict[str, Any]:
    return {
        "return_url": request.build_absolute_uri(reverse("panel:billing_back")) + "?page={page}",
        "cancel_url": request.build_absolute_uri(reverse("panel:billing")),
        "locale": "en" if in_english() else "zh",
    }


def _host(request: HttpRequest) -> str:
    return f"{request.scheme}://{request.get_host()}"
