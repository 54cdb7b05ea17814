"""Private terms of one shop: the list, one price, a share off the plan's prices, a file, and their end."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.lib import clock, money
from kameng.lib.errors import DomainError
from kameng.lib.tabular import cells
from kameng.lib.words import worded
from kameng.web.actors import actor
from shared_apps.console import lists, words
from shared_apps.console.forms.terms import PrivatePriceForm, ShareOffForm, TermFilters, TermsFileForm
from shared_apps.console.page import page, posted, refuse
from shared_apps.console.selectors import terms
from shared_apps.library import selectors as library
from shared_apps.library import services
from shared_apps.library.types import difference
from tenants import selectors as tenants
from tenants.models import Substation

OFFERED_SKUS = 20
LATEST = 5
SORTS = {
    "sku": "sku__code", "plan": "plan_unit", "unit": "unit", "change": "change", "from": "starts_at", "until": "ends_at",
    "made": "pk",
}  # fmt: skip
# The names of the first columns are those that an import takes.
EXPORT: list[lists.Column] = [
    ("sku", lambda row: row.sku.code),
    ("price", lambda row: row.unit.normalize()),
    ("starts", lambda row: row.starts_at),
    ("ends", lambda row: row.ends_at),
    ("note", lambda row: row.note),
    ("product", lambda row: row.sku.product.name),
    ("name", lambda row: row.sku.name),
    ("currency", lambda row: row.sku.currency),
    ("plan_price", lambda row: None if row.plan_unit is None else row.plan_unit.normalize()),
    ("difference", terms.percent),
    ("state", lambda row: words.TERM_STATES[row.state]),
    ("by", lambda row: row.by),
    ("ended_by", lambda row: row.ended_by),
]


def crumbs_of(row: Substation) -> tuple[tuple[str, str], ...]:
    return (
        (_("Substations"), reverse("console:substations")),
        (row.name, reverse("console:substation", args=[row.public_id])),
    )


def below(row: Substation) -> tuple[tuple[str, str], ...]:
    return (*crumbs_of(row), (_("Private terms"), reverse("console:terms", args=[row.public_id])))


@require_GET
@allowed(catalogue.TERMS_LOOK, change=catalogue.TERMS_MANAGE)
def index(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """What is agreed with this shop alone: search, filter, sort, page, export."""
    shop, now, filters = tenants.substation(public_id), clock.utc_now(), TermFilters(request.GET)
    rows = terms.private_prices(shop, now=now, query=filters.query, state=filters.value("state"))
    rows = lists.ordered(request, rows, SORTS, "-made", nullable=("plan_unit", "change", "ends_at"))
    if lists.wants_export(request):
        return lists.export(request, f"terms-{shop.slug}", EXPORT, rows)
    shown = lists.paged(request, rows)
    shown.object_list = terms.with_warnings(list(shown.object_list))
    for row in shown:
        row.state_words = words.TERM_STATES[row.state]
        row.standing = row.state != terms.TermState.ENDED
    counts = terms.state_counts(shop, now)
    return page(
        request, "console/terms.html", here="substations", heading=_("Private terms"), crumbs=crumbs_of(shop), substation=shop,
        plan_name=shop.plan.label, rows=shown, filters=filters, chips=filters.chips(counts),
        standing=sum(count for state, count in counts.items() if state != terms.TermState.ENDED),
        may_set=shop.state not in services.NO_TERMS,
    )  # fmt: skip


def card_of(shop: Substation) -> dict[str, Any]:
    """What the shop's own page shows of its terms."""
    now = clock.utc_now()
    rows = terms.private_prices(shop, now=now, state=terms.TermState.IN_FORCE)[:LATEST]
    return {"terms_counts": terms.state_counts(shop, now), "terms": terms.with_warnings(list(rows))}


# -- One price.


@allowed(catalogue.TERMS_MANAGE)
def new(request: HttpRequest, public_id: str) -> HttpResponse:
    shop = tenants.substation(public_id)
    form = PrivatePriceForm(posted(request), initial={"sku": lists.typed(request, "sku")})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            made = services.set_private_price(
                substation_id=shop.pk, sku_id=library.sku_by_code(given["sku"]).pk, unit=given["unit"],
                starts_at=given["starts_at"], ends_at=given["ends_at"], note=given["note"], by=actor(request),
                now=clock.utc_now(),
            )  # fmt: skip
        except library.SkuUnknown as error:
            form.add_error("sku", str(error))
        except DomainError as error:
            refuse(form, error)
        else:
            told = gettext_lazy("%(sku)s costs this shop %(unit)s. It follows within seconds.")
            if made.starts_at > clock.utc_now():
                told = gettext_lazy("%(sku)s will cost this shop %(unit)s.")
            unit = money.format_unit(made.unit, made.sku.currency)
            messages.success(request, str(worded(told, sku=made.sku.code, unit=unit)))
            return redirect("console:terms", public_id)
    code, typed = str(form["sku"].value() or "").replace("\x00", ""), _typed(form.fields["unit"], form["unit"].value())
    return page(
        request, "console/terms_new.html", here="substations", heading=_("Add a private price"), crumbs=below(shop),
        substation=shop, form=form, offered=_offered(code), **_beside(shop, code, typed),
        status=422 if form.is_bound else 200,
    )  # fmt: skip


def _typed(field: Any, text: Any) -> Decimal | None:
    """A price as far as it is typed; None where it is none yet."""
    try:
        found: Decimal | None = field.to_python(text)
    except ValidationError:
        return None
    return found if found is not None and 0 < found <= cells.MAX_UNIT_PRICE else None


def _offered(query: str) -> list[Any]:
    return list(library.skus(query=query).filter(active=True).order_by("code")[:OFFERED_SKUS])


def _beside(shop: Substation, code: str, unit: Decimal | None) -> dict[str, Any]:
    """What stands beside a price while it is typed: the plan's, the present one, the difference, and what is odd."""
    sku = library.skus().filter(code=code.strip().upper()).first() if code.strip() else None
    if sku is None:
        return {"sku": None}
    level = shop.plan.supply_level
    plan = next((price.unit for price in sku.supply_prices.all() if price.level == level), None)
    cheapest = min((price.unit for price in sku.supply_prices.all()), default=None)
    paid = library.supply_of(shop.pk, level, [sku.pk], clock.utc_now()).get(sku.pk)
    warnings = [] if unit is None else list(library.private_price_warnings(sku, unit, plan=plan, cheapest=cheapest))
    return {
        "sku": sku, "plan_unit": plan, "cheapest": cheapest, "unit": unit, "warnings": warnings,
        "present": paid[0] if paid is not None and paid[1] else None,
        "percent": None if unit is None or plan is None else difference(unit, plan),
    }  # fmt: skip


@require_GET
@allowed(catalogue.TERMS_LOOK)
def beside(request: HttpRequest, public_id: str) -> HttpResponse:
    """The plan's price and the difference for what is typed; asked by the form."""
    shop = tenants.substation(public_id)
    unit = _typed(PrivatePriceForm.base_fields["unit"], request.GET.get("unit", ""))
    shown = _beside(shop, lists.typed(request, "sku"), unit)
    return render(request, "console/_terms_beside.html", shown)


@require_GET
@allowed(catalogue.TERMS_LOOK)
def skus(request: HttpRequest, public_id: str) -> HttpResponse:
    """SKUs that match what is typed: the options of the form's field."""
    return render(request, "console/_sku_options.html", {"offered": _offered(lists.typed(request, "sku"))})


# -- A share off the plan's prices.


@allowed(catalogue.TERMS_MANAGE)
def share_off(request: HttpRequest, public_id: str) -> HttpResponse:
    """GET with a share shows what it would write; POST writes what was shown."""
    shop, now = tenants.substation(public_id), clock.utc_now()
    data = request.POST if request.method == "POST" else request.GET if "percent" in request.GET else None
    form = ShareOffForm(data)
    preview = None
    if data is not None and form.is_valid():
        given = form.cleaned_data
        wish = services.ShareOff(
            percent=given["percent"], category_id=given["category"], brand_id=given["brand"],
            starts_at=given["starts_at"], ends_at=given["ends_at"],
        )  # fmt: skip
        try:
            if request.method == "POST":
                done = services.write_share_off(
                    substation=shop, wish=wish, digest=request.POST.get("digest", ""), note=given["note"],
                    by=actor(request), now=now,
                )  # fmt: skip
                told = gettext_lazy("Private prices written: %(count)s. The shop follows within seconds.")
                messages.success(request, str(worded(told, count=f"{done.written:,}")))
                return redirect("console:terms", public_id)
            preview = services.preview_share_off(substation=shop, wish=wish, now=now)
        except services.PreviewOutdated as error:
            form.add_error(None, str(error))
            preview = services.preview_share_off(substation=shop, wish=wish, now=now)
        except DomainError as error:
            refuse(form, error)
    return page(
        request, "console/terms_off.html", here="substations", heading=_("A share off the plan's prices"),
        crumbs=below(shop), substation=shop, plan_name=shop.plan.label, form=form, preview=preview,
        kept=[(name, form.data.get(name, "")) for name in form.fields],
        status=422 if form.is_bound and form.errors else 200,
    )  # fmt: skip


# -- A file.


@allowed(catalogue.TERMS_MANAGE)
def file(request: HttpRequest, public_id: str) -> HttpResponse:
    """A file of private prices: checked first, written from its report."""
    shop = tenants.substation(public_id)
    form = TermsFileForm(posted(request), request.FILES if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        upload = form.cleaned_data["file"]
        try:
            run = services.start_terms_import(
                substation=shop, stream=upload.file, filename=upload.name, by=actor(request), now=clock.utc_now()
            )
        except DomainError as error:
            refuse(form, error)
        else:
            return redirect("console:import_run", run.public_id)
    return page(
        request, "console/terms_file.html", here="substations", heading=_("Import private prices"), crumbs=below(shop),
        substation=shop, file_error=(form.errors.get("file") or [""])[0], status=422 if form.is_bound else 200,
    )  # fmt: skip


# -- Their end.


@require_POST
@allowed(catalogue.TERMS_MANAGE)
def end(request: HttpRequest, public_id: str, price: str) -> HttpResponse:
    shop = tenants.substation(public_id)
    row = services.end_private_price(substation_id=shop.pk, public_id=price, by=actor(request), now=clock.utc_now())
    told = gettext_lazy("The private price of %(sku)s has ended; the plan's holds within seconds.")
    messages.success(request, str(worded(told, sku=row.sku.code)))
    return redirect("console:terms", public_id)


@require_POST
@allowed(catalogue.TERMS_MANAGE)
def end_all(request: HttpRequest, public_id: str) -> HttpResponse:
    shop = tenants.substation(public_id)
    ended = services.end_private_prices(substation_id=shop.pk, by=actor(request), now=clock.utc_now())
    told = gettext_lazy("Private prices ended: %(count)s. The plan's hold within seconds.")
    messages.success(request, str(worded(told, count=f"{ended:,}")))
    return redirect("console:terms", public_id)
