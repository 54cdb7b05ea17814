"""A process with a Django of its own, which a bench calls functions in. Two settings, two databases: two of these."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from kameng.local._processes import die_with_parent
from kameng.local.errors import LocalError

END_S = 15.0


class Apart:
    """The process. It ends with the `with` block, and when we are killed.

    Args:
        env: Its whole environment; DJANGO_SETTINGS_MODULE names the Django that it sets up.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kameng.bench._apart"],
            env=dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # Ctrl-C reaches us alone; we end it. (No `preexec_fn`: with one, a signal that asks us to stop can arrive in
            # the hooks that Python runs after a fork, and an exception is lost in those.)
            start_new_session=True,
        )

    def send(self, function: str, *arguments: Any) -> None:
        """Begin a call of "module:function" with arguments that JSON can hold; `receive` has its answer."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps([function, arguments]) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def receive(self) -> Any:
        """The answer to the call that was sent. Raises LocalError when the process ended instead."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise self._gone()
        return json.loads(line)

    def call(self, function: str, *arguments: Any) -> Any:
        """`send`, and wait for the answer."""
        self.send(function, *arguments)
        return self.receive()

    def _gone(self) -> LocalError:
        return LocalError("A process of the bench ended without an answer; its error is above.")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self._process.terminate()  # It may be in the middle of a call.
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def main() -> None:
    """Answer calls, a line each, until stdin ends, which it does when the bench has ended."""
    die_with_parent(signal.SIGTERM)  # In the middle of a call, too.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # Whatever a library prints is no answer.
    import django

    django.setup()
    for line in sys.stdin:
        name, arguments = json.loads(line)
        module, _, function = name.partition(":")
        answer = getattr(importlib.import_module(module), function)(*arguments)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
