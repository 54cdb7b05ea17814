"""What buyers type. The rules of an order are the orders' own; here each is said beside the field it belongs to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import DomainError
from kameng.lib.words import in_english, worded
from tenant_apps.orders import checkout

# Lazy, as Django's own are; its stubs know only of str.
_QUANTITY: Any = worded(_("The quantity must be a whole number from 1 to %(limit)s."), limit=checkout.MAX_QUANTITY)
FIELD_PREFIX = "f_"  # Before the keys of a product's own fields: one may be called "contact".
_INPUT = {"phone": ("tel", "tel"), "email": ("email", "email")}  # kind: (type, autocomplete).


class CheckoutForm(forms.Form):
    """One product's order. `buyer_fields` are the product's, as the library stores them."""

    sku = forms.IntegerField(min_value=1, max_value=2**63 - 1)
    quantity = forms.IntegerField(
        label=_("Quantity"),
        min_value=1,
        max_value=checkout.MAX_QUANTITY,
        error_messages=dict.fromkeys(("invalid", "min_value", "max_value", "required"), _QUANTITY),
    )
    contact = forms.CharField(
        label=_("Your email, phone or QQ"),
        help_text=_("To reach you about this order. No account needed."),
        max_length=120,
        error_messages={"required": _("Please give an email address, a phone number or a QQ number.")},
        widget=forms.TextInput(attrs={"autocomplete": "email"}),
    )
    lookup_secret = forms.CharField(
        label=_("Query password"),
        help_text=_("With the order number it finds your order again. Leave it empty and we make one for you."),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, buyer_fields: Sequence[Mapping[str, Any]] = (), **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)
        self.asked = {FIELD_PREFIX + str(item["key"]): item for item in buyer_fields}
        for name, item in self.asked.items():
            self.fields[name] = _field_of(item)

    def clean_contact(self) -> str:
        contact: str = self.cleaned_data["contact"]
        return _checked(checkout.clean_contact, contact)

    def clean_lookup_secret(self) -> str:
        secret: str = self.cleaned_data["lookup_secret"]
        return _checked(checkout.clean_lookup_secret, secret) if secret.strip() else ""

    def clean(self) -> dict[str, Any]:
        for name, item in self.asked.items():
            if name in self.errors:
                continue
            try:
                checkout.clean_buyer_fields([item], {str(item["key"]): self.data.get(name, "")})
            except checkout.FieldProblem as problem:
                self.add_error(name, str(problem.message))
        return self.cleaned_data

    @property
    def buyer_fields(self) -> dict[str, str]:
        """What was typed into the product's own fields, by the product's keys."""
        return {str(item["key"]): str(self.data.get(name, "")) for name, item in self.asked.items()}

    @property
    def own_fields(self) -> Iterator[forms.BoundField]:
        """The product's own fields, for the template."""
        return (self[name] for name in self.asked)

    def take_up(self, refusal: DomainError) -> bool:
        """Put a service's refusal beside its field; False when it belongs to none."""
        name = refusal.field
        if name.startswith("buyer_fields."):
            name = FIELD_PREFIX + name.removeprefix("buyer_fields.")
        if name not in self.fields or name == "sku":
            return False
        self.add_error(name, str(refusal))
        return True


class FindForm(forms.Form):
    """An order looked up. The answer to an unknown number and to a wrong password is the same."""

    number = forms.CharField(
        label=_("Order number"),
        help_text=_("It begins with K."),
        max_length=60,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "characters", "spellcheck": "false"}),
    )
    secret = forms.CharField(
        label=_("Query password"),
        help_text=_("The one you chose, or the one that was shown with your order."),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


def _checked(rule: Any, text: str) -> str:
    try:
        return str(rule(text))
    except checkout.FieldProblem as problem:
        raise forms.ValidationError(str(problem.message)) from None


def _field_of(item: Mapping[str, Any]) -> forms.Field:
    """A form field for one of the product's own. It is validated by the orders' rules, not by Django's."""
    label = str((in_english() and item.get("label_en")) or item.get("label_zh") or item["key"])
    required = bool(item.get("required", True))
    widget: forms.Widget
    if item.get("kind") == "choice":
        options = [_option(choice) for choice in item.get("choices") or ()]
        widget = forms.Select(choices=[("", _("Please choose")), *options])
    else:
        kind, complete = _INPUT.get(str(item.get("kind", "text")), ("text", "off"))
        limit = str(checkout.MAX_FIELD_LENGTH)
        widget = forms.TextInput(attrs={"type": kind, "autocomplete": complete, "maxlength": limit})
    return forms.CharField(
        label=label, required=required, widget=widget, error_messages={"required": _("Please fill this in.")}
    )


def _option(choice: Any) -> tuple[str, str]:
    if isinstance(choice, Mapping):
        label = (in_english() and choice.get("label_en")) or choice.get("label_zh") or choice.get("label")
        return str(choice["value"]), str(label or choice["value"])
    return str(choice), str(choice)
