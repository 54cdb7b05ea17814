"""The main station's people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.accounts.forms import choose_from
from kameng.accounts.models import Role
from kameng.accounts.roles import Choice
from kameng.ui.fields import CardLabel
from shared_apps.console.lists import Filters, any_of


class PeopleFilters(Filters):
    q = forms.CharField(required=False)
    role = forms.ChoiceField(label=_("Role"), required=False)
    q_hint = _("Name or mail…")
    chip_field = "role"

    def __init__(self, *args: Any, roles: list[Choice], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose_from(self, any_of([(one.value, one.label) for one in roles]))


class InviteForm(forms.Form):
    email = forms.EmailField(
        label=_("Email"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )
    name = forms.CharField(
        label=pgettext_lazy("person", "Name"), required=False, max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    role = forms.ChoiceField(label=_("Role"), initial=Role.VIEWER.value, widget=forms.RadioSelect)

    def __init__(self, *args: Any, roles: list[Choice], **kwargs: Any) -> None:
        """`roles`: what can be given here."""
        super().__init__(*args, **kwargs)
        choose_from(self, [(one.value, CardLabel(one.label, one.text)) for one in roles])
