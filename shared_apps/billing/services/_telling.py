"""Who tells a card's channel what comes next for a subscription: one at a time. What the channel has is what it was told
last, and what we write down has to be the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.utils.translation import gettext_lazy as _

from kameng.db.context import in_main
from kameng.lib.ids import public_id
from shared_apps.billing.models import Subscription
from shared_apps.billing.services._errors import BillingRefused
from shared_apps.billing.states import Method

LONGEST = timedelta(minutes=10)  # Whoever has told for longer was killed.


def is_being_told(row: Subscription, *, now: datetime) -> bool:
    """Whether somebody is telling the channel of a locked row at this moment."""
    return row.asking_until is not None and row.asking_until > now


def refuse_while_told(row: Subscription, *, now: datetime) -> None:
    """Raises: BillingRefused."""
    if is_being_told(row, now=now):
        raise BillingRefused(
            _("The payment channel is being told of another change. Try again in a few minutes; nothing was changed.")
        )


def claim(row: Subscription, *, now: datetime) -> None:
    """Be the one who tells the channel of a locked row, until `telling` is over; of one without a channel nobody is.

    Race: two tell it at once (the owner cancels while the tick tells of another plan). The channel would keep what came
    last there, and we what was written last here. The mark is set under the row's lock, before the channel is asked.
    Raises: BillingRefused.
    """
    if row.method == Method.STRIPE:
        refuse_while_told(row, now=now)
        row.asking_until = now + LONGEST
        row.save(update_fields=["asking_until"])


@contextmanager
def telling(row: Subscription) -> Iterator[str]:
    """In here the channel is told by whoever has the claim, and what it has is written down; gives a key for it. Outside any
    transaction.

    The key is a new one each time. What costs nothing may be asked for twice; but what an old key was answered, a schedule
    say, may have been given up since, and would be answered again without being there. Where it fails, the channel may have
    given up what waited: the next tick tells it again (`tell_moved`).
    """
    try:
        yield public_id("ask")
    except BaseException:
        _end(row, row.asking_until and row.asking_until - LONGEST)
        raise
    _end(row, None)


def _end(row: Subscription, asking_until: datetime | None) -> None:
    if row.asking_until is not None:
        with in_main():
            mine = Subscription.objects.filter(pk=row.pk, asking_until=row.asking_until)
            mine.update(asking_until=asking_until)
