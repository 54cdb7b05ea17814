"""Whether an error says that the connection is gone, and not that a statement was wrong."""

from __future__ import annotations

from django.db import DatabaseError, InterfaceError, OperationalError

# admin_shutdown, crash_shutdown, cannot_connect_now: the server ends, has crashed, or is on its way back.
SERVER_LEAVES = frozenset({"57P01", "57P02", "57P03"})


def connection_is_lost(error: BaseException) -> bool:
    """Whether this error of Django's is of a connection that was cut, or of none that could be had.

    The server says so with a code; where it had no time to, the driver has none, and reports "server closed the
    connection unexpectedly" now as an OperationalError and now as nothing more than a DatabaseError.
    """
    code = getattr(error.__cause__, "pgcode", None)
    if code is not None:
        return code in SERVER_LEAVES
    bare = type(error) is DatabaseError and error.__cause__ is not None  # Without a cause, the ORM's own.
    return bare or isinstance(error, OperationalError | InterfaceError)


__all__ = ["connection_is_lost"]
