"""Categories and brands."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from shared_apps.console import lists
from shared_apps.console.forms.library import BrandForm, CategoryForm, PlainSearch
from shared_apps.console.page import page, posted, refuse
from shared_apps.library import selectors as library
from shared_apps.library import services
from shared_apps.library.models import Brand, Category

BRAND_EXPORT: list[lists.Column] = [
    (gettext_lazy("Address"), lambda row: row.slug),
    (gettext_lazy("Name (Chinese)"), lambda row: row.name_zh),
    (gettext_lazy("Name (English)"), lambda row: row.name_en),
    (gettext_lazy("Colour"), lambda row: row.colour),
    (gettext_lazy("Products"), lambda row: row.product_count),
]
CATEGORY_EXPORT: list[lists.Column] = [
    (gettext_lazy("Address"), lambda node: node.category.slug),
    (gettext_lazy("Name (Chinese)"), lambda node: node.category.name_zh),
    (gettext_lazy("Name (English)"), lambda node: node.category.name_en),
    (gettext_lazy("Depth"), lambda node: node.depth),
    (gettext_lazy("Position"), lambda node: node.category.sort),
    (gettext_lazy("Products"), lambda node: node.products),
    (gettext_lazy("Shown"), lambda node: node.category.active),
]


@require_GET
@allowed(catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)
def categories(request: HttpRequest) -> HttpResponseBase:
    """The whole tree in its order; a search keeps what matches and what stands above it."""
    filters = PlainSearch(request.GET)
    nodes = _matching(library.category_tree(), filters.query)
    if lists.wants_export(request):
        return lists.export(request, "categories", CATEGORY_EXPORT, nodes)
    return page(
        request, "console/categories.html", here="categories", heading=_("Categories"), nodes=nodes, filters=filters
    )


def _matching(nodes: list[Any], query: str) -> list[Any]:
    """Nodes of the tree that hold every word of the query, each with those above it."""
    wanted = [word.casefold() for word in query.split()]
    kept: list[Any] = []
    above: list[Any] = []
    for node in nodes:
        above = [*above[: node.depth], node]
        text = f"{node.category.name_zh} {node.category.name_en} {node.category.slug}".casefold()
        if all(word in text for word in wanted):
            kept += [one for one in above if one not in kept]
    return kept


@allowed(catalogue.LIBRARY_CHANGE)
def category_new(request: HttpRequest) -> HttpResponse:
    return _category(request, None)


@allowed(catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)
def category(request: HttpRequest, slug: str) -> HttpResponse:
    found = [node.category for node in library.category_tree() if node.category.slug == slug]
    if not found:
        raise Http404(slug)
    return _category(request, found[0])


def _category(request: HttpRequest, row: Category | None) -> HttpResponse:
    initial = {name: getattr(row, name) for name in CategoryForm.base_fields} if row else None
    form = CategoryForm(posted(request), initial=initial, without=row.pk if row else None)
    if request.method == "POST" and form.is_valid():
        by, now = actor(request), clock.utc_now()
        try:
            with transaction.atomic():
                if row:
                    services.update_category(category_id=row.pk, by=by, now=now, **form.cleaned_data)
                else:
                    services.create_category(by=by, now=now, **form.cleaned_data)
        except DomainError as error:
            refuse(form, error, parent="parent_id")
        else:
            messages.success(request, _("Saved. The shops follow within seconds."))
            return redirect("console:categories")
    return page(
        request, "console/shelf_form.html", here="categories", form=form,
        heading=row.name if row else _("New category"),
        crumbs=((_("Categories"), reverse("console:categories")),), back_url=reverse("console:categories"),
        deed=_("Save the category") if row else _("Add the category"), status=422 if form.is_bound else 200,
    )  # fmt: skip


@require_GET
@allowed(catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)
def brands(request: HttpRequest) -> HttpResponseBase:
    filters = PlainSearch(request.GET)
    rows = library.brands()
    for word in filters.query.split():
        rows = rows.filter(name_zh__icontains=word) | rows.filter(name_en__icontains=word)
    rows = lists.ordered(request, rows, {"name": "slug", "products": "product_count"}, "name")
    if lists.wants_export(request):
        return lists.export(request, "brands", BRAND_EXPORT, rows)
    return page(
        request, "console/brands.html", here="brands", heading=_("Brands"), filters=filters,
        rows=lists.paged(request, rows, 100),
    )  # fmt: skip


@allowed(catalogue.LIBRARY_CHANGE)
def brand_new(request: HttpRequest) -> HttpResponse:
    return _brand(request, None)


@allowed(catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)
def brand(request: HttpRequest, slug: str) -> HttpResponse:
    row = library.brands().filter(slug=slug).first()
    if row is None:
        raise Http404(slug)
    return _brand(request, row)


def _brand(request: HttpRequest, row: Brand | None) -> HttpResponse:
    initial = {name: getattr(row, name) for name in BrandForm.base_fields} if row else None
    form = BrandForm(posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        by, now = actor(request), clock.utc_now()
        try:
            with transaction.atomic():
                if row:
                    services.update_brand(brand_id=row.pk, by=by, now=now, **form.cleaned_data)
                else:
                    services.create_brand(by=by, now=now, **form.cleaned_data)
        except DomainError as error:
            refuse(form, error)
        else:
            messages.success(request, _("Saved. The shops follow within seconds."))
            return redirect("console:brands")
    return page(
        request, "console/shelf_form.html", here="brands", heading=row.name if row else _("New brand"), form=form,
        crumbs=((_("Brands"), reverse("console:brands")),), back_url=reverse("console:brands"),
        deed=_("Save the brand") if row else _("Add the brand"), status=422 if form.is_bound else 200,
    )  # fmt: skip
