"""Integers in, integers out: who gets what of one sale, and what each gives back of it.

Fixed legs first (supply cost, tax, channel fee); of what is left, shares in basis points by the largest remainder; the
rest is the substation's. The parts sum to the whole, always: asserted here, and held by the database.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Refused
from kameng.lib.money import BPS, share_bps_minor


class NegativeMargin(Refused):
    """The price does not cover supply cost, tax and channel fee; `details["missing_minor"]` says by how much."""

    code = "negative_margin"


@dataclass(frozen=True)
class Shares:
    """Basis points of what is left after the fixed legs, by part; their sum is at most 10,000."""

    platform_bps: int
    partner_bps: int = 0
    outlet_bps: int = 0
    agent_bps: int = 0

    def parts(self) -> dict[str, int]:
        return {
            "platform_fee": self.platform_bps, "partner": self.partner_bps, "outlet": self.outlet_bps,
            "agent": self.agent_bps,
        }  # fmt: skip


@dataclass(frozen=True)
class Split:
    """The parts of one sale in minor units; `rest` is the substation's. `subsidy` is what the main station adds."""

    gross: int
    supply: int
    tax: int
    channel_fee: int
    platform_fee: int
    partner: int
    outlet: int
    agent: int
    rest: int
    subsidy: int = 0


def channel_fee_minor(gross_minor: int, fee: Mapping[str, int]) -> int:
    """What a channel with {"bps", "fixed_minor"} keeps of `gross_minor`; an empty mapping keeps nothing."""
    return share_bps_minor(gross_minor, fee.get("bps", 0)) + fee.get("fixed_minor", 0)


def split_sale(
    *, gross_minor: int, supply_minor: int, tax_minor: int = 0, channel_fee_minor: int = 0, shares: Shares,
    subsidized: bool = False,
) -> Split:  # fmt: skip
    """Split one sale. Raises NegativeMargin, unless the main station has agreed to subsidize it."""
    left = gross_minor - supply_minor - tax_minor - channel_fee_minor
    subsidy = 0
    if left < 0:
        if not subsidized:
            raise NegativeMargin(_("The price does not cover supply cost and fees."), details={"missing_minor": -left})
        subsidy, left = -left, 0
    parts = by_largest_remainder(left, shares.parts())
    rest = left - sum(parts.values())
    split = Split(
        gross=gross_minor, supply=supply_minor, tax=tax_minor, channel_fee=channel_fee_minor,
        platform_fee=parts["platform_fee"], partner=parts["partner"], outlet=parts["outlet"], agent=parts["agent"],
        rest=rest, subsidy=subsidy,
    )  # fmt: skip
    whole = supply_minor + tax_minor + channel_fee_minor + sum(parts.values()) + rest
    assert whole == gross_minor + subsidy, (whole, gross_minor, subsidy)
    return split


def by_largest_remainder(amount: int, shares_bps: Mapping[str, int]) -> dict[str, int]:
    """Shares of a non-negative amount: each gets its floor, and the cents left over go to the largest remainders.

    What is not shared out (10,000 − the sum of the shares) takes part as one more, and is not answered.
    """
    total_bps = sum(shares_bps.values())
    assert amount >= 0, amount
    assert 0 <= total_bps <= BPS, shares_bps
    everyone = [*shares_bps.items(), ("", BPS - total_bps)]
    floors = {name: amount * bps // BPS for name, bps in everyone}
    order = sorted(range(len(everyone)), key=lambda i: (-(amount * everyone[i][1] % BPS), i))
    for index in order[: amount - sum(floors.values())]:
        floors[everyone[index][0]] += 1
    floors.pop("")
    return floors


def refund_parts(*, gross_minor: int, refund_minor: int, remaining: Sequence[int]) -> list[int]:
    """What each part gives back of a refund, in proportion to what it has left; `remaining` sums to what is left.

    Going by what is left, and not by splitting cumulative totals again, keeps every part from going negative (the
    latter does in 2 % of cases). The last refund takes exactly what remains.
    """
    left = sum(remaining)
    assert 0 < refund_minor <= left <= gross_minor, (refund_minor, left, gross_minor)
    assert all(part >= 0 for part in remaining), remaining
    floors = [part * refund_minor // left for part in remaining]
    order = sorted(range(len(remaining)), key=lambda i: (-(remaining[i] * refund_minor % left), i))
    for index in order[: refund_minor - sum(floors)]:
        floors[index] += 1
    return floors
