"""Clients that work at the same time: processes forked from one that has everything imported."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from kameng.bench._common import say
from kameng.local._processes import die_with_parent
from kameng.local.errors import LocalError

LEAD_S = 0.1  # Until every client has read when to start.
END_S = 10.0
# What a client can do, by name; each act answers how many things it did, or what came of it.
Work = Mapping[str, Callable[[], Any]]
# Things a second by kind and number of clients, a value a round.
Rates = dict[str, dict[str, list[float]]]
_fork = multiprocessing.get_context("fork")


class Crowd:
    """`count` processes, each with the work that `prepare(its number)` made after the fork (connections are its own)."""

    def __init__(self, count: int, prepare: Callable[[int], Work]) -> None:
        self._pipes: list[Connection] = []
        self._processes = []
        for number in range(count):
            ours, theirs = _fork.Pipe()
            process = _fork.Process(target=_client, args=(number, prepare, theirs, [*self._pipes, ours]), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self._processes.append(process)
        for pipe in self._pipes:
            pipe.recv()  # Ready.

    def rate(self, kind: str, count: int, seconds: float) -> float:
        """Things a second that the first `count` clients do together, starting at once, for `seconds`."""
        start = time.monotonic() + LEAD_S  # One clock for all processes of a machine.
        answers = self._all((kind, start, seconds), count)
        return float(sum(done for done, _ in answers) / (max(end for _, end in answers) - start))

    def once(self, kind: str) -> list[Any]:
        """What comes of one act of every client, all at once."""
        return self._all((kind, time.monotonic() + LEAD_S / 5, None), len(self._pipes))

    def _all(self, message: tuple[str, float, float | None], count: int) -> list[Any]:
        for pipe in self._pipes[:count]:
            pipe.send(message)
        try:
            return [pipe.recv() for pipe in self._pipes[:count]]
        except EOFError:
            raise LocalError("A client of the bench ended in the middle of its work; its error is above.") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pipe in self._pipes:
            pipe.close()  # The clients end when nobody talks to them.
        for process in self._processes:
            process.join(END_S)


def _client(number: int, prepare: Callable[[int], Work], pipe: Connection, inherited: list[Connection]) -> None:
    die_with_parent(signal.SIGKILL)
    for other in inherited:  # Else no pipe would ever end.
        other.close()
    work = prepare(number)
    pipe.send("ready")
    while True:
        try:
            kind, start, seconds = pipe.recv()
        except EOFError:
            return
        act = work[kind]
        time.sleep(max(0.0, start - time.monotonic()))
        if seconds is None:
            pipe.send(act())
            continue
        done, end = 0, start + seconds
        while time.monotonic() < end:
            done += act()
        pipe.send((done, time.monotonic()))


def in_turn(
    crowd: Crowd,
    kinds: Sequence[str],
    counts: Sequence[int],
    rounds: int,
    seconds: float,
    before: Callable[[], None] = lambda: None,
) -> Rates:
    """Each kind at each number of clients once a round, another kind first each time; `before` each of their turns."""
    rates: Rates = {kind: {str(count): [] for count in counts} for kind in kinds}
    before()
    for kind in kinds:  # Plans, caches, first pages.
        crowd.rate(kind, max(counts), min(seconds, 0.5))
    for turn in range(rounds):
        say(f"round {turn + 1} of {rounds}")
        shift = turn % len(kinds)
        for count in counts:
            before()
            for kind in (*kinds[shift:], *kinds[:shift]):
                rates[kind][str(count)].append(crowd.rate(kind, count, seconds))
    return rates
