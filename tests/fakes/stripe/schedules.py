"""Subscription schedules of the fake: one price now, another from the next period on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import billing_objects
from .errors import invalid
from .invoicing import refuse_unknown
from .objects import Json
from .proration import next_end

if TYPE_CHECKING:
    from .billing import Billing


def create(billing: Billing, params: Json) -> Json:
    """A schedule around a subscription as it is: one phase, its present period. Raises StripeError 400, 404."""
    refuse_unknown(params, {"from_subscription"})
    merchant = billing.merchant
    subscription = merchant.find(billing.subscriptions, params.get("from_subscription", ""), "subscription")
    if subscription["schedule"] or subscription["status"] == "canceled":
        raise invalid("This subscription can't be put under a schedule.", "from_subscription")
    (item,) = subscription["items"]["data"]
    phase = billing_objects.phase(
        price=item["price"], start=item["current_period_start"], end=item["current_period_end"], metadata={}
    )
    schedule = billing_objects.schedule(
        id=merchant.new_id("sub_sched_"), now=merchant.now(), subscription=subscription, phases=[phase]
    )
    billing.schedules[schedule["id"]] = schedule
    subscription["schedule"] = schedule["id"]
    merchant.tell("subscription_schedule.created", schedule)
    merchant.tell("customer.subscription.updated", subscription)
    return schedule


def update(billing: Billing, schedule: Json, params: Json) -> Json:
    """The phases anew: first the present one, then what comes after it. Raises StripeError 400."""
    refuse_unknown(params, {"phases", "end_behavior"})
    _must_be_active(schedule)
    subscription = billing.subscriptions[schedule["subscription"]]
    (item,) = subscription["items"]["data"]
    now, later = params["phases"]
    refuse_unknown(now, {"items", "start_date", "end_date", "proration_behavior"})
    refuse_unknown(later, {"items", "duration", "metadata", "proration_behavior"})
    start, end = item["current_period_start"], item["current_period_end"]
    if (now["start_date"], now["end_date"]) != (str(start), str(end)):
        raise invalid("The first phase is the present period; more is not covered by the fake.", "phases[0]")
    (kept,) = now["items"]
    if "price" in kept:  # Those that were made of `price_data` are not to be bought again, and here all are.
        raise invalid("The price specified is inactive. This field only accepts active prices.", "phases[0][items]")
    same = billing.price_of(kept["price_data"], "phases[0][items][0][price_data]", subscription)
    if any(same[part] != item["price"][part] for part in ("unit_amount", "product", "recurring")):
        raise invalid("The first phase keeps the present price; more is not covered by the fake.", "phases[0][items]")
    billing.prices[same["id"]] = same
    item.update(price=same, plan=billing_objects.plan(same))
    price = billing.price_of(later["items"][0]["price_data"], "phases[1][items][0][price_data]", subscription)
    billing.prices[price["id"]] = price
    until = next_end(end, later["duration"]["interval"], end)
    schedule["phases"] = [
        billing_objects.phase(price=item["price"], start=start, end=end, metadata={}),
        billing_objects.phase(price=price, start=end, end=until, metadata=later.get("metadata", {})),
    ]
    schedule["end_behavior"] = params.get("end_behavior", schedule["end_behavior"])
    billing.merchant.tell("subscription_schedule.updated", schedule)
    return schedule


def release(billing: Billing, schedule: Json) -> Json:
    """Let the subscription go on as it is. Raises StripeError 400 for a schedule that is over."""
    _must_be_active(schedule)
    subscription = billing.subscriptions[schedule["subscription"]]
    schedule.update(
        status="released", released_at=billing.merchant.now(), released_subscription=subscription["id"],
        subscription=None, current_phase=None,
    )  # fmt: skip
    subscription["schedule"] = None
    billing.merchant.tell("subscription_schedule.released", schedule)
    billing.merchant.tell("customer.subscription.updated", subscription)
    return schedule


def enter_phase(billing: Billing, subscription: Json) -> None:
    """At the end of a period: the next phase's price, where a schedule has one; after the last one it lets go.

    A price of another interval begins a cycle of its own here, for its phase starts where the last period ended.
    """
    if not subscription["schedule"]:
        return
    schedule = billing.schedules[subscription["schedule"]]
    (item,) = subscription["items"]["data"]
    starting = [phase for phase in schedule["phases"] if phase["start_date"] == item["current_period_end"]]
    if not starting:
        release(billing, schedule)
        return
    (phase,) = starting
    price = billing.prices[phase["items"][0]["price"]]
    if price["recurring"]["interval"] != item["price"]["recurring"]["interval"]:
        subscription["billing_cycle_anchor"] = phase["start_date"]
    item.update(price=price, plan=billing_objects.plan(price))
    subscription["metadata"].update(phase["metadata"])
    schedule["current_phase"] = {"end_date": phase["end_date"], "start_date": phase["start_date"]}


def _must_be_active(schedule: Json) -> None:
    if schedule["status"] != "active":
        raise invalid(f"You cannot change a subscription schedule that is {schedule['status']}.")
