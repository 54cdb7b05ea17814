"""`kameng run` as a person meets it: from nothing to shops that answer, kill -9 of everything, and on again."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from kameng.local import endpoint
from kameng.local._state import free_port
from tests.kameng.local.helpers import all_gone, family, query

GIVEN = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "KAMENG_", "DJANGO_SETTINGS_MODULE", "PORT", "DATA")
LAST_WORDS = "Ctrl-C stops everything."
COUNTS = """
SELECT (SELECT count(*) FROM library_sku), (SELECT count(*) FROM stock_code), (SELECT count(*) FROM ledger_entry),
       (SELECT count(*) FROM s_0000001.orders_order), (SELECT count(*) FROM s_0000002.orders_order),
       (SELECT count(*) FROM s_0000003.orders_order)
"""


class Copy:
    """A copy of the program with its own folder and port."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> list[str]:
        """Start it and wait for its last words; all that it said."""
        self.process = self.command("run", "--port", str(self.port))
        assert self.process.stdout is not None
        said = []
        for line in self.process.stdout:
            said.append(line.rstrip())
            if line.strip() == LAST_WORDS:
                break
        assert said[-1:] == [LAST_WORDS], "\n".join(said)
        return said

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """A command in its folder, with nothing given by the environment."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(GIVEN)}
        return subprocess.Popen(
            [sys.executable, "-m", "kameng.cli", "--data", str(self.data), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, start_new_session=True,
        )  # fmt: skip

    def ask(self, *arguments: str) -> tuple[int, str]:
        """How a short command ended, and what it said."""
        with self.command(*arguments) as process:
            said, _nothing = process.communicate()
        return process.returncode, said

    def status(self, host: str) -> int:
        """What the front page of a host answers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("GET", "/", headers={"Host": f"{host}:{self.port}"})
            return connection.getresponse().status
        finally:
            connection.close()

    def counts(self) -> tuple[int, ...]:
        """SKUs, codes, ledger entries, and the orders of each shop."""
        (row,) = query(endpoint.load(self.data).superuser_url, COUNTS)
        return row

    def end(self) -> list[int]:
        """Ctrl-C; the processes that it had."""
        assert self.process is not None
        pids = family(self.process.pid)
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()
        return pids


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    made = Copy(tmp_path / "data")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end()


class TestRun:
    def test_reaches_shops_keeps_all_after_kill_9_of_everything_and_leaves_nothing(self, copy: Copy) -> None:
        said = copy.start()

        shops = ["luckycard.localhost", "sunny-topup.localhost", "yunke-soft.localhost"]
        for host in shops:
            assert any(f"http://{host}:{copy.port}/panel/" in line for line in said)
        assert [copy.status(host) for host in ("localhost", *shops)] == [200, 200, 200, 200]
        before = copy.counts()
        assert before[:2] == (500, 20_000)
        assert min(before[2:]) > 0
        status, refusal = copy.ask("run", "--port", str(free_port()))
        assert (status, refusal.split(" (")[0]) == (1, f"Error: Kameng in {copy.data} is already running")

        assert copy.process is not None
        pids = family(copy.process.pid)
        for pid in pids:
            if psutil.pid_exists(pid):
                os.kill(pid, signal.SIGKILL)
        copy.process.communicate()
        assert all_gone(pids)

        copy.start()
        assert copy.counts() == before
        assert [copy.status(host) for host in ("localhost", *shops)] == [200, 200, 200, 200]
        status, verdict = copy.ask("ledger", "verify")
        assert (status, verdict.splitlines()[-1]) == (0, "The ledger holds.")

        pids = copy.end()
        assert copy.process.returncode == 0
        assert all_gone(pids)
        assert not (copy.data / "endpoint.json").exists()
