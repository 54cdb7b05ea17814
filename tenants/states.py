"""The lives of a substation, a signup and a spare schema."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class SubstationState(models.TextChoices):
    APPLIED = "APPLIED", _("Applied")  # Its making waits for something: the opening fee.
    PROVISIONING = "PROVISIONING", _("Being made")
    TRIAL = "TRIAL", _("On trial")
    ACTIVE = "ACTIVE", _("Open")
    PAST_DUE = "PAST_DUE", _("Payment due")  # What that takes away, step by step, is its `standing`.
    SUSPENDED = "SUSPENDED", _("Suspended")
    CLOSING = "CLOSING", _("Being closed")  # Sells nothing; what is open is finished or given back.
    CLOSED = "CLOSED", _("Closed")
    ERASED = "ERASED", _("Erased")  # Its schema is gone. Ledger and invoices stay, as the law wants.


class SubstationEvent(models.TextChoices):
    MAKE = "MAKE", _("The making began")
    OPEN = "OPEN", pgettext_lazy("shop", "Opened")
    OPEN_ON_TRIAL = "OPEN_ON_TRIAL", _("Opened on trial")
    SUBSCRIBE = "SUBSCRIBE", _("The trial ended, paid")
    MISS_PAYMENT = "MISS_PAYMENT", _("A payment failed or is due")
    PAY = "PAY", _("Paid")
    SUSPEND = "SUSPEND", _("Suspended by the main station")
    RESUME = "RESUME", _("Resumed by the main station")
    BEGIN_CLOSING = "BEGIN_CLOSING", _("Closing began")
    KEEP = "KEEP", _("Closing was called off")
    CLOSE = "CLOSE", _("Closed for good")
    ERASE = "ERASE", _("Erased")


class Standing(models.TextChoices):
    """How far an unpaid shop is restricted; dunning moves it, payment puts it back to GOOD at once."""

    GOOD = "GOOD", _("In good standing")
    REMINDED = "REMINDED", _("Reminded")  # Everything works; the owner sees what is due and when it begins to bite.
    READ_ONLY = "READ_ONLY", _("Panel read-only")  # It sells and delivers; the panel changes nothing but payment.
    SHUT = "SHUT", _("Storefront closed")  # Buyers see a notice; what they bought is still shown and delivered.


_S = SubstationState

# event: (from, to). RESUME and KEEP go back to what the shop was before.
SUBSTATION_TRANSITIONS: dict[SubstationEvent, tuple[frozenset[SubstationState], SubstationState]] = {
    SubstationEvent.MAKE: (frozenset({_S.APPLIED}), _S.PROVISIONING),
    SubstationEvent.OPEN: (frozenset({_S.PROVISIONING}), _S.ACTIVE),
    SubstationEvent.OPEN_ON_TRIAL: (frozenset({_S.PROVISIONING}), _S.TRIAL),
    SubstationEvent.SUBSCRIBE: (frozenset({_S.TRIAL}), _S.ACTIVE),
    SubstationEvent.MISS_PAYMENT: (frozenset({_S.TRIAL, _S.ACTIVE}), _S.PAST_DUE),
    SubstationEvent.PAY: (frozenset({_S.PAST_DUE}), _S.ACTIVE),
    SubstationEvent.SUSPEND: (frozenset({_S.TRIAL, _S.ACTIVE, _S.PAST_DUE}), _S.SUSPENDED),
    SubstationEvent.RESUME: (frozenset({_S.SUSPENDED}), _S.ACTIVE),
    SubstationEvent.BEGIN_CLOSING: (frozenset({_S.TRIAL, _S.ACTIVE, _S.PAST_DUE, _S.SUSPENDED}), _S.CLOSING),
    SubstationEvent.KEEP: (frozenset({_S.CLOSING}), _S.ACTIVE),
    SubstationEvent.CLOSE: (frozenset({_S.CLOSING}), _S.CLOSED),
    SubstationEvent.ERASE: (frozenset({_S.CLOSED}), _S.ERASED),
}
# Those whose storefront sells, unless their standing is SHUT. `gate.place_order` holds the same rule.
SELLING = frozenset({_S.TRIAL, _S.ACTIVE, _S.PAST_DUE})
# Those to whom goods and prices are synced: whoever sells, or may again. A closed shop's statement goes on: it is owed money.
SYNCED = SELLING | {_S.SUSPENDED, _S.CLOSING}
# Those that no host leads to: not made yet, or gone.
UNREACHABLE = frozenset({_S.APPLIED, _S.PROVISIONING, _S.ERASED})


def sells(state: str, standing: str) -> bool:
    """Whether a shop in this state and standing takes orders."""
    return state in SELLING and standing != Standing.SHUT


class BillingInterval(models.TextChoices):
    """How long what was paid for a plan lasts."""

    MONTH = "MONTH", _("Monthly")
    YEAR = "YEAR", _("Yearly")


class SignupState(models.TextChoices):
    VERIFYING = "VERIFYING", _("Waiting for the mail code")
    PAYING = "PAYING", _("Waiting for payment")  # The plan costs something before it opens; the address is held.
    VERIFIED = "VERIFIED", _("Mail verified")
    PROVISIONING = "PROVISIONING", _("Being made")
    LIVE = "LIVE", _("Live")
    FAILED = "FAILED", _("Failed; can be tried again")
    EXPIRED = "EXPIRED", _("Expired")


class StepState(models.TextChoices):
    PENDING = "PENDING", _("Waiting")
    RUNNING = "RUNNING", _("Under way")
    DONE = "DONE", _("Done")
    FAILED = "FAILED", _("Failed")


class SpareState(models.TextChoices):
    READY = "READY"  # Made of the current script; a signup may take it.
    TAKEN = "TAKEN"  # Belongs to a substation now.


class UpgradeKind(models.TextChoices):
    SQL = "SQL"  # Statements that were recorded when the template took them; run as they are in every schema.
    PYTHON = "PYTHON"  # A data migration: Django runs it in every schema.
    RIGHTS = "RIGHTS"  # What the roles may do with new tables, and where the matrix changed.


class ExportState(models.TextChoices):
    PENDING = "PENDING", _("Waiting for a worker")
    RUNNING = "RUNNING", _("Being written")
    DONE = "DONE", _("Ready")
    FAILED = "FAILED", _("Failed")
    EXPIRED = "EXPIRED", _("Taken away")  # The file is gone; that it was made stays known.


class ErasureState(models.TextChoices):
    RUNNING = "RUNNING", _("Under way")  # Begun; each step can be repeated, so a killed one goes on.
    DONE = "DONE", _("Erased")


class ClaimState(models.TextChoices):
    """Of a domain that a shop says is its own."""

    WAITING = "WAITING", _("Waiting for DNS")
    VERIFIED = "VERIFIED", _("Connected")
    FAILING = "FAILING", _("Connected, but its records are gone")  # In grace: it still leads to the shop.
    LOST = "LOST", _("Taken off")  # The grace ran out. Checked again on demand.


class SupplyLevel(models.TextChoices):
    BASIC = "BASIC", _("Basic")
    PRO = "PRO", _("Professional")
    FLAGSHIP = "FLAGSHIP", _("Flagship")
