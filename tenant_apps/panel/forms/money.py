"""Filters of the statement."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

from tenant_apps.panel import words
from tenant_apps.panel.lists import DayRange


class StatementFilters(DayRange):
    chip_field = "account"

    account = forms.ChoiceField(label=_("Account"), required=False, choices=list(words.ACCOUNTS.items()))

    field_order = ("since", "until", "account")
