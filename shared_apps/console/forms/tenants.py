"""Substations and plans."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from shared_apps.console.forms.fields import MinorField, PercentField
from shared_apps.console.lists import Filters, any_of
from tenants import selectors as tenants
from tenants.states import SubstationState, SupplyLevel


class SubstationFilters(Filters):
    q = forms.CharField(required=False)
    plan = forms.ChoiceField(label=_("Plan"), required=False)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(SubstationState.choices))
    upgrade = forms.ChoiceField(label=_("Upgrade"), required=False, choices=any_of([("FAILED", _("Upgrade failed"))]))
    q_hint = _("Name, address, mail…")
    chip_field = "state"

    def __init__(self, data: QueryDict, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        field: Any = self.fields["plan"]
        field.choices = any_of([(plan.code, plan.code) for plan in tenants.plans()])


class SuspendForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("The shop's owner reads it in the panel."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip


class SupportForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=200, help_text=_("The shop's owner reads it: the case, the question, the order."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip


def _typed() -> forms.CharField:
    return forms.CharField(
        label=_("The shop's address"), max_length=300, error_messages={"required": _("Type the address to confirm.")},
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )  # fmt: skip


class CloseForm(forms.Form):
    reason = forms.CharField(label=_("Why"), max_length=200, help_text=_("The shop's owner reads it."))
    typed = _typed()


class EraseForm(forms.Form):
    reason = forms.CharField(label=_("Why"), max_length=200, help_text=_("Kept with your name in the proof."))
    typed = _typed()


class ChangePlanForm(forms.Form):
    plan = forms.ChoiceField(label=_("Plan"))

    def __init__(self, *args: Any, current: str, language: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["plan"]
        english = language.startswith("en")
        field.choices = [
            (plan.code, plan.name_en if english else plan.name_zh) for plan in tenants.plans() if plan.code != current
        ]


class PlanForm(forms.Form):
    code = forms.SlugField(
        label=pgettext_lazy("identifier", "Code"),
        max_length=20,
        help_text=_("Small letters, digits and hyphens; it can't be changed later."),
    )
    name_zh = forms.CharField(label=_("Name (Chinese)"), max_length=40)
    name_en = forms.CharField(label=_("Name (English)"), max_length=40)
    pitch_zh = forms.CharField(label=_("In a sentence (Chinese)"), max_length=200, required=False)
    pitch_en = forms.CharField(label=_("In a sentence (English)"), max_length=200, required=False)
    supply_level = forms.ChoiceField(
        label=_("Supply prices"), choices=SupplyLevel.choices,
        help_text=_("Which of a SKU's supply prices its shops pay."),
    )  # fmt: skip
    opening_fee_minor = MinorField(label=_("Opening fee"), help_text=_("Once, before the shop is made."))
    deposit_minor = MinorField(
        label=_("Deposit"), required=False, help_text=_("Held for the shop, and given back when it closes.")
    )
    monthly_fee_minor = MinorField(label=_("Monthly fee"))
    yearly_fee_minor = MinorField(
        label=_("Yearly fee"), required=False, help_text=_("For twelve months at once. Blank: only by the month.")
    )
    platform_fee_bps = PercentField(label=_("Platform fee"), help_text=_("Of what a sale earns after supply cost."))
    settlement_days = forms.IntegerField(
        label=_("Settlement"), min_value=0, max_value=90, initial=1,
        help_text=_("Days after a sale until its money can be withdrawn. 0: the same day."),
    )  # fmt: skip
    trial_days = forms.IntegerField(
        label=_("Trial"), min_value=0, max_value=365, initial=0, help_text=_("Days before the first fee. 0: none.")
    )
    grace_days = forms.IntegerField(
        label=_("Grace"), min_value=1, max_value=90, initial=7,
        help_text=_("Days without payment until the panel only shows; after twice as many buyers see a notice."),
    )  # fmt: skip
    max_listings = forms.IntegerField(
        label=_("SKUs on the shelf"), min_value=0, max_value=1_000_000, required=False, help_text=_("Blank: no limit.")
    )
    max_staff = forms.IntegerField(
        label=_("People who may log in"), min_value=1, max_value=10_000, required=False,
        help_text=_("The owner is one of them. Blank: no limit."),
    )  # fmt: skip
    max_own_products = forms.IntegerField(
        label=_("Products of their own"), min_value=0, max_value=1_000_000, required=False,
        help_text=_("Blank: no limit."),
    )  # fmt: skip
    api_allowed = forms.BooleanField(
        label=_("API"), required=False, initial=True, help_text=_("Programs may work in the shop by tokens.")
    )
    own_domain_allowed = forms.BooleanField(
        label=_("A domain of their own"), required=False, initial=True,
        help_text=_("The shop may also be reached under a name that its owner brings."),
    )  # fmt: skip
    sort = forms.IntegerField(label=_("Position"), min_value=0, max_value=32767, initial=0)
    active = forms.BooleanField(
        label=_("Offered at signup"), required=False, initial=True, help_text=_("Shops that have it keep it."),
    )  # fmt: skip

    def clean_deposit_minor(self) -> int:
        return self.cleaned_data["deposit_minor"] or 0

    def clean_yearly_fee_minor(self) -> int:
        return self.cleaned_data["yearly_fee_minor"] or 0
