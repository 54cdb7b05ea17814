"""The one place that moves a substation from state to state. Main scope; each move is a step that is never changed.

What follows from a state (who sells, who is synced, whom a host leads to) is data in `tenants.states`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.lib.errors import Refused
from kameng.lib.reasons import REASON_CHARS
from kameng.lib.words import worded
from tenants import hosts
from tenants.models import Substation, SubstationStep
from tenants.selectors import SubstationMissing
from tenants.states import SUBSTATION_TRANSITIONS, Standing, SubstationEvent, SubstationState

# The way back leads to what the shop was before: it stands in the step of the way there.
_GOING_BACK = {SubstationEvent.RESUME: SubstationEvent.SUSPEND, SubstationEvent.KEEP: SubstationEvent.BEGIN_CLOSING}
_AUDITED = {
    SubstationEvent.MAKE: "making",
    SubstationEvent.OPEN: "opened",
    SubstationEvent.OPEN_ON_TRIAL: "opened_on_trial",
    SubstationEvent.SUBSCRIBE: "subscribed",
    SubstationEvent.MISS_PAYMENT: "payment_missed",
    SubstationEvent.PAY: "paid",
    SubstationEvent.SUSPEND: "suspended",
    SubstationEvent.RESUME: "resumed",
    SubstationEvent.BEGIN_CLOSING: "closing",
    SubstationEvent.KEEP: "kept",
    SubstationEvent.CLOSE: "closed",
    SubstationEvent.ERASE: "erased",
}


class LifecycleRefused(Refused):
    """The substation is not in a state from which this can be done."""

    code = "substation_state_refused"


def find(public_id: str, *, lock: bool = False) -> Substation:
    """A substation with its plan, by its public id; `lock`: see `locked`. Raises: SubstationMissing."""
    found: Substation | None = Substation.objects.select_related("plan").filter(public_id=public_id).first()
    if found is None:
        raise SubstationMissing(_("There is no such substation."))
    return locked(found.pk) if lock else found


def locked(substation_id: int) -> Substation:
    """A substation with its plan, its row locked until the transaction ends.

    Locked without its plan, and read in a second statement: where a lock was waited for, Postgres joins the new row with
    the old one's partners, and a shop whose plan was changed meanwhile would not be found.
    """
    Substation.objects.select_for_update().get(pk=substation_id)
    found: Substation = Substation.objects.select_related("plan").get(pk=substation_id)
    return found


def move(
    *, substation_id: int, event: SubstationEvent, by: Actor, now: datetime, reason: str = "", **fields: Any
) -> Substation:
    """Take a substation through `event`; `fields` are set with it. Answers it as it is then, with its plan.

    The caller's transaction holds all of it: the state, the step, the audit record and what the caller does besides.
    Raises: LifecycleRefused (nothing is changed).
    """
    sources, target = SUBSTATION_TRANSITIONS[event]
    with transaction.atomic():
        # Race: two operators, dunning and a payment at once. The row's lock makes them follow one another; the second
        # then finds a state that its event does not lead out of.
        row = locked(substation_id)
        if row.state not in sources:
            raise LifecycleRefused(
                worded(_("The shop is “%(state)s” now. Nothing was changed."), state=row.get_state_display())
            )
        source = row.state
        changed: dict[str, Any] = {"state": str(target), **fields}
        if event in _GOING_BACK:
            there = row.lifecycle_steps.filter(event=_GOING_BACK[event]).first()
            changed["state"] = there.from_state if there else str(target)
        elif event == SubstationEvent.PAY:
            changed["standing"] = Standing.GOOD
        for name, value in changed.items():
            setattr(row, name, value)
        row.save(update_fields=list(changed))
        SubstationStep.objects.create(
            substation=row, event=event, from_state=source, to_state=row.state, reason=reason[:REASON_CHARS],
            by=by.label[:120], at=now,
        )  # fmt: skip
        audit.record(
            action=f"tenants.substation.{_AUDITED[event]}", by=by, target=row.public_id, at=now, before=source,
            after=row.state, reason=reason,
        )  # fmt: skip
        transaction.on_commit(lambda: hosts.forget(row))
    return row


def set_standing(*, substation_id: int, standing: Standing, by: Actor, now: datetime, reason: str = "") -> bool:
    """Restrict an unpaid shop further, or less; answers whether that changed anything.

    Raises: LifecycleRefused when the shop is to be restricted and is not PAST_DUE: only what is due may bite. What is paid
    is paid in any state.
    """
    with transaction.atomic():
        row = locked(substation_id)
        if row.standing == standing:
            return False
        if row.state != SubstationState.PAST_DUE and standing != Standing.GOOD:
            raise LifecycleRefused(
                worded(_("The shop is “%(state)s” now. Nothing was changed."), state=row.get_state_display())
            )
        before, row.standing = row.standing, standing
        row.save(update_fields=["standing"])
        audit.record(
            action="tenants.substation.standing", by=by, target=row.public_id, at=now, before=before,
            after=str(standing), reason=reason,
        )  # fmt: skip
        transaction.on_commit(lambda: hosts.forget(row))
    return True
