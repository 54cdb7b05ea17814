"""Choosing a plan and how long it is paid for at once."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext as _

from kameng.lib.money import format_minor
from kameng.lib.words import in_english
from kameng.ui.fields import CardLabel
from tenants.forms import fee_words, limit_words, price_words
from tenants.models import Plan
from tenants.states import BillingInterval

CHOICE_SEPARATOR = "/"


class TermsForm(forms.Form):
    """One choice of plan and period: "pro/YEAR". `opens`: a shop is opened with it, and doesn't change to it."""

    terms = forms.ChoiceField(label="", widget=forms.RadioSelect)

    def __init__(self, *args: Any, plans: list[Plan], opens: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["terms"]
        field.label = _("Plan")
        field.choices = [
            (f"{plan.code}{CHOICE_SEPARATOR}{interval}", card(plan, interval, opens=opens))
            for plan in plans
            for interval in plan.intervals
        ]

    @property
    def chosen(self) -> tuple[str, str]:
        """The plan's code and the interval."""
        code, _separator, interval = self.cleaned_data["terms"].partition(CHOICE_SEPARATOR)
        return code, interval


def card(plan: Plan, interval: str, *, opens: bool) -> CardLabel:
    """A plan for a period, as a card says it."""
    english = in_english()
    name, pitch = (plan.name_en, plan.pitch_en) if english else (plan.name_zh, plan.pitch_zh)
    fee = plan.period_fee_minor(interval)
    words = [pitch, *price_words(plan, opens=opens), *limit_words(plan), fee_words(plan)]
    if interval == BillingInterval.YEAR:
        saved = 12 * plan.monthly_fee_minor - fee
        if saved > 0:
            words.append(_("%(sum)s less than by the month") % {"sum": format_minor(saved)})
        aside = _("%(sum)s a year") % {"sum": format_minor(fee)}
    else:
        aside = _("%(sum)s a month") % {"sum": format_minor(fee)} if fee else _("free")
    title = _("%(plan)s, by the year") % {"plan": name} if interval == BillingInterval.YEAR else name
    return CardLabel(title, " · ".join(filter(None, words)), aside)
