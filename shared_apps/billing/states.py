"""The words of billing that are stored, and the lives of a subscription, an invoice and a payment page."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class Method(models.TextChoices):
    """Where a subscription's money comes from."""

    PREPAID = "PREPAID", _("Prepaid balance")
    STRIPE = "STRIPE", _("Card, by Stripe")


class SubscriptionState(models.TextChoices):
    TRIAL = "TRIAL", _("On trial")  # Nothing was paid for a period yet; `trial_ends_at` says until when.
    ACTIVE = "ACTIVE", pgettext_lazy("subscription", "Active")  # The present period is paid, or costs nothing.
    PAST_DUE = "PAST_DUE", _("Payment due")  # An invoice is open; dunning goes on from `due_since`.
    ENDED = "ENDED", pgettext_lazy("subscription", "Ended")  # Cancelled, and what was paid for is over.


class SubscriptionEvent(models.TextChoices):
    PAY = "PAY"
    MISS = "MISS"
    END = "END"


_S = SubscriptionState

# event: (from, to); nothing else moves a subscription (services/_moving.py).
SUBSCRIPTION_TRANSITIONS: dict[SubscriptionEvent, tuple[frozenset[SubscriptionState], SubscriptionState]] = {
    SubscriptionEvent.PAY: (frozenset({_S.TRIAL, _S.ACTIVE, _S.PAST_DUE, _S.ENDED}), _S.ACTIVE),
    SubscriptionEvent.MISS: (frozenset({_S.TRIAL, _S.ACTIVE}), _S.PAST_DUE),
    SubscriptionEvent.END: (frozenset({_S.TRIAL, _S.ACTIVE, _S.PAST_DUE}), _S.ENDED),
}


class InvoiceKind(models.TextChoices):
    OPENING = "OPENING", _("Opening")  # The opening fee, with the first period where there is no trial.
    PERIOD = "PERIOD", _("Subscription")
    PRORATA = "PRORATA", _("Change of plan")
    DEPOSIT = "DEPOSIT", _("Deposit")  # Money that is held, and given back; nobody's income.
    CREDIT = "CREDIT", _("Credit note")  # Reverses another invoice, in part or whole; its sum is negative.


class InvoiceState(models.TextChoices):
    OPEN = "OPEN", pgettext_lazy("invoice", "Due")
    PAID = "PAID", pgettext_lazy("invoice", "Paid")
    VOID = "VOID", _("Void")  # Issued in error, or for what never came about; nothing was paid.
    UNCOLLECTIBLE = "UNCOLLECTIBLE", _("Written off")


# What an open invoice can become; the others are final.
INVOICE_ENDS = frozenset({InvoiceState.PAID, InvoiceState.VOID, InvoiceState.UNCOLLECTIBLE})


class DunningKind(models.TextChoices):
    NOTICE = "NOTICE", _("Told ahead")  # Before a trial ends, or a period that the balance will not cover.
    DUE = "DUE", _("Payment became due")
    REMINDER = "REMINDER", _("Reminded")
    READ_ONLY = "READ_ONLY", _("Panel made read-only")
    SHUT = "SHUT", _("Storefront closed")
    PAID = "PAID", _("Paid; everything back")
    ENDED = "ENDED", _("Subscription ended")


class PagePurpose(models.TextChoices):
    SIGNUP = "SIGNUP", _("Opening a shop")
    TOPUP = "TOPUP", _("Topping up the prepaid balance")
    SUBSCRIBE = "SUBSCRIBE", _("Subscribing by card")


class PageState(models.TextChoices):
    ASKED = "ASKED", _("Being opened")  # Written down before the channel is asked.
    OPEN = "OPEN", pgettext_lazy("payment page", "Open")
    PAID = "PAID", pgettext_lazy("payment page", "Paid")
    ENDED = "ENDED", _("Not paid")  # Run out or given up; money that comes all the same still counts.
