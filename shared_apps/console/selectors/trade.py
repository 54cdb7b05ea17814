"""Orders of the network, with their sums and everything that the shared tables know of one."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Missing
from shared_apps.receipts.models import Announced, CaseNote, InboxEvent, NetworkOrder, PaymentCase
from shared_apps.stock.models import CodeReveal


class OrderUnknown(Missing):
    """No such order in the network."""

    code = "order_unknown"


def orders(
    *, number: str = "", state: str = "", substation_id: int | None = None, since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[NetworkOrder]:  # fmt: skip
    """The network's orders; `since` and `until` bound the time of placing."""
    rows = NetworkOrder.objects.all()
    if number:
        rows = rows.filter(order_number__startswith=number.strip().upper())
    if state:
        rows = rows.filter(state=state)
    if substation_id is not None:
        rows = rows.filter(substation_id=substation_id)
    if since is not None:
        rows = rows.filter(placed_at__gte=since)
    return rows if until is None else rows.filter(placed_at__lt=until)


def order_sums(rows: QuerySet[NetworkOrder]) -> list[dict[str, Any]]:
    """Per currency: how many orders and their total, and of those that were paid."""
    paid = Q(paid_at__isnull=False)
    sums: Any = (
        rows.order_by("currency").values("currency").annotate(
            orders=Count("pk"), placed_minor=Sum("total_minor"), paid=Count("pk", filter=paid),
            paid_minor=Sum("total_minor", filter=paid, default=0),
        )
    )  # fmt: skip
    return list(sums)


def order(*, substation_id: int, number: str) -> NetworkOrder:
    """Raises: OrderUnknown."""
    found = NetworkOrder.objects.filter(substation_id=substation_id, order_number=number.upper()).first()
    if found is None:
        raise OrderUnknown(_("There is no such order in this shop."))
    return found


def cases_of_order(*, substation_id: int, number: str) -> QuerySet[PaymentCase]:
    return PaymentCase.objects.filter(substation_id=substation_id, order_number=number).select_related("receipt")


def notes_of_cases(case_ids: list[int]) -> QuerySet[CaseNote]:
    return CaseNote.objects.filter(case_id__in=case_ids).select_related("case")


def reveals_of_order(*, substation_id: int, number: str) -> QuerySet[CodeReveal]:
    return CodeReveal.objects.filter(substation_id=substation_id, order_number=number)


def events(*, query: str = "", state: str = "", channel: str = "") -> QuerySet[InboxEvent]:
    """The inbox without its bytes; `query` is an event's or payment's id, or a part of a kind."""
    rows = InboxEvent.objects.select_related("account").defer("body")
    text = query.strip()
    if text:
        rows = rows.filter(Q(event_id=text) | Q(payment_id=text) | Q(kind__icontains=text))
    if state:
        rows = rows.filter(state=state)
    return rows.filter(channel=channel) if channel else rows


def event(pk: int) -> InboxEvent | None:
    """One event with its bytes."""
    return InboxEvent.objects.select_related("account").filter(pk=pk).first()


def event_counts() -> dict[str, int]:
    return dict(InboxEvent.objects.order_by().values_list("state").annotate(count=Count("pk")))


def case_counts(substation_id: int | None = None) -> dict[str, int]:
    """How many payment cases are in each state; of one shop where it is given."""
    rows = PaymentCase.objects.order_by()
    if substation_id is not None:
        rows = rows.filter(substation_id=substation_id)
    return dict(rows.values_list("state").annotate(count=Count("pk")))


def sales_of_shops(substation_ids: Collection[int], since: datetime) -> dict[int, tuple[int, int]]:
    """Paid orders since a moment, by shop: how many and their total. Placed at most a week before they were paid."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT substation_id, count(*), sum(total_minor)::bigint FROM receipts_networkorder "
            "WHERE placed_at >= %(since)s - interval '7 days' AND paid_at >= %(since)s AND substation_id = ANY (%(ids)s) "
            "GROUP BY substation_id",
            {"since": since, "ids": list(substation_ids)},
        )
        return {pk: (count, total) for pk, count, total in cursor.fetchall()}


def owner_of_payment(payment_id: str) -> tuple[int, str] | None:
    """Shop and order number of the order that announced a payment; None when nobody did."""
    found = Announced.objects.filter(payment_id=payment_id).values_list("substation_id", "order_number").first()
    return (found[0], found[1]) if found else None
