"""The legs of a sale: the order's costs and the shop's terms, through `shared_apps.splits`' arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kameng.lib import money
from shared_apps.splits import arithmetic
from tenant_apps.orders.services._errors import SettlementRefused
from tenant_apps.orders.services._locking import Payable
from tenant_apps.orders.types import PaidReceipt


@dataclass(frozen=True, slots=True)
class SplitLegs:
    """Signed legs by account code, debit positive; what the shop earns; the version of the terms."""

    codes: list[str]
    amounts: list[int]
    earned_minor: int
    rule_version: int | None


def split(order: Payable, receipt: PaidReceipt) -> SplitLegs:
    """Who gets what of this receipt, under the terms in force when it was paid.

    The channel's fee is what the channel says it kept, else what the terms expect it to keep. Partners, outlet and
    agent have their places in the arithmetic and no accounts yet: a rule that gives them a share is refused.
    Raises: SettlementRefused (the money does not cover cost and fees, or the terms name a party without an account).
    """
    take = min(receipt.amount_minor, order.total_minor)
    rule: Mapping[str, Any] = order.terms["terms"]
    fee = receipt.fee_minor
    if fee is None:
        fee = arithmetic.channel_fee_minor(take, (rule.get("channel_fees") or {}).get(receipt.channel) or {})
    try:
        parts = arithmetic.split_sale(
            gross_minor=take, supply_minor=sum(line["cost_minor"] for line in order.lines), channel_fee_minor=fee,
            tax_minor=money.share_bps_minor(take, rule.get("tax_bps") or 0), shares=shares_of(order.terms),
            # The checkout refuses a loss by the fee that the terms expect. A channel that kept more than that must not
            # keep the buyer from their goods: the shop bears it. What a person takes from a case has to cover itself.
            subsidized=not receipt.from_suspense,
        )  # fmt: skip
    except arithmetic.NegativeMargin as refusal:
        raise SettlementRefused(
            number=order.number, reason=f"short of {refusal.details['missing_minor']} for cost and fees"
        ) from None
    earned = parts.rest - parts.subsidy
    if parts.partner or parts.outlet or parts.agent:
        raise SettlementRefused(number=order.number, reason="the terms name a party that has no account yet")
    source = f"suspense:{receipt.channel}" if receipt.from_suspense else f"channel:{receipt.channel}:clearing"
    legs = [
        (source, take), ("main:revenue", -parts.supply), ("main:platform_fee", -parts.platform_fee),
        (f"channel:{receipt.channel}:fee", -parts.channel_fee), ("tax:cn:payable", -parts.tax),
        (f"substation:{order.terms['substation_id']}:pending", -earned),
    ]  # fmt: skip
    moved = [(code, amount) for code, amount in legs if amount]  # The ledger knows no leg of nothing.
    return SplitLegs([code for code, _ in moved], [amount for _, amount in moved], earned, order.terms["rule"])


def expected_margin(
    *, total_minor: int, cost_minor: int, terms: Mapping[str, Any], channel: str = "", channels: Iterable[str] = ()
) -> int:
    """What is left of an order after cost, tax and the fee that the terms expect of `channel`, or of the cheapest of
    `channels`; negative: a loss."""
    fees = terms.get("channel_fees") or {}
    expected = [
        arithmetic.channel_fee_minor(total_minor, fees.get(name) or {}) for name in ([channel] if channel else channels)
    ]
    tax = money.share_bps_minor(total_minor, terms.get("tax_bps") or 0)
    return total_minor - cost_minor - tax - min(expected, default=0)


def shares_of(terms: Mapping[str, Any]) -> arithmetic.Shares:
    """The shares of a row of `gate.sale_terms`."""
    rule = terms["terms"]
    return arithmetic.Shares(
        platform_bps=terms["platform_bps"] or 0, partner_bps=rule.get("partner_bps") or 0,
        outlet_bps=rule.get("outlet_bps") or 0, agent_bps=rule.get("agent_bps") or 0,
    )  # fmt: skip
