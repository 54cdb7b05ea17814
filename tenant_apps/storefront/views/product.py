"""A product's page, and the order placed from it."""

from __future__ import annotations

import json
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from kameng.db.context import read_only
from kameng.lib import clock, money
from kameng.lib.errors import DomainError, Missing
from kameng.web.actors import actor, client_ip
from kameng.web.transactions import own_transactions
from tenant_apps.listings import selectors as listings
from tenant_apps.listings.types import ProductDetail
from tenant_apps.orders import services as orders
from tenant_apps.orders.checkout import MAX_QUANTITY
from tenant_apps.orders.types import PlacedOrder
from tenant_apps.shop.selectors import ShopAway
from tenant_apps.shop.types import ShopInfo
from tenant_apps.storefront import shown
from tenant_apps.storefront.forms import CheckoutForm
from tenant_apps.storefront.pages import closed_page, goods_page, page, selling
from tenant_apps.storefront.views.payment import begin, keep_secret

# Cheap protection for <script>: json.dumps leaves these as they are.
_SCRIPT_ESCAPES = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}


@require_http_methods(["GET", "HEAD", "POST"])
@own_transactions
@selling
def product(request: HttpRequest, shop: ShopInfo, slug: str) -> HttpResponse:
    """GET shows the product; POST orders it. It opens its own transactions: the order is committed before a payment
    channel is called. A refusal shows the page again with all that was typed.
    """
    if request.method == "POST":
        return _order(request, shop, slug)
    with read_only():
        detail = listings.product_by_slug(slug)
        sku, quantity = _whole(request.GET.get("sku")), _whole(request.GET.get("quantity"))
        response = _page(request, shop, detail, None, sku=sku, quantity=quantity)
    if request.headers.get("HX-Target") == "price":
        response["HX-Replace-Url"] = f"{request.path}?sku={sku or ''}&quantity={quantity or 1}"
    response["Vary"] = "HX-Target"
    return response


def _order(request: HttpRequest, shop: ShopInfo, slug: str) -> HttpResponse:
    with read_only():
        detail = listings.product_by_slug(slug)
    form = CheckoutForm(request.POST, buyer_fields=detail.product.buyer_fields)
    sku, quantity = _whole(request.POST.get("sku")), _whole(request.POST.get("quantity"))
    if request.POST.get("deed") == "price":  # Without JavaScript: another choice, priced, and nothing sent off.
        unbound = CheckoutForm(initial=_typed(form), buyer_fields=detail.product.buyer_fields)
        return _again(request, shop, detail, unbound, sku, quantity, status=200)
    valid = form.is_valid()  # Every field is checked, whatever else is wrong.
    if sku not in {offer.listing.id for offer in detail.offers}:
        gone = _("This choice is not on sale here any more. Nothing was ordered; please choose another.")
        return _again(request, shop, detail, form, None, quantity, status=409, problem=gone)
    if not valid:
        return _again(request, shop, detail, form, sku, quantity, status=422)
    try:
        placed = _place(request, form)
    except orders.PriceMoved as moved:
        return _again(request, shop, _reread(slug, detail), form, sku, quantity, status=409,
                      problem=_new_total(request, form, moved))  # fmt: skip
    except orders.SoldOut:
        now = _reread(slug, detail)
        return _again(request, shop, now, form, sku, quantity, status=409, problem=_left(now, sku, quantity or 1))
    except orders.ShopClosed as refusal:
        return closed_page(request, ShopAway(refusal.message))
    except DomainError as refusal:
        problem = "" if form.take_up(refusal) else str(refusal)
        return _again(request, shop, _reread(slug, detail), form, sku, quantity, status=refusal.status, problem=problem)
    response = begin(request, number=placed.number, token=placed.token)
    if not form.cleaned_data["lookup_secret"]:  # One of their own they know.
        keep_secret(response, placed)
    return response


def _place(request: HttpRequest, form: CheckoutForm) -> PlacedOrder:
    data = form.cleaned_data
    with transaction.atomic():
        return orders.place_order(
            lines=[(data["sku"], data["quantity"])], contact=data["contact"], buyer_fields=form.buyer_fields,
            expected_total_minor=_whole(request.POST.get("expected_total_minor")) or 0, language=get_language() or "",
            ip=client_ip(request), source="WEB", by=actor(request), now=clock.utc_now(),
            lookup_secret=data["lookup_secret"] or None,
        )  # fmt: skip


def _again(
    request: HttpRequest, shop: ShopInfo, detail: ProductDetail, form: CheckoutForm, sku: int | None,
    quantity: int | None, *, status: int, problem: str = "",
) -> HttpResponse:  # fmt: skip
    with read_only():
        response = _page(request, shop, detail, form, sku=sku, quantity=quantity, problem=problem)
    response.status_code = status
    response["Cache-Control"] = "no-store"
    return response


def _page(
    request: HttpRequest, shop: ShopInfo, detail: ProductDetail, form: CheckoutForm | None, *, sku: int | None,
    quantity: int | None, problem: str = "",
) -> HttpResponse:  # fmt: skip
    """The page, or its changing part where that is asked for. Without a form: a fresh one."""
    row = detail.product
    wanted = quantity if quantity is not None and 1 <= quantity <= MAX_QUANTITY else 1

    def live() -> shown.Live:
        return shown.live(shown.chosen_offer(detail, sku), wanted, row.delivery == shown.CODES)

    if request.headers.get("HX-Target") == "price":
        return page(request, "storefront/_live.html", {"live": live(), "swap": True}, shop=shop)

    def made() -> dict[str, Any]:
        name = shown.product_name(row)
        faces = shown.faces(detail, shown.chosen_offer(detail, sku))
        typed = request.POST.get("quantity", "")[:20] if form is not None and form.is_bound else ""
        return {
            "name": name,
            "summary": shown.text_of(row, "summary"),
            "description": shown.text_of(row, "description"),
            "usage": shown.text_of(row, "usage"),
            "picture": shown.picture_url(row.picture),
            "instant": row.delivery == shown.CODES,
            "faces": faces,
            "short_faces": shown.are_short(faces),
            "live": live(),
            "form": form or CheckoutForm(buyer_fields=row.buyer_fields),
            "typed_quantity": typed or str(wanted),
            "quantity_problem": form is not None and "quantity" in form.errors,
            "problem": problem,
            "crumbs": [{"label": item.name, "url": f"/c/{item.slug}/"} for item in detail.trail]
            + [{"label": name, "url": ""}],
            "canonical": request.build_absolute_uri(request.path),
            "page_title": row.seo_title or name,
            "page_description": row.seo_description or shown.text_of(row, "summary") or name,
            "structured": script_json(shown.structured_data(request, detail, shop.name)),
        }

    if request.method == "POST":  # What somebody typed is nobody else's page.
        return page(request, "storefront/product.html", made(), shop=shop)
    texts = tuple(str(getattr(row, name)) for name in shown.PRODUCT_FACTS)
    facts = (texts, tuple((one.listing, one.price.unit) for one in detail.offers), detail.trail)
    return goods_page(request, "storefront/product.html", facts, made, shop=shop)


def script_json(data: Any) -> SafeString:
    """JSON that may stand inside a <script> element."""
    return mark_safe(json.dumps(data, ensure_ascii=False).translate(_SCRIPT_ESCAPES))  # Escaped above.


def _reread(slug: str, before: ProductDetail) -> ProductDetail:
    """The product as it is now; as it was when it has just gone, so that the buyer reads why and keeps the page."""
    with read_only():
        try:
            return listings.product_by_slug(slug)
        except Missing:
            return before


def _new_total(request: HttpRequest, form: CheckoutForm, moved: orders.PriceMoved) -> str:
    """Words for another total than the one that was shown: the buyer's own doing (no JavaScript), or the shop's."""
    total = money.format_minor(moved.details["total_minor"], moved.details["currency"])
    seen = (_whole(request.POST.get("seen_sku")), _whole(request.POST.get("seen_quantity")))
    if seen != (form.cleaned_data["sku"], form.cleaned_data["quantity"]):
        return _("Your choice comes to %(total)s. Please look it over and pay; nothing was ordered yet.") % {
            "total": total
        }
    return _("The price has changed to %(total)s. Please look it over and pay; nothing was ordered yet.") % {
        "total": total
    }


def _left(detail: ProductDetail, sku: int | None, quantity: int) -> str:
    """Which one is sold out, and what is left of it as of the last sync."""
    listing, row = shown.chosen_offer(detail, sku).listing, detail.product
    face = shown.face_name(listing.name, *shown.product_names(row))
    values = {"name": f"{shown.product_name(row)} · {face}", "count": listing.stock_available}
    if listing.id == sku and not listing.sold_out and 0 < listing.stock_available < quantity:
        return _("There are not that many of “%(name)s”: about %(count)s are left. Nothing was ordered.") % values
    return _("“%(name)s” has just sold out in this quantity. Nothing was ordered; choose fewer, or another.") % values


def _whole(text: str | None) -> int | None:
    """A whole number in sensible bounds, or None: what comes from an address may be anything."""
    bare = (text or "").strip()
    if not bare.isascii() or not bare.removeprefix("-").isdigit() or len(bare) > 19:
        return None
    return int(bare)


def _typed(form: CheckoutForm) -> dict[str, str]:
    """All that was typed, for a form that is shown again without complaint."""
    return {name: form.data.get(name, "")[:300] for name in form.fields}
