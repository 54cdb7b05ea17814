"""What the channels told us, and what people did about the rest."""

from __future__ import annotations

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class MerchantAccount(models.Model):
    """An account at a payment channel. `substation_id` null: the main station's, open to all shops."""

    public_id = models.CharField(max_length=30, unique=True)
    channel = models.CharField(max_length=20)
    account_ref = models.CharField(max_length=80)
    name = models.CharField(max_length=80)
    substation_id = models.BigIntegerField(null=True, blank=True)
    credentials = models.BinaryField(default=bytes)
    key_version = models.CharField(max_length=12, blank=True, default="")
    api_base = models.CharField(max_length=200, blank=True, default="")
    enabled = models.BooleanField(default=True)
    sort = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("sort", "id")
        constraints = (models.UniqueConstraint(fields=("channel", "account_ref"), name="merchant_account_once"),)

    def __str__(self) -> str:
        return f"{self.channel}:{self.account_ref}"


class InboxState(models.TextChoices):
    RECEIVED = "RECEIVED", _("Waiting")
    HANDLED = "HANDLED", _("Handled")
    IGNORED = "IGNORED", _("Nothing to do")
    FAILED = "FAILED", _("Failed")


class InboxEvent(models.Model):
    """A callback that passed its signature check, as its raw bytes. Stored before it is answered."""

    account = models.ForeignKey(MerchantAccount, on_delete=models.PROTECT, related_name="events")
    channel = models.CharField(max_length=20)
    event_id = models.CharField(max_length=120)
    kind = models.CharField(max_length=80)
    payment_id = models.CharField(max_length=30, blank=True, default="", db_index=True)
    channel_ref = models.CharField(max_length=120, blank=True, default="")
    body = models.BinaryField()
    headers = models.JSONField(default=dict)
    state = models.CharField(max_length=8, choices=InboxState.choices, default=InboxState.RECEIVED)
    attempts = models.PositiveSmallIntegerField(default=0)
    problem = models.CharField(max_length=500, blank=True, default="")
    try_at = models.DateTimeField(null=True)  # Not before this: the back-off after a failed try.
    received_at = models.DateTimeField()
    handled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=("account", "event_id"), name="inbox_once"),)
        indexes = (models.Index(fields=("try_at", "id"), condition=Q(state="RECEIVED"), name="inbox_waiting"),)


class Announced(models.Model):
    """A payment that a shop began: which shop and order a callback belongs to, and what was asked for.

    Written through `gate.announce_payment`; the amount can't be changed afterwards.
    """

    payment_id = models.CharField(max_length=30)
    substation_id = models.BigIntegerField()
    order_number = models.CharField(max_length=40)
    # The function that writes the row has looked the account up: no constraint, which would do it again.
    account = models.ForeignKey(MerchantAccount, on_delete=models.PROTECT, related_name="announced", db_constraint=False,
                                db_index=False)  # fmt: skip
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    at = models.DateTimeField()
    # When the janitor asks the channel next; NULL once the attempt has ended.
    ask_at = models.DateTimeField(null=True)
    ask_count = models.PositiveSmallIntegerField(default=0)

    class Meta:
        constraints = (models.UniqueConstraint(fields=("payment_id",), name="announced_once"),)
        indexes = (
            models.Index(fields=("substation_id", "order_number"), name="announced_by_order"),
            models.Index(fields=("ask_at",), condition=Q(ask_at__isnull=False), name="announced_to_ask"),
        )


class FactKind(models.TextChoices):
    PAID = "PAID", _("Paid")
    REFUNDED = "REFUNDED", _("Refunded")
    REFUND_FAILED = "REFUND_FAILED", _("Refund came back")
    DISPUTED = "DISPUTED", _("Disputed")
    DISPUTE_CLOSED = "DISPUTE_CLOSED", _("Dispute closed")


class Receipt(models.Model):
    """One movement that a channel says it made. Append-only but for `used_for`, which is set once."""

    public_id = models.CharField(max_length=30)
    account = models.ForeignKey(MerchantAccount, on_delete=models.PROTECT, related_name="receipts", db_index=False)
    channel = models.CharField(max_length=20)
    fact_id = models.CharField(max_length=120)
    kind = models.CharField(max_length=14, choices=FactKind.choices)
    payment_id = models.CharField(max_length=30, blank=True, default="")
    channel_ref = models.CharField(max_length=120, blank=True, default="")
    substation_id = models.BigIntegerField(null=True)
    order_number = models.CharField(max_length=40, blank=True, default="")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    fee_minor = models.BigIntegerField(null=True)
    refund_id = models.CharField(max_length=30, blank=True, default="")  # Ours, on what came of our own refund.
    detail = models.CharField(max_length=60, blank=True, default="")  # A word of the channel: "won", "card".
    occurred_at = models.DateTimeField()
    recorded_at = models.DateTimeField()
    # SALE (settled an order), CASE (a person decides), REFUND, CREDIT, NOTED. Set once, by whoever uses the receipt.
    used_for = models.CharField(max_length=8, blank=True, default="")

    class Meta:
        ordering = ("-id",)
        constraints = (
            # Not `unique=True`: Django would add a second index for LIKE, and each sale would pay for it.
            models.UniqueConstraint(fields=("public_id",), name="receipt_public_id_once"),
            models.UniqueConstraint(fields=("account", "fact_id"), name="receipt_once"),
            models.UniqueConstraint(
                fields=("substation_id", "order_number"), condition=Q(used_for="SALE"), name="order_settled_once"
            ),
            models.CheckConstraint(
                name="receipt_amount_positive",  # A lost dispute closes with nothing given back.
                condition=Q(amount_minor__gt=0) | Q(amount_minor=0, kind="DISPUTE_CLOSED"),
            ),
        )
        indexes = (models.Index(fields=("order_number",), name="receipt_by_order"),)


class CaseKind(models.TextChoices):
    LATE = "LATE", _("Paid late")
    SHORT = "SHORT", _("Paid too little")
    OVER = "OVER", _("Paid too much")
    DOUBLE = "DOUBLE", _("Paid twice")
    UNKNOWN_ORDER = "UNKNOWN_ORDER", _("Paid for no known order")
    CURRENCY = "CURRENCY", _("Paid in another currency")
    NO_STOCK = "NO_STOCK", _("Paid, but sold out")
    DISPUTE = "DISPUTE", _("Disputed by the payer")  # The channel took the money back meanwhile.
    OUTSIDE = "OUTSIDE", _("Refunded at the channel, not by us")
    RETURN = "RETURN", _("A refund came back")
    STUCK = "STUCK", _("Paid, but could not be settled")


class CaseState(models.TextChoices):
    OPEN = "OPEN", pgettext_lazy("payment case", "Open")
    SETTLING = "SETTLING", _("Being settled")  # A refund was asked of the channel and not yet answered.
    SETTLED = "SETTLED", _("Settled")


class Resolution(models.TextChoices):
    DELIVER = "DELIVER", _("Deliver the order")
    CREDIT = "CREDIT", _("Credit to the shop")
    REFUND = "REFUND", _("Refund to the payer")
    # Of money that went out: a lost dispute, a refund that somebody made at the channel.
    CHARGE = "CHARGE", _("Charge to the shop")
    RETURNED = "RETURNED", _("The channel gave it back")


class PaymentCase(models.Model):
    """Money that did not fit its order. It rests in `suspense:{channel}` until a person settles the case.

    `outward`: the channel took the money from us (a dispute, a foreign refund), so that the suspense account owes it.
    """

    public_id = models.CharField(max_length=30, unique=True)
    kind = models.CharField(max_length=14, choices=CaseKind.choices)
    receipt = models.OneToOneField(Receipt, on_delete=models.PROTECT, related_name="case")
    substation_id = models.BigIntegerField(null=True)
    order_number = models.CharField(max_length=40, blank=True, default="")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    expected_minor = models.BigIntegerField(null=True)
    outward = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=CaseState.choices, default=CaseState.OPEN)
    resolution = models.CharField(max_length=8, choices=Resolution.choices, blank=True, default="")
    evidence = models.TextField(blank=True, default="")
    settled_by = models.CharField(max_length=120, blank=True, default="")
    opened_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(
                name="settled_case_has_evidence",
                condition=~Q(state="SETTLED")
                | (Q(settled_at__isnull=False) & ~Q(resolution="") & ~Q(evidence="") & ~Q(settled_by="")),
            ),
        )
        indexes = (models.Index(fields=("-id",), condition=~Q(state="SETTLED"), name="case_open"),)


class CaseNote(models.Model):
    """One step in a case's life: who, when, what. Append-only."""

    case = models.ForeignKey(PaymentCase, on_delete=models.PROTECT, related_name="notes")
    at = models.DateTimeField()
    by = models.CharField(max_length=120)
    text = models.TextField()

    class Meta:
        ordering = ("-id",)


class RefundState(models.TextChoices):
    ASKED = "ASKED", _("Asked")  # Written down; the channel has not answered yet.
    UNKNOWN = "UNKNOWN", _("Unknown")  # Sent and not answered: the janitor asks.
    PENDING = "PENDING", _("On its way")  # The channel took it on.
    SUCCEEDED = "SUCCEEDED", _("Refunded")
    FAILED = "FAILED", _("Failed")


class RefundPurpose(models.TextChoices):
    ORDER = "ORDER", _("A whole order")
    CASE = "CASE", _("A payment case")


class Refund(models.Model):
    """Money that we asked a channel to give back. `public_id` (rfd_…) is the idempotency key at the channel.

    Written and committed before the channel is called, so that no refund is ever sent without a trace.
    """

    public_id = models.CharField(max_length=30, unique=True)
    receipt = models.ForeignKey(Receipt, on_delete=models.PROTECT, related_name="refunds")
    purpose = models.CharField(max_length=5, choices=RefundPurpose.choices)
    case = models.ForeignKey(PaymentCase, null=True, on_delete=models.PROTECT, related_name="refunds")
    substation_id = models.BigIntegerField(null=True)
    order_number = models.CharField(max_length=40, blank=True, default="")
    amount_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    reason = models.CharField(max_length=200)
    state = models.CharField(max_length=9, choices=RefundState.choices, default=RefundState.ASKED)
    channel_refund_ref = models.CharField(max_length=120, blank=True, default="")
    problem = models.CharField(max_length=300, blank=True, default="")
    transfer_id = models.CharField(max_length=30, blank=True, default="")  # trf_…, once the ledger has it.
    ask_count = models.PositiveSmallIntegerField(default=0)
    ask_at = models.DateTimeField(null=True)  # When the janitor asks next.
    by = models.CharField(max_length=120)
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="refund_amount_positive", condition=Q(amount_minor__gt=0)),
            models.CheckConstraint(
                name="refund_of_case_has_case",
                condition=Q(purpose="ORDER", case__isnull=True) | Q(purpose="CASE", case__isnull=False),
            ),
            # One living refund for each purpose: two clicks ask once.
            models.UniqueConstraint(fields=("receipt", "purpose"), condition=~Q(state="FAILED"), name="refund_once"),
        )
        indexes = (models.Index(fields=("ask_at",), condition=Q(ask_at__isnull=False), name="refund_to_ask"),)


class NetworkOrder(models.Model):
    """What the main station sees of a substation's order. Written through `gate` in the order's transactions."""

    substation_id = models.BigIntegerField()
    order_number = models.CharField(max_length=40)
    state = models.CharField(max_length=16)
    total_minor = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    lines = models.JSONField(default=list)  # [{"sku_id","sku_code","name","quantity","total_minor"}]
    contact_hint = models.CharField(max_length=60, blank=True, default="")
    placed_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField()

    class Meta:
        ordering = ("-id",)
        # The number first: it is what people search by, and enough to find the row.
        constraints = (models.UniqueConstraint(fields=("order_number", "substation_id"), name="network_order_once"),)
        # Grows with the table: a range of days is a range of pages, and writing costs next to nothing.
        indexes = (
            BrinIndex(fields=("placed_at",), pages_per_range=16, autosummarize=True, name="network_order_placed"),
        )
