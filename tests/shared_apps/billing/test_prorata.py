"""The arithmetic of periods and changes, by examples and by what must hold for all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from shared_apps.billing.prorata import Terms, add_months, change_now, is_at_once, period_end, share_minor

SHANGHAI = ZoneInfo("Asia/Shanghai")
START = datetime(2031, 3, 1, tzinfo=UTC)
moments = st.integers(0, 20 * 365 * 86_400).map(
    lambda seconds: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
fees = st.integers(0, 10**9)


class TestAddMonths:
    def test_keeps_the_day_of_the_month_where_there_is_one(self) -> None:
        assert add_months(datetime(2031, 1, 15, 2, tzinfo=UTC), 1, SHANGHAI) == datetime(2031, 2, 15, 2, tzinfo=UTC)

    def test_takes_the_months_last_day_otherwise(self) -> None:
        assert add_months(datetime(2031, 1, 31, 2, tzinfo=UTC), 1, SHANGHAI) == datetime(2031, 2, 28, 2, tzinfo=UTC)
        assert add_months(datetime(2032, 2, 29, 2, tzinfo=UTC), 12, SHANGHAI) == datetime(2033, 2, 28, 2, tzinfo=UTC)

    def test_counts_days_in_the_given_zone(self) -> None:
        # The evening of the 31st in Greenwich is the morning of the 1st in Shanghai.
        assert add_months(datetime(2031, 1, 31, 18, tzinfo=UTC), 1, SHANGHAI) == datetime(2031, 2, 28, 18, tzinfo=UTC)


class TestPeriodEnd:
    def test_the_31st_comes_back_after_a_short_month(self) -> None:
        anchor = datetime(2031, 1, 31, 2, tzinfo=UTC)
        february = period_end(anchor=anchor, start=anchor, interval="MONTH", zone=SHANGHAI)
        march = period_end(anchor=anchor, start=february, interval="MONTH", zone=SHANGHAI)

        assert february == datetime(2031, 2, 28, 2, tzinfo=UTC)
        assert march == datetime(2031, 3, 31, 2, tzinfo=UTC)

    @given(anchor=moments, count=st.integers(0, 60), interval=st.sampled_from(["MONTH", "YEAR"]))
    def test_periods_follow_one_another_without_a_gap(self, anchor: datetime, count: int, interval: str) -> None:
        step = 12 if interval == "YEAR" else 1
        start = add_months(anchor, count * step, SHANGHAI)

        assert period_end(anchor=anchor, start=start, interval=interval, zone=SHANGHAI) == add_months(
            anchor, (count + 1) * step, SHANGHAI
        )


class TestShare:
    def test_is_all_at_the_start_half_in_the_middle_and_nothing_at_the_end(self) -> None:
        end = START + timedelta(days=30)

        assert share_minor(9_800, start=START, end=end, at=START) == 9_800
        assert share_minor(9_800, start=START, end=end, at=START + timedelta(days=15)) == 4_900
        assert share_minor(9_800, start=START, end=end, at=end) == 0

    def test_is_never_more_than_the_fee_nor_less_than_nothing(self) -> None:
        end = START + timedelta(days=30)

        assert share_minor(9_800, start=START, end=end, at=START - timedelta(days=9)) == 9_800
        assert share_minor(9_800, start=START, end=end, at=end + timedelta(days=9)) == 0

    def test_half_a_minor_unit_goes_up(self) -> None:
        end = START + timedelta(seconds=2)

        assert share_minor(1, start=START, end=end, at=START + timedelta(seconds=1)) == 1

    @given(fee=fees, seconds=st.integers(1, 400 * 86_400), part=st.floats(0, 1))
    def test_is_within_half_a_minor_unit_of_the_exact_share(self, fee: int, seconds: int, part: float) -> None:
        gone = int(seconds * part)
        end = START + timedelta(seconds=seconds)

        share = share_minor(fee, start=START, end=end, at=START + timedelta(seconds=gone))

        assert abs(2 * share * seconds - 2 * fee * (seconds - gone)) <= seconds


class TestChangeNow:
    def test_pays_the_difference_for_what_is_left_of_the_period(self) -> None:
        end = START + timedelta(days=30)
        split = change_now(
            old=Terms(9_800, "MONTH"), new=Terms(29_800, "MONTH"), start=START, end=end, at=START + timedelta(days=10),
            zone=SHANGHAI,
        )  # fmt: skip

        assert (split.credit_minor, split.charge_minor, split.total_minor) == (6_533, 19_867, 13_334)
        assert (split.period_start, split.period_end) == (START, end)

    def test_from_the_month_to_the_year_begins_a_year(self) -> None:
        end = START + timedelta(days=30)
        at = START + timedelta(days=15)
        split = change_now(
            old=Terms(9_800, "MONTH"), new=Terms(98_000, "YEAR"), start=START, end=end, at=at, zone=SHANGHAI
        )

        assert (split.credit_minor, split.charge_minor, split.total_minor) == (4_900, 98_000, 93_100)
        assert (split.period_start, split.period_end) == (at, datetime(2032, 3, 16, tzinfo=UTC))

    @given(
        old=st.builds(Terms, fees, st.sampled_from(["MONTH", "YEAR"])),
        new=st.builds(Terms, fees, st.sampled_from(["MONTH", "YEAR"])),
        seconds=st.integers(1, 400 * 86_400),
        gone=st.integers(0, 400 * 86_400),
    )
    def test_a_change_that_counts_at_once_never_pays_out(self, old: Terms, new: Terms, seconds: int, gone: int) -> None:
        if not is_at_once(old=old, new=new):
            return
        split = change_now(
            old=old, new=new, start=START, end=START + timedelta(seconds=seconds), at=START + timedelta(seconds=gone),
            zone=SHANGHAI,
        )  # fmt: skip

        assert split.total_minor >= 0
        assert split.credit_minor >= 0

    @given(
        fee=fees, more=st.integers(1, 10**9), seconds=st.integers(1, 400 * 86_400), gone=st.integers(0, 400 * 86_400)
    )
    def test_waiting_never_costs_more(self, fee: int, more: int, seconds: int, gone: int) -> None:
        """Within the rounding of two lines: half a minor unit each."""

        def total(at: int) -> int:
            return change_now(
                old=Terms(fee, "MONTH"), new=Terms(fee + more, "MONTH"), start=START,
                end=START + timedelta(seconds=seconds), at=START + timedelta(seconds=at), zone=SHANGHAI,
            ).total_minor  # fmt: skip

        assert total(gone + 1) <= total(gone) + 2


class TestAtOnce:
    def test_dearer_is_at_once_and_cheaper_waits(self) -> None:
        assert is_at_once(old=Terms(9_800, "MONTH"), new=Terms(29_800, "MONTH"))
        assert not is_at_once(old=Terms(29_800, "MONTH"), new=Terms(9_800, "MONTH"))
        assert not is_at_once(old=Terms(9_800, "MONTH"), new=Terms(9_800, "MONTH"))

    def test_to_the_year_is_at_once_and_back_to_the_month_waits(self) -> None:
        assert is_at_once(old=Terms(9_800, "MONTH"), new=Terms(98_000, "YEAR"))
        assert not is_at_once(old=Terms(98_000, "YEAR"), new=Terms(99_999, "MONTH"))
