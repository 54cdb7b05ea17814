"""Periods and their shares, as Stripe reckons them: whole seconds of Unix time, whole minor units."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime

DAY = 86_400


def remaining_share(amount: int, *, start: int, end: int, at: int) -> int:
    """What of `amount`, paid for `start` to `end`, belongs to the time after `at`; half a minor unit is rounded up.

    Stripe: "calculates proration down to the second". A published answer of theirs: 1000 a month, 881,112 seconds
    left of 28 days, is 364.
    """
    length, left = end - start, end - at
    return (2 * amount * left + length) // (2 * length)


def next_end(anchor: int, interval: str, after: int) -> int:
    """The first end of a period after `after`, counted from `anchor`.

    Months are the calendar's. A day that a month lacks is its last one, and the day comes back in the next month: from
    31 January the periods end on 28 February, 31 March, 30 April.
    """
    if interval in ("day", "week"):
        length = DAY if interval == "day" else 7 * DAY
        return anchor + length * ((after - anchor) // length + 1)
    start = datetime.fromtimestamp(anchor, tz=UTC)
    count = 0
    while True:
        count += 1 if interval == "month" else 12
        year, month = divmod(start.year * 12 + start.month - 1 + count, 12)
        last = calendar.monthrange(year, month + 1)[1]
        end = int(start.replace(year=year, month=month + 1, day=min(start.day, last)).timestamp())
        if end > after:
            return end
