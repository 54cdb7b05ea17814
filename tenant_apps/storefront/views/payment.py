"""From a placed order to the payment channel's page, and back."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from kameng.db.context import read_only
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from kameng.web.transactions import own_transactions
from tenant_apps.orders.types import PlacedOrder
from tenant_apps.payments import services as payments
from tenant_apps.shop.selectors import shop_settings
from tenant_apps.storefront.pages import page, private
from tenant_apps.storefront.selectors import order_for, shown_order

SECRET_COOKIE = "order_password"
SECRET_DAYS = 30


def order_path(number: str, token: str, deed: str = "") -> str:
    """The buyer's page of an order on this host, or one of its deeds ("pay/", "codes/")."""
    return f"/o/{number}/{token}/{deed}"


def keep_secret(response: HttpResponse, placed: PlacedOrder) -> None:
    """Leave the query password that was made for the buyer with the buyer: we keep only its hash, and their browser
    shows it on the order's page. The cookie goes to that page alone."""
    response.set_cookie(
        SECRET_COOKIE, placed.lookup_secret, max_age=SECRET_DAYS * 86_400, path=f"/o/{placed.number}/", httponly=True,
        samesite="Lax", secure=settings.SESSION_COOKIE_SECURE,
    )  # fmt: skip


def begin(request: HttpRequest, *, number: str, token: str, account_id: int | None = None) -> HttpResponse:
    """Open a payment and send the buyer to it: a phone jumps, a desk gets a code to scan where the channel has one.

    Without `account_id` the only channel is taken; where there are several, the order's page lets the buyer choose.
    Outside any transaction: the channel is called.
    """
    path = order_path(number, token)
    if account_id is None:
        with read_only():
            offers = payments.offered_channels(order_number=number)
        if len(offers) != 1:
            return redirect(path)
        account_id = offers[0].account_id
    address = request.build_absolute_uri(path)
    try:
        started = payments.start_payment(
            order_number=number, account_id=account_id, return_url=address, cancel_url=address,
            notify_base=f"{request.scheme}://{request.get_host()}", by=actor(request), now=clock.utc_now(),
        )  # fmt: skip
    except DomainError as refusal:  # The order stands; its page says what happened and offers another try.
        return redirect(f"{path}?{urlencode({'problem': refusal.code})}")
    if started.qr_text and not on_phone(request):
        return redirect(order_path(number, token, "pay/"))
    return HttpResponseRedirect(started.redirect_url)


def channel_name(offer: payments.Offer) -> str:
    """What a buyer calls a way to pay: the account's name, in the reader's language where it is the one we gave it."""
    return _("Test channel") if offer.name == "Test channel" else offer.name


def problem_words(code: str) -> str:
    """What is said of a payment that could not be opened; nothing for a code that is not ours."""
    return {
        "channel_away": _("The payment service does not answer. Your order is kept; try again in a moment, or choose another way to pay."),
        "channel_declined": _("The payment service would not open this payment. Nothing was charged; choose another way to pay."),
        "channel_not_found": _("This way to pay is not offered here any more. Choose another one."),
        "order_not_payable": _("This order can't be paid any more. Nothing was charged."),
    }.get(code, "")  # fmt: skip


def on_phone(request: HttpRequest) -> bool:
    """Whether a code on the screen would be no use, for the camera is behind it."""
    hint = request.headers.get("Sec-CH-UA-Mobile", "")
    return hint == "?1" or (not hint and "Mobi" in request.headers.get("User-Agent", ""))


@require_POST
@own_transactions
@private
def pay(request: HttpRequest, number: str, token: str) -> HttpResponse:
    """Begin to pay by the chosen channel."""
    with read_only():
        order = order_for(number, token)
    account = request.POST.get("account", "")
    chosen = int(account) if account.isascii() and account.isdigit() and len(account) < 19 else 0
    return begin(request, number=order.number, token=token, account_id=chosen)


@require_safe
@private
def pay_page(request: HttpRequest, number: str, token: str) -> HttpResponse:
    """The code to scan, following the order: it goes on to the order's page as soon as the money is there."""
    seen = shown_order(order_for(number, token))
    payment = seen.open_payment
    path = order_path(number, token)
    if not seen.waits_for_money or payment is None or not payment.qr_text:
        if request.headers.get("HX-Target") == "pay":
            response = HttpResponse(status=204)
            response["HX-Redirect"] = path
            return response
        return redirect(path)
    if request.headers.get("HX-Target") == "pay":
        return HttpResponse(status=204)  # Nothing new: the page stands.
    context = {"seen": seen, "order": seen.order, "payment": payment, "path": path}
    return page(request, "storefront/pay.html", context, shop=shop_settings())
