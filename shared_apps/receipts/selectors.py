"""What others read of receipts, cases, the inbox and the network's orders. Main station's scope."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, QuerySet

from shared_apps.receipts.models import (
    InboxEvent,
    InboxState,
    MerchantAccount,
    NetworkOrder,
    PaymentCase,
    Receipt,
    Refund,
)
from shared_apps.receipts.types import Announcement, OrderRef


def due_orders(*, now: datetime, limit: int = 500) -> list[OrderRef]:
    """Unpaid orders of the whole network whose stock has been held long enough, the longest due first: one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT h.substation_id, s.schema_name, h.order_number FROM stock_hold h "
            "JOIN tenants_substation s ON s.id = h.substation_id WHERE h.state = 'HELD' AND h.expires_at <= %s "
            "GROUP BY h.substation_id, s.schema_name, h.order_number ORDER BY min(h.expires_at) LIMIT %s",
            [now, limit],
        )
        return [OrderRef(*row) for row in cursor.fetchall()]


def owner_of_payment(*, payment_id: str, account_id: int) -> OrderRef | None:
    """The shop and order that announced a payment on this account; None when nobody did."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.substation_id, s.schema_name, a.order_number FROM receipts_announced a "
            "JOIN tenants_substation s ON s.id = a.substation_id WHERE a.payment_id = %s AND a.account_id = %s AND s.state <> 'ERASED'",
            [payment_id, account_id],
        )
        row = cursor.fetchone()
    return OrderRef(*row) if row else None


def announced_to_ask(*, now: datetime, limit: int = 200) -> list[Announcement]:
    """Payment attempts of the whole network whose time to be asked about has come: one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT a.payment_id, s.schema_name, a.account_id, a.ask_count FROM receipts_announced a "
            "JOIN tenants_substation s ON s.id = a.substation_id WHERE a.ask_at <= %s ORDER BY a.ask_at LIMIT %s",
            [now, limit],
        )
        return [Announcement(*row) for row in cursor.fetchall()]


def sale_amount(*, substation_id: int, order_number: str) -> int:
    """What an order was sold for, in minor units."""
    rows = NetworkOrder.objects.filter(substation_id=substation_id, order_number=order_number)
    return rows.values_list("total_minor", flat=True).get()


def cases(
    *, state: str = "", kind: str = "", substation_id: int | None = None, text: str = ""
) -> QuerySet[PaymentCase]:
    """Payment cases, newest first. `text` is an order number or a case's id."""
    found = PaymentCase.objects.select_related("receipt", "receipt__account")
    if state:
        found = found.filter(state=state)
    if kind:
        found = found.filter(kind=kind)
    if substation_id is not None:
        found = found.filter(substation_id=substation_id)
    if text:
        found = found.filter(order_number=text.strip().upper()) | found.filter(public_id=text.strip())
    return found


def case(public_id: str) -> PaymentCase | None:
    """A case with its receipt; notes by `case.notes`, refunds by `case.refunds`."""
    return PaymentCase.objects.select_related("receipt", "receipt__account").filter(public_id=public_id).first()


def open_case_count() -> int:
    """How many cases wait for a person."""
    return PaymentCase.objects.exclude(state="SETTLED").count()


def inbox(*, state: str = "", channel: str = "", payment_id: str = "") -> QuerySet[InboxEvent]:
    """Events of the inbox, newest first, without their bytes."""
    found = InboxEvent.objects.select_related("account").defer("body")
    if state:
        found = found.filter(state=state)
    if channel:
        found = found.filter(channel=channel)
    if payment_id:
        found = found.filter(payment_id=payment_id)
    return found


def failed_event_count() -> int:
    return InboxEvent.objects.filter(state=InboxState.FAILED).count()


def network_orders(*, substation_id: int | None = None, state: str = "", number: str = "") -> QuerySet[NetworkOrder]:
    """What the main station sees of the substations' orders, newest first."""
    found = NetworkOrder.objects.all()
    if substation_id is not None:
        found = found.filter(substation_id=substation_id)
    if state:
        found = found.filter(state=state)
    if number:
        found = found.filter(order_number=number.strip().upper())
    return found


def receipts_of_order(*, substation_id: int, order_number: str) -> QuerySet[Receipt]:
    """What the channels said about one order, newest first."""
    return Receipt.objects.filter(substation_id=substation_id, order_number=order_number).select_related("account")


def sale_receipt_id(*, substation_id: int, order_number: str) -> int | None:
    """The receipt that settled an order."""
    rows = Receipt.objects.filter(substation_id=substation_id, order_number=order_number, used_for="SALE")
    return rows.values_list("pk", flat=True).first()


def is_undelivered_sale(*, substation_id: int, order_number: str) -> bool:
    """Whether an order is paid and nothing of it was delivered, as far as the main station knows itself: no code of the
    stock went out for it, and the shop has not said that it is delivered."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.state = 'PAID' AND NOT EXISTS (SELECT FROM stock_hold h JOIN stock_code c ON c.hold_id = h.id "
            "WHERE h.substation_id = o.substation_id AND h.order_number = o.order_number AND c.state = 'DELIVERED') "
            "FROM receipts_networkorder o WHERE o.substation_id = %s AND o.order_number = %s",
            [substation_id, order_number],
        )
        row = cursor.fetchone()
    return bool(row and row[0])


def refunds_of_order(*, substation_id: int, order_number: str) -> QuerySet[Refund]:
    return Refund.objects.filter(substation_id=substation_id, order_number=order_number)


def merchant_accounts() -> QuerySet[MerchantAccount]:
    """All merchant accounts; their credentials stay sealed."""
    return MerchantAccount.objects.defer("credentials")


def accounts_by_key() -> dict[str, int]:
    """How many merchant accounts are sealed under each version of the key."""
    rows = MerchantAccount.objects.order_by().values_list("key_version")
    return dict(rows.annotate(count=Count("pk")))


def accounts_under_other_keys(current: str) -> int:
    """How many merchant accounts are not sealed under this key."""
    return int(MerchantAccount.objects.exclude(key_version=current).count())


def network_figures(*, since: datetime) -> dict[str, Any]:
    """Orders, paid orders and turnover of the network since a moment; minor units of the network's currency."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE paid_at >= %(since)s), "
            "coalesce(sum(total_minor) FILTER (WHERE paid_at >= %(since)s AND state IN ('PAID', 'DELIVERED')), 0)::bigint "
            "FROM receipts_networkorder WHERE placed_at >= %(since)s OR paid_at >= %(since)s",
            {"since": since},
        )
        placed, paid, gmv = cursor.fetchone()
    return {"orders_placed": placed, "orders_paid": paid, "gmv_minor": gmv}
