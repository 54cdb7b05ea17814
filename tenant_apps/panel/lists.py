"""What every list of the panel does: filters in the address, sorting, paging, export; days and times are the shop's."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from kameng.lib.words import Sentence
from kameng.web.lists import Column, Filters, any_of, export, ordered, paged, wants_export

__all__ = [
    "Column", "DayRange", "Filters", "any_of", "day_end", "day_start", "export", "local_time", "ordered", "paged",
    "query_of", "sort_choices", "wants_export",
]  # fmt: skip


def _day(label: Any) -> forms.DateField:
    # The bounds keep a typed year 1 or 9999 from running out of the calendar in another zone.
    bounds = [MinValueValidator(dt.date(2000, 1, 1)), MaxValueValidator(dt.date(2100, 1, 1))]
    picker = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})
    return forms.DateField(label=label, required=False, widget=picker, validators=bounds)


class DayRange(Filters):
    """Filters with a first and a last day, both within; days of the shop's own zone."""

    since = _day(_("From"))
    until = _day(_("To"))


def day_start(day: dt.date) -> dt.datetime:
    """The first moment of a day in the active zone."""
    return timezone.make_aware(dt.datetime.combine(day, dt.time.min))


def day_end(day: dt.date) -> dt.datetime:
    """The first moment after a day in the active zone."""
    return day_start(day + dt.timedelta(days=1))


def local_time(moment: dt.datetime | None) -> str:
    """A moment as files show it: in the shop's zone, to the second."""
    return "" if moment is None else timezone.localtime(moment).strftime("%Y-%m-%d %H:%M:%S")


def sort_choices(request: HttpRequest, choices: Sequence[tuple[str, Sentence]]) -> list[dict[str, Any]]:
    """The orders of a list for the toolbar: the first is the list's own, and stands when the address says none."""
    present = request.GET.get("sort", "")
    known = present in dict(choices)
    return [
        {"value": value, "label": label, "chosen": value == present if known else at == 0}
        for at, (value, label) in enumerate(choices)
    ]


def query_of(request: HttpRequest) -> str:
    """The list's present filters, to come back to after a deed: "?q=steam"."""
    params = request.GET.copy()
    params.pop("export", None)
    return f"?{params.urlencode()}" if params else ""
