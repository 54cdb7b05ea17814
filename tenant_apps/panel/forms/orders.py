"""Filters of the orders, and what a person writes when delivering or looking."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from tenant_apps.orders.states import OrderState
from tenant_apps.panel.lists import DayRange, Filters, any_of


class OrderFilters(DayRange):
    q_hint = _("Order number or contact")
    chip_field = "state"

    q = forms.CharField(required=False, max_length=120)
    state = forms.ChoiceField(required=False, choices=any_of(OrderState.choices))

    field_order = ("q", "since", "until", "state")


class QueueFilters(Filters):
    q_hint = _("Order, contact, product or SKU code")

    q = forms.CharField(required=False, max_length=120)


class DeliverForm(forms.Form):
    """What the buyer gets, one thing a line or as a text."""

    note = forms.CharField(
        label=_("What the buyer gets"), max_length=4000,
        error_messages={"required": _("Write what the buyer gets.")},
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("An account, a tracking number, codes one a line: the buyer reads it as you write it."),
    )  # fmt: skip


class ReasonForm(forms.Form):
    """Why somebody looks at what is secret."""

    reason = forms.CharField(
        label=_("Reason"), max_length=200, error_messages={"required": _("Write why; one short sentence will do.")},
        help_text=_("Kept in the activity with your name, for instance: the buyer says the code fails."),
    )  # fmt: skip
