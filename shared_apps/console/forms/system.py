"""Sync, audit trail, jobs, tokens, the search."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kameng.accounts import tokens
from shared_apps.console import words
from shared_apps.console.forms.stock import DateField
from shared_apps.console.lists import Filters, any_of


class SyncFilters(Filters):
    q = forms.CharField(required=False)
    feed = forms.ChoiceField(label=_("Feed"), required=False, choices=any_of(words.FEEDS.items()))
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(words.FEED_STATES.items()))
    q_hint = _("Shop…")
    chip_field = "state"


class AuditFilters(Filters):
    q = forms.CharField(required=False)
    action = forms.ChoiceField(label=_("Deed"), required=False, choices=any_of(words.ACTIONS.items()))
    since = DateField(label=_("From"))
    until = DateField(label=_("To"))
    q_hint = _("Person, object, IP…")


class JobFilters(Filters):
    q = forms.CharField(required=False)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(words.JOB_STATES.items()))
    q_hint = _("Job, shop’s schema…")
    chip_field = "state"


class TokenFilters(Filters):
    q = forms.CharField(required=False)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(words.TOKEN_STATES.items()))
    q_hint = _("Name or person…")
    chip_field = "state"


class TokenForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("Which program uses it."))
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), widget=forms.CheckboxSelectMultiple,
        choices=[(scope, words.SCOPES.get(scope, scope)) for scope in tokens.MAIN_SCOPES],
    )  # fmt: skip
    expires = forms.DateField(
        label=_("Good until"), required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=_("Empty: until it is revoked."),
    )  # fmt: skip

    def clean_scopes(self) -> list[str]:
        chosen: Any = self.cleaned_data["scopes"]
        return list(chosen)
