"""Subscriptions, invoices and what was done about unpaid ones. Main scope.

An issued invoice is never edited: the main station's role may set what becomes of it (`state`, `paid_at`, where its
money was booked) and nothing else, and its lines are only ever added (kameng.db.roles).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q

from kameng.lib.ids import public_id
from shared_apps.billing.states import (
    DunningKind,
    InvoiceKind,
    InvoiceState,
    Method,
    PagePurpose,
    PageState,
    SubscriptionState,
)
from tenants.models import Plan, Substation
from tenants.states import BillingInterval


def _quote_id() -> str:
    return public_id("quo")


def _page_id() -> str:
    return public_id("bpg")


class Subscription(models.Model):
    """What a substation pays for its plan, and for which time. A plan without a price has no periods."""

    substation = models.OneToOneField(Substation, on_delete=models.PROTECT, related_name="subscription")
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="subscriptions")
    interval = models.CharField(max_length=5, choices=BillingInterval.choices, default=BillingInterval.MONTH)
    method = models.CharField(max_length=7, choices=Method.choices, default=Method.PREPAID)
    state = models.CharField(max_length=8, choices=SubscriptionState.choices, default=SubscriptionState.ACTIVE)
    trial_ends_at = models.DateTimeField(null=True)
    # Periods are counted from here, so that the 31st comes back after a short month.
    anchor_at = models.DateTimeField(null=True)
    period_start = models.DateTimeField(null=True)
    period_end = models.DateTimeField(null=True)
    # What the present period was charged, which is what an upgrade gives back of: a plan's price may change meanwhile.
    period_fee_minor = models.BigIntegerField(default=0)
    cancel_at_period_end = models.BooleanField(default=False)
    # A card's channel ends it because its shop is closing. Set before the channel is asked: called off, it is to go on.
    cancelled_by_closing = models.BooleanField(default=False, db_default=False)
    next_plan = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    next_interval = models.CharField(max_length=5, choices=BillingInterval.choices, blank=True, default="")
    # What a card's channel was asked to charge next because the main station chose it. Set before the channel is asked:
    # until what waits is the same, the channel may have it or not.
    moved_to = models.ForeignKey(Plan, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    # Until then somebody is telling the channel what comes next. Past: it was cut off, and what waits is told again.
    asking_until = models.DateTimeField(null=True)
    due_since = models.DateTimeField(null=True)  # The moment from which dunning counts its days.
    stripe_customer = models.CharField(max_length=80, blank=True, default="")
    stripe_subscription = models.CharField(max_length=80, blank=True, default="")
    # The page that began it, so that it is looked for on its own account; null: begun before this was noted.
    page = models.ForeignKey("billing.PaymentPage", null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="subscription_state_known", condition=Q(state__in=SubscriptionState.values)),
            models.CheckConstraint(
                name="subscription_past_due_since",
                condition=Q(state="PAST_DUE", due_since__isnull=False)
                | ~Q(state="PAST_DUE") & Q(due_since__isnull=True),
            ),
            models.CheckConstraint(
                name="subscription_period_whole",
                condition=Q(period_start__isnull=True, period_end__isnull=True)
                | Q(period_start__lt=models.F("period_end"), anchor_at__isnull=False),
            ),
            models.CheckConstraint(
                name="subscription_trial_has_end", condition=~Q(state="TRIAL") | Q(trial_ends_at__isnull=False)
            ),
            models.CheckConstraint(
                name="subscription_next_whole",
                condition=Q(next_plan__isnull=True, next_interval="")
                | Q(next_plan__isnull=False) & ~Q(next_interval=""),
            ),
            models.CheckConstraint(
                name="subscription_stripe_has_id", condition=~Q(method="STRIPE") | ~Q(stripe_subscription="")
            ),
            models.UniqueConstraint(
                fields=("stripe_customer",), condition=~Q(stripe_customer=""), name="subscription_stripe_customer_once"
            ),
            models.UniqueConstraint(
                fields=("stripe_subscription",), condition=~Q(stripe_subscription=""), name="subscription_stripe_once"
            ),
        )
        indexes = (
            models.Index(fields=("period_end",), condition=Q(state="ACTIVE"), name="subscription_to_renew"),
            models.Index(fields=("trial_ends_at",), condition=Q(state="TRIAL"), name="subscription_on_trial"),
            models.Index(fields=("due_since",), condition=Q(state="PAST_DUE"), name="subscription_past_due"),
        )

    @property
    def is_moved(self) -> bool:
        """Whether what waits for the period's end is the main station's choice, of which the card's channel was told."""
        plan = self.moved_to
        if self.method != Method.STRIPE or plan is None or plan.pk == self.plan_id:
            return False
        return bool(self.next_plan_id == plan.pk if plan.costs else self.cancel_at_period_end)

    @property
    def read_only_at(self) -> datetime | None:
        """From when the panel only shows, should nothing be paid; None while nothing is due."""
        return self.due_since and self.due_since + timedelta(days=self.plan.grace_days)

    @property
    def shuts_at(self) -> datetime | None:
        """From when the storefront is closed, should nothing be paid; None while nothing is due."""
        return self.due_since and self.due_since + timedelta(days=2 * self.plan.grace_days)


class InvoiceCounter(models.Model):
    """The last number of a year. Its row is locked by whoever issues an invoice until the invoice is committed, so
    that the numbers have no gap."""

    year = models.BigIntegerField(primary_key=True)
    last = models.PositiveIntegerField(default=0)


class Invoice(models.Model):
    """What a substation was charged. `total_minor` is the sum of its lines."""

    number = models.CharField(max_length=20)
    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="invoices")
    kind = models.CharField(max_length=8, choices=InvoiceKind.choices)
    state = models.CharField(max_length=13, choices=InvoiceState.choices, default=InvoiceState.OPEN)
    currency = models.CharField(max_length=3)
    total_minor = models.BigIntegerField()
    issued_at = models.DateTimeField()
    due_at = models.DateTimeField()
    period_start = models.DateTimeField(null=True)
    period_end = models.DateTimeField(null=True)
    # As they were when it was issued: a shop that is renamed later does not rename its invoices.
    seller_name = models.CharField(max_length=120)
    seller_details = models.TextField(blank=True, default="")
    buyer_name = models.CharField(max_length=120)
    buyer_details = models.TextField(blank=True, default="")
    language = models.CharField(max_length=10)
    reverses = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="credits")
    # The change of plan that it was issued for: what it gives back, should that not come about.
    change = models.ForeignKey("ChangeQuote", null=True, blank=True, on_delete=models.PROTECT, related_name="invoices")
    # What becomes of it: the only columns that may change.
    paid_at = models.DateTimeField(null=True)
    paid_by = models.CharField(max_length=7, choices=Method.choices, blank=True, default="")
    transfer_id = models.CharField(max_length=30, blank=True, default="", help_text="trf_…, once the ledger has it.")
    provider_ref = models.CharField(max_length=80, blank=True, default="", help_text="The channel's own invoice.")

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.UniqueConstraint(fields=("number",), name="invoice_number_once"),
            models.UniqueConstraint(
                fields=("provider_ref", "kind"), condition=~Q(provider_ref=""), name="invoice_of_provider_once"
            ),
            models.CheckConstraint(name="invoice_state_known", condition=Q(state__in=InvoiceState.values)),
            models.CheckConstraint(
                name="paid_invoice_has_transfer",
                condition=Q(state="PAID", paid_at__isnull=False) & ~Q(paid_by="") & ~Q(transfer_id="")
                | ~Q(state="PAID") & Q(paid_at__isnull=True, paid_by="", transfer_id=""),
            ),
            models.CheckConstraint(
                name="credit_note_reverses",
                condition=Q(kind="CREDIT", reverses__isnull=False, total_minor__lt=0)
                | ~Q(kind="CREDIT") & Q(reverses__isnull=True, total_minor__gt=0),
            ),
            # One invoice a period: two workers that renew at once charge once.
            models.UniqueConstraint(
                fields=("substation", "period_start"),
                condition=Q(kind__in=("OPENING", "PERIOD"), state__in=("OPEN", "PAID"), period_start__isnull=False),
                name="invoice_period_once",
            ),
        )
        indexes = (
            models.Index(fields=("substation", "-id"), name="invoice_of_substation"),
            models.Index(fields=("due_at",), condition=Q(state="OPEN"), name="invoice_open"),
        )

    def __str__(self) -> str:
        return self.number


class InvoiceLine(models.Model):
    """One line of an invoice; written with it, and never changed."""

    invoice = models.ForeignKey(Invoice, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    text_zh = models.CharField(max_length=200)
    text_en = models.CharField(max_length=200)
    amount_minor = models.BigIntegerField()
    period_start = models.DateTimeField(null=True)
    period_end = models.DateTimeField(null=True)

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("invoice", "position"), name="invoice_line_once"),)


class DunningStep(models.Model):
    """One thing that was done about a payment that is due. Append-only."""

    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="dunning")
    kind = models.CharField(max_length=9, choices=DunningKind.choices)
    round = models.DateTimeField(help_text="What it belongs to: the moment the payment became due, or will.")
    day = models.PositiveSmallIntegerField(default=0, help_text="Days after that.")
    detail = models.CharField(max_length=200, blank=True, default="")
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at", "-id")
        constraints = (
            # Two workers, or a second tick: each step is taken once.
            models.UniqueConstraint(fields=("substation", "round", "kind", "day"), name="dunning_step_once"),
        )


class PaymentPage(models.Model):
    """A hosted page on which somebody pays us: a top-up, or a subscription by card. `public_id` is our reference there.

    Written and committed before the channel is asked, so that money never comes for a page that we don't know.
    """

    public_id = models.CharField(max_length=30, unique=True, default=_page_id)
    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="payment_pages")
    purpose = models.CharField(max_length=9, choices=PagePurpose.choices)
    account_id = models.BigIntegerField(help_text="The main station's merchant account that collects.")
    state = models.CharField(max_length=5, choices=PageState.choices, default=PageState.ASKED)
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    plan = models.ForeignKey(Plan, null=True, on_delete=models.PROTECT, related_name="+")  # What is subscribed to.
    interval = models.CharField(max_length=5, choices=BillingInterval.choices, blank=True, default="")
    session_ref = models.CharField(max_length=120, blank=True, default="")
    url = models.CharField(max_length=1000, blank=True, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    ask_at = models.DateTimeField(null=True)  # When the channel is asked next; null: it has ended.
    ask_count = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="payment_page_positive", condition=Q(amount_minor__gte=0)),
            models.CheckConstraint(
                name="payment_page_ends",
                condition=Q(state__in=("PAID", "ENDED"), ended_at__isnull=False)
                | Q(state__in=("ASKED", "OPEN"), ended_at__isnull=True),
            ),
        )
        indexes = (
            models.Index(fields=("substation", "-id"), name="payment_page_of"),
            models.Index(fields=("ask_at",), condition=Q(ask_at__isnull=False), name="payment_page_to_ask"),
        )


class ChangeQuote(models.Model):
    """What a change of plan costs, reckoned at one moment. What is charged is this row's sum, or nothing."""

    public_id = models.CharField(max_length=30, unique=True, default=_quote_id)
    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="quotes")
    from_plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    from_interval = models.CharField(max_length=5, choices=BillingInterval.choices)
    to_plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="+")
    to_interval = models.CharField(max_length=5, choices=BillingInterval.choices)
    period_end = models.DateTimeField(null=True)  # Of the period it was reckoned in: another one makes it void.
    at = models.DateTimeField()
    expires_at = models.DateTimeField()
    currency = models.CharField(max_length=3)
    total_minor = models.BigIntegerField()
    at_once = models.BooleanField(
        default=True, db_default=True
    )  # Else it waits for `period_end`, and costs nothing now.
    lines = models.JSONField(default=list)
    to_fee_minor = models.BigIntegerField(null=True)  # Of a period on `to_plan`; null: from before it was noted.
    # Not read any more (`Invoice.change` says it); the version before still does.
    invoice = models.OneToOneField(Invoice, null=True, on_delete=models.PROTECT, related_name="+")
    # By card: the balance has paid its part, and the channel was asked for the rest, the last time at this moment.
    confirmed_at = models.DateTimeField(null=True)
    refused_at = models.DateTimeField(null=True)  # It did not come about, and the balance has its part back.
    used_at = models.DateTimeField(null=True)  # It came about.

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="quote_not_negative", condition=Q(total_minor__gte=0)),
            models.CheckConstraint(
                name="quote_ends_one_way", condition=Q(used_at__isnull=True) | Q(refused_at__isnull=True)
            ),
            # A second one beside it would be charged the same opening fee once more.
            models.UniqueConstraint(
                fields=("substation",), name="quote_under_way_once",
                condition=Q(confirmed_at__isnull=False, used_at__isnull=True, refused_at__isnull=True),
            ),
        )  # fmt: skip
