"""Stock, codes and imports."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from shared_apps.console import words
from shared_apps.console.lists import Filters, any_of
from shared_apps.library.models import StockPolicy
from shared_apps.library.states import RunState
from shared_apps.stock.models import CodeState

MAX_PASTE = 2_000_000  # Characters; more comes as a file, which is read as a stream.


class DateField(forms.DateField):
    """A day, in the browser's own picker."""

    def __init__(self, **given: Any) -> None:
        super().__init__(required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **given)


class LevelFilters(Filters):
    q = forms.CharField(required=False)
    policy = forms.ChoiceField(label=_("Stock"), required=False, choices=any_of(StockPolicy.choices))
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(words.LEVEL_STATES.items()))
    q_hint = _("SKU or product…")
    chip_field = "state"


class BatchFilters(Filters):
    q = forms.CharField(required=False)
    q_hint = _("SKU, file, note…")


class CodeFilters(Filters):
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(CodeState.choices))
    chip_field = "state"


class RevealFilters(Filters):
    q = forms.CharField(required=False)
    since = DateField(label=_("From"))
    until = DateField(label=_("To"))
    q_hint = _("Person, reason, order…")


class RunFilters(Filters):
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(RunState.choices))
    chip_field = "state"


class LibraryFileForm(forms.Form):
    file = forms.FileField(label=_("File"))


class CodeImportForm(forms.Form):
    sku = forms.CharField(
        label=_("SKU"), max_length=60, help_text=_("Type a part of its code or name and choose it."),
        widget=forms.TextInput(attrs={"list": "sku-options", "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    file = forms.FileField(
        label=_("File"), required=False,
        help_text=_("CSV, XLSX or text, a code a line; a card and its password in two columns."),
    )  # fmt: skip
    paste = forms.CharField(
        label=_("Or paste the codes"), required=False, max_length=MAX_PASTE, strip=False, widget=forms.Textarea,
        help_text=_("A code a line."),
    )  # fmt: skip
    note = forms.CharField(
        label=_("Note"), max_length=200, required=False, help_text=_("Where they come from: supplier, invoice.")
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if not data.get("file") and not (data.get("paste") or "").strip() and not self.errors:
            self.add_error("file", _("Choose a file, or paste the codes."))
        if data.get("file") and (data.get("paste") or "").strip():
            self.add_error("paste", _("A file and pasted codes together are two imports. Take one of them."))
        return data


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("It is kept with your name."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip


class CountForm(forms.Form):
    available = forms.IntegerField(label=_("Units in stock"), min_value=0)
    reason = forms.CharField(
        label=_("Reason"), max_length=200, required=False, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
