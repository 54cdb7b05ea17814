"""Domains, archives, and the end of a shop."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _


class DomainForm(forms.Form):
    domain = forms.CharField(
        label=_("Your domain"), max_length=300, help_text=_("Such as shop.example.com: the name that your buyers type."),
        error_messages={"required": _("Write the domain that you own.")},
        widget=forms.TextInput(
            attrs={"inputmode": "url", "autocapitalize": "none", "spellcheck": "false", "placeholder": "shop.example.com"}
        ),
    )  # fmt: skip


class CloseForm(forms.Form):
    typed = forms.CharField(
        label=_("Your shop's address"), max_length=300, error_messages={"required": _("Type the address to confirm.")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )  # fmt: skip
    reason = forms.CharField(
        label=_("Why"), required=False, max_length=200, help_text=_("Helps the main station to do better."),
    )  # fmt: skip


class RefundForm(forms.Form):
    reason = forms.CharField(
        label=_("Why"), max_length=200, error_messages={"required": _("Say why; the buyer's history shows it.")}
    )
