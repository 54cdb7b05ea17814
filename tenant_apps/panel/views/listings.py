"""Goods: the list with its shelf switches and bulk deeds, and one product with its SKUs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from kameng.lib import clock
from kameng.lib.errors import DomainError, Invalid
from kameng.lib.money import format_unit, minor_to_decimal
from kameng.lib.words import worded
from kameng.web.actors import actor
from shared_apps.library.names import localized
from tenant_apps.listings import selectors as listings
from tenant_apps.listings import services
from tenant_apps.listings.models import ListedProduct, Listing
from tenant_apps.listings.pricing import FINE_BELOW_U4, Earnings, Terms, earnings, stage_sentence, to_u4
from tenant_apps.listings.states import StockState
from tenant_apps.listings.types import CategoryTree, PanelRow
from tenant_apps.panel import words
from tenant_apps.panel.access import screen
from tenant_apps.panel.forms import listings as forms
from tenant_apps.panel.lists import Column, export, query_of, sort_choices, wants_export
from tenant_apps.panel.page import page, refuse, say
from tenant_apps.panel.selectors import goods, plan
from tenant_apps.panel.selectors import pricelist as prices
from tenant_apps.panel.views.pricing import begin_many

PER_PAGE = 50
SORTS = ("price", "margin", "supply")
CHEAP_QUANTITY = 100
_SORT_WORDS = (
    ("", gettext_lazy("By product")),
    ("price", gettext_lazy("Retail price, lowest first")),
    ("-price", gettext_lazy("Retail price, highest first")),
    ("margin", gettext_lazy("Markup, lowest first")),
    ("-margin", gettext_lazy("Markup, highest first")),
    ("supply", gettext_lazy("Supply price, lowest first")),
    ("-supply", gettext_lazy("Supply price, highest first")),
)


@dataclass(frozen=True)
class GoodsRow:
    """A SKU in the list, with what one of it brings. A unit below one yuan may bring less than a cent: then by 100."""

    row: PanelRow
    terms: Terms

    @property
    def listing(self) -> Listing:
        return self.row.listing  # type: ignore[no-any-return]

    @property
    def product(self) -> ListedProduct:
        return self.row.product  # type: ignore[no-any-return]

    @property
    def product_name(self) -> str:
        return goods.product_name(self.product)

    @property
    def title(self) -> str:
        return goods.title(self.product, self.listing)

    @property
    def picture(self) -> str:
        return goods.picture_url(self.product.picture)

    @property
    def quantity(self) -> int:
        return CHEAP_QUANTITY if to_u4(self.row.price.unit) < FINE_BELOW_U4 else 1

    @cached_property
    def earns(self) -> Earnings:
        return earnings(self.row.price, self.quantity, self.terms)

    @property
    def clamped(self) -> str:
        return self.row.price.clamped

    @property
    def stages(self) -> list[dict[str, Any]]:
        """The price's stages for `<c-stages>`."""
        price = self.row.price
        return [
            {
                "label": stage_sentence(stage.as_json(), price.currency),
                "value": format_unit(stage.amount, price.currency),
            }
            for stage in price.stages
        ]


def rows_of(found: Iterable[Listing], terms: Terms) -> list[GoodsRow]:
    """Listings with product, price and earnings, in their order."""
    return [GoodsRow(row, terms) for row in listings.priced(found)]


# -- The list.


@require_GET
@screen
def index(request: HttpRequest) -> HttpResponseBase:
    """Search, filter, sort, page, export. Prices are computed for the page that is shown."""
    now = clock.utc_now()
    filters = forms.ListingFilters(request.GET)
    matching = _matching(filters, now)
    sort = request.GET.get("sort", "")
    terms = services.current_terms(now=now)
    if wants_export(request):
        return _exported(request, _in_order(matching, sort, now), terms)
    shown = _page_of(request, matching, sort, now)
    tree = listings.categories_for_home()
    return page(
        request, "panel/listings.html", here="listings", heading=_("Goods"), filters=filters, rows=shown,
        goods=rows_of(shown.object_list, terms), sorts=sort_choices(request, _SORT_WORDS), query=query_of(request),
        chips=_category_chips(request, tree, filters.value("category") or None), **words.limit_words(plan.shelf()),
    )  # fmt: skip


def _matching(filters: forms.ListingFilters, now: datetime) -> QuerySet[Listing]:
    state = filters.value("state")
    found = listings.panel_listings(
        query=filters.query,
        category_id=filters.value("category") or None,
        on_shelf={forms.ON: True, forms.OFF: False}.get(state),
        stock_state={forms.OUT: StockState.OUT, forms.LOW: StockState.LOW}.get(state, ""),
        private=True if state == forms.PRIVATE else None,
    )
    if state in (forms.FLOOR, forms.LOSS):
        bits = prices.FLOOR if state == forms.FLOOR else prices.LOSS
        found = found.filter(pk__in=prices.pricelist(now).ids_with(bits))
    if state in (forms.OUT, forms.LOSS):  # What nobody sees needs nobody.
        found = found.filter(on_shelf=True)
    return found.order_by("product_id", "sort", "id")  # As the index has them: a page costs the same in any shop.


def _in_order(found: QuerySet[Listing], sort: str, now: datetime) -> QuerySet[Listing] | list[int]:
    """The rows themselves in the list's own order, or ids in the order of prices."""
    key = sort.removeprefix("-")
    if key not in SORTS:
        return found
    ids = found.order_by().values_list("pk", flat=True)
    return prices.pricelist(now).ordered(key, descending=sort.startswith("-"), within=ids)


def _page_of(request: HttpRequest, found: QuerySet[Listing], sort: str, now: datetime) -> Page[Any]:
    ordered = _in_order(found, sort, now)
    shown: Page[Any] = Paginator(ordered, PER_PAGE).get_page(request.GET.get("page"))
    if isinstance(ordered, list):
        ids: Any = shown.object_list
        shown.object_list = _by_ids(ids)
    return shown


def _by_ids(ids: Sequence[int]) -> list[Listing]:
    known = Listing.objects.in_bulk(ids)
    return [known[pk] for pk in ids if pk in known]


def _category_chips(request: HttpRequest, tree: CategoryTree, chosen: int | None) -> list[list[dict[str, Any]]]:
    """The top categories, and below them those of the chosen one."""
    params = request.GET.copy()
    for gone in ("page", "category"):
        params.pop(gone, None)
    trail = [row.id for row in tree.trail(chosen)] if chosen else []

    def chip(label: str, category_id: int | None, *, active: bool) -> dict[str, Any]:
        linked = params.copy()
        if category_id is not None:
            linked["category"] = str(category_id)
        return {"label": label, "url": f"?{linked.urlencode()}", "active": active}

    def below(parent_id: int | None) -> list[dict[str, Any]]:
        rows = [row for row in tree.rows if row.parent_id == parent_id]
        return [chip(row.name, row.id, active=row.id in trail) for row in rows]

    lines = [[chip(_("All"), None, active=not trail), *below(None)]]
    for at in trail:
        children = below(at)
        if children:
            lines.append([chip(_("All of it"), at, active=trail[-1] == at), *children])
    return lines


_COLUMNS: tuple[Column, ...] = (
    (gettext_lazy("SKU code"), lambda row: row.listing.code),
    (gettext_lazy("Product"), lambda row: row.product_name),
    (gettext_lazy("SKU"), lambda row: row.listing.name),
    (gettext_lazy("Currency"), lambda row: row.listing.currency),
    (gettext_lazy("Supply price"), lambda row: row.listing.supply_unit.normalize()),
    (gettext_lazy("Special terms"), lambda row: row.listing.private_terms),
    (gettext_lazy("Retail price"), lambda row: row.row.price.unit.normalize()),
    (gettext_lazy("Units"), lambda row: row.quantity),
    (gettext_lazy("Earned after fees"), lambda row: minor_to_decimal(row.earns.net_minor, row.listing.currency)),
    (gettext_lazy("Stock state"), lambda row: row.listing.get_stock_state_display()),
    (gettext_lazy("On the shelf"), lambda row: row.listing.on_shelf),
)


def _exported(request: HttpRequest, found: Any, terms: Terms) -> HttpResponseBase:
    ordered = found if isinstance(found, list) else list(found.values_list("pk", flat=True)[:100_001])
    rows: list[GoodsRow] = []
    for start in range(0, len(ordered), 2_000):
        rows += rows_of(_by_ids(ordered[start : start + 2_000]), terms)
    return export(request, "goods", _COLUMNS, rows)


# -- Deeds of the list.


@require_POST
@screen
def shelf(request: HttpRequest, pk: int) -> HttpResponse:
    """One switch of the list; answers with itself."""
    on = request.POST.get("on") == "1"
    services.set_on_shelf(listing_ids=[pk], on=on, by=actor(request), now=clock.utc_now())
    if getattr(request, "htmx", False):
        context = {"listing": Listing.objects.get(pk=pk), "title": goods.titles([pk])[pk], "may_change": True}
        return render(request, "panel/_shelf.html", context)
    return redirect("panel:listings")


@require_POST
@screen
def bulk(request: HttpRequest) -> HttpResponse:
    """Chosen rows, or everything that the list's filters match, on or off the shelf or to the price form."""
    ids = chosen_ids(request)
    back = reverse("panel:listings") + query_of(request)
    if not ids:
        raise Invalid(_("Choose what to change first. Nothing was changed."), code="nothing_chosen")
    deed = request.POST.get("deed", "")
    if deed == "price":
        return begin_many(request, ids)
    if deed not in ("on", "off"):
        raise Invalid(_("There is no such deed."), code="deed_unknown")
    changed = services.set_on_shelf(listing_ids=ids, on=deed == "on", by=actor(request), now=clock.utc_now())
    words = (
        gettext_lazy("%(count)s SKUs are on the shelf now.")
        if deed == "on"
        else gettext_lazy("%(count)s SKUs are off the shelf now.")
    )
    say(request, worded(words, count=f"{changed:,}"))
    return redirect(back)


def chosen_ids(request: HttpRequest) -> list[int]:
    """Ids that were ticked, or those of all that match. Raises: Invalid for what is no id."""
    if request.POST.get("everything") == "1":
        found = _matching(forms.ListingFilters(request.GET), clock.utc_now())
        return list(found.order_by("pk").values_list("pk", flat=True))
    try:
        ids = [int(pk) for pk in request.POST.getlist("ids")]
    except ValueError:
        ids = [-1]
    if any(not 0 < pk < 2**63 for pk in ids):
        raise Invalid(_("There is no such SKU. Nothing was changed."), code="id_invalid")
    return ids


# -- One product.


@require_http_methods(["GET", "POST"])
@screen
def product(request: HttpRequest, pk: int) -> HttpResponse:
    """The shop's own words for a product, and its SKUs with prices and reasons."""
    found = ListedProduct.objects.filter(pk=pk).first()
    if found is None:
        raise services.ProductUnknown(_("This product is not in the shop."))
    names = list(forms.ProductTexts.base_fields)
    form = forms.ProductTexts(request.POST or None, initial={name: getattr(found, name) for name in names})
    if request.method == "POST" and form.is_valid():
        try:
            services.edit_product(product_id=pk, by=actor(request), now=clock.utc_now(), **form.cleaned_data)
        except DomainError as error:
            refuse(form, error)
        else:
            say(request, _("Your texts are in the shop."))
            return redirect("panel:product", pk=pk)
    terms = services.current_terms(now=clock.utc_now())
    skus = Listing.objects.filter(product_id=pk).order_by("sort", "id")
    tree = listings.categories_for_home()
    return page(
        request, "panel/product.html", here="listings", heading=goods.product_name(found),
        crumbs=((_("Goods"), reverse("panel:listings")),), form=form, product=found, goods=rows_of(skus, terms),
        trail=tree.trail(found.category_id), product_description=localized(found, "description"), brand=localized(found, "brand"),
        status=422 if form.is_bound and form.errors else 200,
    )  # fmt: skip
