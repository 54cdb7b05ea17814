"""Only the two servers, kept up until a signal: `python -m kameng.local.serve FOLDER`. For work on Kameng itself."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from pathlib import Path
from types import FrameType

from kameng.local import endpoint, secrets, testing
from kameng.local._state import write_private
from kameng.local.errors import LocalError
from kameng.local.postgres import EmbeddedPostgres
from kameng.local.redis import EmbeddedRedis

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Stop(BaseException):
    """Somebody asked us to stop. No Exception: nothing on the way may take it for a failure."""


def main(arguments: list[str]) -> int:
    """Start, write `FOLDER/env` (shell exports), wait for SIGTERM or SIGINT, stop. Returns the exit status."""
    if len(arguments) != 1:
        print("usage: python -m kameng.local.serve FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).resolve()
    for number in SIGNALS:
        signal.signal(number, _stop)
    postgres, redis = EmbeddedPostgres(folder), EmbeddedRedis(folder)
    try:
        secrets.ensure(folder)
        postgres.start()
        redis.start()
        running = endpoint.Endpoint(
            database_url=postgres.app_url,
            database_owner_url=postgres.owner_url,
            redis_url=redis.url,
            pid=os.getpid(),
            superuser_url=postgres.superuser_dsn,
        )
        testing.allow_creating_databases(running)
        running.save(folder)
        variables = running.environment() | {"SUPERUSER_URL": running.superuser_url, "KAMENG_DATA": str(folder)}
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
        write_private(folder / "env", exports)
        print(f"Up: {folder / 'env'} names the addresses.", flush=True)
        while True:
            signal.pause()
    except _Stop:
        return 0
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # What is being stopped is not to be asked again.
        endpoint.forget(folder)
        redis.stop()
        postgres.stop()


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise _Stop


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
