"""Pages about the shop, and what machines ask for."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.html import escape
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from kameng.web.errors import not_found as plain_not_found
from kameng.web.errors import wants_json
from tenant_apps.listings import selectors as listings
from tenant_apps.listings.models import ListedProduct, Listing
from tenant_apps.shop.types import ShopInfo
from tenant_apps.storefront.pages import missing_page, page, selling

SITEMAP_LIMIT = 45_000  # The format allows 50,000 addresses in one file; categories need some.


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Who sells here, and how to reach them. Open also while the shop is closed: its buyers may need it."""
    return page(request, "storefront/about.html", {"canonical": request.build_absolute_uri(request.path)})


@require_safe
def robots(request: HttpRequest) -> HttpResponse:
    """Goods may be found; orders and the back office not."""
    hidden = "".join(f"Disallow: {path}\n" for path in ("/o/", "/find/", "/panel/", "/login/", "/search/"))
    text = f"User-agent: *\n{hidden}Sitemap: {request.build_absolute_uri('/sitemap.xml')}\n"
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


@require_safe
@selling
def sitemap(request: HttpRequest, shop: ShopInfo) -> HttpResponse:
    """Every page that a search engine should know."""
    tree = listings.categories_for_home()
    hidden = set(tree.hidden)
    on_sale = Listing.objects.filter(active=True, on_shelf=True).values("product_id")
    products = ListedProduct.objects.filter(active=True, id__in=on_sale).exclude(category_id__in=hidden)
    paths = ["/", "/about/", *(f"/c/{row.slug}/" for row in tree.rows if row.id not in hidden)]
    paths += [f"/p/{slug}/" for slug in products.order_by("id").values_list("slug", flat=True)[:SITEMAP_LIMIT]]
    base = request.build_absolute_uri("/").rstrip("/")
    urls = "".join(f"<url><loc>{escape(base + path)}</loc></url>" for path in paths)
    xml = f'<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{urls}</urlset>'
    return HttpResponse(xml, content_type="application/xml; charset=utf-8")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """handler404 of a shop's host: the shop's own page, with its search."""
    if wants_json(request):
        response: HttpResponse = plain_not_found(request, exception)
        return response
    return missing_page(
        request, _("The page was moved or never was. Search for what you need, or start from the front.")
    )
