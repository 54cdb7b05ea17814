"""Staff and tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from kameng.accounts.forms import choose_from
from kameng.accounts.models import Role
from kameng.accounts.roles import Choice
from kameng.accounts.tokens import SHOP_SCOPES
from kameng.lib.words import Sentence
from kameng.ui.fields import CardLabel
from tenant_apps.panel.lists import DayRange, Filters, any_of

SCOPES: dict[str, Sentence] = {
    "listings:read": _("Read goods and prices"),
    "listings:write": _("Change prices and the shelf"),
    "orders:read": _("Read orders"),
    "orders:write": _("Place and deliver orders"),
    "statement:read": _("Read the statement"),
}
EXPIRIES = (("90", _("In 90 days")), ("365", _("In a year")), ("never", _("Never")))


class InviteForm(forms.Form):
    email = forms.EmailField(
        label=_("Email"), max_length=254, error_messages={"required": _("Write where the invitation goes.")}
    )
    name = forms.CharField(label=pgettext_lazy("person", "Name"), required=False, max_length=80)
    role = forms.ChoiceField(label=_("Role"), initial=Role.MANAGER.value, widget=forms.RadioSelect)

    def __init__(self, *args: Any, roles: list[Choice], **kwargs: Any) -> None:
        """`roles`: what can be given here."""
        super().__init__(*args, **kwargs)
        choose_from(self, [(one.value, CardLabel(one.label, one.text)) for one in roles])


class TokenForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=80, error_messages={"required": _("Give it a name.")},
        help_text=_("What uses it, so that you know it again."),
    )  # fmt: skip
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), choices=[(scope, SCOPES[scope]) for scope in SHOP_SCOPES],
        error_messages={"required": _("Tick at least one thing that it may do.")},
        widget=forms.CheckboxSelectMultiple,
    )  # fmt: skip
    days = forms.ChoiceField(label=_("Ends"), choices=EXPIRIES, initial="365")


IN, INVITED, LOCKED = "in", "invited", "locked"
PERSON_STATES = ((IN, _("May come in")), (INVITED, _("Invited")), (LOCKED, _("Locked out")))
LIVE, ENDED = "live", "ended"
TOKEN_STATES = ((LIVE, _("In use")), (ENDED, _("Ended")))


class StaffFilters(Filters):
    q_hint = _("Name or email")

    q = forms.CharField(required=False, max_length=120)
    role = forms.ChoiceField(label=_("Role"), required=False)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(PERSON_STATES))

    def __init__(self, *args: Any, roles: list[Choice], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choose_from(self, any_of([(one.value, one.label) for one in roles]))


class TokenFilters(Filters):
    q_hint = _("Token or person")

    q = forms.CharField(required=False, max_length=120)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(TOKEN_STATES))


# Groups of deeds, by how their names begin.
DEEDS: dict[str, tuple[Sentence, tuple[str, ...]]] = {
    "goods": (_("Goods and prices"), ("listings.",)),
    "orders": (_("Orders and codes"), ("orders.", "panel.order", "payments.")),
    "people": (_("People and roles"), ("panel.staff.", "panel.owner.", "accounts.role.", "accounts.token.", "accounts.policy.")),
    "log-ins": (_("Log-ins"), ("accounts.log", "accounts.factor.", "accounts.session", "accounts.password.", "support.")),
    "shop": (_("Shop settings"), ("shop.",)),
}  # fmt: skip


class AuditFilters(DayRange):
    q_hint = _("Person, order, deed or IP")

    q = forms.CharField(required=False, max_length=120)
    group = forms.ChoiceField(
        label=pgettext_lazy("deed", "What"), required=False,
        choices=any_of([(key, label) for key, (label, _beginnings) in DEEDS.items()]),
    )  # fmt: skip

    field_order = ("q", "group", "since", "until")
