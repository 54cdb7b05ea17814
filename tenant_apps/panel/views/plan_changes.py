"""Another plan: which there are, what a change costs and does, and the end of the subscription.

As in `billing`: what calls a payment channel is an `outside_deed` and only ever answers with a redirect.
"""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.db.context import in_main
from kameng.lib import clock, money
from kameng.lib.errors import DomainError
from kameng.lib.words import in_english, worded
from kameng.web.actors import actor
from shared_apps.billing import selectors, services
from shared_apps.billing.forms import TermsForm
from tenant_apps.panel.access import is_closed, outside_deed, screen
from tenant_apps.panel.page import page, say
from tenant_apps.panel.views._billing_words import differences, terms_name
from tenant_apps.panel.views.billing import HERE, refused, shop_id


@require_GET
@screen(catalogue.BILLING_MANAGE)
def plans(request: HttpRequest) -> HttpResponseBase:
    """The plans on offer, beside the present one; a shop that is closed has none to choose."""
    if is_closed(request):
        return refused(request, _("Your shop is closed for good: there is no plan to choose any more."))
    return _plans_page(request, None)


def _plans_page(request: HttpRequest, form: TermsForm | None, status: int = 200) -> HttpResponse:
    with in_main():
        seen = selectors.overview(shop_id(request))
        offered = selectors.plans_on_offer()
    row = seen.subscription
    present = f"{seen.plan.code}/{row.interval if row else 'MONTH'}"
    return page(
        request, "panel/billing_plans.html", here=HERE, heading=_("Choose a plan"), seen=seen,
        crumbs=((_("Plan and billing"), reverse("panel:billing")),), plan_label=seen.plan.label,
        form=form or TermsForm(plans=offered, opens=False, initial={"terms": present}), status=status,
    )  # fmt: skip


@require_GET
@screen(catalogue.BILLING_MANAGE)
def change(request: HttpRequest, quote: str) -> HttpResponseBase:
    """What a change would do and cost, as it was reckoned; nothing has happened yet."""
    if is_closed(request):
        return redirect("panel:plan")
    with in_main():
        try:
            offer = services.quoted(substation_id=shop_id(request), quote_public_id=quote)
        except services.QuoteOutdated as refusal:
            messages.warning(request, str(refusal))
            return redirect("panel:plan")
        seen = selectors.overview(shop_id(request))
    english = in_english()
    lines = [
        {"text": line.text_en if english else line.text_zh, "amount_minor": line.amount_minor} for line in offer.lines
    ]
    by_card = selectors.pays_by_card(seen.subscription)
    return page(
        request, "panel/billing_change.html", here=HERE,
        heading=worded(gettext_lazy("Change to %(plan)s"), plan=terms_name(offer.plan, offer.interval)),
        crumbs=((_("Plan and billing"), reverse("panel:billing")), (_("Choose a plan"), reverse("panel:plan"))),
        offer=offer, seen=seen, lines=lines, by_card=by_card, new_label=terms_name(offer.plan, offer.interval),
        changes=differences(seen.plan, offer.plan),
        old_label=terms_name(seen.plan, seen.subscription.interval if seen.subscription else ""),
        then_minor=offer.plan.period_fee_minor(offer.interval), after_minor=seen.prepaid_minor - offer.total_minor,
        card_minor=offer.total_minor - offer.balance_minor,
        top_up_url=f"{reverse('panel:billing')}?{urlencode({'amount': money.minor_to_decimal(offer.missing_minor)})}#top-up",
    )  # fmt: skip


@require_POST
@outside_deed(catalogue.BILLING_MANAGE)
def quote(request: HttpRequest) -> HttpResponseBase:
    """Reckon a change of plan, and show it."""
    with in_main():
        offered = selectors.plans_on_offer()
    form = TermsForm(request.POST, plans=offered, opens=False)
    if not form.is_valid():
        messages.error(request, _("Choose one of the plans."))
        return redirect("panel:plan")
    code, interval = form.chosen
    try:
        offer = services.quote_change(
            substation_id=shop_id(request), plan_code=code, interval=interval, now=clock.utc_now()
        )
    except DomainError as refusal:
        messages.error(request, str(refusal))
        return redirect("panel:plan")
    return redirect("panel:change", offer.quote.public_id)


@require_POST
@outside_deed(catalogue.BILLING_MANAGE)
def confirm(request: HttpRequest, quote: str) -> HttpResponseBase:
    """Do what was shown, for the sum that was shown; a sum that does not hold any more is shown anew."""
    mine, now, by = shop_id(request), clock.utc_now(), actor(request)
    try:
        with in_main():
            offer = services.quoted(substation_id=mine, quote_public_id=quote)
        if offer.at_once:
            services.confirm_change(substation_id=mine, quote_public_id=quote, by=by, now=now)
            say(request, worded(gettext_lazy("Your shop is on %(plan)s now."), plan=offer.plan.label))
        else:
            services.schedule_change(
                substation_id=mine, plan_code=offer.plan.code, interval=offer.interval, by=by, now=now
            )
            say(
                request,
                worded(gettext_lazy("Your shop changes to %(plan)s when the period ends."), plan=offer.plan.label),
            )
    except services.QuoteOutdated as refusal:
        messages.warning(request, str(refusal))
        return _quote_again(request, quote)
    except services.BalanceTooLow as refusal:
        messages.error(request, str(refusal))
        return redirect("panel:change", quote)
    except DomainError as refusal:
        return refused(request, refusal)
    return redirect("panel:billing")


def _quote_again(request: HttpRequest, outdated: str) -> HttpResponseBase:
    with in_main():
        wanted = selectors.wanted_terms(outdated, substation_id=shop_id(request))
    if wanted is None:
        return redirect("panel:plan")
    try:
        offer = services.quote_change(
            substation_id=shop_id(request), plan_code=wanted[0], interval=wanted[1], now=clock.utc_now()
        )
    except DomainError as refusal:
        return refused(request, refusal)
    return redirect("panel:change", offer.quote.public_id)


@require_POST
@outside_deed(catalogue.BILLING_MANAGE)
def cancel(request: HttpRequest) -> HttpResponseBase:
    """End the subscription when what was paid for is over."""
    try:
        services.cancel(substation_id=shop_id(request), by=actor(request), now=clock.utc_now())
    except DomainError as refusal:
        return refused(request, refusal)
    say(request, _("Cancelled. Everything works until the end of what you have paid for."))
    return redirect("panel:billing")


@require_POST
@outside_deed(catalogue.BILLING_MANAGE)
def keep(request: HttpRequest) -> HttpResponseBase:
    """Take back a cancellation, or a change that waits."""
    try:
        services.keep(substation_id=shop_id(request), by=actor(request), now=clock.utc_now())
    except DomainError as refusal:
        return refused(request, refusal)
    say(request, _("Taken back: your plan goes on as it is."))
    return redirect("panel:billing")
