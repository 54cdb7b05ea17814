"""Orders, ledger, payment cases and the inbox."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.translation import gettext_lazy as _

from shared_apps.console import words
from shared_apps.console.forms.stock import DateField
from shared_apps.console.lists import Filters, any_of
from shared_apps.ledger.states import AccountClass, Kind
from shared_apps.receipts.models import CaseKind, CaseState, InboxState
from tenants import selectors as tenants

LISTED_SHOPS = 500


class OfShop(Filters):
    """A list that can be narrowed down to one shop."""

    substation = forms.ChoiceField(label=_("Shop"), required=False)

    def __init__(self, data: QueryDict, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        shops = tenants.shop_names()
        self._ids = {shop.public_id: pk for pk, shop in shops.items()}
        named = sorted(shops.values(), key=lambda shop: shop.name)[:LISTED_SHOPS]
        field: Any = self.fields["substation"]
        chosen = data.get("substation", "")
        more = [] if any(shop.public_id == chosen for shop in named) or chosen not in self._ids else [(chosen, chosen)]
        field.choices = any_of([*[(shop.public_id, shop.name) for shop in named], *more])

    @property
    def substation_id(self) -> int | None:
        return self._ids.get(str(self.value("substation")))


class OrderFilters(OfShop):
    q = forms.CharField(required=False)
    since = DateField(label=_("From"))
    until = DateField(label=_("To"))
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(words.ORDER_STATES.items()))
    q_hint = _("Order number…")
    chip_field = "state"


class AccountFilters(OfShop):
    q = forms.CharField(required=False)
    kind = forms.ChoiceField(label=_("Class"), required=False, choices=any_of(AccountClass.choices))
    q_hint = _("Account, transfer, order, receipt…")
    chip_field = "kind"


class TransferFilters(OfShop):
    q = forms.CharField(required=False)
    since = DateField(label=_("From"))
    until = DateField(label=_("To"))
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=any_of(Kind.choices))
    q_hint = _("Transfer, order, receipt, key…")
    chip_field = "kind"


class StatementFilters(Filters):
    since = DateField(label=_("From"))
    until = DateField(label=_("To"))


class CaseFilters(OfShop):
    q = forms.CharField(required=False)
    kind = forms.ChoiceField(label=_("Kind"), required=False, choices=any_of(CaseKind.choices))
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(CaseState.choices))
    q_hint = _("Order number or case…")
    chip_field = "state"


class InboxFilters(Filters):
    q = forms.CharField(required=False)
    channel = forms.ChoiceField(label=_("Channel"), required=False)
    state = forms.ChoiceField(label=_("State"), required=False, choices=any_of(InboxState.choices))
    q_hint = _("Event, payment…")
    chip_field = "state"

    def __init__(self, data: QueryDict, *, channels: list[str], **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        field: Any = self.fields["channel"]
        field.choices = any_of([(channel, channel) for channel in channels])


class SettleForm(forms.Form):
    resolution = forms.ChoiceField(label=_("What is to be done"), widget=forms.RadioSelect)
    evidence = forms.CharField(
        label=_("Evidence"), max_length=4000, widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("What you checked and where: the channel's record, the buyer's mail, a screenshot's name."),
    )  # fmt: skip

    def __init__(self, *args: Any, choices: list[tuple[str, Any]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["resolution"]
        field.choices = choices


class NoteForm(forms.Form):
    text = forms.CharField(label=_("Note"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))
