"""Being asked to stop, as an exception: what runs is wound up by its own `finally`."""

from __future__ import annotations

import signal
import sys
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(BaseException):
    """Somebody asked us to stop. No Exception: nothing on the way may take it for a failure."""

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(number)
        self.number = number

    @property
    def status(self) -> int:
        """What a shell expects of a program that a signal ended."""
        return 128 + self.number


def raise_on_signals() -> None:
    """From now on the first signal that asks us to stop raises Stop; the others are ignored."""

    def stop(number: int, _frame: FrameType | None) -> None:
        ignore_signals()  # The first one stops us; a second must not tear the stopping apart.
        raise Stop(number)

    for number in STOPPING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup stays nohup.
            signal.signal(number, stop)


def ignore_signals() -> None:
    """What is being wound up is not to be asked again."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    sys.stdout.flush()
