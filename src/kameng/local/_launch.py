"""Runs as a program of its own, between fork and the server: gives up root, ties the server's life to its parent's.

    python -I -S _launch.py '{"parent": 12, "signal": 2, "uid": 65534, "gid": 65534, "capability": 2}' /bin/program …

It is a separate program and not a `preexec_fn`, because code between fork and exec of a threaded parent may
deadlock. It imports the standard library alone and everything that it needs before it gives up root: afterwards
it may not be able to read the interpreter's folder.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable
from typing import Any

# linux/prctl.h, linux/securebits.h, linux/capability.h
PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
LINUX_CAPABILITY_VERSION_3 = 0x20080522
EXIT_PARENT_GONE = 70
EXIT_REFUSED = 71


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def main() -> None:
    """Drop to the account that the first argument names, then become the program in the rest."""
    options = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(option: int, *arguments: int) -> None:
        padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
        if libc.prctl(option, *padded) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"prctl({option}): {os.strerror(number)}")

    try:
        if options["uid"] is not None:
            _give_up_root(libc, prctl, options)
        # Only now: a change of user clears it. An exec without a change of user keeps it.
        prctl(PR_SET_PDEATHSIG, options["signal"])
    except OSError as error:
        print(f"can't start {sys.argv[2]} as user {options['uid']}: {error}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)
    if os.getppid() != options["parent"]:  # It died before the line above: nobody would send the signal.
        sys.exit(EXIT_PARENT_GONE)
    os.execv(sys.argv[2], sys.argv[2:])


def _give_up_root(libc: ctypes.CDLL, prctl: Callable[..., None], options: dict[str, Any]) -> None:
    """Become the account with no capability, or with the one that lets it pass through folders of root."""
    capability = options["capability"]
    if capability is not None:
        # With the fix-up, access(2) ignores capabilities of a user that is not root, and Postgres asks access(2)
        # whether its own binaries can be run. It also clears the capabilities at setuid.
        prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([])
    os.setresgid(options["gid"], options["gid"], options["gid"])
    os.setresuid(options["uid"], options["uid"], options["uid"])
    prctl(PR_SET_NO_NEW_PRIVS, 1)  # No set-user-id program gives it back.
    if capability is None:
        return
    mask = 1 << capability
    data = (_Data * 2)()
    data[0] = _Data(mask, mask, mask)
    if libc.capset(ctypes.byref(_Header(LINUX_CAPABILITY_VERSION_3, 0)), data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"capset: {os.strerror(number)}")
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)  # So that it survives the exec, in children too.


if __name__ == "__main__":
    main()
