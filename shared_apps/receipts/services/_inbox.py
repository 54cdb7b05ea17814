"""The inbox of callbacks: stored before they are answered, handled once, tried again in the open."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import connection
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.jobs.services import enqueue
from kameng.lib.errors import Missing
from shared_apps.receipts.models import InboxEvent, InboxState
from shared_apps.receipts.types import StoredEvent

HANDLE_JOB = "payments.handle_event"
MAX_ATTEMPTS = 12
BACK_OFF_S = (5, 15, 60, 300, 900, 3600, 6 * 3600)
_KEPT_HEADERS = ("content-type", "user-agent", "stripe-signature", "x-testpay-signature")


class EventMissing(Missing):
    code = "inbox_event_not_found"

    def __init__(self) -> None:
        super().__init__(_("There is no such event in the inbox."))


def store_event(
    *, account_id: int, channel: str, event_id: str, kind: str, payment_id: str, channel_ref: str, body: bytes,
    headers: Mapping[str, str], now: datetime,
) -> StoredEvent:  # fmt: skip
    """Keep a verified callback and queue its handling, in one transaction of the main scope.

    The same event again is found, not stored twice; whoever stores first queues the work.
    """
    kept = {key.lower(): value[:500] for key, value in headers.items() if key.lower() in _KEPT_HEADERS}
    made = InboxEvent(
        account_id=account_id, channel=channel, event_id=event_id[:120], kind=kind[:80], payment_id=payment_id[:30],
        channel_ref=channel_ref[:120], body=body, headers=kept, received_at=now, try_at=now,
    )  # fmt: skip
    # Race: a channel may send one event twice at once. DO NOTHING waits for the other's commit; the row is then read.
    InboxEvent.objects.bulk_create([made], ignore_conflicts=True)
    event = InboxEvent.objects.get(account_id=account_id, event_id=event_id[:120])
    fresh = event.received_at == now and bytes(event.body) == body and event.attempts == 0
    if event.state == InboxState.RECEIVED:
        enqueue(kind=HANDLE_JOB, payload={"event_id": event.pk}, dedupe=str(event.pk))
    return _stored(event, fresh=fresh)


def event(event_id: int) -> StoredEvent:
    """One event of the inbox, with its bytes. Main scope. Raises: EventMissing."""
    found = InboxEvent.objects.filter(pk=event_id).first()
    if found is None:
        raise EventMissing()
    return _stored(found)


def waiting_events(*, now: datetime, limit: int = 200) -> list[int]:
    """Events whose time has come: fresh ones whose job was lost, and failed ones to be tried again. Main scope."""
    rows = InboxEvent.objects.filter(state=InboxState.RECEIVED, try_at__lte=now).order_by("try_at", "id")
    return list(rows.values_list("pk", flat=True)[:limit])


def mark_handled(*, event_id: int, nothing_to_do: bool, now: datetime) -> None:
    """The event has been dealt with. Main scope; safe to repeat."""
    InboxEvent.objects.filter(pk=event_id).update(
        state=InboxState.IGNORED if nothing_to_do else InboxState.HANDLED, handled_at=now, problem="", try_at=None
    )


def mark_failed(*, event_id: int, problem: str, now: datetime) -> str:
    """Note a failed try: again after a pause, or FAILED for good at the limit. Answers the state. Main scope."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE receipts_inboxevent SET attempts = attempts + 1, problem = %s, "
            "state = CASE WHEN attempts + 1 >= %s THEN 'FAILED' ELSE 'RECEIVED' END "
            "WHERE id = %s AND state IN ('RECEIVED', 'FAILED') RETURNING state, attempts",
            [problem[:500], MAX_ATTEMPTS, event_id],
        )
        row = cursor.fetchone()
    if row is None:  # Somebody else handled it meanwhile.
        return str(InboxState.HANDLED)
    state, attempts = row
    pause = timedelta(seconds=BACK_OFF_S[min(attempts, len(BACK_OFF_S)) - 1])
    InboxEvent.objects.filter(pk=event_id).update(try_at=now + pause if state == InboxState.RECEIVED else None)
    return str(state)


def replay_event(*, event_id: int, by: Actor, now: datetime) -> None:
    """Have an event handled again, whatever became of it. What it told is counted once all the same. Main scope.

    Raises: EventMissing.
    """
    changed = InboxEvent.objects.filter(pk=event_id).update(
        state=InboxState.RECEIVED, attempts=0, problem="", handled_at=None, try_at=now
    )
    if not changed:
        raise EventMissing()
    audit.record(action="receipts.event.replayed", by=by, target=f"event:{event_id}", at=now)
    enqueue(kind=HANDLE_JOB, payload={"event_id": event_id}, dedupe=str(event_id))


def _stored(row: InboxEvent, *, fresh: bool = False) -> StoredEvent:
    return StoredEvent(
        id=row.pk, account_id=row.account_id, channel=row.channel, event_id=row.event_id, kind=row.kind,
        payment_id=row.payment_id, channel_ref=row.channel_ref, state=row.state, attempts=row.attempts, body=bytes(row.body), fresh=fresh,
    )  # fmt: skip
