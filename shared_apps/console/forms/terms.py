"""Private terms of one shop."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from shared_apps.console import words
from shared_apps.console.forms.fields import TypedNumber, UnitField
from shared_apps.console.forms.library import category_choices
from shared_apps.console.lists import Filters, any_of
from shared_apps.library import selectors as library

MOMENT = "%Y-%m-%dT%H:%M"


class TermFilters(Filters):
    q = forms.CharField(required=False)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(words.TERM_STATES.items()))
    q_hint = _("SKU, product, note…")
    chip_field = "state"


def _moment(label: Any, help_text: Any) -> forms.DateTimeField:
    return forms.DateTimeField(
        label=label, required=False, help_text=help_text,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=MOMENT),
    )  # fmt: skip


class SpanForm(forms.Form):
    """For how long, and why."""

    starts_at = _moment(_("From"), _("Blank: from now on."))
    ends_at = _moment(_("Until"), _("Blank: until somebody ends it."))
    note = forms.CharField(
        label=_("Note"),
        max_length=200,
        required=False,
        help_text=_("The agreement, who asked. The shop does not see it."),
    )


class PrivatePriceForm(SpanForm):
    sku = forms.CharField(
        label=_("SKU"), max_length=60, help_text=_("Type a part of its code or name and choose it."),
        widget=forms.TextInput(attrs={"list": "sku-options", "autocomplete": "off", "spellcheck": "false"}),
    )  # fmt: skip
    unit = UnitField(label=_("Private supply price"), help_text=_("What this shop pays for one unit."))
    field_order = ("sku", "unit", "starts_at", "ends_at", "note")


class OffField(TypedNumber):
    """Percent off as typed ("3", "2.5%") to a Decimal."""

    def understood(self, text: str) -> Any:
        try:
            value = Decimal(text.replace("%", "").replace("％", "").strip())
        except InvalidOperation:
            raise ValidationError(_("Write a share like 1.5.")) from None
        if not value.is_finite() or not 0 < value < 100 or round(value, 2) != value:
            raise ValidationError(_("A share lies above 0 and below 100, with at most two places."))
        return value


class ShareOffForm(SpanForm):
    percent = OffField(label=_("Off the plan's price"), help_text=_("The plan's price less this share, rounded up."))
    category = forms.TypedChoiceField(label=_("Category"), required=False, coerce=int, empty_value=None)
    brand = forms.TypedChoiceField(label=_("Brand"), required=False, coerce=int, empty_value=None)
    field_order = ("percent", "category", "brand", "starts_at", "ends_at", "note")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        category: Any = self.fields["category"]
        category.choices = any_of(category_choices())
        brand: Any = self.fields["brand"]
        brand.choices = any_of([(brand.pk, brand.name) for brand in library.brands().order_by("slug")])


class TermsFileForm(forms.Form):
    file = forms.FileField(label=_("File"))
