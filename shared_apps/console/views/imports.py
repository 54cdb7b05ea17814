"""Imports: a file is checked first, then its report decides. For products and for codes alike."""

from __future__ import annotations

import io
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from kameng.accounts import catalogue
from kameng.accounts.access import allowed, demand
from kameng.accounts.types import Actor
from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.web.actors import actor
from shared_apps.console import lists, words
from shared_apps.console.access import in_own_transactions
from shared_apps.console.forms.stock import CodeImportForm, LibraryFileForm, RunFilters
from shared_apps.console.page import Crumb, page, posted, refuse
from shared_apps.console.views import terms
from shared_apps.library import selectors as library
from shared_apps.library import services as library_services
from shared_apps.library.models import ImportRun
from shared_apps.library.states import RunState
from shared_apps.stock import services as stock
from tenants import selectors as tenants
from tenants.models import Substation

LIBRARY, CODES, TERMS = "LIBRARY", "CODES", "TERMS"
LATEST = 10
OFFERED_SKUS = 20
UNDER_WAY = (RunState.PENDING, RunState.RUNNING)
REPORT: list[lists.Column] = [
    (gettext_lazy("Row"), lambda problem: problem["row"]),
    (gettext_lazy("Column"), lambda problem: problem["column"]),
    (gettext_lazy("Value"), lambda problem: problem["value"]),
    (gettext_lazy("Problem"), lambda problem: problem["problem"]),
    (gettext_lazy("Cure"), lambda problem: problem["cure"]),
]


@allowed(catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)
def imports(request: HttpRequest) -> HttpResponse:
    """The runs so far, and a file to check: nothing is imported before its report was seen."""
    form = LibraryFileForm(posted(request), request.FILES if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        upload = form.cleaned_data["file"]
        try:
            run = library_services.start_import(
                stream=upload.file, filename=upload.name, by=actor(request), now=clock.utc_now(), dry_run=True
            )
        except DomainError as error:
            refuse(form, error)
        else:
            return redirect("console:import_run", run.public_id)
    filters = RunFilters(request.GET)
    rows = library.import_runs()
    if filters.value("state"):
        rows = rows.filter(state=filters.value("state"))
    shown = lists.paged(request, rows)
    for row in shown:
        _tell(row)
    return page(
        request, "console/imports.html", here="imports", heading=_("Import and export"), form=form, rows=shown,
        filters=filters, chips=filters.chips(), file_error=(form.errors.get("file") or [""])[0],
        status=422 if form.is_bound else 200,
    )  # fmt: skip


def _tell(row: Any) -> None:
    """What the templates need beside the row's own fields."""
    row.state_words = RunState(row.state).label
    row.subject_words = words.RUN_SUBJECTS.get(row.subject, row.subject)
    row.under_way = row.state in UNDER_WAY
    row.percent = round(100 * row.options.get("fraction", 0))
    row.result = row.options.get("result", {})


def _demand(request: HttpRequest, row: ImportRun) -> None:
    """Whose a run is: the stock's, a shop's private terms', the library's. Its row alone says it. Raises: NotInYourRole."""
    if row.subject == CODES:
        demand(request, catalogue.STOCK_LOOK, change=catalogue.STOCK_CHANGE)
    elif row.subject == TERMS:
        demand(request, catalogue.TERMS_LOOK, change=catalogue.TERMS_MANAGE)
    else:
        demand(request, catalogue.LIBRARY_LOOK, change=catalogue.LIBRARY_CHANGE)


@require_GET
@allowed(catalogue.OWN)
def import_run(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """How far a run is, and its report; htmx asks again while it is under way."""
    row: Any = library_services.find_run(public_id)
    _demand(request, row)
    _tell(row)
    if lists.wants_export(request):
        return lists.export(request, f"report-{row.public_id}", REPORT, row.report)
    is_codes = row.subject == CODES
    shop = tenants.substation(row.options["substation"]) if row.subject == TERMS else None
    home, crumbs = _place(row, shop)
    good = row.result.get("imported", row.rows_good) if is_codes else row.rows_good
    sku = library.skus(query=row.options["sku"]).filter(code=row.options["sku"]).first() if is_codes else None
    return page(
        request, "console/import_run.html", here=home, heading=row.filename, row=row, is_codes=is_codes, sku=sku, substation=shop,
        problems=lists.paged(request, row.report), good=good, kept=library_services.is_kept(row),
        hidden=max(0, int(row.result.get("errors_total", row.result.get("problems_total", 0))) - len(row.report)),
        crumbs=crumbs, other_file=crumbs[-1][1] if shop is None else reverse("console:terms_file", args=[shop.public_id]),
    )  # fmt: skip


def _place(row: ImportRun, shop: Substation | None) -> tuple[str, tuple[Crumb, ...]]:
    """The menu's entry that a run belongs to, and the way back to where its file was chosen."""
    if shop is not None:
        return "substations", terms.below(shop)
    if row.subject == CODES:
        return "code_import", ((_("Import codes"), reverse("console:code_import")),)
    return "imports", ((_("Import and export"), reverse("console:imports")),)


@require_POST
@allowed(catalogue.OWN)
def import_checked(request: HttpRequest, public_id: str) -> HttpResponseBase:
    """Import for real what the dry run found good."""
    row = library_services.find_run(public_id)
    _demand(request, row)
    if row.subject == CODES:
        return _import_checked_codes(request, row)
    if row.subject == TERMS:
        return _import_checked_terms(request, row)
    made = library_services.import_checked(run=public_id, accept_good=True, by=actor(request), now=clock.utc_now())
    return redirect("console:import_run", made.public_id)


def _import_checked_codes(request: HttpRequest, row: ImportRun) -> HttpResponse:
    made = stock.import_checked(run=row.public_id, by=actor(request), now=clock.utc_now())
    return redirect("console:import_run", made.public_id)


def _import_checked_terms(request: HttpRequest, row: ImportRun) -> HttpResponse:
    made = library_services.import_checked_terms(
        run=row.public_id, accept_good=True, by=actor(request), now=clock.utc_now()
    )
    return redirect("console:import_run", made.public_id)


@require_POST
@allowed(catalogue.OWN)
def import_discard(request: HttpRequest, public_id: str) -> HttpResponse:
    row = library_services.find_run(public_id)
    _demand(request, row)
    library_services.discard(run=public_id)
    messages.success(request, _("The file is thrown away. Nothing was imported."))
    if row.subject == TERMS:
        return redirect("console:terms", row.options["substation"])
    return redirect("console:code_import" if row.subject == CODES else "console:imports")


@in_own_transactions
@require_GET
@allowed(catalogue.LIBRARY_LOOK)
def library_export(request: HttpRequest) -> HttpResponseBase:
    """The whole library in the import's own format, as a stream."""
    day = clock.utc_now().strftime("%Y%m%d")
    if request.GET.get("format") == "xlsx":
        out = io.BytesIO()
        library_services.export_xlsx(out)
        return lists.as_file(out.getvalue(), f"library-{day}.xlsx", lists.XLSX_TYPE)
    response = StreamingHttpResponse(library_services.export_csv(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="library-{day}.csv"'
    response["Cache-Control"] = "no-store"
    return response


@allowed(catalogue.STOCK_LOOK, change=catalogue.STOCK_CHANGE)
def code_import(request: HttpRequest) -> HttpResponseBase:
    """Codes for one SKU, from a file or pasted; looking is everybody's, importing is not."""
    return _code_import_post(request) if request.method == "POST" else _code_import_page(request)


def _code_import_post(request: HttpRequest) -> HttpResponseBase:
    form = CodeImportForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            run = _start_codes(form, actor(request), dry_run=request.POST.get("deed") != "now")
        except DomainError as error:
            refuse(form, error)
        else:
            return redirect("console:import_run", run.public_id)
    return _code_import_page(request, form)


def _start_codes(form: CodeImportForm, by: Actor, *, dry_run: bool) -> ImportRun:
    data = form.cleaned_data
    upload = data["file"]
    if upload:
        stream, filename = upload.file, upload.name
    else:
        stream, filename = io.BytesIO(data["paste"].encode()), "paste.txt"
    sku = library.sku_by_code(data["sku"])
    return stock.start_import(
        sku=sku, stream=stream, filename=filename, by=by, now=clock.utc_now(), note=data["note"], dry_run=dry_run
    )


def _code_import_page(request: HttpRequest, form: CodeImportForm | None = None) -> HttpResponse:
    shown = form or CodeImportForm(initial={"sku": request.GET.get("sku", "")})
    runs = list(library.import_runs(CODES)[:LATEST])
    for row in runs:
        _tell(row)
    return page(
        request, "console/code_import.html", here="code_import", heading=_("Import codes"), form=shown, runs=runs,
        offered=_offered(str(shown["sku"].value() or "")), status=422 if form is not None else 200,
    )  # fmt: skip


def _offered(query: str) -> list[Any]:
    return list(library.skus(query=query).filter(stock_policy="CODES").order_by("code")[:OFFERED_SKUS])


@require_GET
@allowed(catalogue.STOCK_LOOK)
def sku_options(request: HttpRequest) -> HttpResponse:
    """SKUs that take codes and match what is typed: the options of the import's field."""
    return render(request, "console/_sku_options.html", {"offered": _offered(lists.typed(request, "sku"))})
