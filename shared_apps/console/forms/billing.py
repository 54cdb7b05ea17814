"""Invoices, and shops whose payment is due."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from shared_apps.billing.states import InvoiceKind, InvoiceState
from shared_apps.console.forms.fields import MinorField
from shared_apps.console.forms.money import OfShop
from shared_apps.console.forms.stock import DateField
from shared_apps.console.lists import Filters, any_of
from tenants.states import Standing


class InvoiceFilters(OfShop):
    q = forms.CharField(required=False)
    since = DateField(label=_("From"))
    until = DateField(label=_("To"))
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=any_of(InvoiceKind.choices))
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(InvoiceState.choices))
    q_hint = _("Number, shop, transfer…")
    chip_field = "state"


class UnpaidFilters(Filters):
    q = forms.CharField(required=False)
    standing = forms.ChoiceField(
        label=_("Restricted"), required=False,
        choices=any_of([choice for choice in Standing.choices if choice[0] != Standing.GOOD]),
    )  # fmt: skip
    q_hint = _("Name, address, mail…")
    chip_field = "standing"


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), min_length=3, max_length=200, help_text=_("It stands in the audit trail."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip


class DepositForm(ReasonForm):
    amount = MinorField(label=_("Amount"))
    # The same form sent twice gives back once: it is the key of the transfer.
    key = forms.CharField(max_length=30, widget=forms.HiddenInput)
    field_order = ("amount", "reason", "key")
