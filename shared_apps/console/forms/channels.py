"""Merchant accounts and the rules by which sales are split."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from kameng.ui.templatetags.ui import bps
from shared_apps.console import words
from shared_apps.console.forms.fields import MinorField, PercentField
from shared_apps.console.lists import Filters, any_of
from shared_apps.splits.models import SplitRule
from tenants import selectors as tenants

SHOWN_SHOPS = 500


class MerchantFilters(Filters):
    q = forms.CharField(required=False)
    channel = forms.ChoiceField(label=_("Channel"), required=False)
    state = forms.ChoiceField(
        label=_("State"), required=False, choices=any_of([("on", _("Offered to buyers")), ("off", _("Not offered"))])
    )
    q_hint = _("Name or reference…")
    chip_field = "state"

    def __init__(self, data: QueryDict, *, channels: Iterable[str], **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        field: Any = self.fields["channel"]
        field.choices = any_of([(channel, words.channel_words(channel)) for channel in channels])


class StripeAccountForm(forms.Form):
    """An account at Stripe. Its keys are sealed when they are kept and never shown again."""

    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("How your people know it."))
    account_ref = forms.CharField(
        label=_("Stripe’s account id"), max_length=80, help_text=_("Begins with acct_; in Stripe’s settings."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "placeholder": "acct_…"}),
    )  # fmt: skip
    api_key = forms.CharField(
        label=_("Secret key"), max_length=255, help_text=_("Begins with sk_ or rk_. Sealed at once, never shown again."),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=True),
    )  # fmt: skip
    webhook_secret = forms.CharField(
        label=_("Webhook secret"), max_length=255,
        help_text=_("Begins with whsec_. Stripe shows it beside the endpoint."),
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}, render_value=True),
    )  # fmt: skip
    substation = forms.ChoiceField(
        label=_("Used by"), required=False,
        help_text=_("The main station’s account is open to all shops; a shop’s own to that shop alone."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shops = sorted(tenants.shop_names().items(), key=lambda pair: pair[1].name)[:SHOWN_SHOPS]
        field: Any = self.fields["substation"]
        field.choices = [("", _("All shops")), *[(str(pk), shop.name) for pk, shop in shops]]

    def clean_account_ref(self) -> str:
        return self._beginning("account_ref", "acct_")

    def clean_api_key(self) -> str:
        return self._beginning("api_key", "sk_", "rk_")

    def clean_webhook_secret(self) -> str:
        return self._beginning("webhook_secret", "whsec_")

    def _beginning(self, name: str, *starts: str) -> str:
        text = str(self.cleaned_data[name]).strip()
        if not text.startswith(starts):
            raise ValidationError(_("It begins with %(starts)s.") % {"starts": " / ".join(starts)})
        return text

    @property
    def substation_id(self) -> int | None:
        return int(self.cleaned_data["substation"]) if self.cleaned_data["substation"] else None


class RuleForm(forms.Form):
    """A new version of the terms, filled with the one in force. Fields of channels and plans are made of what exists."""

    effective_at = forms.DateTimeField(
        label=_("In force from"), required=False, help_text=_("Empty: at once. Sales before that keep their terms."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"],
    )  # fmt: skip
    note = forms.CharField(label=_("Note"), max_length=200, help_text=_("Why: the contract, the mail, the decision."))
    # The sale on which the terms are tried before they are made.
    price = MinorField(label=_("Price"), initial=10_000)
    cost = MinorField(label=_("Supply cost"), initial=8_500)

    def __init__(self, *args: Any, now_in_force: SplitRule | None, channels: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fees = now_in_force.channel_fees if now_in_force else {}
        plan_fees = now_in_force.plan_fees if now_in_force else {}
        self.channel_names = channels
        self.plan_codes = []
        for plan in tenants.plans():
            self.plan_codes.append(plan.code)
            self.fields[f"plan_{plan.code}"] = PercentField(
                label=plan.name_zh if words.chinese() else plan.name_en, required=False,
                initial=plan_fees.get(plan.code),
                help_text=_("Empty: what the plan says, %(share)s.") % {"share": bps(plan.platform_fee_bps)},
            )  # fmt: skip
        for name in channels:
            fee = fees.get(name, {})
            self.fields[f"share_{name}"] = PercentField(label=_("Share"), initial=fee.get("bps", 0))
            self.fields[f"fixed_{name}"] = MinorField(
                label=_("And for each payment"), initial=fee.get("fixed_minor", 0)
            )

    @property
    def of_plans(self) -> list[Any]:
        return [self[f"plan_{code}"] for code in self.plan_codes]

    @property
    def of_channels(self) -> list[tuple[object, Any, Any]]:
        return [
            (words.channel_words(name), self[f"share_{name}"], self[f"fixed_{name}"]) for name in self.channel_names
        ]

    @property
    def plan_fees(self) -> dict[str, int]:
        found = {code: self.cleaned_data[f"plan_{code}"] for code in self.plan_codes}
        return {code: bps for code, bps in found.items() if bps is not None}

    @property
    def channel_fees(self) -> dict[str, dict[str, int]]:
        data = self.cleaned_data
        return {
            name: {"bps": data[f"share_{name}"], "fixed_minor": data[f"fixed_{name}"]} for name in self.channel_names
        }
