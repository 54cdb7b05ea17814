"""The supervisor: order, falls and pauses, stops, orphans."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kameng.local.errors import LocalError
from kameng.local.supervisor import MARK, Process, Supervisor, end_orphans

from .helpers import all_gone, eventually, family

SLEEPER = "import signal; signal.pause()"


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Fake:
    """A service that writes down what is asked of it."""

    def __init__(self, name: str, diary: list[str]) -> None:
        self.name = name
        self.diary = diary
        self.alive = False
        self.refuses = ""

    def start(self) -> None:
        self.diary.append(f"start {self.name}")
        if self.refuses:
            raise LocalError(self.refuses)
        self.alive = True

    def stop(self) -> None:
        self.diary.append(f"stop {self.name}")
        self.alive = False

    def is_alive(self) -> bool:
        return self.alive


class Stage:
    """A supervisor over two fakes, `a` and `b`, with its clock and its sentences."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.said: list[str] = []
        self.clock = Clock()
        self.a, self.b = Fake("a", self.diary), Fake("b", self.diary)
        self.supervisor = Supervisor([self.a, self.b], report=self.said.append, clock=self.clock)


class TestOrder:
    def test_starts_in_order_and_stops_in_reverse(self) -> None:
        stage = Stage()

        stage.supervisor.start()
        stage.supervisor.stop()

        assert stage.diary == ["start a", "start b", "stop b", "stop a"]

    def test_stops_what_was_begun_when_one_does_not_start(self) -> None:
        stage = Stage()
        stage.b.refuses = "no room"

        with pytest.raises(LocalError, match="no room"):
            stage.supervisor.start()
        stage.supervisor.stop()

        assert stage.diary == ["start a", "start b", "stop b", "stop a"]

    def test_stops_twice_only_once(self) -> None:
        stage = Stage()
        stage.supervisor.start()

        stage.supervisor.stop()
        stage.supervisor.stop()

        assert stage.diary.count("stop a") == 1


class TestFalls:
    def test_restarts_the_fallen_one_alone_and_after_its_pause(self) -> None:
        stage = Stage()
        stage.supervisor.start()
        stage.diary.clear()
        stage.b.alive = False

        stage.supervisor.check()
        assert stage.diary == []
        stage.clock.now += 0.5
        stage.supervisor.check()

        assert stage.diary == ["stop b", "start b"]
        assert stage.said == ["b fell; again in 0.5 s.", "b is back."]

    def test_does_not_wait_for_a_program_that_needs_another_fallen_one(self, tmp_path: Path) -> None:
        stage = Stage()
        program = Process(
            name="program", argv=[sys.executable, "-c", SLEEPER], env=dict(os.environ), log=tmp_path / "log",
            ready=lambda: stage.a.alive, ready_wait_s=60.0,
        )  # fmt: skip
        stage.supervisor.start()
        stage.supervisor.add(program)
        os.kill(program.pid or 0, signal.SIGKILL)
        assert eventually(lambda: not program.is_alive())
        stage.supervisor.check()
        stage.clock.now += 0.5
        stage.a.alive = False

        stage.supervisor.check()  # The program is begun, and not ready without `a`.
        stage.clock.now += 0.5
        stage.supervisor.check()  # `a` is back.
        stage.supervisor.check()

        assert stage.said == [
            "program fell; again in 0.5 s.", "a fell; again in 0.5 s.", "a is back.", "program is back.",
        ]  # fmt: skip
        stage.supervisor.stop()

    def test_starts_a_program_again_that_does_not_get_ready(self, tmp_path: Path) -> None:
        stage = Stage()
        answers = iter([True])
        program = Process(
            name="program", argv=[sys.executable, "-c", SLEEPER], env=dict(os.environ), log=tmp_path / "log",
            ready=lambda: next(answers, False), ready_wait_s=60.0,
        )  # fmt: skip
        stage.supervisor.add(program)
        os.kill(program.pid or 0, signal.SIGKILL)
        assert eventually(lambda: not program.is_alive())
        stage.supervisor.check()
        stage.clock.now += 0.5
        stage.supervisor.check()
        begun = program.pid

        stage.clock.now += 61.0
        stage.supervisor.check()
        stage.clock.now += 1.0
        stage.supervisor.check()

        assert stage.said == ["program fell; again in 0.5 s.", "program does not come back: not ready in 60 s."]
        assert program.pid not in {begun, None}
        stage.supervisor.stop()

    def test_pauses_twice_as_long_each_time_up_to_a_limit(self) -> None:
        stage = Stage()
        stage.supervisor.start()

        for _fall in range(9):
            stage.a.alive = False
            stage.supervisor.check()
            stage.clock.now += 30.0
            stage.supervisor.check()

        falls = [sentence for sentence in stage.said if "fell" in sentence]
        seconds = [sentence.removeprefix("a fell; again in ").removesuffix(" s.") for sentence in falls]
        assert seconds == ["0.5", "1", "2", "4", "8", "16", "30", "30", "30"]

    def test_begins_small_again_after_a_minute_up(self) -> None:
        stage = Stage()
        stage.supervisor.start()
        for wait in (30.0, 60.0, 30.0):
            stage.a.alive = False
            stage.supervisor.check()
            stage.clock.now += 30.0
            stage.supervisor.check()
            stage.clock.now += wait

        falls = [sentence for sentence in stage.said if "fell" in sentence]

        assert falls == ["a fell; again in 0.5 s.", "a fell; again in 1 s.", "a fell; again in 0.5 s."]

    def test_tries_again_when_it_does_not_come_back(self) -> None:
        stage = Stage()
        stage.supervisor.start()
        stage.a.alive, stage.a.refuses = False, "no room"
        stage.supervisor.check()
        stage.clock.now += 0.5
        stage.supervisor.check()
        stage.a.refuses = ""

        stage.clock.now += 1.0
        stage.supervisor.check()

        assert stage.a.alive
        assert stage.said[1:] == ["a does not come back: no room", "a is back."]


def _process(tmp_path: Path, code: str, name: str = "child", **options: object) -> Process:
    return Process(
        name=name,
        argv=[sys.executable, "-c", code],
        env=dict(os.environ),
        log=tmp_path / f"{name}.log",
        mark=str(tmp_path),
        **options,  # type: ignore[arg-type]
    )


class TestProcess:
    def test_waits_until_it_is_ready(self, tmp_path: Path) -> None:
        file = tmp_path / "ready"
        process = _process(tmp_path, f"open({str(file)!r}, 'w'); {SLEEPER}", ready=file.exists)

        process.start()

        assert file.exists()
        assert process.is_alive()
        process.stop()
        assert not process.is_alive()

    def test_shows_its_last_words_when_it_ends_instead(self, tmp_path: Path) -> None:
        process = _process(tmp_path, "raise SystemExit('the shelf is empty')", ready=lambda: False)

        with pytest.raises(LocalError, match=r"child ended with status 1\.\nthe shelf is empty"):
            process.start()

    def test_is_killed_when_it_does_not_listen(self, tmp_path: Path) -> None:
        file = tmp_path / "ready"
        deaf = f"import signal; signal.signal(15, signal.SIG_IGN); open({str(file)!r}, 'w'); signal.pause()"
        process = _process(tmp_path, deaf, ready=file.exists, stop_steps=((signal.SIGTERM, 0.1),))
        process.start()
        pid = process.pid

        process.stop()

        assert pid is not None
        assert all_gone([pid])

    def test_takes_its_own_children_along(self, tmp_path: Path) -> None:
        file = tmp_path / "ready"
        code = (
            f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); open({str(file)!r}, 'w'); "
        )
        process = _process(tmp_path, code + SLEEPER, ready=file.exists)
        process.start()
        assert process.pid is not None
        pids = family(process.pid)
        assert len(pids) == 2

        process.stop()

        assert all_gone(pids)

    def test_is_restarted_after_a_kill(self, tmp_path: Path) -> None:
        process = _process(tmp_path, SLEEPER)
        said: list[str] = []
        clock = Clock()
        supervisor = Supervisor([process], report=said.append, clock=clock)
        supervisor.start()
        first = process.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        assert eventually(lambda: not process.is_alive())

        supervisor.check()
        clock.now += 1.0
        supervisor.check()

        assert process.pid not in {None, first}
        assert said == ["child fell; again in 0.5 s.", "child is back."]
        supervisor.stop()


SUPERVISED = """
import os, sys
from pathlib import Path
from kameng.local.supervisor import Process, Supervisor
argv, log = [sys.executable, "-c", sys.argv[2]], Path(sys.argv[1]) / "log"
process = Process("child", argv, dict(os.environ), log, mark=sys.argv[1])
Supervisor([process], report=print).start()
print(process.pid, flush=True)
import signal
signal.pause()
"""


class TestOrphans:
    def test_children_end_when_their_supervisor_is_killed(self, tmp_path: Path) -> None:
        parent = subprocess.Popen(
            [sys.executable, "-c", SUPERVISED, str(tmp_path), SLEEPER], stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)

        parent.kill()
        parent.communicate()

        assert all_gone([child])

    def test_ends_by_their_mark_those_that_stayed(self, tmp_path: Path) -> None:
        def start(mark: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen([sys.executable, "-c", SLEEPER], env={**os.environ, MARK: mark})

        ours, theirs = start(str(tmp_path)), start(str(tmp_path / "other"))

        assert end_orphans(str(tmp_path)) == 1

        assert all_gone([ours.pid])
        assert theirs.poll() is None
        assert end_orphans(str(tmp_path / "other")) == 1
        ours.wait()
        theirs.wait()
