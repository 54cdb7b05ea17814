"""Filters of the goods, and the shop's own texts of a product."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from tenant_apps.panel.lists import Filters, any_of

ON, OFF, OUT, LOW, FLOOR, LOSS, PRIVATE = "on", "off", "out", "low", "floor", "loss", "private"
STATES = (
    (ON, _("On the shelf")),
    (OFF, _("Off the shelf")),
    (OUT, _("Sold out")),
    (LOW, _("Few left")),
    (FLOOR, _("At the lowest price allowed")),
    (LOSS, _("Selling at a loss")),
    (PRIVATE, _("Special terms")),
)


class ListingFilters(Filters):
    q_hint = _("Name, product or SKU code")
    chip_field = "category"

    q = forms.CharField(required=False, max_length=120)
    category = forms.IntegerField(required=False, min_value=1, max_value=2**62)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(STATES))


class OwnWordsFilters(Filters):
    q_hint = _("Name, product or SKU code")

    q = forms.CharField(required=False, max_length=120)


class ProductTexts(forms.Form):
    """The shop's own words for a product; a blank one shows the library's."""

    own_name = forms.CharField(label=_("Name in your shop"), required=False, max_length=120)
    own_description = forms.CharField(
        label=_("Description in your shop"), required=False, max_length=20_000, widget=forms.Textarea(attrs={"rows": 6})
    )
    own_sort = forms.IntegerField(
        label=_("Place in the list"), required=False, min_value=-1_000_000, max_value=1_000_000,
        help_text=_("Smaller comes first; 0 is the library's order."),
    )  # fmt: skip
    seo_title = forms.CharField(
        label=_("Title for search engines"), required=False, max_length=120, help_text=_("Blank: name and shop.")
    )
    seo_description = forms.CharField(
        label=_("Description for search engines"), required=False, max_length=240,
        widget=forms.Textarea(attrs={"rows": 3, "maxlength": 240}), help_text=_("At most 240 characters."),
    )  # fmt: skip

    def clean_own_sort(self) -> int:
        value: Any = self.cleaned_data["own_sort"]
        return int(value or 0)
