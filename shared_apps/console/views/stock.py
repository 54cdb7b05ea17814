"""Stock: levels, batches of codes, who saw which code."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django.contrib import messages
from django.db.models import Case, IntegerField, When
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.tabular import write_csv
from kameng.web.actors import actor
from shared_apps.console import lists, words
from shared_apps.console import services as console
from shared_apps.console.access import in_own_transactions
from shared_apps.console.forms.stock import (
    BatchFilters,
    CodeFilters,
    CountForm,
    LevelFilters,
    ReasonForm,
    RevealFilters,
)
from shared_apps.console.page import page, posted, refuse
from shared_apps.console.selectors import shelves, system
from shared_apps.library import selectors as library
from shared_apps.library.names import localized
from shared_apps.receipts import selectors as receipts
from shared_apps.stock import keys as stock_keys
from shared_apps.stock import selectors as stock
from shared_apps.stock import services
from shared_apps.stock.models import CodeBatch, CodeState
from tenants import selectors as tenants

LEVEL_SORTS = {"urgency": "urgency", "code": "code", "available": "available", "counted": "counted_at"}
LEVEL_EXPORT: list[lists.Column] = [
    (gettext_lazy("SKU"), lambda row: row.code),
    (gettext_lazy("Name"), lambda row: f"{row.product.name} · {row.name}"),
    (gettext_lazy("Stock"), lambda row: row.get_stock_policy_display()),
    (gettext_lazy("Available"), lambda row: "" if row.stock_policy == "UNLIMITED" else row.available or 0),
    (gettext_lazy("Low at"), lambda row: row.low_stock_at),
    (gettext_lazy("State"), lambda row: words.LEVEL_STATES[row.level_state]),
    (gettext_lazy("Counted"), lambda row: row.counted_at),
]
BATCH_SORTS = {"created": "created_at", "imported": "imported", "sku": "sku_code"}
BATCH_EXPORT: list[lists.Column] = [
    (gettext_lazy("Batch"), lambda row: row.public_id),
    (gettext_lazy("SKU"), lambda row: row.sku_code),
    (gettext_lazy("File"), lambda row: row.source),
    (gettext_lazy("Note"), lambda row: row.note),
    (gettext_lazy("Imported"), lambda row: row.imported),
    (gettext_lazy("Duplicates"), lambda row: row.duplicates),
    (gettext_lazy("Rejected"), lambda row: row.rejected),
    (gettext_lazy("By"), lambda row: row.by),
    (gettext_lazy("At"), lambda row: row.created_at),
]
REVEAL_EXPORT: list[lists.Column] = [
    (gettext_lazy("At"), lambda row: row.at),
    (gettext_lazy("Who"), lambda row: row.actor_label),
    (gettext_lazy("Kind"), lambda row: words.ACTOR_KINDS.get(row.actor_kind, row.actor_kind)),
    (gettext_lazy("Reason"), lambda row: row.reason),
    (gettext_lazy("Code no."), lambda row: row.code_id),
    (gettext_lazy("Order"), lambda row: row.order_number),
    (gettext_lazy("Address (IP)"), lambda row: row.ip),
]


def day_start(day: date | str, plus_days: int = 0) -> datetime | None:
    """The reader's midnight at which a day of a filter begins; None without one."""
    if not isinstance(day, date):
        return None
    return timezone.make_aware(datetime.combine(day + timedelta(days=plus_days), time.min))


@require_GET
@allowed(catalogue.STOCK_LOOK, change=catalogue.STOCK_CHANGE)
def levels(request: HttpRequest) -> HttpResponseBase:
    filters = LevelFilters(request.GET)
    rows: Any = shelves.levels(query=filters.query, state=filters.value("state"), policy=filters.value("policy"))
    rows = rows.filter(active=True)
    if request.GET.get("sort", "urgency").removeprefix("-") == "urgency" and "sort" not in request.GET:
        unlimited = Case(When(stock_policy="UNLIMITED", then=1), default=0, output_field=IntegerField())
        rows = rows.order_by("urgency", unlimited, "available", "code")
    else:
        rows = lists.ordered(request, rows, LEVEL_SORTS, "urgency")
    if lists.wants_export(request):
        return lists.export(request, "stock-levels", LEVEL_EXPORT, rows)
    shown = lists.paged(request, rows)
    for row in shown:
        row.state_words = words.LEVEL_STATES[row.level_state]
        row.tone = {"OUT": "danger", "LOW": "warning"}.get(row.level_state, "success")
    return page(
        request, "console/levels.html", here="levels", heading=_("Stock levels"), filters=filters, rows=shown,
        chips=filters.chips(),
    )  # fmt: skip


@allowed(catalogue.STOCK_CHANGE)
def count(request: HttpRequest, code: str) -> HttpResponse:
    """How many units there are of a SKU that is kept as a number."""
    sku = library.sku_by_code(code)
    level = shelves.levels().filter(pk=sku.pk).get()
    form = CountForm(posted(request), initial={"available": getattr(level, "available", None) or 0})
    if request.method == "POST" and form.is_valid():
        now = clock.utc_now()
        try:
            services.set_count(
                sku=sku, available=form.cleaned_data["available"], reason=form.cleaned_data["reason"],
                by=actor(request), now=now,
            )  # fmt: skip
        except DomainError as error:
            refuse(form, error)
        else:
            services.roll_up(now=now)
            messages.success(request, _("Counted. The shops follow within seconds."))
            return redirect("console:levels")
    return page(
        request, "console/count.html", here="levels", heading=f"{sku.product.name} · {sku.name}", sku=sku, form=form,
        crumbs=((_("Stock levels"), reverse("console:levels")),), status=422 if form.is_bound else 200,
    )  # fmt: skip


@require_GET
@allowed(catalogue.STOCK_LOOK, change=catalogue.STOCK_CHANGE)
def batches(request: HttpRequest) -> HttpResponseBase:
    filters = BatchFilters(request.GET)
    rows = lists.ordered(request, shelves.batches(query=filters.query), BATCH_SORTS, "-created")
    if lists.wants_export(request):
        return lists.export(request, "code-batches", BATCH_EXPORT, rows)
    shown = lists.paged(request, rows)
    for row in shown:
        row.sku_name = _sku_name(row)
    return page(request, "console/batches.html", here="batches", heading=_("Code batches"), filters=filters, rows=shown)


def _sku_name(row: Any) -> str:
    """Product and SKU of a batch: "10 yuan" alone says nothing in a list."""
    return f"{localized(row, 'product_name')} · {localized(row, 'sku_name')}"


def _batch(public_id: str) -> CodeBatch:
    found = shelves.batches().filter(public_id=public_id).first()
    if found is None:
        raise Http404(public_id)
    return found


@require_GET
@allowed(catalogue.STOCK_LOOK, change=catalogue.STOCK_CHANGE)
def batch(request: HttpRequest, public_id: str) -> HttpResponse:
    return _batch_page(request, _batch(public_id))


def _batch_page(request: HttpRequest, row: Any, status: int = 200, **shown: Any) -> HttpResponse:
    row.sku_name = _sku_name(row)
    by_state = shelves.codes_by_state(row)
    filters = CodeFilters(request.GET)
    codes = lists.paged(request, shelves.codes(row, filters.value("state")))
    names = tenants.shop_names({code.substation_id for code in codes if getattr(code, "substation_id", None)})
    for code in codes:
        code.shop = names.get(code.substation_id)
    counts = [{"label": label, "value": by_state.get(value, 0), "tone": value} for value, label in CodeState.choices]
    return page(
        request, "console/batch.html", here="batches", heading=f"{row.sku_code}", row=row, counts=counts,
        available=by_state.get(CodeState.AVAILABLE, 0), codes=codes, filters=filters, chips=filters.chips(by_state),
        crumbs=((_("Code batches"), reverse("console:batches")),), status=status,
        void_form=shown.get("void_form") or ReasonForm(auto_id="void_%s"),
        export_form=shown.get("export_form") or ReasonForm(auto_id="export_%s"),
        void_open=shown.get("open_dialog") == "void", export_open=shown.get("open_dialog") == "export",
    )  # fmt: skip


@require_POST
@allowed(catalogue.STOCK_CHANGE)
def batch_void(request: HttpRequest, public_id: str) -> HttpResponse:
    row = _batch(public_id)
    form = ReasonForm(request.POST, auto_id="void_%s")
    if form.is_valid():
        now = clock.utc_now()
        try:
            done = services.void_codes(batch=public_id, reason=form.cleaned_data["reason"], by=actor(request), now=now)
        except DomainError as error:
            refuse(form, error)
        else:
            services.roll_up(now=now)
            words_done = _("Codes withdrawn: %(count)s. Held for orders and left alone: %(held)s.")
            messages.success(request, words_done % {"count": done.voided, "held": done.held})
            return redirect("console:batch", public_id)
    return _batch_page(request, row, 422, void_form=form, open_dialog="void")


@in_own_transactions
@require_POST
@allowed(catalogue.STOCK_CODES)
def batch_export(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """All codes of a batch in the clear, each recorded as seen before the first is sent."""
    form = ReasonForm(request.POST, auto_id="export_%s")
    if not form.is_valid():
        with in_main():
            return _batch_page(request, _batch(public_id), 422, export_form=form, open_dialog="export")
    codes = services.export_codes(
        batch=public_id, reason=form.cleaned_data["reason"], by=actor(request), now=clock.utc_now()
    )
    content = write_csv([pgettext("card code", "Code"), _("State")], codes)
    response = StreamingHttpResponse(content, content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="codes-{public_id}.csv"'
    response["Cache-Control"] = "no-store"
    return response


@allowed(catalogue.STOCK_CODES)
def code_reveal(request: HttpRequest, code_id: int) -> HttpResponse:
    """One code, after its reason; a fragment of the dialogue, or a page of its own."""
    form = ReasonForm(posted(request), auto_id=f"reveal_{code_id}_%s")
    secret = ""
    if request.method == "POST" and form.is_valid():
        try:
            secret = services.reveal_for_staff(
                code_id=code_id, by=actor(request), reason=form.cleaned_data["reason"], now=clock.utc_now()
            )
        except DomainError as error:
            refuse(form, error)
    place = shelves.places_of_codes([code_id]).get(code_id)
    if place is None:
        raise Http404(str(code_id))
    status = 422 if form.is_bound and not secret else 200
    context = {"form": form, "secret": secret, "code_id": code_id, "sku_code": place[0], "batch": place[1]}
    if getattr(request, "htmx", False):
        response = render(request, "console/_reveal.html", context, status=status)
    else:
        response = page(
            request, "console/reveal.html", here="batches", heading=_("Look at a code"), status=status,
            crumbs=(
                (_("Code batches"), reverse("console:batches")),
                (place[0], reverse("console:batch", args=[place[1]])),
            ),
            **context,
        )  # fmt: skip
    response["Cache-Control"] = "no-store"
    return response


@allowed(catalogue.STOCK_LOOK, change=catalogue.KEYS_ROTATE)
def keys(request: HttpRequest) -> HttpResponseBase:
    """Which key is current, what lies under which, and the deed that brings everything under the current one."""
    return _rotated(request) if request.method == "POST" else _keys_page(request)


def _rotated(request: HttpRequest) -> HttpResponseBase:
    console.rotate_keys(by=actor(request), now=clock.utc_now())
    messages.success(request, _("Under way. This page shows how far it is; you can leave it."))
    return redirect("console:keys")


def _keys_page(request: HttpRequest) -> HttpResponseBase:
    ring = stock_keys.ring()
    codes, accounts = stock.codes_by_key(), receipts.accounts_by_key()
    rows: list[dict[str, Any]] = [
        {
            "version": version, "current": version == ring.current, "here": version in ring.versions,
            "codes": codes.get(version, 0), "accounts": accounts.get(version, 0),
        }
        for version in sorted({*ring.versions, *codes, *accounts})
    ]  # fmt: skip
    total = sum(codes.values()) + sum(accounts.values())
    remaining = sum(row["codes"] + row["accounts"] for row in rows if not row["current"])
    return page(
        request, "console/keys.html", here="keys", heading=_("Encryption keys"), rows=rows, current=ring.current,
        remaining=remaining, total=total, done=total - remaining, job=system.job_under_way(console.ROTATION_JOB),
    )  # fmt: skip


@require_GET
@allowed(catalogue.STOCK_LOOK)
def reveals(request: HttpRequest) -> HttpResponseBase:
    filters = RevealFilters(request.GET)
    rows = shelves.reveals(
        query=filters.query, since=day_start(filters.value("since")), until=day_start(filters.value("until"), 1)
    )
    if lists.wants_export(request):
        return lists.export(request, "codes-seen", REVEAL_EXPORT, rows)
    shown = lists.paged(request, rows)
    places = shelves.places_of_codes([row.code_id for row in shown])
    names = tenants.shop_names({row.substation_id for row in shown if row.substation_id})
    for row in shown:
        row.sku_code, row.batch = places.get(row.code_id, ("", ""))
        row.shop = names.get(row.substation_id)
        row.kind_words = words.ACTOR_KINDS.get(row.actor_kind, row.actor_kind)
    return page(request, "console/reveals.html", here="reveals", heading=_("Codes seen"), filters=filters, rows=shown)
