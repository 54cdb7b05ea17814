"""Fields that say money and shares as people write them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from kameng.lib import money


class TypedNumber(forms.Field):
    """A text input whose value is a number once it is understood; empty is None.

    Not a CharField: its validators count the characters of the value, which is no text any more.
    """

    widget = forms.TextInput

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {"inputmode": "decimal", "class": "k-num", "maxlength": "24", "autocomplete": "off"}

    def to_python(self, value: Any) -> Any:
        text = str(value or "").strip()
        return self.understood(text) if text else None

    def understood(self, text: str) -> Any:
        """The number that `text` says. Raises ValidationError."""
        raise NotImplementedError

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


class MinorField(TypedNumber):
    """An amount as typed ("99", "1,234.50") to minor units of the network's currency."""

    def prepare_value(self, value: Any) -> Any:
        return str(money.minor_to_decimal(value, settings.CURRENCY)) if isinstance(value, int) else value

    def understood(self, text: str) -> Any:
        try:
            return money.decimal_to_minor(money.parse_unit(text), settings.CURRENCY)
        except ValueError:
            raise ValidationError(_("Write an amount like 99 or 99.50.")) from None


class UnitField(TypedNumber):
    """A unit price as typed to a Decimal with at most four places; empty is None."""

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, Decimal):
            return value
        whole, _point, fraction = f"{value:.4f}".partition(".")
        return f"{whole}.{fraction.rstrip('0').ljust(money.exponent(settings.CURRENCY), '0')}".rstrip(".")

    def understood(self, text: str) -> Any:
        try:
            return money.parse_unit(text)
        except ValueError:
            raise ValidationError(_("A price is a number with at most four places.")) from None


class PercentField(TypedNumber):
    """A share as typed ("1.2", "1.2%") to basis points."""

    def prepare_value(self, value: Any) -> Any:
        return f"{Decimal(value) / 100:.2f}".rstrip("0").rstrip(".") if isinstance(value, int) else value

    def understood(self, text: str) -> Any:
        try:
            bps = Decimal(text.replace("%", "").replace("％", "").strip()) * 100
        except InvalidOperation:
            raise ValidationError(_("Write a share like 1.5.")) from None
        if not bps.is_finite() or bps != bps.to_integral_value() or not 0 <= bps <= money.BPS:
            raise ValidationError(_("A share lies between 0 and 100, with at most two places."))
        return int(bps)
