"""The parts sum to the whole, always; and what is given back never exceeds what was got."""

from __future__ import annotations

import json

import pytest
from django.db import connections
from hypothesis import given, settings
from hypothesis import strategies as st

from kameng.lib.money import share_bps_minor
from shared_apps.splits.arithmetic import (
    NegativeMargin,
    Shares,
    by_largest_remainder,
    channel_fee_minor,
    refund_parts,
    split_sale,
)


class TestSplitSale:
    def test_takes_fixed_legs_first_and_shares_of_what_is_left(self) -> None:
        split = split_sale(gross_minor=10_000, supply_minor=9_000, channel_fee_minor=60, shares=Shares(1000))

        assert (split.supply, split.channel_fee, split.platform_fee, split.rest) == (9_000, 60, 94, 846)

    def test_gives_a_cent_that_can_not_be_parted_to_the_largest_remainder(self) -> None:
        assert by_largest_remainder(10, {"a": 3333, "b": 3333}) == {"a": 3, "b": 3}
        assert by_largest_remainder(1, {"a": 6000, "b": 3000}) == {"a": 1, "b": 0}
        assert by_largest_remainder(0, {"a": 6000, "b": 3000}) == {"a": 0, "b": 0}

    def test_refuses_a_price_below_cost_and_fees_and_says_by_how_much(self) -> None:
        with pytest.raises(NegativeMargin) as refused:
            split_sale(gross_minor=9_000, supply_minor=9_000, channel_fee_minor=54, shares=Shares(1000))

        assert refused.value.details == {"missing_minor": 54}

    def test_books_a_subsidy_where_the_main_station_agreed_to_one(self) -> None:
        split = split_sale(
            gross_minor=9_000, supply_minor=9_000, channel_fee_minor=54, shares=Shares(1000), subsidized=True
        )

        assert (split.subsidy, split.platform_fee, split.rest) == (54, 0, 0)

    @given(
        gross=st.integers(1, 10**12),
        cost_bps=st.integers(0, 10_000),
        fee_bps=st.integers(0, 10_000),
        platform=st.integers(0, 4000),
        partner=st.integers(0, 3000),
        outlet=st.integers(0, 2000),
        agent=st.integers(0, 1000),
    )
    @settings(max_examples=300, deadline=None)
    def test_sums_to_the_whole(
        self, gross: int, cost_bps: int, fee_bps: int, platform: int, partner: int, outlet: int, agent: int
    ) -> None:
        cost = gross * cost_bps // 10_000
        fee = (gross - cost) * fee_bps // 10_000

        split = split_sale(
            gross_minor=gross, supply_minor=cost, channel_fee_minor=fee, shares=Shares(platform, partner, outlet, agent)
        )

        parts = [split.platform_fee, split.partner, split.outlet, split.agent, split.rest]
        assert cost + fee + sum(parts) == gross
        assert min(parts) >= 0

    def test_knows_what_a_channel_keeps(self) -> None:
        assert channel_fee_minor(10_000, {"bps": 60}) == 60
        assert channel_fee_minor(25, {"bps": 60}) == 0
        assert channel_fee_minor(84, {"bps": 60}) == 1
        assert channel_fee_minor(10_000, {"bps": 340, "fixed_minor": 220}) == 560
        assert channel_fee_minor(10_000, {}) == 0


class TestRefundParts:
    def test_gives_back_in_proportion(self) -> None:
        assert refund_parts(gross_minor=100, refund_minor=50, remaining=[90, 1, 9]) == [45, 1, 4]

    @given(
        parts=st.lists(st.integers(0, 10**6), min_size=1, max_size=7), cuts=st.lists(st.integers(1, 10**6), max_size=20)
    )
    @settings(max_examples=500, deadline=None)
    def test_is_exact_and_never_negative_however_often_it_is_refunded(self, parts: list[int], cuts: list[int]) -> None:
        gross = sum(parts)
        remaining, refunded = list(parts), 0
        for cut in [*cuts, gross]:
            amount = min(cut, gross - refunded)
            if amount <= 0:
                break
            back = refund_parts(gross_minor=gross, refund_minor=amount, remaining=remaining)
            assert sum(back) == amount
            remaining = [left - part for left, part in zip(remaining, back, strict=True)]
            assert min(remaining) >= 0
            refunded += amount

        assert sum(remaining) == gross - refunded


class TestTheDatabaseCountsAlike:
    """gate.settle_sale holds a sale's legs against these to the cent: two ways of rounding would refuse honest sales."""

    def test_a_share_is_the_same_to_the_cent(self, prepared: None) -> None:
        cases = [
            (amount, bps)
            for amount in (0, 1, 49, 50, 83, 1140, 1200, 99_999, 2**40)
            for bps in (0, 1, 60, 335, 5000, 10_000)
        ]
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "SELECT public.splits_share(a, b) FROM unnest(%s::bigint[], %s::bigint[]) AS x(a, b)",
                [[amount for amount, _ in cases], [bps for _, bps in cases]],
            )
            counted = [row[0] for row in cursor.fetchall()]

        assert counted == [share_bps_minor(amount, bps) for amount, bps in cases]

    @pytest.mark.parametrize("fee", [{}, {"bps": 60}, {"fixed_minor": 220}, {"bps": 340, "fixed_minor": 220}])
    def test_a_channels_fee_as_well(self, prepared: None, fee: dict[str, int]) -> None:
        amounts = [1, 100, 1140, 1199, 99_999_999]
        terms = json.dumps({"channel_fees": {"stripe": fee} if fee else {}})
        with connections["owner"].cursor() as cursor:
            cursor.execute(
                "SELECT public.splits_channel_fee(%s, 'stripe', a) FROM unnest(%s::bigint[]) a", [terms, amounts]
            )
            counted = [row[0] for row in cursor.fetchall()]

        assert counted == [channel_fee_minor(amount, fee) for amount in amounts]
