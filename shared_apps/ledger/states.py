"""The words of the ledger that are stored."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class AccountClass(models.TextChoices):
    """What an account is. Assets and expenses grow by debits, the others by credits."""

    ASSET = "ASSET", _("Asset")
    LIABILITY = "LIABILITY", _("Liability")
    INCOME = "INCOME", _("Income")
    EXPENSE = "EXPENSE", _("Expense")
    EQUITY = "EQUITY", _("Equity")

    @property
    def sign(self) -> int:
        """+1 where a debit makes the account's own balance grow, −1 where a credit does."""
        return 1 if self in (AccountClass.ASSET, AccountClass.EXPENSE) else -1


class AccountState(models.TextChoices):
    OPEN = "OPEN", pgettext_lazy("ledger account", "Open")
    CLOSED = "CLOSED", _("Closed")  # For good: nothing is posted to it again.


class Relation(models.TextChoices):
    """What a transfer does to an earlier one."""

    REVERSES = "REVERSES", _("Reverses")  # The same legs with the other sign; once.
    RESOLVES = "RESOLVES", _("Resolves")  # Posts or voids a hold; one of them, once.
    REFUNDS = "REFUNDS", _("Refunds")  # Gives back a part of a sale; as often as something is left.


class Kind(models.TextChoices):
    """What a transfer is about. Programs may use further kinds; these have a name on screen."""

    OPENING = "opening", _("Opening balance")
    SALE = "sale", _("Sale")
    REFUND = "refund", _("Refund")
    REVERSAL = "reversal", _("Reversal")
    ADJUSTMENT = "adjustment", _("Adjustment")
    CASE = "case", _("Payment case")
    HOLD = "hold", _("Hold")
    HOLD_POST = "hold.post", _("Hold posted")
    HOLD_VOID = "hold.void", _("Hold voided")
    INVOICE = "invoice", _("Plan invoice")
    CREDIT_NOTE = "credit_note", _("Credit note")
    TOPUP = "topup", _("Prepaid top-up")
    DEPOSIT = "deposit", _("Deposit taken")
    DEPOSIT_RETURN = "deposit.return", _("Deposit returned")
