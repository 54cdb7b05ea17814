"""Keeps a list of processes up: starts them in order, restarts the one that falls, stops them in reverse.

Nothing here knows Kameng. A supervisor that is killed leaves nothing: the kernel ends its children, and what they
left of their own is found by its mark at the next start (`end_orphans`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import psutil

from kameng.local._processes import end, processes_where, spawn
from kameng.local.errors import LocalError

MARK = "KAMENG_SUPERVISOR"  # In the environment of every child and of whatever it starts.
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0  # Up for so long: the next fall is a new one, and its pause begins small again.
POLL_S = 0.2
LOG_LIMIT_BYTES = 20_000_000


class Service(Protocol):
    """What a supervisor keeps up. `start` returns when it is ready, or raises LocalError."""

    @property
    def name(self) -> str: ...
    def start(self) -> object: ...
    def stop(self) -> None: ...
    def is_alive(self) -> bool: ...


@dataclass
class Process:
    """A program as a service.

    Args:
        ready: Asked until it says yes. None: ready as soon as it runs.
        ready_wait_s: How long it may take to get ready.
        stop_steps: Signals and the seconds that each is given; who is left then is killed.
        log: File that its output is appended to.
        mark: Value of `MARK` in its environment; the data folder.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    ready: Callable[[], bool] | None = None
    ready_wait_s: float = 60.0
    stop_steps: tuple[tuple[signal.Signals, float], ...] = ((signal.SIGTERM, 20.0),)
    mark: str = ""
    cwd: Path | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def pid(self) -> int | None:
        """Its process while it is alive."""
        return self._child.pid if self.is_alive() and self._child else None

    @property
    def status(self) -> int | None:
        """How it ended: 0 well, negative by that signal; None while it runs or before it was started."""
        return self._child.poll() if self._child is not None else None

    def is_alive(self) -> bool:
        """Whether it runs; reaps it when it does not."""
        return self._child is not None and self._child.poll() is None

    def is_ready(self) -> bool:
        """Whether it runs and says that it is ready."""
        return self.is_alive() and (self.ready is None or self.ready())

    def begin(self) -> None:
        """Start it and wait for nothing."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        self._child = spawn(
            list(self.argv),
            log=self.log,
            death_signal=self.stop_steps[0][0],
            env={**self.env, MARK: self.mark},
            cwd=self.cwd,
        )

    def start(self) -> None:
        """Start it and wait until it is ready. Raises LocalError with the end of its log when it ends instead."""
        self.begin()
        assert self._child is not None
        deadline = time.monotonic() + self.ready_wait_s
        while self.ready is not None and not self.is_ready():
            if not self.is_alive():
                raise LocalError(f"{self.name} ended with status {self._child.returncode}.\n{log_end(self.log)}")
            if time.monotonic() > deadline:
                raise LocalError(f"{self.name} did not get ready in {self.ready_wait_s:.0f} s.\n{log_end(self.log)}")
            time.sleep(POLL_S / 2)

    def stop(self) -> None:
        """Stop it and everything in its session."""
        if self._child is None:
            return
        if self._child.poll() is None:
            end([psutil.Process(self._child.pid)], *self.stop_steps)
        self._child.wait()
        # Its own children, should it have fallen without ending them. The session's number is its process's.
        session = self._child.pid
        end(processes_where(lambda process: os.getsid(process.pid) == session), (signal.SIGTERM, 2.0))
        self._child = None


@dataclass
class _Watch:
    """What is known about one service's falls."""

    service: Service
    up_since: float
    pause_s: float = FIRST_PAUSE_S
    again_at: float | None = None
    ready_by: float | None = None  # While one that was restarted is not ready yet.


class Supervisor:
    """Starts services in order, keeps them up, stops them in reverse.

    Args:
        report: Called with a sentence when a service falls, comes back, or does not.
        clock: Monotonic seconds.

    Use it from one thread that stays: children die with the thread that started them.
    """

    def __init__(
        self,
        services: Sequence[Service],
        *,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._services = list(services)
        self._report = report
        self._clock = clock
        self._watches: list[_Watch] = []

    def start(self) -> None:
        """Start those not yet started, in order. Raises the first one's LocalError; `stop` is the caller's to call."""
        for service in self._services[len(self._watches) :]:
            self.add(service)

    def add(self, service: Service) -> None:
        """Start one more and keep it up from now on. It is stopped before all that were started before it."""
        if service not in self._services:
            self._services.append(service)
        # Watched before it is started: a signal in the middle of its start must still stop it.
        self._watches.append(_Watch(service, self._clock()))
        service.start()
        self._watches[-1].up_since = self._clock()

    def check(self) -> None:
        """One look at all: who fell is restarted after its pause. Call it again and again."""
        for watch in self._watches:
            now = self._clock()
            if watch.again_at is None:
                if watch.service.is_alive():
                    self._see_whether_ready(watch)
                    continue
                watch.ready_by = None
                if now - watch.up_since >= STEADY_S:
                    watch.pause_s = FIRST_PAUSE_S
                watch.again_at = now + watch.pause_s
                self._report(f"{watch.service.name} fell; again in {watch.pause_s:g} s.")
                watch.pause_s = min(watch.pause_s * 2, LONGEST_PAUSE_S)
            elif now >= watch.again_at:
                self._restart(watch)

    def run(self) -> None:
        """Check for ever; ended by an exception, as a signal handler raises it."""
        while True:
            self.check()
            time.sleep(POLL_S)

    def stop(self) -> None:
        """Stop all in reverse order. One that can't be stopped does not keep the others up; its error comes last."""
        errors = []
        while self._watches:
            service = self._watches.pop().service
            try:
                service.stop()
            except LocalError as error:
                errors.append(str(error))
        if errors:
            raise LocalError("\n".join(errors))

    def _restart(self, watch: _Watch) -> None:
        """Start it again. A program is not waited for: what it needs may itself have fallen, and be next."""
        service = watch.service
        try:
            service.stop()  # Clears what the fallen one left: children, locks.
            if isinstance(service, Process):
                service.begin()
                watch.ready_by = None if service.ready is None else self._clock() + service.ready_wait_s
            else:
                service.start()
        except LocalError as error:
            self._try_later(watch, str(error))
            return
        watch.again_at = None
        watch.up_since = self._clock()
        if watch.ready_by is None:
            self._report(f"{service.name} is back.")

    def _see_whether_ready(self, watch: _Watch) -> None:
        if watch.ready_by is None:
            return
        assert isinstance(watch.service, Process)
        if watch.service.is_ready():
            watch.ready_by = None
            watch.up_since = self._clock()
            self._report(f"{watch.service.name} is back.")
        elif self._clock() > watch.ready_by:
            watch.ready_by = None
            self._try_later(watch, f"not ready in {watch.service.ready_wait_s:.0f} s.")

    def _try_later(self, watch: _Watch, why: str) -> None:
        watch.again_at = self._clock() + watch.pause_s
        watch.pause_s = min(watch.pause_s * 2, LONGEST_PAUSE_S)
        self._report(f"{watch.service.name} does not come back: {why}")


def end_orphans(mark: str) -> int:
    """End the processes that an earlier supervisor with this mark left; how many there were.

    Call it only while holding the lock that allows one supervisor per mark.
    """
    above = {process.pid for process in psutil.Process().parents()}
    orphans = processes_where(lambda process: process.pid not in above and process.environ().get(MARK) == mark)
    end(orphans, (signal.SIGTERM, 5.0))
    return len(orphans)


def log_end(path: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    return "\n".join(text.splitlines()[-lines:])
