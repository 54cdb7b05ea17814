"""PgBouncer in transaction pooling in front of a Postgres: for the tests, which prove that Kameng may stand behind one.

The product starts none; a deployment that has one names it with DATABASE_URL (docs/tenancy.md, "Behind a pooler").
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg2
from psycopg2.extensions import parse_dsn

from kameng.local._processes import account_for, end, spawn
from kameng.local._state import free_port, write_private
from kameng.local.errors import LocalError

# Where `environment.py pooler` unpacks Debian's package when none is installed.
UNPACKED = Path(sys.prefix) / "debian"
START_WAIT_S = 60.0
STOP_STEPS = ((signal.SIGINT, 10.0),)
CONFIGURATION = """\
[databases]
{database} = host={host} port={server_port} dbname={database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits
log_connections = 0
log_disconnections = 0
"""


def binary() -> Path:
    """The program: an installed one, else the unpacked one. Raises LocalError when there is neither."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", str(UNPACKED / "usr" / "sbin")])
    found = shutil.which("pgbouncer", path=folders)
    if not found:
        raise LocalError("There is no pgbouncer: run `make pooler`, or install the package pgbouncer.")
    return Path(found)


def library_path() -> str:
    """Where the unpacked program's libraries lie: LD_LIBRARY_PATH for it."""
    return os.pathsep.join(sorted(str(folder) for folder in (UNPACKED / "usr" / "lib").glob("*-linux-*")))


class Pooler:
    """One PgBouncer, its files in `folder`.

    Args:
        folder: Of its own, made when it is missing.
        urls: Log-ins to let through, as postgresql:// URLs of one database; one pool each.
        pool_size: Connections to the server for each log-in.
    """

    def __init__(self, folder: Path, urls: list[str], pool_size: int) -> None:
        self.folder = folder
        self.log = folder / "pgbouncer.log"
        self.port = 0
        self._logins = [parse_dsn(url) for url in urls]
        self._pool_size = pool_size
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Pooler:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop()

    def url(self, direct: str) -> str:
        """The same log-in through the pooler."""
        parts = parse_dsn(direct)
        return f"postgresql://{parts['user']}:{parts['password']}@127.0.0.1:{self.port}/{parts['dbname']}"

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        program = binary()
        account = account_for(self.folder, reaches=(self.folder, program))
        account.owns(self.folder, 0o700)
        self.port = free_port(None)
        users, configuration = self.folder / "users.txt", self.folder / "pgbouncer.ini"
        write_private(users, "".join(f'"{one["user"]}" "{one["password"]}"\n' for one in self._logins))
        first = self._logins[0]
        write_private(
            configuration,
            CONFIGURATION.format(
                database=first["dbname"], host=_tcp_host(first), server_port=first["port"], port=self.port, users=users,
                pool_size=self._pool_size,
            ),
        )  # fmt: skip
        for file in (users, configuration):
            account.owns(file, 0o600)
        self._process = spawn(
            [str(program), str(configuration)], log=self.log, death_signal=signal.SIGTERM, account=account,
            env={**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": library_path()},
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        """Until a log-in comes through. Raises LocalError with the end of its log when it ended, or took too long."""
        assert self._process is not None
        deadline = time.monotonic() + START_WAIT_S
        url = self.url(_url_of(self._logins[0]))
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg2.connect(url, connect_timeout=5).close()
            except psycopg2.OperationalError:
                time.sleep(0.05)
            else:
                return
        tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:] if self.log.exists() else []
        raise LocalError("\n".join(["PgBouncer did not start.", *tail]))

    def _stop(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                end([psutil.Process(self._process.pid)], *STOP_STEPS)
            self._process.wait()
            self._process = None


def version() -> str:
    """What the program says of itself: `PgBouncer 1.18.0`."""
    env = {**os.environ, "LD_LIBRARY_PATH": library_path()}
    said = subprocess.run([str(binary()), "--version"], capture_output=True, text=True, env=env, check=True)
    return said.stdout.splitlines()[0].strip()


def version_number() -> tuple[int, ...]:
    """(1, 18, 0)."""
    return tuple(int(part) for part in version().rpartition(" ")[2].split("."))


def _tcp_host(login: dict[str, str]) -> str:
    """The server's address for PgBouncer, which runs as another user than us: a socket's folder may be closed to it."""
    host = login.get("host", "127.0.0.1")
    return "127.0.0.1" if host.startswith("/") or host == socket.gethostname() else host


def _url_of(login: dict[str, str]) -> str:
    return f"postgresql://{login['user']}:{login['password']}@{_tcp_host(login)}:{login['port']}/{login['dbname']}"
