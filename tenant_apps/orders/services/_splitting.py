"""The legs of a sale, as `shared_apps.splits` makes them of the order's costs and the shop's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kameng.lib import money
from tenant_apps.orders.types import PaidReceipt

if TYPE_CHECKING:
    from tenant_apps.orders.services._paying import Payable


@dataclass(frozen=True, slots=True)
class SplitLegs:
    """Signed legs by account code, debit positive; what the shop earns; the version of the terms."""

    codes: list[str]
    amounts: list[int]
    earned_minor: int
    rule_version: int | None


def split(order: Payable, receipt: PaidReceipt) -> SplitLegs:
    take = min(receipt.amount_minor, order.total_minor)
    cost = sum(line["cost_minor"] for line in order.lines)
    rule = order.terms["terms"]
    if receipt.fee_minor is None:
        fees = (rule.get("channel_fees") or {}).get(receipt.channel) or {}
        fee = money.share_bps_minor(take, int(fees.get("bps", 0))) + int(fees.get("fixed_minor", 0))
    else:
        fee = receipt.fee_minor
    left = take - cost - fee
    platform = money.share_bps_minor(max(left, 0), order.terms["platform_bps"])
    earned = left - platform
    source = f"{'suspense' if receipt.from_suspense else 'channel'}:{receipt.channel}"
    legs = [
        (source if receipt.from_suspense else f"{source}:clearing", take), ("main:revenue", -cost),
        ("main:platform_fee", -platform), (f"channel:{receipt.channel}:fee", -fee),
        (f"substation:{order.terms['substation_id']}:pending", -earned),
    ]  # fmt: skip
    legs = [(code, amount) for code, amount in legs if amount]
    return SplitLegs([c for c, _ in legs], [a for _, a in legs], earned, order.terms["rule"])
