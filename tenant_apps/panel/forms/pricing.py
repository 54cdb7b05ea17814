"""A markup rule as it is typed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.lib import money
from kameng.ui.fields import CardLabel
from kameng.web.lists import Filters
from tenant_apps.listings.states import Rounding, RuleKind, RuleScope

KINDS = {
    RuleKind.PERCENT: CardLabel(pgettext_lazy("markup", "Percent"), _("On top of the supply price")),
    RuleKind.FIXED: CardLabel(pgettext_lazy("markup", "Amount"), _("On top of the supply price")),
    RuleKind.PRICE: CardLabel(pgettext_lazy("markup", "Price"), _("What the buyer pays, as you write it")),
    RuleKind.SUGGESTED: CardLabel(pgettext_lazy("markup", "Suggested"), _("The main station's suggestion")),
}
FOR_ONE = (RuleScope.SKU, RuleScope.PRODUCT)  # A price of one's own makes sense for these alone.


class RuleFilters(Filters):
    q_hint = _("Name, product or SKU code")

    q = forms.CharField(required=False, max_length=120)


class Target(forms.Form):
    """What a rule governs, as it stands in the address."""

    scope = forms.ChoiceField(choices=RuleScope.choices)
    target = forms.IntegerField(min_value=0, max_value=2**62, required=False)

    def clean_target(self) -> int:
        return int(self.cleaned_data["target"] or 0)


class RuleForm(forms.Form):
    """Kind, value and rounding. `scope` decides which kinds are offered; what is refused is the service's matter."""

    kind = forms.ChoiceField(label=_("How the price is made"), widget=forms.RadioSelect)
    value = forms.CharField(
        label=_("How much"), max_length=20, error_messages={"required": _("Write how much.")},
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off", "class": "k-num"}),
    )  # fmt: skip
    rounding = forms.ChoiceField(label=_("Rounding"), choices=Rounding.choices, required=False)

    def __init__(self, *args: Any, scope: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        kinds: Any = self.fields["kind"]
        kinds.choices = [(kind, KINDS[kind]) for kind in RuleKind if kind != RuleKind.PRICE or scope in FOR_ONE]
        self.fields["value"].required = self.data.get("kind") != RuleKind.SUGGESTED  # The library says how much.

    def clean_value(self) -> Decimal:
        typed = self.cleaned_data["value"].strip().rstrip("%％")
        if self.data.get("kind") == RuleKind.SUGGESTED:
            return Decimal(0)
        if not typed:  # A percent sign alone.
            raise forms.ValidationError(_("Write how much."))
        try:
            return money.parse_unit(typed)
        except ValueError:
            raise forms.ValidationError(_("Write a number with at most four places after the point.")) from None

    def clean_rounding(self) -> str:
        if self.data.get("kind") == RuleKind.PRICE:  # As it was written; the field is not shown then.
            return Rounding.NONE.value
        return str(self.cleaned_data["rounding"] or Rounding.NONE)

    @property
    def symbol(self) -> str:
        return money.SYMBOLS[settings.CURRENCY]


class ManyForm(RuleForm):
    """One rule for the SKUs that were chosen in the list."""

    ids = forms.CharField(widget=forms.HiddenInput, max_length=30_000)

    def clean_ids(self) -> list[int]:
        parts = self.cleaned_data["ids"].split(",")
        if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
            raise forms.ValidationError(_("There is no such SKU. Nothing was changed."))
        return [int(part) for part in parts]
