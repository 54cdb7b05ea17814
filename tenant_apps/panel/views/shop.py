"""The shop's own face: its settings, which categories it shows, which products have words of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import may
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.ui.theme import AccentRefused, accent_theme, parse_hex
from kameng.web.actors import actor
from tenant_apps.listings import selectors as listings
from tenant_apps.listings import services as goods
from tenant_apps.listings.models import ListedCategory, ListedProduct
from tenant_apps.listings.types import CategoryTree, ShelfCategory
from tenant_apps.orders import selectors as orders
from tenant_apps.panel.access import screen
from tenant_apps.panel.forms.listings import OwnWordsFilters
from tenant_apps.panel.forms.shop import CUSTOM, SWATCHES, ShopForm, start_of
from tenant_apps.panel.lists import Column, export, paged, wants_export
from tenant_apps.panel.page import page, pages_named, refuse, say
from tenant_apps.panel.selectors import goods as named
from tenant_apps.panel.selectors import people
from tenant_apps.shop import selectors as shops
from tenant_apps.shop import services

SEARCHED = 10  # Hits of one kind; the list behind them has the rest.


# -- Settings.


@require_http_methods(["GET", "POST"])
@screen(catalogue.SETTINGS_LOOK, change=catalogue.SETTINGS_CHANGE)
def settings(request: HttpRequest) -> HttpResponse:
    """One form for all of it: text and logo go in together or not at all, and what was typed comes back."""
    shop = shops.read_settings()
    form = ShopForm(request.POST or None, request.FILES or None, initial=start_of(shop))
    if request.method == "POST" and form.is_valid():
        try:
            _save(form, request)
        except DomainError as error:
            refuse(form, error, accent="accent_choice")
        else:
            say(request, _("Saved. Your shop shows it now."))
            return redirect("panel:settings")
    return page(
        request, "panel/settings.html", here="settings", heading=_("Shop settings"), form=form,
        swatches=SWATCHES, chosen=str(form["accent_choice"].value()), custom=CUSTOM,
        status=422 if form.is_bound and form.errors else 200, **_palette(str(_accent_of(form))),
    )  # fmt: skip


def _save(form: ShopForm, request: HttpRequest) -> None:
    """All of it in one transaction: a logo that is refused leaves the texts as they were, too. Raises: DomainError."""
    apart = ("logo", "remove_logo", "accent_choice")
    changes = {name: value for name, value in form.cleaned_data.items() if name not in apart}
    now, by = clock.utc_now(), actor(request)
    with transaction.atomic():
        services.update_settings(by=by, now=now, **changes)
        if form.cleaned_data["logo"]:
            services.set_logo(file=form.cleaned_data["logo"], by=by, now=now)
        elif form.cleaned_data["remove_logo"]:
            services.remove_logo(by=by, now=now)


def _accent_of(form: ShopForm) -> Any:
    choice = form["accent_choice"].value()
    return form["accent"].value() if choice == CUSTOM else choice


def _palette(accent: str) -> dict[str, Any]:
    """The computed colours of an accent, and what of them had to move so that text stays readable."""
    try:
        parse_hex(accent)
    except AccentRefused as refused:
        return {"palette": None, "palette_problem": refused}
    theme = accent_theme(accent)
    return {"palette": theme, "palette_accent": accent, "palette_moved": theme.light.accent.lower() != accent.lower()}


@require_GET
@screen(catalogue.SETTINGS_LOOK)
def accent(request: HttpRequest) -> HttpResponse:
    """The colour as it would look, at each change of the form."""
    choice = request.GET.get("accent_choice", "")
    wanted = request.GET.get("accent", "") if choice in ("", CUSTOM) else choice
    return render(request, "panel/_accent.html", _palette(wanted[:9]))


# -- My own touch.


@dataclass(frozen=True)
class ShownCategory:
    """A category with its switch; one below a hidden one can't show alone."""

    category: ShelfCategory
    depth: int
    products: int
    by_parent: bool

    @property
    def indent(self) -> str:
        return ("", "k-indent-1", "k-indent-2", "k-indent-3")[min(self.depth, 3)]


@require_GET
@screen(catalogue.GOODS_LOOK, change=catalogue.GOODS_CHANGE)
def customise(request: HttpRequest) -> HttpResponseBase:
    """Which categories the shop shows, and the products that have words or a place of the shop's own."""
    filters = OwnWordsFilters(request.GET)
    own = ListedProduct.objects.exclude(own_name="", own_description="", own_sort=0, seo_title="", seo_description="")
    if filters.query:
        own = own.filter(pk__in=listings.panel_listings(query=filters.query, active=None).values("product_id"))
    own = own.order_by("own_sort", "sort", "id")
    if wants_export(request):
        return export(request, "own-words", _COLUMNS, own)
    return page(
        request, "panel/customise.html", here="customise", heading=_("Categories and texts"), filters=filters,
        categories=_shown(listings.categories_for_home()), rows=paged(request, own),
    )  # fmt: skip


_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("Product"), lambda row: row.name),
    (gettext_lazy("Name in your shop"), lambda row: row.own_name),
    (gettext_lazy("Description in your shop"), lambda row: row.own_description),
    (gettext_lazy("Place in the list"), lambda row: row.own_sort),
    (gettext_lazy("Title for search engines"), lambda row: row.seo_title),
    (gettext_lazy("Description for search engines"), lambda row: row.seo_description),
)


def _shown(tree: CategoryTree) -> list[ShownCategory]:
    counted = ListedProduct.objects.filter(active=True).values("category_id").annotate(n=Count("pk")).order_by()
    counts = {row["category_id"]: row["n"] for row in counted}

    def below(category_id: int) -> int:
        """Products of a category and of all below it."""
        own: int = counts.get(category_id, 0)
        return own + sum(below(row.id) for row in tree.rows if row.parent_id == category_id)

    rows: list[ShownCategory] = []

    def walk(parent_id: int | None, depth: int, hidden: bool) -> None:
        for category in tree.rows:
            if category.parent_id == parent_id and depth < 8:
                rows.append(ShownCategory(category, depth, below(category.id), hidden))
                walk(category.id, depth + 1, hidden or not category.visible)

    walk(None, 0, False)
    return rows


@require_POST
@screen(catalogue.GOODS_CHANGE)
def category(request: HttpRequest, pk: int) -> HttpResponse:
    """Show or hide one category; answers with the list, for those below it follow."""
    hidden = request.POST.get("shown") != "1"
    goods.hide_category(category_id=pk, hidden=hidden, by=actor(request), now=clock.utc_now())
    if getattr(request, "htmx", False):
        context = {"categories": _shown(listings.categories_for_home()), "may_change": True}
        return render(request, "panel/_categories.html", context)
    return redirect("panel:customise")


# -- Search across the panel.


@require_GET
@screen(catalogue.OWN)
def search(request: HttpRequest) -> HttpResponse:
    """Orders, goods, categories, people and the panel's own pages at once, as far as the reader may look at them; an
    order's number leads straight to it."""
    query = request.GET.get("q", "").strip().replace("\x00", "")[:120]
    sees_orders, sees_goods = may(request, catalogue.ORDERS_LOOK), may(request, catalogue.GOODS_LOOK)
    found_orders = list(orders.orders_for_panel(text=query)[:SEARCHED]) if query and sees_orders else []
    if len(found_orders) == 1 and found_orders[0].number.lower() == query.lower().replace("-", "").replace(" ", ""):
        return redirect("panel:order", number=found_orders[0].number)
    sees_people = may(request, catalogue.PEOPLE_MANAGE)
    return page(
        request, "panel/search.html", here="", heading=_("Search"), query=query, orders=found_orders,
        goods=_goods_found(query) if sees_goods else [], categories=_categories_found(query) if sees_goods else [],
        pages=pages_named(request, query),
        people=people.staff(query=query)[:SEARCHED] if query and sees_people else [], listings_url=reverse("panel:listings"),
    )  # fmt: skip


def _goods_found(query: str) -> list[dict[str, Any]]:
    if not query:
        return []
    found = listings.priced(listings.panel_listings(query=query).order_by("product_id", "sort", "id")[: 2 * SEARCHED])
    return [
        {"row": row, "product": named.product_name(row.product), "picture": named.picture_url(row.product.picture)}
        for row in found
    ]


def _categories_found(query: str) -> Any:
    if not query:
        return []
    return ListedCategory.objects.filter(Q(name_zh__icontains=query) | Q(name_en__icontains=query))[:6]
