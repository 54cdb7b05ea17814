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
    ordered = steps()
    notes = _Notes(signup, [name for name, _step in ordered])
    for _name, step in ordered:
        notes.next()
        try:
            step(substation, signup, at)
        except Exception:
            notes.fail()
            raise
    notes.next()


class _Notes:
    """How far a run is, for the page. That a step ended and that the next began is one statement and one commit: notes
    are no work of the making, and were nearly half of what it cost."""

    def __init__(self, signup: Signup | None, names: list[str]) -> None:
        self._signup, self._names = signup, names
        self._at = -1  # No step yet.
        self._started_at: datetime | None = None

    def next(self) -> None:
        """The step that runs is done, and the one after it begins."""
        rows = [] if self._at < 0 else [self._row(StepState.DONE, clock.utc_now())]
        self._at += 1
        if self._at < len(self._names):
            self._started_at = clock.utc_now()
            rows.append(self._row(StepState.RUNNING))
        self._write(rows)

    def fail(self) -> None:
        """The step that runs has failed."""
        self._write([self._row(StepState.FAILED, clock.utc_now())])

    def _row(self, state: StepState, finished_at: datetime | None = None) -> SignupStep:
        return SignupStep(
            signup=self._signup, position=self._at, name=self._names[self._at], state=state,
            started_at=self._started_at, finished_at=finished_at,
        )  # fmt: skip

    def _write(self, rows: list[SignupStep]) -> None:
        """A run that is repeated writes over what the one before noted."""
        if self._signup is None:
            return
        with in_main():
            SignupStep.objects.bulk_create(
                rows, update_conflicts=True, unique_fields=("signup", "name"),
                update_fields=("position", "state", "started_at", "finished_at"),
            )  # fmt: skip


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
