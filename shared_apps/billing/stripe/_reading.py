"""Stripe's sessions, subscriptions and invoices, as plain dicts, turned into ours. No calls are made here.

Amounts are minor units on both sides; currencies are lower case at Stripe. Shapes: API version of the pinned SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from kameng.lib.outside.refusals import Malformed, from_timestamp
from shared_apps.billing.channel import BillingEvent, CheckoutState, InvoiceLine, InvoiceState, SubscriptionState

Json = Mapping[str, Any]

INTERVALS = {"MONTH": "month", "YEAR": "year"}
_OUR_INTERVALS = {theirs: ours for ours, theirs in INTERVALS.items()}
_REASONS = {"subscription_create": "create", "subscription_cycle": "cycle", "subscription_update": "update"}


def checkout(session: Json) -> CheckoutState:
    """A session in mode `subscription`."""
    complete = session["status"] == "complete"
    return CheckoutState(
        session_id=session["id"],
        status=session["status"],
        paid=complete and session["payment_status"] in ("paid", "no_payment_required"),
        customer=id_of(session["customer"]),
        subscription=id_of(session["subscription"]),
        amount_minor=session["amount_total"],
        currency=session["currency"].upper(),
        reference=session["client_reference_id"] or "",
    )


def item_of(subscription: Json) -> Json:
    """The one thing that a subscription of ours is for. Its period stands here, in this API version."""
    item: Json = subscription["items"]["data"][0]
    return item


def interval_of(price: Json) -> str:
    """Our word for how long a price's period is: "MONTH" or "YEAR"."""
    return _OUR_INTERVALS[price["recurring"]["interval"]]


def subscription(found: Json) -> SubscriptionState:
    """A subscription with its item."""
    item, labels = item_of(found), found["metadata"] or {}
    price = item["price"]
    return SubscriptionState(
        id=found["id"],
        customer=id_of(found["customer"]),
        status=found["status"],
        period_start=from_timestamp(item["current_period_start"]),
        period_end=from_timestamp(item["current_period_end"]),
        trial_ends_at=_moment(found["trial_end"]),
        cancel_at_period_end=found["cancel_at_period_end"],
        plan=labels.get("plan", ""),
        interval=interval_of(price),
        amount_minor=price["unit_amount"],
        currency=found["currency"].upper(),
        latest_invoice=id_of(found["latest_invoice"]),
        reference=labels.get("reference", ""),
    )


def products_of_fees(lines: list[Json]) -> list[str]:
    """The products of the lines that are paid once: what they are for stands in those."""
    return [
        line["pricing"]["price_details"]["product"] for line in lines if _kind(line, {}) == "" and line.get("pricing")
    ]


def invoice(found: Json, lines: list[Json], *, fee_minor: int, kinds: Mapping[str, str]) -> InvoiceState:
    """An invoice with all its lines; `kinds` says what each product that is paid once is: "opening", "deposit".

    The sum of the lines is what the invoice collects: credit that it uses up or leaves behind is a line of its own.
    """
    ours = [_line(line, kinds) for line in lines]
    rest = found["amount_due"] - found["total"]
    if rest:
        text = _("Credit used") if rest < 0 else _("Kept as credit")
        ours.append(InvoiceLine("prorata", text, rest, None, None))
    start, end = _period(found, lines)
    return InvoiceState(
        id=found["id"],
        subscription=_subscription_of(found),
        status=found["status"],
        paid=found["status"] == "paid",
        amount_minor=found["amount_due"],
        currency=found["currency"].upper(),
        fee_minor=fee_minor,
        period_start=start,
        period_end=end,
        reason=_REASONS.get(found["billing_reason"] or "", found["billing_reason"] or ""),
        lines=tuple(ours),
        created_at=from_timestamp(found["created"]),
        paid_at=_moment(found["status_transitions"]["paid_at"]),
    )


def event(found: Json) -> BillingEvent | None:
    """Where a verified event says to look; None when that is nothing of billing's. Raises: Malformed.

    Only ids are taken from it: it may be written in another API version than ours, and be older than what is true.
    """
    try:
        item = found["data"]["object"]
        kind, name, id = found["type"], item.get("object"), item.get("id")
        if name == "checkout.session" and item.get("mode") == "subscription":
            object_type = "checkout"
        elif name == "subscription":
            object_type = "subscription"
        elif name == "invoice" and id and not str(id).startswith("upcoming_"):  # A forecast is nothing to fetch.
            object_type = "invoice"
        else:
            return None
        told = BillingEvent(id=found["id"], kind=kind, object_type=object_type, object_id=id)
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"{type(error).__name__}: {error}") from error
    if not all(isinstance(word, str) and 0 < len(word) <= 255 for word in (told.id, told.kind, told.object_id)):
        raise Malformed("the event's id, type or object is not a string")
    return told


def id_of(value: Any) -> str:
    """An object's id, whether it was expanded or not; "" for none."""
    if isinstance(value, Mapping):
        value = value["id"]
    return value or ""


def _line(line: Json, kinds: Mapping[str, str]) -> InvoiceLine:
    kind = _kind(line, kinds)
    return InvoiceLine(
        kind=kind or "opening",  # A fee that says nothing of itself: ours all do.
        text=line["description"] or "",
        amount_minor=line["amount"],
        period_start=from_timestamp(line["period"]["start"]) if kind in ("period", "prorata") else None,
        period_end=from_timestamp(line["period"]["end"]) if kind in ("period", "prorata") else None,
    )


def _kind(line: Json, kinds: Mapping[str, str]) -> str:
    parent = line["parent"] or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    if details.get("proration"):
        return "prorata"
    if parent.get("type") == "subscription_item_details":
        return "period"
    price = (line.get("pricing") or {}).get("price_details") or {}
    return kinds.get(price.get("product", ""), "")


def _period(found: Json, lines: list[Json]) -> tuple[datetime, datetime]:
    """The time that the invoice is for. Its own `period_…` look back, as Stripe has it; the lines look ahead."""
    told = [line for line in lines if _kind(line, {}) == "period"] or [
        line for line in lines if _kind(line, {}) == "prorata"
    ]
    if not told:
        return from_timestamp(found["period_start"]), from_timestamp(found["period_end"])
    return from_timestamp(told[-1]["period"]["start"]), from_timestamp(told[-1]["period"]["end"])


def _subscription_of(found: Json) -> str:
    parent = found["parent"] or {}
    return id_of((parent.get("subscription_details") or {}).get("subscription"))


def _moment(seconds: int | None) -> datetime | None:
    return None if seconds is None else from_timestamp(seconds)
