"""Small private files, written whole or not at all; locks; free ports."""

from __future__ import annotations

import fcntl
import json
import os
import random
import socket
from pathlib import Path
from typing import Any

from kameng.local.errors import LocalError

GIVEN = Path("/proc/sys/net/ipv4/ip_local_port_range")  # The ports that the system gives to connections.
OURS = range(15_000, 32_768)  # Below them, as Linux is set up.
_lots = random.SystemRandom()  # Nobody's seed makes two programs draw the same.


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`; empty when there is no such file. Raises LocalError when it is not JSON."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        value = json.loads(text)
    except ValueError as error:
        raise LocalError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise LocalError(f"{path} is damaged: not an object")
    return value


def write_private(path: Path, text: str) -> None:
    """Write `path` with mode 0600: after a crash there is the old text or the new one, never half.

    It is the folder's owner's, also when root writes: who made a copy can go on with it after one start as root.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    _give_to_owner(descriptor, path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _give_to_owner(descriptor: int, folder: Path) -> None:
    info = folder.stat()
    if os.geteuid() == 0 and info.st_uid != 0:
        os.fchown(descriptor, info.st_uid, info.st_gid)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """`value` as JSON, by `write_private`."""
    write_private(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


class FolderLock:
    """An exclusive lock on a file. The kernel frees it when its holder dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def take(self, what: str, cure: str = "") -> None:
        """Raises LocalError naming the holder, and `cure`, when somebody has it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        _give_to_owner(descriptor, self.path.parent)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise LocalError(f"{what} is already running (process {holder or 'unknown'}).{cure}") from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Free it; nothing happens when it is not held. The file stays: removing it would race with the next."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def port_is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As servers do, past closing connections.
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(preferred: int | None = None) -> int:
    """`preferred` while it is free, else one by lot.

    One that the system gives to no connection, so that none takes it before its server listens, or between a stop and
    a start; where there are none such, one that the system chooses.
    """
    if preferred and port_is_free(preferred):
        return preferred
    for lot in _lots.sample(OURS, 64):
        if not _is_given(lot) and port_is_free(lot):
            return lot
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _is_given(port: int) -> bool:
    try:
        first, last = (int(bound) for bound in GIVEN.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return True
    return first <= port <= last
