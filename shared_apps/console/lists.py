"""What every list of the console does, as of any console (`kameng.web.lists`); its filters stand in one line on a desk."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict

from kameng.web import lists
from kameng.web.lists import (
    EXPORT_ROWS,
    PER_PAGE,
    XLSX_TYPE,
    Column,
    TooManyRows,
    any_of,
    as_file,
    export,
    ordered,
    paged,
    typed,
    wants_export,
)

__all__ = [
    "EXPORT_ROWS", "PER_PAGE", "XLSX_TYPE", "Column", "Filters", "TooManyRows", "any_of", "as_file", "export", "ordered",
    "paged", "typed", "wants_export",
]  # fmt: skip


class Filters(lists.Filters):
    """As everywhere, only as wide as the console's toolbar has room for."""

    def __init__(self, data: QueryDict, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        for field in self.fields.values():
            narrow = "md:w-auto md:max-w-48" if isinstance(field.widget, forms.Select) else "md:w-auto"
            field.widget.attrs["class"] += f" {narrow}"
