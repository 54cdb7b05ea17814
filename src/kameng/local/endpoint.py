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
    """The URLs of one copy's servers, and the process that keeps them up. `superuser_url` is empty for outside ones."""

    database_url: str
    database_owner_url: str
    redis_url: str
    pid: int
    superuser_url: str = ""

    def environment(self) -> dict[str, str]:
        """The variables that settings read."""
        return {
            "DATABASE_URL": self.database_url,
            "DATABASE_OWNER_URL": self.database_owner_url,
            "REDIS_URL": self.redis_url,
        }

    def save(self, data_dir: Path) -> None:
        """Leave word in `data_dir`, readable by its owner alone: the URLs hold passwords."""
        write_json(data_dir / FILE, asdict(self))


def load(data_dir: Path) -> Endpoint:
    """The running servers of `data_dir`. Raises LocalError when none run there."""
    value = read_json(data_dir / FILE)
    if not value or not is_alive(int(value["pid"])):
        raise LocalError(
            f"Nothing runs in {data_dir}. Start it with `make run`, or name servers with DATABASE_URL= and REDIS_URL=."
        )
    return Endpoint(**value)


def forget(data_dir: Path) -> None:
    """The servers are going down: nobody should try them any more."""
    (data_dir / FILE).unlink(missing_ok=True)
