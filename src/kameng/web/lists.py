"""What every list of a console does: filters that stand in the address, sorting, paging, export of what matches."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from django import forms
from django.core.paginator import Page, Paginator
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.utils.translation import gettext_lazy as _

from kameng.lib import clock
from kameng.lib.errors import Invalid
from kameng.lib.tabular import write_csv, write_xlsx
from kameng.lib.words import Sentence, worded

PER_PAGE = 50
EXPORT_ROWS = 100_000  # One transaction and one answer; more is a month's work of somebody else's machine.
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Rows = QuerySet[Any] | Sequence[Any]
Column = tuple[Sentence, Callable[[Any], object]]


class TooManyRows(Invalid):
    """More than one file should hold."""

    code = "export_too_large"


class Filters(forms.Form):
    """A list's filters, read from the address. What is not understood filters nothing, and stays to be mended."""

    q_hint: Sentence = ""
    chip_field = ""  # The field that stands as chips above the table instead of in the toolbar.

    def __init__(self, data: QueryDict, **kwargs: Any) -> None:
        super().__init__(data, auto_id="filter_%s", **kwargs)
        self.params = data
        for field in self.fields.values():
            css = "k-input k-select" if isinstance(field.widget, forms.Select) else "k-input"
            field.widget.attrs.update({"class": css})

    def value(self, name: str) -> Any:
        """The cleaned value, or "" where there is none."""
        if not hasattr(self, "cleaned_data"):
            self.is_valid()
        found = self.cleaned_data.get(name)
        return "" if found is None else found

    @property
    def query(self) -> str:
        """What was typed into the search."""
        return str(self.value("q")) if "q" in self.fields else ""

    @property
    def others(self) -> list[Any]:
        """The fields beside the search, and beside what chips show."""
        return [self[name] for name in self.fields if name not in ("q", self.chip_field)]

    @property
    def chip_value(self) -> str:
        return str(self.value(self.chip_field))

    @property
    def active(self) -> bool:
        """Does anything filter?"""
        return any(self.value(name) for name in self.fields)

    def chips(self, counts: Mapping[str, int] | None = None) -> list[dict[str, Any]]:
        """The choices of `chip_field` for `<c-chips>`, with what else filters kept."""
        name = self.chip_field
        params = self.params.copy()
        for gone in ("page", "export"):
            params.pop(gone, None)
        present = self.value(name)
        field: Any = self.fields[name]
        chips = []
        for value, label in field.choices:
            params[name] = value
            kept = params.copy()
            for key in [key for key in kept if not any(kept.getlist(key))]:
                kept.pop(key)
            count = None if counts is None else counts.get(value, 0) if value else sum(counts.values())
            chips.append({"label": label, "url": f"?{kept.urlencode()}", "active": present == value, "count": count})
        return chips


ALL = _("All")


def any_of(choices: Iterable[tuple[Any, Any]], label: Sentence = ALL) -> list[tuple[Any, Any]]:
    """`choices` with "all" before them."""
    return [("", label), *choices]


def ordered(
    request: HttpRequest, rows: QuerySet[Any], sorts: Mapping[str, str], default: str, *, nullable: Iterable[str] = ()
) -> QuerySet[Any]:
    """Sort by ?sort=key or ?sort=-key. `sorts`: key → field; an unknown key sorts by the default.

    Of the fields named in `nullable`, rows without a value stand last either way (no index serves that order).
    """
    wished = request.GET.get("sort", default)
    if wished.removeprefix("-") not in sorts:
        wished = default
    field = sorts[wished.removeprefix("-")]
    down = wished.startswith("-")
    sign = "-" if down else ""
    tie = [] if field == "pk" else [f"{sign}pk"]  # So that pages neither repeat nor lose a row.
    if field in nullable:
        first = F(field).desc(nulls_last=True) if down else F(field).asc(nulls_last=True)
        return rows.order_by(first, *tie)
    return rows.order_by(f"{sign}{field}", *tie)


def paged(request: HttpRequest, rows: Rows, per_page: int = PER_PAGE) -> Page[Any]:
    """The page that the address asks for; the nearest one where there is none such."""
    return Paginator(rows, per_page).get_page(request.GET.get("page"))


def typed(request: HttpRequest, name: str) -> str:
    """What an address asks for in words, outside of any form: without NUL, which Postgres does not take, and not endless."""
    return request.GET.get(name, "").replace("\x00", "").strip()[:120]


def wants_export(request: HttpRequest) -> bool:
    return request.GET.get("export") in ("csv", "xlsx")


def export(request: HttpRequest, name: str, columns: Sequence[Column], rows: Rows) -> HttpResponseBase:
    """What matches as a file; ?export=csv or xlsx. Read whole, inside the request's transaction.

    Raises: TooManyRows.
    """
    taken = list(rows[: EXPORT_ROWS + 1])
    if len(taken) > EXPORT_ROWS:
        message = _("More than %(max)s rows match. Narrow the list down, a month at a time for instance.")
        raise TooManyRows(worded(message, max=f"{EXPORT_ROWS:,}"))
    headers = [str(label) for label, _value in columns]
    lines = ([value(row) for _label, value in columns] for row in taken)
    day = clock.utc_now().strftime("%Y%m%d")
    if request.GET.get("export") == "xlsx":
        out = io.BytesIO()
        write_xlsx(headers, lines, out, title=name)
        return as_file(out.getvalue(), f"{name}-{day}.xlsx", XLSX_TYPE)
    return as_file(b"".join(write_csv(headers, lines)), f"{name}-{day}.csv", "text/csv; charset=utf-8")


def as_file(content: bytes, filename: str, content_type: str) -> HttpResponse:
    """A download that no cache keeps."""
    response = HttpResponse(content, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    response["Cache-Control"] = "no-store"
    return response
