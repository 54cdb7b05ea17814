"""Fields that say money and shares as people write them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from kameng.lib import money


def _typed_number() -> forms.TextInput:
    return forms.TextInput(attrs={"inputmode": "decimal", "class": "k-num"})


class MinorField(forms.CharField):
    """An amount as typed ("99", "1,234.50") to minor units of the network's currency."""

    def __init__(self, **given: Any) -> None:
        super().__init__(max_length=24, widget=_typed_number(), **given)

    def prepare_value(self, value: Any) -> Any:
        return str(money.minor_to_decimal(value, settings.CURRENCY)) if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return money.decimal_to_minor(money.parse_unit(text), settings.CURRENCY)
        except ValueError:
            raise ValidationError(_("Write an amount like 99 or 99.50.")) from None


class UnitField(forms.CharField):
    """A unit price as typed to a Decimal with at most four places; empty is None."""

    def __init__(self, **given: Any) -> None:
        super().__init__(max_length=24, widget=_typed_number(), **given)

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Decimal):
            return value
        whole, _point, fraction = f"{value:.4f}".partition(".")
        return f"{whole}.{fraction.rstrip('0').ljust(money.exponent(settings.CURRENCY), '0')}".rstrip(".")

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        if not text:
            return None
        try:
            return money.parse_unit(text)
        except ValueError:
            raise ValidationError(_("A price is a number with at most four places.")) from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


class PercentField(forms.CharField):
    """A share as typed ("1.2", "1.2%") to basis points."""

    def __init__(self, **given: Any) -> None:
        super().__init__(max_length=12, widget=_typed_number(), **given)

    def prepare_value(self, value: Any) -> Any:
        return f"{Decimal(value) / 100:f}".rstrip("0").rstrip(".") or "0" if isinstance(value, int) else value

    def to_python(self, value: Any) -> Any:
        text = (super().to_python(value) or "").replace("%", "").replace("％", "").strip()
        if not text:
            return None
        try:
            bps = Decimal(text) * 100
        except InvalidOperation:
            raise ValidationError(_("Write a share like 1.5.")) from None
        if not bps.is_finite() or bps != bps.to_integral_value() or not 0 <= bps <= money.BPS:
            raise ValidationError(_("A share lies between 0 and 100, with at most two places."))
        return int(bps)
