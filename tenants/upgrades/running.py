"""The supervision of an upgrade: which schemas have to move, several at once, again where a lock was in the way.

Nothing here is kept but the versions in the rows: killed anywhere, the next run finds by one query what is left.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import DatabaseError, connections, transaction
from django.utils.translation import gettext_lazy as _

from kameng.db.context import in_main
from kameng.db.lost import connection_is_lost
from kameng.lib.errors import Missing, Refused
from kameng.lib.words import worded
from tenants import hosts, template
from tenants.models import SchemaUpgrade, SpareSchema, Substation
from tenants.states import SpareState, UpgradeKind
from tenants.upgrades import applying

JOBS = 4
LOCK_TIMEOUT_MS = 1000
# Between the rounds; as many rounds again as there are pauses. A lock that outlives them is somebody's long work.
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
# lock_not_available, deadlock_detected, serialization_failure: what was in the way will be gone.
IN_THE_WAY = frozenset({"55P03", "40P01", "40001"})
# A backend keeps the catalogue of every schema it has touched: 500 of them, 190 MB.
RECYCLE_AFTER = 200
# So many failures and no success: the migration is broken, and not the shops.
GIVE_UP_AFTER = 10
FORGET_EVERY = 50
PROBLEM_CHARS = 500
ADVISORY_KEY = 0x6B616D656E67  # "kameng".
log = structlog.get_logger("tenants.upgrades")


class AlreadyRunning(Refused):
    """Another run holds the lock."""

    code = "migrate_running"


class SchemaUnknown(Missing):
    """No substation and no spare has a schema of this name."""

    code = "schema_unknown"


@dataclass(frozen=True)
class Unit:
    """A schema that has to move: of a substation, or a spare."""

    schema: str
    version: str
    shop: str = ""  # The slug; empty for a spare.


@dataclass(frozen=True)
class Outcome:
    """What became of one try at a unit. Neither `busy` nor `problem`: it moved."""

    unit: Unit
    busy: str = ""
    problem: str = ""
    was_cut: bool = False  # Of a busy one: no lock was in the way, the connection was lost.


@dataclass
class Report:
    """What a run did. `failed` stays at its old version; `replaced` are spares that were thrown away instead."""

    version: str
    moved: int = 0
    failed: list[Outcome] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    retried: int = 0
    stopped: bool = False
    seconds: float = 0.0


# (moved and failed so far, of how many, which wait for a lock): called from the supervising thread.
Watch = Callable[[int, int, Collection[str]], None]


@contextmanager
def only_runner(*, wait: bool = False) -> Iterator[None]:
    """Hold the lock that lets one run at a time work on this database. Raises: AlreadyRunning, unless it may wait.

    On a connection of its own, so that it ends with this process and with nothing else.
    """
    wrapper = connections.create_connection(settings.OWNER_ALIAS)
    try:
        with wrapper.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [ADVISORY_KEY])
            if not cursor.fetchone()[0]:
                if not wait:
                    raise AlreadyRunning(
                        _("Another run is bringing this database up to date. Wait until it has ended.")
                    )
                cursor.execute("SELECT pg_advisory_lock(%s)", [ADVISORY_KEY])
        yield
    finally:
        wrapper.close()


def standing() -> list[Unit]:
    """Every schema that has a version, with it: one query over the substations, one over the spares."""
    with in_main():
        shops = Substation.objects.exclude(schema_version="").order_by("id")
        units = [Unit(*row) for row in shops.values_list("schema_name", "schema_version", "slug")]
        spares = SpareSchema.objects.filter(state=SpareState.READY).order_by("id")
        # The spares go first: a step that no schema can take is found where nobody shops.
        return [Unit(*row) for row in spares.values_list("schema_name", "version")] + units


def fan_out(
    *,
    only: Collection[str] = (),
    jobs: int = JOBS,
    lock_timeout_ms: int = LOCK_TIMEOUT_MS,
    pauses: Sequence[float] = PAUSES_S,
    watch: Watch = lambda done, of, locked: None,
) -> Report:
    """Move every schema that is not at the code's version there; `only`: these schemas.

    What comes up at the old version meanwhile (a signup on old code) is found and moved, too. Raises: SchemaUnknown.
    """
    began = time.monotonic()
    report = Report(version=template.schema_version())
    known = {unit.schema for unit in standing()} if only else set()
    missing = sorted(set(only) - known) if only else []
    if missing:
        raise SchemaUnknown(worded(_("There is no schema %(names)s."), names=", ".join(missing)))
    ways = applying.Ways(tuple(SchemaUpgrade.objects.using(settings.OWNER_ALIAS)))
    crew = _Crew(ways, report, jobs, lock_timeout_ms, watch)
    rest = iter(pauses)
    while True:
        given_up = {outcome.unit.schema for outcome in report.failed}
        units = [
            unit
            for unit in standing()
            if unit.version != report.version and unit.schema not in given_up and (not only or unit.schema in only)
        ]
        if not units:
            break
        busy = crew.work(units)
        if report.stopped:
            break
        if busy:
            pause = next(rest, None)
            if pause is None:
                crew.give_up(busy)
                continue
            report.retried += len(busy)
            time.sleep(pause)
    report.seconds = time.monotonic() - began
    return report


class _Crew:
    """A few threads with a connection each; this thread counts, tells the cache, and keeps the books."""

    def __init__(self, ways: applying.Ways, report: Report, jobs: int, lock_timeout_ms: int, watch: Watch) -> None:
        self.ways = ways
        self.report = report
        self.jobs = jobs
        self.lock_timeout_ms = lock_timeout_ms
        self.watch = watch
        self.total = 0
        self.busy: list[Outcome] = []
        self.locked: dict[str, str] = {}  # Schema → the name of what was locked at its last try.
        self.moved: list[str] = []  # Of which the cache does not know yet.
        self.counting = threading.Lock()
        self.failures = 0
        self.has_moved_any = False

    def work(self, units: list[Unit]) -> list[Outcome]:
        """Try each unit once; answers those that somebody was in the way of. Stops where nothing succeeds."""
        self._render_data_migrations(units)
        waiting = deque(units)
        outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        stop = threading.Event()
        self.busy = []
        self.total = self._done() + len(units)
        threads = [
            threading.Thread(target=self._worker, args=(waiting, outcomes, stop), name=f"migrate-{number}")
            for number in range(min(self.jobs, len(units)))
        ]
        for thread in threads:
            thread.start()
        try:
            for _unit in units:
                self._note(outcomes.get())
                if stop.is_set():
                    self.report.stopped = True
                    break
        finally:
            # On Ctrl-C, too: what a thread is at is finished, and nothing more begun.
            stop.set()
            for thread in threads:
                thread.join()
            while not outcomes.empty():
                self._note(outcomes.get())
            self._tell_the_cache()
        return self.busy

    def _done(self) -> int:
        return self.report.moved + len(self.report.failed) + len(self.report.replaced)

    def _note(self, outcome: Outcome) -> None:
        self.locked.pop(outcome.unit.schema, None)
        if outcome.busy and not outcome.was_cut:
            self.locked[outcome.unit.schema] = outcome.unit.shop or outcome.unit.schema
        if outcome.busy:
            self.busy.append(outcome)
        elif outcome.problem:
            self._fail(outcome)
        else:
            self.report.moved += 1
            self.moved.append(outcome.unit.schema)
            if len(self.moved) >= FORGET_EVERY:
                self._tell_the_cache()
        self.watch(self._done(), self.total, self.locked.values())

    def give_up(self, busy: list[Outcome]) -> None:
        """Count as failed what was busy in every round."""
        for outcome in busy:
            what = "The connection was lost" if outcome.was_cut else "A lock was in the way"
            self._fail(Outcome(outcome.unit, problem=f"{what} in every round: {outcome.busy}"))

    def _render_data_migrations(self, units: list[Unit]) -> None:
        for version in {unit.version for unit in units}:
            try:
                way = self.ways.between(version, self.report.version)
                for step in (step for steps in way for step in steps if step.kind == UpgradeKind.PYTHON):
                    applying.operations(step.migration)
            except applying.NoWay:
                continue  # Each of its schemas will say so under its own name.

    def _worker(self, waiting: deque[Unit], outcomes: queue.SimpleQueue[Outcome], stop: threading.Event) -> None:
        done = 0
        try:
            while not stop.is_set():
                try:
                    unit = waiting.popleft()
                except IndexError:
                    return
                try:
                    outcome = self._try(unit)
                except BaseException as error:  # Each unit's outcome is waited for: what ends a thread is one, too.
                    outcome = Outcome(unit, problem=_reason(error))
                if self._is_hopeless(outcome):
                    stop.set()
                outcomes.put(outcome)
                done += 1
                if done % RECYCLE_AFTER == 0:
                    applying.close_connection()
        finally:
            applying.close_connection()
            connections.close_all()

    def _is_hopeless(self, outcome: Outcome) -> bool:
        """Whether so much has failed, and nothing moved, that no thread is to begin another unit.

        Counted where the units are tried: the supervisor writes each failure down, and may be far behind.
        """
        with self.counting:
            self.failures += bool(outcome.problem)
            self.has_moved_any |= not outcome.busy and not outcome.problem
            return not self.has_moved_any and self.failures >= GIVE_UP_AFTER

    def _try(self, unit: Unit) -> Outcome:
        try:
            way = self.ways.between(unit.version, self.report.version)
            applying.upgrade(unit.schema, way, lock_timeout_ms=self.lock_timeout_ms)
        except applying.Moved as moved:
            return Outcome(unit, busy=str(moved))
        except Exception as error:  # Whatever it was, it is this schema's, and the others go on.
            template.owner().close_if_unusable_or_obsolete()
            if connection_is_lost(error):
                return Outcome(unit, busy=_reason(error), was_cut=True)
            if _somebody_was_in_the_way(error) or _is_elsewhere_now(unit):
                return Outcome(unit, busy=_reason(error))
            if not isinstance(error, DatabaseError | applying.NoWay):  # Python of a data migration: where was it?
                log.exception("tenants.upgrade.failed", schema=unit.schema, shop=unit.shop)
            return Outcome(unit, problem=_reason(error))
        return Outcome(unit)

    def _fail(self, outcome: Outcome) -> None:
        """A spare is thrown away, since another is as good; a substation is named, and stays where it is."""
        if not outcome.unit.shop and throw_away(outcome.unit.schema):
            self.report.replaced.append(outcome.unit.schema)
            return
        self.report.failed.append(outcome)
        with in_main():
            Substation.objects.filter(schema_name=outcome.unit.schema).update(
                schema_problem=outcome.problem[:PROBLEM_CHARS]
            )

    def _tell_the_cache(self) -> None:
        """Let requests see the new versions at once, and not when what is cached of a host runs out."""
        if self.moved:
            hosts.forget_schemas(self.moved)
            self.moved = []


def throw_away(schema: str) -> bool:
    """Drop a spare schema and its row; False when a signup has taken it meanwhile.

    Its role stays, without a right: roles are the cluster's, and another database of it may use the name.

    Race: the signup that takes it. Both lock the row, and it is dropped only while it is READY.
    """
    with transaction.atomic(using=settings.OWNER_ALIAS), template.owner().cursor() as cursor:
        cursor.execute(
            "DELETE FROM public.tenants_spareschema WHERE schema_name = %s AND state = %s", [schema, SpareState.READY]
        )
        if not cursor.rowcount:
            return False
        cursor.execute(f'DROP SCHEMA "{schema}" CASCADE')
    return True


def _somebody_was_in_the_way(error: BaseException) -> bool:
    """A lock or a deadlock: worth another try."""
    return getattr(error.__cause__, "pgcode", None) in IN_THE_WAY


def _is_elsewhere_now(unit: Unit) -> bool:
    """Whether another runner has moved the schema: then what failed was a second taking of the same step."""
    with transaction.atomic(using=settings.OWNER_ALIAS), template.owner().cursor() as cursor:
        cursor.execute(
            "SELECT schema_version FROM public.tenants_substation WHERE schema_name = %s UNION ALL "
            "SELECT version FROM public.tenants_spareschema WHERE schema_name = %s AND state = %s",
            [unit.schema, unit.schema, SpareState.READY],
        )
        return unit.version not in {version for (version,) in cursor.fetchall()}


def _reason(error: BaseException) -> str:
    """The first line that the database or the migration said."""
    text = str(error).strip() or type(error).__name__
    first = text.splitlines()[0]
    return first if isinstance(error, DatabaseError | applying.NoWay) else f"{type(error).__name__}: {first}"
