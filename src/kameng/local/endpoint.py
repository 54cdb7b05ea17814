"""Where the running servers of a data folder are: written by who started them, read by every other command."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from kameng.local._processes import is_alive
from kameng.local._state import read_json, write_json
from kameng.local.errors import LocalError

FILE = "endpoint.json"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The URLs of one copy's servers, and the process that keeps them up.

    `superuser_url` is empty for outside ones; `port`, the web's, and `testpay_url` where only servers were started.
    """

    database_url: str
    database_owner_url: str
    redis_url: str
    pid: int
    superuser_url: str = ""
    testpay_url: str = ""
    port: int = 0

    def environment(self) -> dict[str, str]:
        """The variables that settings read; those that are not known are left out."""
        known = {
            "DATABASE_URL": self.database_url,
            "DATABASE_OWNER_URL": self.database_owner_url,
            "REDIS_URL": self.redis_url,
            "KAMENG_TESTPAY_URL": self.testpay_url,
            "PORT": str(self.port or ""),
        }
        return {name: value for name, value in known.items() if value}

    def save(self, data_dir: Path) -> None:
        """Leave word in `data_dir`, readable by its owner alone: the URLs hold passwords."""
        write_json(data_dir / FILE, asdict(self))


def running(data_dir: Path) -> Endpoint | None:
    """The running servers of `data_dir`, or None."""
    value = read_json(data_dir / FILE)
    return Endpoint(**value) if value and is_alive(int(value["pid"])) else None


def load(data_dir: Path) -> Endpoint:
    """The running servers of `data_dir`. Raises LocalError when none run there."""
    found = running(data_dir)
    if found is None:
        raise LocalError(
            f"Nothing runs in {data_dir}. Start it with `make run`, or name servers with DATABASE_URL= and REDIS_URL=."
        )
    return found


def forget(data_dir: Path) -> None:
    """The servers are going down: nobody should try them any more."""
    (data_dir / FILE).unlink(missing_ok=True)
