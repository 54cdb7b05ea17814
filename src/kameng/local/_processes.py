"""Processes: starting one that dies with us, finding what an earlier run left, ending it for certain."""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from kameng.local.errors import LocalError

LAUNCH = Path(__file__).with_name("_launch.py")
# Accounts that every Linux has one of; initdb wants an account with a name, a bare number is not enough.
ACCOUNT_NAMES = ("kameng", "nobody", "daemon")
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Account:
    """Who a server runs as. `uid` None: as ourselves, because we are not root."""

    uid: int | None
    gid: int | None
    capability: int | None = None

    def owns(self, path: Path, mode: int) -> None:
        """Give `path` to the account, with `mode`."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)


def account_for(owner_of: Path, *, reaches: Iterable[Path]) -> Account:
    """The unprivileged account for a server whose data folder is `owner_of`; ourselves when we are not root.

    A folder that is there keeps its owner, so that a machine whose accounts change still finds its data.
    A capability is kept only when one of `reaches` lies behind a folder that the account may not enter.
    Raises LocalError when the folder belongs to somebody else, or the machine has no such account.
    """
    owner = owner_of.stat().st_uid if owner_of.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise LocalError(
                f"{owner_of} belongs to user {owner} and you are user {os.geteuid()}. "
                "Start as the user who made it, or choose another folder with DATA=."
            )
        return Account(None, None)
    entry = _account_entry(owner)
    blocked = [path for path in reaches if not _can_reach(path, entry.pw_uid, entry.pw_gid)]
    return Account(entry.pw_uid, entry.pw_gid, _search_capability() if blocked else None)


def _account_entry(owner: int | None) -> pwd.struct_passwd:
    if owner:  # Neither unknown nor root.
        try:
            return pwd.getpwuid(owner)
        except KeyError as error:
            raise LocalError(f"The data folder belongs to user {owner}, whom this machine does not know.") from error
    for name in ACCOUNT_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry
    names = ", ".join(ACCOUNT_NAMES)
    raise LocalError(f"PostgreSQL does not run as root, and this machine has none of the users {names}.")


def _can_reach(path: Path, uid: int, gid: int) -> bool:
    """Whether the account may enter every folder above `path`, by their mode bits."""
    for parent in path.resolve().parents:
        info = parent.stat()
        if info.st_uid == uid:
            wanted = stat.S_IXUSR
        elif info.st_gid == gid:
            wanted = stat.S_IXGRP
        else:
            wanted = stat.S_IXOTH
        if not info.st_mode & wanted:
            return False
    return True


def _search_capability() -> int:
    """The weakest capability we hold that lets a process enter any folder (containers often lack the first)."""
    fields = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    held = int(fields["CapPrm"], 16)
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if held >> capability & 1:
            return capability
    raise LocalError(
        "The folder is closed to other users, and this root can't pass its right on. Choose another with DATA=."
    )


def spawn(
    argv: list[str],
    *,
    log: Path,
    death_signal: signal.Signals,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in a session of its own, its output appended to `log`; when we die it gets `death_signal`.

    The kernel sends that signal when the *thread* that called this ends, so call it from one that stays.
    """
    account = account or Account(None, None)
    options = {
        "parent": os.getpid(),
        "signal": int(death_signal),
        "uid": account.uid,
        "gid": account.gid,
        "capability": account.capability,
    }
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(options), *argv],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(env) if env is not None else None,
            cwd=cwd,
            start_new_session=True,  # Ctrl-C in the terminal reaches us alone; we stop the others in order.
        )


def processes_where(matches: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Living processes that match. A zombie counts as dead; one that we may not look into is not ours."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and matches(process):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def working_in(folder: Path, name: str) -> list[psutil.Process]:
    """Processes called `name` whose working folder is `folder`: Postgres and Redis go to their data and stay there."""
    wanted = str(folder.resolve())
    return processes_where(lambda process: process.name() == name and process.cwd() == wanted)


def is_alive(pid: int) -> bool:
    """Whether `pid` is a process that still runs; a zombie is not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def end(processes: Iterable[psutil.Process], *steps: tuple[signal.Signals, float]) -> None:
    """Send each signal in turn and wait so many seconds for all to end; whoever is left at the end is killed.

    Returns when none is alive. Raises LocalError when one survives the kill (stuck in the kernel).
    """
    remaining = list(processes)
    for number, wait_s in (*steps, (signal.SIGKILL, 10.0)):
        if not remaining:
            return
        for process in remaining:
            try:
                process.send_signal(number)
            except psutil.NoSuchProcess:
                continue  # It ended by itself; the wait below reaps it.
        _gone, remaining = psutil.wait_procs(remaining, timeout=wait_s)
        remaining = [process for process in remaining if is_alive(process.pid)]
    if remaining:
        raise LocalError(f"Processes {', '.join(str(process.pid) for process in remaining)} can't be ended.")


def die_with_parent(number: signal.Signals) -> None:
    """Have the kernel send us `number` when our parent ends; at once, when it has ended already."""
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(number)) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os.kill(os.getpid(), number)
