"""A change of plan by card between the balance's part and the card's. What became of it is settled once, under the lock
of the subscription's row, in the caller's transaction: it came about, or the balance has its part back."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import SYSTEM, Actor
from shared_apps.billing.channel import SubscriptionState
from shared_apps.billing.models import ChangeQuote, Invoice, Subscription
from shared_apps.billing.services._errors import BillingRefused
from shared_apps.billing.services._invoices import credit_note


def under_way(substation_id: int) -> ChangeQuote | None:
    """The change that a channel was asked for and that is not settled; a shop has one at most (the unique key)."""
    waiting = ChangeQuote.objects.filter(
        substation_id=substation_id, confirmed_at__isnull=False, used_at=None, refused_at=None
    )
    return waiting.select_related("to_plan").first()


def refuse_beside(substation_id: int) -> None:
    """Raises BillingRefused while a change is under way: another one would be charged for the same once more."""
    if under_way(substation_id) is not None:
        raise BillingRefused(
            _("A change of plan is being charged. Wait for its end; it shows here within half an hour.")
        )


def came_about(row: Subscription, told: SubscriptionState, *, now: datetime) -> None:
    """Note that the change under way is what the channel has now, if it is."""
    quote = under_way(row.substation_id)
    if quote is not None and (told.plan, told.interval) == (quote.to_plan.code, quote.to_interval):
        # To change it now, the channel gave up what waited.
        row.next_plan, row.next_interval, row.moved_to = None, "", None
        row.save(update_fields=["next_plan", "next_interval", "moved_to"])
        use(row, quote, by=SYSTEM, now=now)


def use(row: Subscription, quote: ChangeQuote, *, by: Actor, now: datetime) -> list[Invoice]:
    """The quote has been charged and counts; answers its invoices."""
    quote.used_at = now
    quote.save(update_fields=["used_at"])
    invoices = charged(quote)
    audit.record(
        action="billing.plan.changed", by=by, target=row.substation.public_id, at=now, plan=quote.to_plan.code,
        interval=quote.to_interval, total_minor=quote.total_minor, quote=quote.public_id,
        invoices=[invoice.number for invoice in invoices],
    )  # fmt: skip
    return invoices


def charged(quote: ChangeQuote) -> list[Invoice]:
    """The invoices of a quote, in their order."""
    return list(quote.invoices.order_by("id"))


def give_up(row: Subscription, quote: ChangeQuote, *, now: datetime) -> None:
    """The change under way did not come about: credit notes put the balance's part back."""
    quote.refused_at = now
    quote.save(update_fields=["refused_at"])
    if row.next_plan_id is not None:  # The channel gave it up when it was asked, and is told again by the next tick.
        row.asking_until = now
        row.save(update_fields=["asking_until"])
    paid = quote.invoices.filter(provider_ref="", credits__isnull=True)  # An operator may have reversed one before.
    for invoice in paid.order_by("id"):
        credit_note(number=invoice.number, reason="The change of plan did not come about.", by=SYSTEM, now=now)
    audit.record(
        action="billing.plan.not_changed", by=SYSTEM, target=row.substation.public_id, at=now, quote=quote.public_id,
        plan=quote.to_plan.code, interval=quote.to_interval,
    )  # fmt: skip
