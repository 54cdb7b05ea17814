"""A buyer's order behind its secret link: state, codes, history; and the way back to it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor, client_ip
from tenant_apps.orders import identity
from tenant_apps.orders import services as orders
from tenant_apps.payments import services as payments
from tenant_apps.shop.selectors import shop_settings
from tenant_apps.storefront.forms import FindForm
from tenant_apps.storefront.limits import TooManyTries, count_try
from tenant_apps.storefront.pages import page, private, sealed
from tenant_apps.storefront.selectors import ShownOrder, order_for, order_found, shown_order
from tenant_apps.storefront.views.payment import SECRET_COOKIE, channel_name, order_path, problem_words

POLL_PAYMENT_S = 3
POLL_PERSON_S = 20  # Somebody has to do something: seconds don't matter.


@require_safe
@private
def order(request: HttpRequest, number: str, token: str) -> HttpResponse:
    """The order's page, or, for the page that follows it, its changing part with an ETag."""
    seen = shown_order(order_for(number, token))
    etag = f'"{seen.version}"'
    if request.headers.get("HX-Target") == "order":
        if request.headers.get("If-None-Match") == etag:
            response = HttpResponse(status=304)
        else:
            response = page(request, "storefront/_order.html", _context(request, seen, token))
        response["ETag"] = etag
        return response
    problem = problem_words(request.GET.get("problem", ""))
    return page(request, "storefront/order.html", {**_context(request, seen, token), "problem": problem})


@require_POST
@private
def codes(request: HttpRequest, number: str, token: str) -> HttpResponse:
    """Show the codes. A POST, because each look is recorded."""
    seen = shown_order(order_for(number, token))
    context = {**_context(request, seen, token), "groups": _reveal(request, seen, "shown to the buyer")}
    if request.headers.get("HX-Target") == "codes":
        return page(request, "storefront/_codes.html", context)
    return page(request, "storefront/order.html", context)


@require_POST
@private
def codes_file(request: HttpRequest, number: str, token: str) -> HttpResponse:
    """The codes as a text file, a code a line below the name of what it is."""
    seen = shown_order(order_for(number, token))
    groups = _reveal(request, seen, "downloaded by the buyer")
    if not groups:
        return redirect(order_path(number, token))
    parts = [f"{shop_settings().name} · {seen.order.number}"]
    parts += [f"{group['name']}\r\n" + "\r\n".join(group["codes"]) for group in groups]
    response = HttpResponse("\r\n\r\n".join(parts) + "\r\n", content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{seen.order.number}.txt"'
    return response


@require_POST
@private
def cancel(request: HttpRequest, number: str, token: str) -> HttpResponse:
    """The buyer thinks better of it, before paying: the stock goes back at once."""
    found = order_for(number, token)
    try:
        orders.cancel_order(number=found.number, by=actor(request), now=clock.utc_now())
    except orders.OrderTransitionRefused:  # Paid or expired a moment ago: the page says what holds.
        pass
    return redirect(order_path(number, token))


@require_http_methods(["GET", "HEAD", "POST"])
def find(request: HttpRequest) -> HttpResponse:
    """An order by its number and its query password; the contact alone finds nothing."""
    form = FindForm(request.POST if request.method == "POST" else None, label_suffix="")
    status, problem = 200, ""
    if request.method == "POST":
        status = 422
        if form.is_valid():
            data = form.cleaned_data
            try:
                count_try(ip=client_ip(request), number=identity.clean_number(data["number"]))
                found = order_found(data["number"], data["secret"])
                return sealed(redirect(order_path(found.number, identity.mailed_token(found.number))))
            except DomainError as refusal:
                status, problem = refusal.status, str(refusal)
    context = {"form": form, "problem": problem, "too_many": status == TooManyTries.status}
    response = sealed(page(request, "storefront/find.html", context, status=status))
    if status == TooManyTries.status:
        response["Retry-After"] = "600"
    return response


def _context(request: HttpRequest, seen: ShownOrder, token: str) -> dict[str, Any]:
    path = order_path(seen.order.number, token)
    return {
        "seen": seen,
        "order": seen.order,
        "path": path,
        "link": request.build_absolute_uri(path),
        "etag": f'"{seen.version}"',
        "poll_s": 0 if not seen.moves else POLL_PERSON_S if seen.queued else POLL_PAYMENT_S,
        "offers": _other_ways(seen),
        "secret": request.COOKIES.get(SECRET_COOKIE, "")[:40],
        "headline": _headline(seen),
        "state_label": _("Being looked at") if seen.money_is_looked_at else seen.order.get_state_display(),
    }


def _other_ways(seen: ShownOrder) -> list[dict[str, Any]]:
    """The ways to pay this order but the one that is under way already, which has a button of its own."""
    if not seen.waits_for_money:
        return []
    begun = seen.open_payment.account_id if seen.open_payment is not None else None
    return [
        {"account_id": offer.account_id, "name": channel_name(offer)}
        for offer in payments.offered_channels(order_number=seen.order.number)
        if offer.account_id != begun
    ]


def _headline(seen: ShownOrder) -> tuple[str, str]:
    """The state of things in a few words, and their tone."""
    if seen.money_is_looked_at:
        return _("Your payment is being looked at"), "warning"
    if seen.waits_for_money:
        return _("Waiting for your payment"), "info"
    if seen.queued:
        return _("Paid. The shop is preparing it"), "info"
    return {
        "PAID": (_("Paid"), "success"),
        "DELIVERED": (_("Here it is"), "success"),
        "EXPIRED": (_("The time to pay ran out"), "warning"),
        "CANCELLED": (_("This order was cancelled"), "neutral"),
        "REFUNDED": (_("Your money was given back"), "neutral"),
    }[seen.order.state]


def _reveal(request: HttpRequest, seen: ShownOrder, reason: str) -> list[dict[str, Any]]:
    """The codes by line; nothing is asked of the stock, and nothing recorded, for an order that has none."""
    if not seen.has_codes:
        return []
    revealed = orders.reveal_codes(
        number=seen.order.number, by=actor(request), reason=reason, ip=client_ip(request), now=clock.utc_now()
    )
    groups = []
    for line in seen.lines:
        texts = [code.text for code in revealed if code.sku_id == line.sku_id]
        if texts:
            groups.append({"name": line.name, "codes": texts, "usage": line.usage, "all": "\n".join(texts)})
    return groups
