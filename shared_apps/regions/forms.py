"""What somebody leaves who would open a shop in their city: shape only; what is allowed is the service's to say."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from tenants.forms import CityField


class LeadForm(forms.Form):
    region = CityField(label=_("City"), help_text=_("Where you would sell: type its name, or the pinyin."))
    name = forms.CharField(label=_("Your name"), max_length=80, widget=forms.TextInput(attrs={"autocomplete": "name"}))
    phone = forms.CharField(
        label=_("Phone"), max_length=30, required=False, help_text=_("Phone or mail: one of the two is enough."),
        widget=forms.TextInput(attrs={"autocomplete": "tel", "inputmode": "tel"}),
    )  # fmt: skip
    email = forms.EmailField(label=_("Email"), required=False, widget=forms.EmailInput(attrs={"autocomplete": "email"}))
    message = forms.CharField(
        label=_("What would you like to know?"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
    )
