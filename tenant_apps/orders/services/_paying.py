"""From money to goods: one receipt, one sale, one transfer, in the transaction that delivers the codes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from kameng.accounts.types import Actor
from kameng.jobs.services import wake_after_commit
from tenant_apps.orders.services import _splitting, _sql
from tenant_apps.orders.services._delivering import MAIL_JOB
from tenant_apps.orders.services._errors import (
    NotHeld,
    OrderMissing,
    OrderTransitionRefused,
    SettlementRefused,
    ShopClosed,
    SoldOut,
)
from tenant_apps.orders.services._locking import Payable, lock_payable
from tenant_apps.orders.states import (
    DELIVERY_TRANSITIONS,
    ORDER_TRANSITIONS,
    DeliveryEvent,
    OrderEvent,
)
from tenant_apps.orders.types import PaidReceipt, SettledOrder

QUEUE_JOB = "orders.notify_queue"


def pay_order(
    *, receipt: PaidReceipt, by: Actor, now: datetime, payable: Payable | None = None, statement: str = _sql.SETTLE,
    **more: Any,
) -> SettledOrder:  # fmt: skip
    """Take `receipt` as the payment of its order: codes delivered, lines for people queued, the sale in the ledger.

    All of it is one transaction with whatever the caller writes beside it. An order that had expired or was cancelled
    is revived when its stock can be held again. `payable` saves the reading when the caller has locked the order;
    `statement` may do more than SETTLE, with the parameters `more`, and answers the same columns.

    Raises: OrderMissing; OrderTransitionRefused (paid already, refunded); SoldOut (late, and the stock is gone);
    ShopClosed (late, and the shop is closed for good); NotHeld; SettlementRefused (amount, receipt and legs don't
    agree; `details["reason"]`). Nothing is written then.
    """
    # No savepoint: whoever calls this inside a transaction and goes on after a refusal opens one around the call.
    with transaction.atomic(savepoint=False):
        order = payable or lock_payable(receipt.order_number, paid_at=receipt.occurred_at)
        if order is None:
            raise OrderMissing()
        event = OrderEvent.PAY if order.waits else OrderEvent.REVIVE
        if order.state not in ORDER_TRANSITIONS[event][0]:
            raise OrderTransitionRefused(number=order.number, event=event, state=order.state)
        if event == OrderEvent.REVIVE:
            _hold_again(order, by=by, now=now)
        return _settle(order, receipt, event, by=by, now=now, statement=statement, more=more)


def _hold_again(order: Payable, *, by: Actor, now: datetime) -> None:
    """Take the stock of a revived order once more, all or none, and its lines back out of CANCELLED."""
    try:
        with _sql.through_the_gate(), connection.cursor() as cursor:
            cursor.execute("SELECT gate.hold_again(%s, %s, %s)", [order.number, now, now])
            cursor.execute(
                _sql.REQUEUE_LINES,
                {"order_id": order.id, "sources": _sources(DELIVERY_TRANSITIONS[DeliveryEvent.REQUEUE][0]),
                 "target": str(DELIVERY_TRANSITIONS[DeliveryEvent.REQUEUE][1]), "now": now,
                 "event": str(DeliveryEvent.REQUEUE), "by_kind": str(by.kind), "by_label": by.label[:120]},
            )  # fmt: skip
    except _sql.GateRefused as refusal:
        if refusal.code == "KG010":
            raise SoldOut(sku_id=refusal.sku_id, name=order.number) from None
        if refusal.code == "KG002":
            raise ShopClosed() from None
        raise


def _settle(
    order: Payable, receipt: PaidReceipt, event: OrderEvent, *, by: Actor, now: datetime, statement: str,
    more: Mapping[str, Any],
) -> SettledOrder:  # fmt: skip
    split = _splitting.split(order, receipt)
    sources, paid_state = ORDER_TRANSITIONS[event]
    queued = sum(line["delivery"] != "CODES" for line in order.lines)
    final = paid_state if queued else ORDER_TRANSITIONS[OrderEvent.DELIVER][1]
    jobs = [MAIL_JOB, QUEUE_JOB] if queued else [MAIL_JOB]
    params = {
        "number": order.number, "order_id": order.id, "receipt": receipt.public_id, "codes": split.codes,
        "amounts": split.amounts, "rule": split.rule_version, "earned": split.earned_minor, "now": now,
        "event": str(event), "sources": _sources(sources), "from_state": order.state, "paid": str(paid_state),
        "final": str(final), "line_sources": _sources(DELIVERY_TRANSITIONS[DeliveryEvent.QUEUE][0]),
        "by_kind": str(by.kind), "by_label": by.label[:120], "note": f"{receipt.channel} {receipt.public_id}",
        "jobs": jobs, **more,
    }  # fmt: skip
    try:
        with _sql.through_the_gate(), connection.cursor() as cursor:
            cursor.execute(statement, params)
            transfer_id, job_ids = cursor.fetchone()
    except _sql.GateRefused as refusal:
        if refusal.code == "KG026":
            raise NotHeld(order.number) from None
        if refusal.code == "KG028":
            raise OrderTransitionRefused(number=order.number, event=event, state=order.state) from None
        raise SettlementRefused(number=order.number, reason=f"{refusal.code} {refusal.text}") from None
    wake_after_commit(job_ids)
    return SettledOrder(
        id=order.id, number=order.number, state=str(final), transfer_id=transfer_id, earned_minor=split.earned_minor,
        queued=queued,
    )  # fmt: skip


def _sources(states: Any) -> list[str]:
    return sorted(str(state) for state in states)
