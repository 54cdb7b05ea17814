"""Who holds a region, and who asked about one."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from shared_apps.console import words
from shared_apps.console.lists import Filters, any_of
from shared_apps.regions.states import LeadKind


class RegionFilters(Filters):
    q = forms.CharField(required=False)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(words.REGION_STATES.items()))
    q_hint = _("Name, pinyin or code…")
    chip_field = "state"


class GrantFilters(Filters):
    q = forms.CharField(required=False)
    when = forms.ChoiceField(label=_("Time"), required=False, choices=any_of(words.GRANT_TIMES.items()))
    q_hint = _("City, shop…")
    chip_field = "when"


class LeadFilters(Filters):
    q = forms.CharField(required=False)
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=any_of(LeadKind.choices))
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(words.LEAD_STATES.items()))
    q_hint = _("Name, contact, city, shop…")
    chip_field = "state"


def _day(label: Any, **given: Any) -> forms.DateField:
    return forms.DateField(label=label, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"), **given)


class GrantForm(forms.Form):
    substation = forms.CharField(
        label=_("Shop"), max_length=120, help_text=_("Its address, name or mail; choose one of the list."),
        widget=forms.TextInput(attrs={"data-kameng-find": "/console/regions/shops/", "autocomplete": "off"}),
    )  # fmt: skip
    starts = _day(_("From"))
    ends = _day(_("To"), help_text=_("The last day of it."))
    answer_days = forms.IntegerField(
        label=_("Days to answer"), min_value=1, max_value=30, initial=3,
        help_text=_("An offer that is not answered so long comes back to you."),
    )  # fmt: skip
    note = forms.CharField(
        label=_("Note"), max_length=200, required=False, help_text=_("For your own people."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
