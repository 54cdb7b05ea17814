"""Make a substation: an ordered list of steps (settings.PROVISIONING_STEPS), each safe to repeat.

All or nothing, as its owner sees it: until the last step the substation is PROVISIONING, no host leads to it and no
list shows it. A kill at any point leaves a state from which the same call goes on: a step that ran is run again and
changes nothing. What is given up is closed with its schema, which no one else ever gets.

Steps are called `step(substation, signup, now)`, in the order of the list; each opens its own transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.utils.module_loading import import_string

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib import clock
from tenants import hosts, lifecycle, spares
from tenants.models import Signup, SignupStep, SpareSchema, Substation
from tenants.states import SpareState, StepState, SubstationEvent, SubstationState
from tenants.upgrades import versions

Step = Callable[[Substation, "Signup | None", datetime], None]


def steps() -> list[tuple[str, Step]]:
    """The configured steps by name."""
    return [(path.rsplit(".", 1)[-1], import_string(path)) for path in settings.PROVISIONING_STEPS]


def run(substation: Substation, signup: Signup | None = None, now: datetime | None = None) -> None:
    """Run every step in order, noting each for the page that watches. Any step's error ends the run and is raised."""
    at = now or clock.utc_now()
    for position, (name, step) in enumerate(steps()):
        if signup is not None:
            _note(signup, position, name, StepState.RUNNING)
        try:
            step(substation, signup, at)
        except Exception:
            if signup is not None:
                _note(signup, position, name, StepState.FAILED)
            raise
        if signup is not None:
            _note(signup, position, name, StepState.DONE)


def _note(signup: Signup, position: int, name: str, state: StepState) -> None:
    now = clock.utc_now()
    with in_main():
        step, _ = SignupStep.objects.get_or_create(signup=signup, name=name, defaults={"position": position})
        step.state = state
        if state == StepState.RUNNING:
            step.started_at, step.finished_at = now, None
        else:
            step.finished_at = now
        step.save()


def claim_schema(substation: Substation, signup: Signup | None, now: datetime) -> None:
    """Take a ready schema; make one with the script when the pool is empty."""
    with in_main():
        taken = spares.take(substation.pk, now)
    if taken is None:
        script = spares.current_script()
        made = spares.add_spare(script.version, script.sql)
        with in_main():
            taken = spares.take(substation.pk, now)
        if taken is None:
            # Race: another signup took the schema that we just made. This step is repeated; a spare too many is no loss.
            raise RuntimeError(f"The spare {made.schema_name} was taken by another signup; the step is tried again.")
    substation.schema_name, substation.schema_version = taken.schema_name, taken.version


def go_live(substation: Substation, signup: Signup | None, now: datetime) -> None:
    """Open the shop: from here on its host leads to it."""
    with in_main():
        row = Substation.objects.select_for_update().get(pk=substation.pk)
        if row.state == SubstationState.PROVISIONING:
            opens = SubstationEvent.OPEN_ON_TRIAL if row.plan.has_trial else SubstationEvent.OPEN
            row = lifecycle.move(substation_id=row.pk, event=opens, by=SYSTEM, now=now, live_at=now)
        substation.state, substation.live_at = row.state, row.live_at
    hosts.forget(substation)


def schema_placeholder(public_id: str) -> str:
    """What stands in `schema_name` until a schema is claimed: unique, and no schema's name."""
    return f"none_{public_id}"[:63]


def free_spares() -> int:
    """How many signups the pool can serve at once."""
    with in_main():
        return SpareSchema.objects.filter(state=SpareState.READY, version__in=versions.served()).count()
