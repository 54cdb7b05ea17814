"""What billing refuses. Nothing is changed and nothing is charged then."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Invalid, Missing, Refused, Unavailable
from tenants.states import SubstationState

_CLOSED = (SubstationState.CLOSED, SubstationState.ERASED)


class BillingRefused(Refused):
    """The state of the subscription or the invoice does not allow it."""

    code = "billing_refused"


class WrongCurrency(Refused):
    """The channel charged in another currency than the shop's. Nothing is booked; a person has to look."""

    code = "billing_wrong_currency"


class BalanceTooLow(Refused):
    """The prepaid balance does not cover it; `details["missing_minor"]` says how much is missing."""

    code = "prepaid_balance_too_low"


class QuoteOutdated(Refused):
    """What was shown does not hold any more: time ran out, or the plan, its price or the period changed."""

    code = "quote_outdated"


class ChangeRefused(Refused):
    """This plan can't be changed to: it is the present one, is not offered, or holds less than is in use."""

    code = "plan_change_refused"


class InvoiceMissing(Missing):
    """No such invoice, or another substation's."""

    code = "invoice_unknown"


class PageMissing(Missing):
    """No such payment page, or another substation's."""

    code = "payment_page_unknown"


class AmountInvalid(Invalid):
    """An amount that can't be paid or topped up; `field` names it."""

    code = "amount_invalid"


class NoWayToPay(Unavailable):
    """The main station has no merchant account that is switched on."""

    code = "no_way_to_pay"


class ChannelAway(Unavailable):
    """The payment channel does not answer now. What was asked is kept; the same deed may be done again."""

    code = "channel_away"


def is_closed(state: str) -> bool:
    """Whether a shop in this state is closed for good, or gone: what it owes can be paid, and nothing more."""
    return state in _CLOSED


def refuse_closed(state: str) -> None:
    """Raises: BillingRefused, where the shop is closed for good: it is charged nothing more."""
    if is_closed(state):
        raise BillingRefused(_("The shop is closed for good: no plan of it begins or changes. Nothing was charged."))
