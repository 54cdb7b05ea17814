"""Products with their SKUs."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.lib import clock
from kameng.lib.errors import DomainError, Invalid
from kameng.web.actors import actor
from shared_apps.console import lists
from shared_apps.console.forms.library import (
    BuyerFields,
    PictureForm,
    PricesForm,
    ProductFilters,
    ProductForm,
    SkuForm,
    buyer_fields_initial,
)
from shared_apps.console.page import page, posted, refuse
from shared_apps.library import selectors as library
from shared_apps.library import services
from shared_apps.library.models import Product, Sku

SORTS = {"name": "name_zh", "category": "category__sort", "skus": "sku_count", "sort": "sort", "changed": "updated_at"}
EXPORT: list[lists.Column] = [
    (gettext_lazy("Address"), lambda row: row.slug),
    (gettext_lazy("Name (Chinese)"), lambda row: row.name_zh),
    (gettext_lazy("Name (English)"), lambda row: row.name_en),
    (gettext_lazy("Category"), lambda row: row.category.name),
    (gettext_lazy("Brand"), lambda row: row.brand.name if row.brand else ""),
    (gettext_lazy("Kind"), lambda row: row.get_kind_display()),
    (gettext_lazy("Delivery"), lambda row: row.get_delivery_display()),
    (gettext_lazy("SKUs"), lambda row: row.sku_count),
    (gettext_lazy("Supplied"), lambda row: row.active),
    (gettext_lazy("Changed"), lambda row: row.updated_at),
]


def _matching(filters: ProductFilters) -> QuerySet[Product]:
    active = {"on": True, "off": False}.get(filters.value("state"))
    rows = library.products(
        query=filters.query, category_id=filters.value("category") or None, brand_id=filters.value("brand") or None,
        active=active,
    )  # fmt: skip
    return rows.filter(kind=filters.value("kind")) if filters.value("kind") else rows


@require_GET
@allowed(catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)
def products(request: HttpRequest) -> HttpResponseBase:
    filters = ProductFilters(request.GET)
    rows = lists.ordered(request, _matching(filters), SORTS, "sort")
    if lists.wants_export(request):
        return lists.export(request, "products", EXPORT, rows)
    return page(
        request, "console/products.html", here="products", heading=_("Products"), filters=filters,
        chips=filters.chips(), rows=lists.paged(request, rows),
    )  # fmt: skip


@require_POST
@allowed(catalogue.LIBRARY_CHANGE)
def products_shelf(request: HttpRequest) -> HttpResponse:
    """Take the chosen products, or all that match the address's filters, into the supply or out of it."""
    rows = _matching(ProductFilters(request.GET))
    if not request.POST.get("everything"):
        rows = rows.filter(pk__in=[one for one in request.POST.getlist("ids") if one.isdigit()])
    active = request.POST.get("deed") == "on"
    ids = list(rows.exclude(active=active).values_list("pk", flat=True))
    with transaction.atomic():
        for pk in ids:
            services.update_product(product_id=pk, active=active, by=actor(request), now=clock.utc_now())
    words = _("Products now supplied: %(count)s") if active else _("Products taken out of supply: %(count)s")
    messages.success(request, words % {"count": len(ids)})
    return redirect(f"{reverse('console:products')}?{request.GET.urlencode()}")


@allowed(catalogue.LIBRARY_CHANGE)
def product_new(request: HttpRequest) -> HttpResponse:
    form = ProductForm(posted(request))
    asked = BuyerFields(posted(request), prefix="fields")
    if request.method == "POST" and form.is_valid() and asked.is_valid():
        try:
            with transaction.atomic():
                made = services.create_product(
                    by=actor(request), now=clock.utc_now(), buyer_fields=_asked(asked), **form.cleaned_data
                )
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("The product is there. Now give it its SKUs."))
            return redirect("console:product", made.slug)
    return page(
        request, "console/product.html", here="products", heading=_("New product"), form=form, asked=asked,
        crumbs=((_("Products"), reverse("console:products")),), status=422 if form.is_bound else 200,
    )  # fmt: skip


def _asked(formset: Any) -> list[dict[str, Any]]:
    return [form.asked for form in formset if form.asked is not None]


@allowed(catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)
def product(request: HttpRequest, slug: str) -> HttpResponse:
    """The product and the prices of its SKUs in one form: saved together, or not at all."""
    row = library.product_with_skus(slug)
    initial = {name: getattr(row, name) for name in ProductForm.base_fields}
    initial["tags"] = ", ".join(row.tags)
    data = posted(request)
    form = ProductForm(data, initial=initial)
    asked = BuyerFields(data, prefix="fields", initial=buyer_fields_initial(row.buyer_fields))
    prices = [PricesForm(data, sku=sku) for sku in row.skus.all()]
    if request.method == "POST" and all([form.is_valid(), asked.is_valid(), *[one.is_valid() for one in prices]]):
        saved = _save_product(request, row, form, asked, prices)
        if saved is not None:
            messages.success(request, _("Saved. The shops follow within seconds."))
            return redirect("console:product", saved.slug)
    warnings = [(sku, list(library.price_warnings(sku))) for sku in row.skus.all()]
    return page(
        request, "console/product.html", here="products", heading=row.name, form=form, asked=asked, row=row,
        prices=prices, warnings=[one for one in warnings if one[1]], picture_form=PictureForm(),
        crumbs=((_("Products"), reverse("console:products")),), status=422 if form.is_bound else 200,
    )  # fmt: skip


def _save_product(
    request: HttpRequest, row: Product, form: ProductForm, asked: Any, prices: list[PricesForm]
) -> Product | None:
    """Everything that differs, in one savepoint; None when something was refused, with the refusal in its form."""
    by, now = actor(request), clock.utc_now()
    at: Any = form  # Whose values are being saved: a refusal belongs there.
    try:
        with transaction.atomic():
            changes = {name: value for name, value in form.cleaned_data.items() if getattr(row, name) != value}
            if asked.has_changed():
                changes["buyer_fields"] = _asked(asked)
            saved = services.update_product(product_id=row.pk, by=by, now=now, **changes) if changes else row
            for at in prices:
                own, supply = at.changed(supply=False), at.changed(supply=True)
                if own:
                    services.update_sku(sku_id=at.sku.pk, by=by, now=now, **own)
                if supply:
                    services.set_supply_prices(sku_id=at.sku.pk, prices=supply, by=by, now=now)
    except Invalid as error:
        refuse(at, error)
        return None
    return saved


@require_POST
@allowed(catalogue.LIBRARY_CHANGE)
def product_picture(request: HttpRequest, slug: str) -> HttpResponse:
    row = library.product_with_skus(slug)
    if request.POST.get("deed") == "remove":
        services.update_product(product_id=row.pk, picture="", by=actor(request), now=clock.utc_now())
        messages.success(request, _("The picture is gone."))
        return redirect("console:product", slug)
    form = PictureForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            services.set_picture(
                product_id=row.pk, stream=form.cleaned_data["picture"], by=actor(request), now=clock.utc_now()
            )
        except DomainError as error:
            refuse(form, error)
    if form.errors:
        messages.error(request, str(form.errors["picture"][0]))
    else:
        messages.success(request, _("The picture is saved."))
    return redirect("console:product", slug)


@allowed(catalogue.LIBRARY_CHANGE)
def sku_new(request: HttpRequest, slug: str) -> HttpResponse:
    parent = library.product_with_skus(slug)
    codes = parent.delivery == "CODES"
    form = SkuForm(posted(request), initial={"stock_policy": "CODES" if codes else "UNLIMITED"})
    if request.method == "POST" and form.is_valid():
        try:
            with transaction.atomic():
                services.create_sku(
                    by=actor(request), now=clock.utc_now(), supply=form.supply, product_id=parent.pk, **form.own
                )
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("The SKU is there. The shops have it within seconds."))
            return redirect("console:product", parent.slug)
    return _sku_page(request, form, parent, _("New SKU"))


@allowed(catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)
def sku(request: HttpRequest, code: str) -> HttpResponse:
    row = library.sku_by_code(code)
    supply = {f"supply_{price.level.lower()}": price.unit for price in row.supply_prices.all()}
    initial = {name: getattr(row, name, None) for name in SkuForm.base_fields} | supply
    form = SkuForm(posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        by, now = actor(request), clock.utc_now()
        try:
            with transaction.atomic():
                saved = services.update_sku(sku_id=row.pk, by=by, now=now, **form.own)
                was = {level: supply.get(f"supply_{level.lower()}") for level in form.supply}
                changed = {level: unit for level, unit in form.supply.items() if unit != was[level]}
                if changed:
                    services.set_supply_prices(sku_id=row.pk, prices=changed, by=by, now=now)
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("Saved. The shops follow within seconds."))
            return redirect("console:sku", saved.code)
    return _sku_page(request, form, row.product, f"{row.product.name} · {row.name}", row)


def _sku_page(
    request: HttpRequest, form: SkuForm, parent: Product, heading: str, row: Sku | None = None
) -> HttpResponse:
    trail = (
        (_("Products"), reverse("console:products")),
        (parent.name, reverse("console:product", args=[parent.slug])),
    )
    return page(
        request, "console/sku.html", here="products", heading=heading, form=form, row=row, parent=parent, crumbs=trail,
        warnings=list(library.price_warnings(row)) if row and not form.is_bound else [],
        status=422 if form.is_bound else 200,
    )  # fmt: skip
