"""The goods: home, categories, search."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from tenant_apps.listings import selectors as listings
from tenant_apps.listings.types import CategoryTree, ProductPage
from tenant_apps.shop.types import ShopInfo
from tenant_apps.storefront import shown
from tenant_apps.storefront.pages import goods_page, selling

MAX_QUERY = 100


@require_safe
@selling
def home(request: HttpRequest, shop: ShopInfo) -> HttpResponse:
    """All goods in the shop's order."""
    tree = listings.categories_for_home()
    goods = listings.products_page(after=request.GET.get("after", ""), categories=tree)
    return _list(request, shop, "storefront/home.html", tree, goods, {})


@require_safe
@selling
def category(request: HttpRequest, shop: ShopInfo, slug: str) -> HttpResponse:
    """One category with all below it."""
    tree = listings.categories_for_home()
    goods = listings.products_page(category=slug, after=request.GET.get("after", ""), categories=tree)
    context = {"category": tree.by_slug(slug)}
    return _list(request, shop, "storefront/category.html", tree, goods, context, active=slug)


@require_safe
@selling
def search(request: HttpRequest, shop: ShopInfo) -> HttpResponse:
    """Goods in whose names, brands and tags all the words occur. Without a word: all goods."""
    query = " ".join(request.GET.get("q", "").split())[:MAX_QUERY]
    tree = listings.categories_for_home()
    goods = listings.products_page(query=query, after=request.GET.get("after", ""), categories=tree)
    whole = not goods.next_cursor and "after" not in request.GET  # Then the page knows how many there are.
    found = _("%(count)s found") % {"count": len(goods.products)} if whole and goods.products else ""
    context = {"query": query, "found": found}
    response = _list(request, shop, "storefront/search.html", tree, goods, context, q=query)
    response["X-Robots-Tag"] = "noindex, follow"
    return response


def _list(
    request: HttpRequest,
    shop: ShopInfo,
    template: str,
    tree: CategoryTree,
    goods: ProductPage,
    context: dict[str, Any],
    *,
    active: str = "",
    **query: str,
) -> HttpResponse:
    """A whole page, or, when the "more" link was followed in place, only the further cards."""
    if request.headers.get("HX-Target") == "more":
        template = "storefront/_cards.html"

    def made() -> dict[str, Any]:
        more = "?" + urlencode({**query, "after": goods.next_cursor}) if goods.next_cursor else ""
        return {
            "cards": shown.cards(goods.products),
            "more": more,
            "chips": shown.category_chips(tree, active, searched=bool(query.get("q"))),
            "sub_chips": shown.sub_chips(tree, active),
            "canonical": request.build_absolute_uri(request.path),
            **context,
        }

    response = goods_page(
        request, template, (tuple(goods.products), goods.next_cursor, tuple(tree.rows)), made, shop=shop
    )
    response["Vary"] = "HX-Target"
    return response
