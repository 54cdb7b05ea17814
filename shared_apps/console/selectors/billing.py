"""Invoices, subscriptions and what is unpaid, as the console lists them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Max, Q, QuerySet, Sum

from shared_apps.billing.models import DunningStep, Invoice, Subscription
from shared_apps.billing.selectors import invoices as billed
from shared_apps.billing.states import InvoiceState, SubscriptionState


def invoices(
    *, query: str = "", state: str = "", kind: str = "", substation_id: int | None = None,
    since: datetime | None = None, before: datetime | None = None,
) -> QuerySet[Invoice]:  # fmt: skip
    """Invoices with their substations; `query`: parts of a number, of a buyer's name, or a transfer or channel's id."""
    rows = billed(substation_id=substation_id)
    for word in query.split():
        rows = rows.filter(
            Q(number__icontains=word) | Q(buyer_name__icontains=word) | Q(substation__slug__icontains=word)
            | Q(transfer_id=word) | Q(provider_ref=word)
        )  # fmt: skip
    if state:
        rows = rows.filter(state=state)
    if kind:
        rows = rows.filter(kind=kind)
    if since is not None:
        rows = rows.filter(issued_at__gte=since)
    if before is not None:
        rows = rows.filter(issued_at__lt=before)
    return rows


def invoice_counts() -> dict[str, int]:
    """How many invoices are in each state."""
    return dict(Invoice.objects.order_by().values_list("state").annotate(count=Count("pk")))


def invoice(number: str) -> Invoice | None:
    """An invoice with its substation and what it reverses."""
    return Invoice.objects.select_related("substation", "reverses").filter(number=number).first()


@dataclass(frozen=True, slots=True)
class Step:
    """What dunning does next to a subscription, and when: "READ_ONLY", "SHUT", or "" once there is nothing left."""

    kind: str
    at: datetime | None


def next_step(row: Subscription, now: datetime) -> Step:
    """The next thing that will be taken away from a shop whose payment is due."""
    for kind, at in (("READ_ONLY", row.read_only_at), ("SHUT", row.shuts_at)):
        if at is not None and at > now:
            return Step(kind, at)
    return Step("", None)


def past_due(*, query: str = "", standing: str = "") -> QuerySet[Subscription]:
    """Subscriptions whose payment is due, those that are due longest first, with what they owe and their last step."""
    rows: QuerySet[Subscription] = Subscription.objects.select_related("substation", "plan").filter(
        state=SubscriptionState.PAST_DUE
    )
    for word in query.split():
        rows = rows.filter(
            Q(substation__name__icontains=word) | Q(substation__slug__icontains=word)
            | Q(substation__owner_email__icontains=word)
        )  # fmt: skip
    if standing:
        rows = rows.filter(substation__standing=standing)
    return rows.order_by("due_since", "pk")


def standings() -> dict[str, int]:
    """How many of those whose payment is due are restricted how far."""
    rows = Subscription.objects.filter(state=SubscriptionState.PAST_DUE).order_by()
    return dict(rows.values_list("substation__standing").annotate(count=Count("pk")))


def owed(substation_ids: list[int]) -> dict[int, tuple[int, int]]:
    """What these shops owe: how many open invoices, and their sum in minor units."""
    rows = Invoice.objects.filter(substation_id__in=substation_ids, state=InvoiceState.OPEN).order_by()
    found = rows.values_list("substation_id").annotate(count=Count("pk"), total=Sum("total_minor"))
    return {pk: (count, int(total)) for pk, count, total in found}


def last_steps(substation_ids: list[int]) -> dict[int, Any]:
    """The newest thing that was done about each shop's payment."""
    newest = DunningStep.objects.filter(substation_id__in=substation_ids).order_by().values("substation_id")
    ids = newest.annotate(last=Max("pk")).values_list("last", flat=True)
    return {step.substation_id: step for step in DunningStep.objects.filter(pk__in=list(ids))}


def totals() -> dict[str, int]:
    """Of the whole network: invoices that are due and their sum, shops that owe, and those that are shut for it."""
    open_ones = Invoice.objects.filter(state=InvoiceState.OPEN).aggregate(count=Count("pk"), total=Sum("total_minor"))
    due = Subscription.objects.filter(state=SubscriptionState.PAST_DUE)
    return {
        "count": open_ones["count"], "total_minor": int(open_ones["total"] or 0), "shops": due.count(),
        "shut": due.filter(substation__standing="SHUT").count(),
    }  # fmt: skip


def steps_of(substation_id: int, limit: int) -> list[DunningStep]:
    """The newest steps of one shop."""
    return list(DunningStep.objects.filter(substation_id=substation_id)[:limit])
