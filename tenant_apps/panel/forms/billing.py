"""Topping up the prepaid balance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kameng.lib import money

LEAST = Decimal("0.01")
MOST = Decimal("1000000.00")


class TopUpForm(forms.Form):
    """An amount as it is typed, and the way to pay it."""

    amount = forms.CharField(label=_("Amount"), max_length=20, widget=forms.TextInput(attrs={"inputmode": "decimal"}))
    way = forms.ChoiceField(label=_("Pay through"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, ways: list[tuple[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["way"]
        field.choices = ways
        if ways:
            self.fields["way"].initial = ways[0][0]

    def clean_amount(self) -> int:
        """The amount in minor units."""
        try:
            minor = money.decimal_to_minor(money.parse_unit(self.cleaned_data["amount"]))
        except ValueError:
            raise forms.ValidationError(_("Type an amount like 98 or 98.50.")) from None
        if not money.decimal_to_minor(LEAST) <= minor <= money.decimal_to_minor(MOST):
            raise forms.ValidationError(_("Top up between ¥0.01 and ¥1,000,000.00."))
        return minor
