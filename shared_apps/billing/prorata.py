"""The arithmetic of periods and of a change in the middle of one. Pure: integers, seconds, no clock.

A period runs from one moment to the next, both given by the anchor: the 31st of January is followed by the 28th of
February and then by the 31st of March, because each end is counted from the anchor and not from the one before.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

MONTHS = {"MONTH": 1, "YEAR": 12}


def add_months(moment: datetime, months: int, zone: tzinfo) -> datetime:
    """The same day of the month and time of the day in `zone`, `months` later; the month's last day where it has no
    such day. Answers in the zone of `moment`."""
    local = moment.astimezone(zone)
    place = local.year * 12 + local.month - 1 + months
    year, month = divmod(place, 12)
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    return local.replace(year=year, month=month + 1, day=day).astimezone(moment.tzinfo)


def period_end(*, anchor: datetime, start: datetime, interval: str, zone: tzinfo) -> datetime:
    """The end of the period that begins at `start`: the first moment after it that lies whole intervals after `anchor`."""
    step = MONTHS[interval]
    whole = (start.year - anchor.year) * 12 + start.month - anchor.month
    count = max(0, whole // step - 1)
    while (end := add_months(anchor, step * count, zone)) <= start:
        count += 1
    return end


def share_minor(fee_minor: int, *, start: datetime, end: datetime, at: datetime) -> int:
    """What of a period's fee belongs to the time from `at` to its end, by whole seconds, rounded half up, once.

    All of it before the start, nothing after the end.
    """
    total = _seconds(end - start)
    left = min(max(_seconds(end - at), 0), total)
    return (2 * fee_minor * left + total) // (2 * total)


def _seconds(span: timedelta) -> int:
    return span.days * 86_400 + span.seconds


@dataclass(frozen=True, slots=True)
class Terms:
    """What a substation pays for a period. `fee_minor` of a running period is what it was charged."""

    fee_minor: int
    interval: str


@dataclass(frozen=True, slots=True)
class Split:
    """A change at `at`: `credit_minor` for what is left of the old period, `charge_minor` for the new terms until
    `period_end`. Neither is negative; `total_minor` is what is to be paid."""

    credit_minor: int
    charge_minor: int
    period_start: datetime
    period_end: datetime

    @property
    def total_minor(self) -> int:
        return self.charge_minor - self.credit_minor


def change_now(*, old: Terms, new: Terms, start: datetime, end: datetime, at: datetime, zone: tzinfo) -> Split:
    """An upgrade in the middle of the period from `start` to `end`.

    The same interval: the period stays, and the dearer fee is paid for what is left of it. From the month to the year:
    a year begins at `at`, less what is left of the month.
    """
    credit = share_minor(old.fee_minor, start=start, end=end, at=at)
    if old.interval == new.interval:
        return Split(credit, share_minor(new.fee_minor, start=start, end=end, at=at), start, end)
    return Split(credit, new.fee_minor, at, add_months(at, MONTHS[new.interval], zone))


def is_at_once(*, old: Terms, new: Terms) -> bool:
    """Whether a change counts at once: never to a shorter interval, and never to less than what is paid for now, so
    that the sum of `change_now` is not negative. Everything else waits for the period's end, which has been paid."""
    if old.interval == new.interval:
        return new.fee_minor > old.fee_minor
    return MONTHS[new.interval] > MONTHS[old.interval] and new.fee_minor >= old.fee_minor
