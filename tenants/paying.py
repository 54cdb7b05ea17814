"""A signup that waits for a payment: who may open on which plan, and what happens when the money has come."""

from __future__ import annotations

from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.jobs import services as jobs
from kameng.lib import clock
from kameng.lib.errors import Invalid, Refused
from tenants import lifecycle
from tenants.models import Plan, Signup, Substation
from tenants.states import SignupState, SubstationEvent, SubstationState


def lock_paying(substation_id: int) -> Signup | None:
    """The signup that waits for a substation's payment, its row locked until the transaction ends; None when none does.
    Main scope."""
    # Without its plan, which may be changed while the lock is waited for: see shared_apps.billing.services lock().
    return Signup.objects.select_for_update().filter(substation_id=substation_id, state=SignupState.PAYING).first()


def paid(*, signup_id: int, now: datetime) -> None:
    """What opening costs has been paid: the making begins. Main scope, in the transaction that took the money."""
    row = Signup.objects.select_for_update(of=("self",)).get(pk=signup_id)
    assert row.state == SignupState.PAYING, "Whoever charges holds the signup's row."
    assert row.substation_id is not None
    lifecycle.move(
        substation_id=row.substation_id,
        event=SubstationEvent.MAKE,
        by=SYSTEM,
        now=now,
        reason=gettext_noop("The opening is paid."),
    )
    row.state = SignupState.VERIFIED
    row.save(update_fields=["state", "updated_at"])
    jobs.enqueue(kind="tenants.provision", payload={"signup_id": row.pk}, dedupe=str(row.pk))


def choose_plan(*, signup: Signup, plan_code: str, interval: str, now: datetime | None = None) -> Signup:
    """Open on another plan than was chosen first, while nothing has been charged; one that costs nothing is made at
    once. Raises: Invalid (`plan`, `interval`), Refused (it waits for payment no longer)."""
    at = now or clock.utc_now()
    with in_main():
        row = Signup.objects.select_for_update(of=("self",)).select_related("substation").get(pk=signup.pk)
        if row.state != SignupState.PAYING or row.substation is None:
            raise Refused(_("This signup does not wait for payment any more."))
        plan = Plan.objects.filter(code=plan_code, active=True).first()
        if plan is None:
            raise Invalid(_("There is no such plan."), code="unknown_plan", field="plan")
        put_on_plan(signup_id=row.pk, plan=plan, interval=checked_interval(plan, interval))
        row.refresh_from_db()
        if not plan.due_at_signup_minor(row.interval):
            paid(signup_id=row.pk, now=at)
    return row


def put_on_plan(*, signup_id: int, plan: Plan, interval: str) -> None:
    """Have an application open on `plan`, in the caller's transaction. Main scope."""
    row = Signup.objects.select_for_update(of=("self",)).get(pk=signup_id)
    row.plan, row.interval = plan, interval
    row.save(update_fields=["plan", "interval", "updated_at"])
    Substation.objects.filter(pk=row.substation_id, state=SubstationState.APPLIED).update(plan=plan)


def checked_interval(plan: Plan, interval: str) -> str:
    """The interval, when the plan is sold for it. Raises: Invalid (`interval`)."""
    if interval not in plan.intervals:
        raise Invalid(_("This plan is not sold for that period."), code="unknown_interval", field="interval")
    return interval
