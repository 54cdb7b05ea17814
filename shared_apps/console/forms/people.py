"""The main station's people."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.accounts.models import Role
from kameng.ui.fields import CardLabel
from shared_apps.console.lists import Filters, any_of

ROLES = (
    (Role.OPERATOR.value, CardLabel(Role.OPERATOR.label, _("Everything: products, stock, codes, money, people."))),
    (Role.VIEWER.value, CardLabel(Role.VIEWER.label, _("Looks at every page and exports lists. Changes nothing, sees no code."))),
)  # fmt: skip


class PeopleFilters(Filters):
    q = forms.CharField(required=False)
    role = forms.ChoiceField(
        label=_("Role"), required=False, choices=any_of([(value, label.title) for value, label in ROLES])
    )
    q_hint = _("Name or mail…")
    chip_field = "role"


class InviteForm(forms.Form):
    email = forms.EmailField(
        label=_("Email"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"})
    )
    name = forms.CharField(
        label=pgettext_lazy("person", "Name"), required=False, max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    role = forms.ChoiceField(label=_("Role"), choices=ROLES, initial=Role.VIEWER.value, widget=forms.RadioSelect)
