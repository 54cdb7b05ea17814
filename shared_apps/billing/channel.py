"""The contract between billing and the outside that collects for it.

Two of them. A `BillingChannel` runs subscriptions of its own (Stripe Billing): it charges by itself, and tells. A
`PageChannel` takes one payment on a hosted page, which becomes prepaid balance. Both are pure HTTP: they know no table
and decide nothing. What a webhook says is only where to look: the object is fetched, and what was fetched counts.

Errors, for every call: kameng.lib.errors.ProviderError. `unknown` means sent and not answered: it is asked about later,
and the same call with the same `idempotency_key` is safe.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# All amounts are minor units of `currency`; moments are aware.


@dataclass(frozen=True, slots=True)
class HostedPage:
    """Where the payer goes, and until when the page takes money."""

    url: str
    session_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CheckoutState:
    """A hosted page of a subscription as the channel has it now.

    `status`: "open", "complete" or "expired". `paid`: what was due at once has been paid, or nothing was due (a trial).
    `reference`: ours, as it was given to `open_checkout`. `customer`, `subscription`: "" before it is complete.
    """

    session_id: str
    status: str
    paid: bool
    customer: str
    subscription: str
    amount_minor: int
    currency: str
    reference: str


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """A subscription as the channel has it now.

    `status` is the channel's word: "trialing", "active", "past_due", "unpaid", "incomplete", "incomplete_expired",
    "canceled". `reference`: ours, from its making. `plan`: our plan's code, as the channel keeps it in its metadata.
    """

    id: str
    customer: str
    status: str
    period_start: datetime
    period_end: datetime
    trial_ends_at: datetime | None
    cancel_at_period_end: bool
    plan: str
    interval: str  # "MONTH" or "YEAR".
    amount_minor: int
    currency: str
    latest_invoice: str
    reference: str


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line of a channel's invoice; `kind`: "opening", "deposit", "period" or "prorata"."""

    kind: str
    text: str
    amount_minor: int
    period_start: datetime | None
    period_end: datetime | None


@dataclass(frozen=True, slots=True)
class InvoiceState:
    """An invoice as the channel has it now.

    `status`: "draft", "open", "paid", "void", "uncollectible". `reason`: "create" (the first one), "cycle", "update" (a
    change of plan). `fee_minor`: what the channel keeps of the payment, 0 while it has not said. `paid_at`: when its
    money came.
    """

    id: str
    subscription: str
    status: str
    paid: bool
    amount_minor: int
    currency: str
    fee_minor: int
    period_start: datetime
    period_end: datetime
    reason: str
    lines: tuple[InvoiceLine, ...]
    created_at: datetime
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class BillingEvent:
    """A webhook whose signature and age were checked. `object_type`: "checkout", "subscription" or "invoice"."""

    id: str
    kind: str  # The channel's word: "invoice.paid".
    object_type: str
    object_id: str


class BillingChannel(Protocol):
    """One merchant account at a channel that runs subscriptions. `shared_apps.billing.stripe.channel(account)` makes one.

    Every call is by name, and carries time-outs of its own.
    """

    def ensure_customer(self, *, substation_public_id: str, email: str, name: str, idempotency_key: str) -> str:
        """The channel's id of a substation's owner; made once."""
        ...

    def open_checkout(
        self,
        *,
        customer: str,
        currency: str,
        opening_fee_minor: int,
        deposit_minor: int,
        period_fee_minor: int,
        interval: str,
        trial_days: int,
        plan: str,
        name: str,
        success_url: str,
        cancel_url: str,
        reference: str,
        idempotency_key: str,
        locale: str = "zh",
    ) -> HostedPage:
        """A hosted page on which a subscription begins. Opening fee and deposit are lines that are charged once, at once;
        `name` is what the payer reads of the plan; `plan` (its code) and `reference` go into the metadata of the
        session and of the subscription."""
        ...

    def fetch_checkout(self, session_id: str) -> CheckoutState: ...

    def expire_checkout(self, session_id: str) -> CheckoutState:
        """Have the page take no more money; the state afterwards, which may be "complete": the payer can be faster."""
        ...

    def fetch_subscription(self, subscription: str) -> SubscriptionState: ...

    def fetch_invoice(self, invoice: str) -> InvoiceState: ...

    def preview_change(
        self, *, subscription: str, new_amount_minor: int, interval: str, plan: str, name: str, at: datetime
    ) -> int:
        """What a change of plan at the moment `at` would charge now, in minor units."""
        ...

    def change_plan(
        self, *, subscription: str, new_amount_minor: int, interval: str, plan: str, name: str, at: datetime,
        prorate: bool, idempotency_key: str,
    ) -> SubscriptionState:  # fmt: skip
        """Change the price. `prorate`: invoice the difference now, reckoned at `at`, so that it is what `preview_change`
        said; else the new price counts from the next period on."""
        ...

    def cancel(self, *, subscription: str, at_period_end: bool, idempotency_key: str) -> SubscriptionState: ...

    def keep(self, *, subscription: str, idempotency_key: str) -> SubscriptionState:
        """Take back a cancellation at the period's end."""
        ...

    def pay_invoice(self, *, invoice: str, idempotency_key: str) -> InvoiceState:
        """Try to collect an open invoice with the customer's card now."""
        ...

    def portal(self, *, customer: str, return_url: str) -> str:
        """The channel's own page where a customer changes their card and reads their receipts."""
        ...

    def parse_event(self, *, raw: bytes, signature: str, secret: str, now: datetime) -> BillingEvent | None:
        """A webhook's event once its signature and age are checked; None for a kind that says nothing to billing.

        Raises: kameng.lib.errors.Invalid for what is not to be believed.
        """
        ...


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One payment to collect on a hosted page. `reference` is ours ("bpg_…") and the idempotency key at the channel."""

    account_id: int
    reference: str
    amount_minor: int
    currency: str
    title: str
    return_url: str
    cancel_url: str
    notify_base: str
    created_at: datetime
    expires_at: datetime
    locale: str
    payer_ip: str = ""
    metadata: Mapping[str, str] | None = None


class PageChannel(Protocol):
    """What collects one payment on a hosted page. settings.BILLING_PAGES names it: the adapters of the payment channels
    lie above this room (tenant_apps.payments), so composition brings the two together."""

    def open_page(self, *, request: PageRequest) -> HostedPage:
        """Ask the channel to collect. Outside any transaction. The same request again gives the same page."""
        ...

    def ask(self, *, account_id: int, reference: str, session_id: str) -> str:
        """Fetch what became of a page and take the facts it tells, which credits the balance. Outside any transaction.

        Answers "PENDING", "PAID", "FAILED", "EXPIRED" or "NOT_FOUND".
        """
        ...
