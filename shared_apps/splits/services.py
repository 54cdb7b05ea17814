"""Versions of the terms: made, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit, catalogue
from kameng.accounts.types import SYSTEM, Actor
from kameng.db.context import in_main
from kameng.lib import clock
from kameng.lib.errors import Invalid
from kameng.lib.money import BPS
from shared_apps.splits.models import SplitRule

DEFAULT_PLATFORM_BPS = 1000
# What the channels keep until somebody writes their contract's figures: Stripe's card price for Hong Kong and the
# test channel's own.
DEFAULT_CHANNEL_FEES = {"stripe": {"bps": 340, "fixed_minor": 220}, "testpay": {"bps": 60, "fixed_minor": 0}}


def create_rule(
    *, effective_at: datetime, platform_fee_bps: int, plan_fees: Mapping[str, int],
    channel_fees: Mapping[str, Mapping[str, int]], by: Actor, now: datetime, note: str = "", **places: int,
) -> SplitRule:  # fmt: skip
    """A new version, in force from `effective_at`. `places`: partner_bps, outlet_bps, agent_bps, tax_bps.

    Raises Invalid for a share out of 0–10,000 or a start in the past (sales were split by what was in force then).
    """
    by.must(catalogue.SPLITS_MANAGE)
    for name, bps in {"platform_fee_bps": platform_fee_bps, **plan_fees, **places}.items():
        if not 0 <= bps <= BPS:
            raise Invalid(_("A share is between 0 and 100 %."), field=name)
    if effective_at < now:
        raise Invalid(_("New terms can't begin in the past."), field="effective_at")
    rule = SplitRule.objects.create(
        effective_at=effective_at, platform_fee_bps=platform_fee_bps, plan_fees=dict(plan_fees),
        channel_fees={name: dict(fee) for name, fee in channel_fees.items()}, note=note, created_at=now, **places,
    )  # fmt: skip
    audit.record(action="splits.rule.created", by=by, target=str(rule), at=now)
    return rule


def ensure_first_rule() -> None:
    """The first version, on a new database. Part of `kameng db prepare`."""
    with in_main():
        if SplitRule.objects.exists():
            return
        now = clock.utc_now()
        rule = SplitRule(
            # In force since ever, so that every sale has its terms.
            effective_at=datetime(2020, 1, 1, tzinfo=now.tzinfo), platform_fee_bps=DEFAULT_PLATFORM_BPS,
            plan_fees={}, channel_fees=DEFAULT_CHANNEL_FEES, created_at=now, note="first",
        )  # fmt: skip
        rule.save()
        audit.record(action="splits.rule.created", by=SYSTEM, target=str(rule), at=now)


def as_dict(rule: SplitRule) -> dict[str, Any]:
    """What a screen shows of a version."""
    return {
        "version": rule.version, "effective_at": rule.effective_at, "platform_fee_bps": rule.platform_fee_bps,
        "plan_fees": rule.plan_fees, "channel_fees": rule.channel_fees,
    }  # fmt: skip
