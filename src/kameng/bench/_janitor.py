"""Removes a bench's folder when the bench has ended, however it ended: `python -m kameng.bench._janitor FOLDER`.

It waits at the end of a pipe that the bench holds. The kernel closes the pipe of a process that is killed.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import psutil

from kameng.local._processes import end, processes_where

# A fast stop lets Postgres free its shared memory.
STEPS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0))


def main() -> None:
    """Wait for the end of stdin, end what works in the folder, remove it."""
    folder = Path(sys.argv[1]).resolve()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # The folder's end is ours to wait for.
    sys.stdin.buffer.read()

    def works_in(process: psutil.Process) -> bool:
        places = (process.cwd(), process.environ().get("KAMENG_DATA", ""))
        return any(Path(place).is_relative_to(folder) for place in places if place)

    end(processes_where(works_in), *STEPS)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
