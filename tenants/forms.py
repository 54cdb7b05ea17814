"""The signup form: shape only; what is allowed is the service's to say."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from kameng.lib.money import format_minor
from kameng.ui.fields import CardLabel
from tenants.models import Plan

ACCENTS = (
    ("#3b5bdb", _("Blue")),
    ("#0c8599", _("Teal")),
    ("#2b8a3e", _("Green")),
    ("#e8590c", _("Orange")),
    ("#c2255c", _("Raspberry")),
    ("#6741d9", _("Violet")),
    ("#343a40", _("Graphite")),
)
PRESETS = (
    ("general", _("General")),
    ("esports", _("Games and esports")),
    ("telecom", _("Phone and memberships")),
    ("education", _("Software and education")),
    ("local", _("Local life")),
)


def period_words(plan: Plan) -> str:
    """What a plan costs as time goes by, as short as it can be said."""
    if not plan.monthly_fee_minor:
        return str(_("free") if not plan.opening_fee_minor else format_minor(plan.opening_fee_minor))
    return str(_("%(sum)s a month") % {"sum": format_minor(plan.monthly_fee_minor)})


def price_words(plan: Plan, *, opens: bool) -> list[str]:
    """What else a plan asks for, or gives away. `opens`: a shop begins with it; the days of trial are that one's alone."""
    found = []
    if opens and plan.has_trial:
        found.append(_("%(days)s days free") % {"days": plan.trial_days})
    if plan.opening_fee_minor and plan.monthly_fee_minor:
        found.append(_("%(sum)s to open") % {"sum": format_minor(plan.opening_fee_minor)})
    if plan.deposit_minor:
        found.append(_("%(sum)s deposit") % {"sum": format_minor(plan.deposit_minor)})
    return [str(words) for words in found]


def limit_words(plan: Plan) -> list[str]:
    """What a plan holds, in words, one a line; what has no bound is said once."""
    bounds = (
        (plan.max_listings, _("%(n)s listings on the shelf")),
        (plan.max_staff, _("%(n)s log-ins for your team")),
        (plan.max_own_products, _("%(n)s products of your own")),
    )
    found: list[Any] = [words % {"n": bound} for bound, words in bounds if bound is not None]
    if not found:
        found.append(_("As many listings and log-ins as you like"))
    found.append(_("API for programs") if plan.api_allowed else _("No API"))
    found.append(
        _("A domain of your own") if plan.own_domain_allowed else _("On our address, without a domain of your own")
    )
    return [str(words) for words in found]


def fee_words(plan: Plan) -> str:
    """What of each sale the main station keeps."""
    return str(_("platform fee %(percent)s %%") % {"percent": f"{plan.platform_fee_bps / 100:g}"})


class CityField(forms.CharField):
    """A city by its name: the browser's own list, and one that searches pinyin, too, where script runs (`kameng/find`)."""

    def __init__(self, **kwargs: Any) -> None:
        attrs = {"autocomplete": "off", "list": "cities", "data-kameng-find": "/cities/", "maxlength": 120}
        super().__init__(max_length=120, widget=forms.TextInput(attrs=attrs), **kwargs)


class SignupForm(forms.Form):
    name = forms.CharField(
        label=_("Shop name"), max_length=40, min_length=2, help_text=_("What your buyers see; you can change it later.")
    )
    slug = forms.CharField(
        label=_("Address"),
        max_length=63,
        help_text=_("3 to 30 small letters, digits and hyphens."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}),
    )
    plan = forms.ChoiceField(label=_("Plan"), widget=forms.RadioSelect)
    preset = forms.ChoiceField(label=_("Your trade"), choices=PRESETS, required=False)
    region = CityField(
        label=_("Your city"), required=False, help_text=_("Whoever looks after it may help you to begin.")
    )
    accent = forms.ChoiceField(label=_("Colour"), choices=ACCENTS, required=False, widget=forms.RadioSelect)
    owner_name = forms.CharField(label=_("Your name"), max_length=80, required=False)
    email = forms.EmailField(label=_("Email"), help_text=_("We send a six-digit code to it. It is also your log-in."))
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        max_length=200,
        help_text=_("At least 10 characters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}, render_value=True),
    )

    def __init__(self, *args: Any, plans: list[Plan], language: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        english = language.startswith("en")
        choices = []
        for plan in plans:
            name, pitch = (plan.name_en, plan.pitch_en) if english else (plan.name_zh, plan.pitch_zh)
            words = [pitch, *price_words(plan, opens=True), fee_words(plan)]
            choices.append((plan.code, CardLabel(name, " · ".join(filter(None, words)), period_words(plan))))
        field: Any = self.fields["plan"]
        field.choices = choices
        if plans:
            self.fields["plan"].initial = plans[0].code
        self.fields["accent"].initial = ACCENTS[0][0]


class CodeForm(forms.Form):
    code = forms.CharField(
        label=_("Code"),
        max_length=12,
        help_text=_("Six digits, from the mail."),
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "one-time-code", "autofocus": True}),
    )
