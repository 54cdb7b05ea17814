"""What one copy of Kameng on one machine consists of: its servers, its processes, their environment."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from kameng.local import endpoint, external, secrets
from kameng.local._state import free_port, read_json, write_json
from kameng.local.errors import LocalError
from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis
from kameng.local.supervisor import Process, Supervisor, log_end

REPO = Path(__file__).resolve().parents[3]
WEB_WORKERS = 2
WEB_THREADS = 8
WORKER_THREADS = 2
POLL_S = 0.1
# Without the query and the referrer: they hold search words and the secrets of guests' orders.
ACCESS_FORMAT = '%(h)s %(t)s %({host}i)s "%(m)s %(U)s" %(s)s %(B)s %(D)s'


class Server:
    """An embedded server, or an outside one in its place, as the supervisor sees it."""

    def __init__(
        self,
        name: str,
        title: str,
        server: EmbeddedPostgres | EmbeddedRedis | None,
        *,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._check = check
        self.name = name
        self.title = title
        self._server = server
        self.where = "yours, as the environment names it" if server is None else ""

    def start(self) -> None:
        """Start it; an outside one is asked whether it is there. Raises LocalError."""
        if self._server is None:
            self._check()
            return
        self._server.start()
        self.where = f"127.0.0.1:{self._server.port}"

    def stop(self) -> None:
        """Stop it; an outside one stays up."""
        if self._server is not None:
            self._server.stop()

    def is_alive(self) -> bool:
        """Whether our process runs; an outside one's health is not ours to watch."""
        return self._server is None or self._server.is_alive()


class House:
    """All parts, not yet started. The command adds them to the supervisor in its order.

    Args:
        data: The data folder; whoever builds a house holds the lock that allows one per folder.
        port: Of the web, on 127.0.0.1.
        report: Takes the supervisor's sentences.
    """

    def __init__(self, data: Path, port: int, *, report: Callable[[str], None]) -> None:
        self.data = data
        self.port = port
        self.supervisor = Supervisor([], report=report)
        given = {name: value for name, value in os.environ.items() if value}
        self._secrets = secrets.ensure(data)
        self._env = {**given, **self._secrets.environment(given)}
        self._env |= {
            "KAMENG_DATA": str(data),
            "PORT": str(port),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": given.get("DJANGO_SETTINGS_MODULE", "kameng.settings"),
        }
        database = external.database_environment(given, self._env["KAMENG_SECRET_KEY"])
        self._env |= database
        self._derives_app = bool(database) and not given.get("DATABASE_OWNER_URL")
        self._postgres = None if database else EmbeddedPostgres(data)
        self._redis = None if given.get("REDIS_URL") else EmbeddedRedis(data)
        self.postgres = Server("postgres", "PostgreSQL 18" if self._postgres else "PostgreSQL", self._postgres)
        self.redis = Server("redis", "Redis", self._redis, check=lambda: external.check_redis(self._env["REDIS_URL"]))
        self.has_testpay = not given.get("KAMENG_TESTPAY_URL")
        if self.has_testpay:
            self._testpay_port = self._choose_testpay_port()
            self._env["KAMENG_TESTPAY_URL"] = f"http://127.0.0.1:{self._testpay_port}"

    @property
    def testpay_url(self) -> str:
        """The test channel's address."""
        return self._env["KAMENG_TESTPAY_URL"]

    def prepare_external(self) -> list[str]:
        """On a database of the user's: make the app's log-in. Returns sentences about what its owner may not do."""
        if not self._derives_app:
            return []
        return external.prepare(self._env["DATABASE_OWNER_URL"], self._env["KAMENG_SECRET_KEY"])

    def publish(self) -> None:
        """Put the started servers' addresses into the children's environment, and where other commands find them."""
        superuser = ""
        if self._postgres is not None:
            self._env |= {"DATABASE_URL": self._postgres.app_url, "DATABASE_OWNER_URL": self._postgres.owner_url}
            superuser = self._postgres.superuser_dsn
        if self._redis is not None:
            self._env["REDIS_URL"] = self._redis.url
        endpoint.Endpoint(
            database_url=self._env["DATABASE_URL"],
            database_owner_url=self._env["DATABASE_OWNER_URL"],
            redis_url=self._env["REDIS_URL"],
            pid=os.getpid(),
            superuser_url=superuser,
            testpay_url=self._env.get("KAMENG_TESTPAY_URL", ""),
            port=self.port,
        ).save(self.data)

    def run_once(self, name: str, command: Sequence[str], say: Callable[[str], None]) -> None:
        """Run `kameng COMMAND …` to its end; `say` gets the last line that it wrote, as it goes.

        Raises LocalError with the end of its log when it fails.
        """
        process = self._process(name, [sys.executable, "-m", "kameng.cli", *command])
        process.log.unlink(missing_ok=True)  # One run's words only: they are shown.
        try:
            process.start()
            while process.is_alive():
                time.sleep(POLL_S)
                say(_last_words(process.log))
            say(_last_words(process.log))
            if process.status != 0:
                raise LocalError(
                    f"`kameng {' '.join(command)}` failed; all of it is in {process.log}\n{log_end(process.log)}"
                )
        finally:
            process.stop()

    def testpay(self) -> Process:
        """The test payment channel."""
        argv = ["-m", "kameng.cli", "testpay", "--port", str(self._testpay_port), "--data", str(self.data / "testpay")]
        return self._process("testpay", [sys.executable, *argv], ready=lambda: _answers(self._testpay_port))

    def web(self) -> Process:
        """gunicorn with threads: kept connections per thread, and no event loop that one slow query holds up."""
        argv = [sys.executable, "-m", "gunicorn", "kameng.wsgi:application"]
        argv += ["--bind", f"127.0.0.1:{self.port}", "--worker-class", "gthread"]
        argv += [
            "--workers",
            str(WEB_WORKERS),
            "--threads",
            str(WEB_THREADS),
            "--timeout",
            "60",
            "--graceful-timeout",
            "15",
        ]
        argv += ["--max-requests", "20000", "--max-requests-jitter", "2000"]  # A backend remembers every schema it saw.
        argv += ["--access-logfile", str(self.data / "log" / "access.log"), "--access-logformat", ACCESS_FORMAT]
        argv += ["--error-logfile", "-", "--log-level", "warning", "--no-control-socket"]
        return self._process("web", argv, ready=lambda: _is_healthy(self.port), ready_wait_s=120.0)

    def worker(self) -> Process:
        """Celery's worker as one process with threads: when it dies, nothing of it stays."""
        argv = [sys.executable, "-m", "celery", "-A", "kameng.celery", "worker", "--pool=threads"]
        name = f"kameng-{os.getpid()}@{socket.gethostname()}"
        argv += [f"--concurrency={WORKER_THREADS}", "--loglevel=WARNING", f"--hostname={name}"]
        broker = self._env["REDIS_URL"]
        return self._process("worker", argv, ready=lambda: worker_answers(broker, name), ready_wait_s=120.0)

    def beat(self) -> Process:
        """Celery's clock; its schedule is in the data folder, its pid file nowhere: the lock of the folder is ours."""
        schedule = self.data / "beat" / "schedule"
        schedule.parent.mkdir(parents=True, exist_ok=True)
        argv = [sys.executable, "-m", "celery", "-A", "kameng.celery", "beat", "--pidfile=", f"--schedule={schedule}"]
        return self._process("beat", [*argv, "--loglevel=WARNING"])

    def _process(
        self, name: str, argv: list[str], *, ready: Callable[[], bool] | None = None, ready_wait_s: float = 60.0
    ) -> Process:
        return Process(
            name=name,
            argv=argv,
            env=self._env,
            log=self.data / "log" / f"{name}.log",
            ready=ready,
            ready_wait_s=ready_wait_s,
            mark=str(self.data),
            cwd=REPO,
        )

    def _choose_testpay_port(self) -> int:
        """The port of the last run while it is free: payment pages that are still open go on working."""
        file = self.data / "run.json"
        state = read_json(file)
        port = free_port(state.get("testpay_port"))
        if port != state.get("testpay_port"):
            write_json(file, state | {"testpay_port": port})
        return port


def demo_logins(data: Path, port: int) -> list[tuple[str, str, str, str]]:
    """What, address, user, password, as the demonstration left them; the addresses with the present port."""
    entries = read_json(data / "demo.json").get("logins", [])
    return [(entry["what"], _with_port(entry["url"], port), entry["user"], entry["password"]) for entry in entries]


def demo_shops(data: Path, port: int) -> list[tuple[str, str]]:
    """A heading and the address of each shop that the demonstration's log-ins lead to."""
    shops: dict[str, None] = {}  # Ordered, each once.
    for _what, url, _user, _password in demo_logins(data, port):
        parts = urlsplit(url)
        if parts.hostname and parts.hostname.endswith(".localhost"):
            shops.setdefault(urlunsplit((parts.scheme, parts.netloc, "/", "", "")))
    return [("" if number else "Shops", url) for number, url in enumerate(shops)]


def _with_port(url: str, port: int) -> str:
    """The demonstration may have been loaded under another port."""
    parts = urlsplit(url)
    if parts.hostname is None or not (parts.hostname == "localhost" or parts.hostname.endswith(".localhost")):
        return url
    return urlunsplit(parts._replace(netloc=f"{parts.hostname}:{port}"))


def _last_words(log: Path) -> str:
    """The last line meant for people: structured logs begin with a brace."""
    if not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip() and not line.startswith("{")), "")


def _is_healthy(port: int) -> bool:
    """Whether the web answers /healthz with 200."""
    return _status(port, "/healthz", f"localhost:{port}") == http.client.OK


def _answers(port: int) -> bool:
    """Whether something speaks HTTP there."""
    return _status(port, "/", f"127.0.0.1:{port}") is not None


def worker_answers(broker: str, name: str) -> bool:
    """Whether the worker called `name` takes messages from the broker."""
    with Celery(broker=broker, set_as_current=False) as app:
        try:
            return bool(app.control.ping(destination=[name], timeout=0.5))
        except (OperationalError, RedisError):  # Redis is being restarted; kombu wraps but the first connecting.
            return False


def _status(port: int, path: str, host: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):  # Not yet up.
        return None
    finally:
        connection.close()
