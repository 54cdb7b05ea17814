"""Stripe's objects, as plain dicts, turned into facts, states, events and bill lines. No calls are made here.

Amounts are minor units on both sides; currencies are lower case at Stripe. Shapes: API version of the pinned SDK.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ..base import (
    BillKind,
    BillLine,
    CallbackEvent,
    ChannelState,
    ChannelStatus,
    FactKind,
    Malformed,
    MoneyFact,
    RefundState,
    RefundStatus,
    from_timestamp,
)

Json = Mapping[str, Any]

_BILL_KINDS = {
    "charge": BillKind.PAYMENT,
    "refund": BillKind.REFUND,
    "refund_failure": BillKind.REFUND,
    "partial_capture_reversal": BillKind.REFUND,
    "dispute": BillKind.DISPUTE,
    "dispute_reversal": BillKind.DISPUTE,
    "payout": BillKind.PAYOUT,
    "payout_reversal": BillKind.PAYOUT,
}
_REFUND_STATUS = {
    "succeeded": RefundStatus.SUCCEEDED,
    "pending": RefundStatus.PENDING,
    "requires_action": RefundStatus.PENDING,
    "failed": RefundStatus.FAILED,
    "canceled": RefundStatus.FAILED,
}
# What a fact and its line in the bill add to the object's id, where one object moves money twice.
FAILED_SUFFIX = ":failed"
CLOSED_SUFFIX = ":closed"
PAGE_PREFIX = "bpg_"  # Of a page of billing's, whose id a subscription of ours bears.


def state(session: Json, refunds: Sequence[Json], disputes: Sequence[Json]) -> ChannelState:
    """A session with `payment_intent.latest_charge.balance_transaction` expanded, and what followed its charge."""
    payment_id, channel_ref = payment_id_of(session) or "", session["id"]
    charge = charge_of(session)
    facts: list[MoneyFact] = []
    if charge is not None and charge["status"] == "succeeded" and charge["amount_captured"] > 0:
        facts.append(_paid(charge, payment_id, channel_ref))
    for refund in refunds:
        facts.extend(_refunded(refund, payment_id, channel_ref))
    for dispute in disputes:
        facts.extend(_disputed(dispute, payment_id, channel_ref))
    facts.sort(key=lambda fact: fact.occurred_at)
    return ChannelState(_status(session, bool(facts)), tuple(facts), payment_id, channel_ref, session)


def invoiced(invoice: Json, intent: Json, refunds: Sequence[Json], disputes: Sequence[Json]) -> ChannelState:
    """What went back of an invoice's payment, under the reference that its subscription bears; not that it was paid."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    payment_id, channel_ref = (details.get("metadata") or {}).get("reference", ""), intent["id"]
    facts: list[MoneyFact] = []
    if payment_id.startswith(PAGE_PREFIX):  # Else it is the merchant's other business, which may use the same label.
        for refund in refunds:
            facts.extend(_refunded(refund, payment_id, channel_ref))
        for dispute in disputes:
            facts.extend(_disputed(dispute, payment_id, channel_ref))
    facts.sort(key=lambda fact: fact.occurred_at)
    status = ChannelStatus.PAID if intent["status"] == "succeeded" else ChannelStatus.PENDING
    return ChannelState(status, tuple(facts), payment_id, channel_ref, invoice)


def payment_id_of(item: Json) -> str | None:
    """Our payment's id on any object we labelled; None on those of the merchant's other business."""
    found = (item.get("metadata") or {}).get("payment")
    if not found and item.get("object") == "checkout.session" and item.get("mode") == "payment":
        # A session that begins a subscription bears a reference of billing's.
        found = item.get("client_reference_id")
    return found if isinstance(found, str) and found else None


def intent_of(session: Json) -> Json | None:
    """The expanded payment intent; None before the buyer confirmed anything."""
    intent = session.get("payment_intent")
    return intent if isinstance(intent, dict) else None


def charge_of(session: Json) -> Json | None:
    """The expanded latest charge, successful or not; None when there was none."""
    return charge_of_intent(intent_of(session) or {})


def charge_of_intent(intent: Json) -> Json | None:
    """The same of an intent."""
    charge = intent.get("latest_charge")
    return charge if isinstance(charge, dict) else None


def refund_state(refund: Json, refund_id: str) -> RefundState:
    """A refund object as the contract wants it."""
    return RefundState(
        status=_REFUND_STATUS.get(refund["status"] or "", RefundStatus.PENDING),
        refund_id=refund_id,
        channel_refund_ref=refund["id"],
        amount_minor=refund["amount"],
        currency=refund["currency"].upper(),
        occurred_at=from_timestamp(refund["created"]),
        raw=refund,
    )


def callback_event(event: Json, account_ref: str) -> CallbackEvent:
    """A verified event. Only ids are taken from it, because it may be written in another API version than ours.

    Raises: Malformed.
    """
    try:
        item = event["data"]["object"]
        if item.get("object") == "checkout.session":
            channel_ref = item["id"]
        else:
            intent = item.get("payment_intent")
            channel_ref = intent["id"] if isinstance(intent, dict) else intent
        found = CallbackEvent(
            event_id=event["id"],
            type=event["type"],
            account_ref=account_ref,
            payment_id=payment_id_of(item),
            channel_ref=channel_ref,
            created_at=from_timestamp(event["created"]),
            raw=event,
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError, OSError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error
    if not all(isinstance(word, str) and 0 < len(word) <= 255 for word in (found.event_id, found.type)):
        raise Malformed("the event's id or type is not a string")
    if not isinstance(channel_ref, str | None):
        raise Malformed("the object's reference is not a string")
    return found


def bill_line(line: Json) -> BillLine:
    """A balance transaction with its source expanded."""
    source: Json = line["source"] if isinstance(line["source"], dict) else {"id": line["source"] or ""}
    category = line["reporting_category"]
    suffix = {"refund_failure": FAILED_SUFFIX, "dispute_reversal": CLOSED_SUFFIX}.get(category, "")
    return BillLine(
        line_id=line["id"],
        kind=_BILL_KINDS.get(category, BillKind.OTHER),
        channel_fact_id=source["id"] + suffix if source["id"] else "",
        payment_id=payment_id_of(source) or "",
        refund_id=(source.get("metadata") or {}).get("refund", ""),
        amount_minor=line["amount"],
        fee_minor=line["fee"],
        net_minor=line["net"],
        currency=line["currency"].upper(),
        occurred_at=from_timestamp(line["created"]),
        raw=line,
    )


def _status(session: Json, paid: bool) -> ChannelStatus:
    if paid:
        return ChannelStatus.PAID
    intent = intent_of(session)
    moving = intent is not None and intent["status"] in ("processing", "succeeded", "requires_capture")
    if moving:  # An intent can still be on its way after its session has expired.
        return ChannelStatus.PENDING
    if session["status"] == "expired":
        return ChannelStatus.EXPIRED
    if session["status"] == "complete":  # Confirmed, not paid and not on its way: the method failed later.
        return ChannelStatus.FAILED
    return ChannelStatus.PENDING


def _paid(charge: Json, payment_id: str, channel_ref: str) -> MoneyFact:
    return MoneyFact(
        channel_fact_id=charge["id"],
        kind=FactKind.PAID,
        amount_minor=charge["amount_captured"],
        currency=charge["currency"].upper(),
        fee_minor=_fee((charge["balance_transaction"],), charge["currency"]),
        occurred_at=from_timestamp(charge["created"]),
        payment_id=payment_id,
        channel_ref=channel_ref,
        detail=(charge.get("payment_method_details") or {}).get("type", ""),
    )


def _refunded(refund: Json, payment_id: str, channel_ref: str) -> list[MoneyFact]:
    """The fact of a refund that went out; a second one when it came back. Nothing for one that is on its way."""
    came_back = refund["status"] == "failed" and refund.get("failure_balance_transaction") is not None
    if refund["status"] != "succeeded" and not came_back:
        return []
    out = MoneyFact(
        channel_fact_id=refund["id"],
        kind=FactKind.REFUNDED,
        amount_minor=refund["amount"],
        currency=refund["currency"].upper(),
        fee_minor=None,
        occurred_at=from_timestamp(refund["created"]),
        payment_id=payment_id,
        channel_ref=channel_ref,
        refund_id=(refund["metadata"] or {}).get("refund", ""),
        detail=refund.get("reason") or "",
    )
    if not came_back:
        return [out]
    back = MoneyFact(
        channel_fact_id=out.channel_fact_id + FAILED_SUFFIX,
        kind=FactKind.REFUND_FAILED,
        amount_minor=out.amount_minor,
        currency=out.currency,
        fee_minor=None,
        occurred_at=_moved_at(refund.get("failure_balance_transaction"), out.occurred_at),
        payment_id=payment_id,
        channel_ref=channel_ref,
        refund_id=out.refund_id,
        detail=refund.get("failure_reason") or "",
    )
    return [out, back]


def _disputed(dispute: Json, payment_id: str, channel_ref: str) -> list[MoneyFact]:
    """The facts of a dispute that took money. An inquiry ("warning_…") and one that was prevented take none."""
    if dispute["status"].startswith("warning_") or dispute["status"] == "prevented":
        return []
    opened_at = from_timestamp(dispute["created"])
    movements = dispute["balance_transactions"]
    taken = MoneyFact(
        channel_fact_id=dispute["id"],
        kind=FactKind.DISPUTED,
        amount_minor=dispute["amount"],
        currency=dispute["currency"].upper(),
        fee_minor=_fee([movement for movement in movements if movement["amount"] < 0], dispute["currency"]),
        occurred_at=opened_at,
        payment_id=payment_id,
        channel_ref=channel_ref,
        detail=dispute["reason"],
    )
    if dispute["status"] not in ("won", "lost"):
        return [taken]
    given_back = [movement for movement in movements if movement["amount"] > 0]
    closed = MoneyFact(
        channel_fact_id=dispute["id"] + CLOSED_SUFFIX,
        kind=FactKind.DISPUTE_CLOSED,
        amount_minor=dispute["amount"] if dispute["status"] == "won" else 0,
        currency=taken.currency,
        fee_minor=None,
        # Stripe does not say when a dispute was lost, only when money came back for one that was won.
        occurred_at=_moved_at(given_back[-1] if given_back else None, opened_at),
        payment_id=payment_id,
        channel_ref=channel_ref,
        detail=dispute["status"],
    )
    return [taken, closed]


def _fee(movements: Sequence[Any], currency: str) -> int | None:
    """The sum of the fees when they are told and in `currency`; Stripe may settle in another, or later."""
    told = [movement for movement in movements if isinstance(movement, dict) and movement["currency"] == currency]
    if not told or len(told) != len(movements):
        return None
    return sum(int(movement["fee"]) for movement in told)


def _moved_at(movement: Any, otherwise: datetime) -> datetime:
    return from_timestamp(movement["created"]) if isinstance(movement, dict) else otherwise
