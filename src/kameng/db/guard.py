"""What a tenant's request may send: plain DML, one statement at a time.

The app logs in as one role that may become every tenant's (`SET ROLE`), so the one thing that raw SQL in a
tenant must not do is change role. The database refuses the indirect ways (`DO`, `set_config`: their rights are
revoked); this list refuses the direct one, and with it everything else that no page of a shop needs.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kameng.db.scopes import StatementRefused

_ALLOWED = frozenset(
    {"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "SAVEPOINT", "RELEASE", "EXPLAIN", "DECLARE", "FETCH"}
)
_ALLOWED_PAIRS = frozenset({("SET", "CONSTRAINTS"), ("ROLLBACK", "TO")})

# Comments, then every kind of quoted text: what remains are keywords, bare names and punctuation.
_NOISE = re.compile(
    r"""
      --[^\n]*
    | /\*.*?\*/
    | (?<![\w$])[eE]'(?:[^'\\]|\\.|'')*'   # Only where E is not the tail of a name.
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    """,
    re.VERBOSE | re.DOTALL,
)
_WORD = re.compile(r"[A-Za-z_]+")


@lru_cache(maxsize=4096)
def check(sql: str) -> None:
    """Let one plain statement pass. Raises StatementRefused. The verdict is remembered per text."""
    if "/*" in sql and sql.count("/*") != sql.count("*/"):
        raise StatementRefused("An unfinished comment.")
    bare = _NOISE.sub(" ", sql).strip()
    if bare.endswith(";"):
        bare = bare[:-1]
    if ";" in bare:
        raise StatementRefused("More than one statement at once.")
    words = _WORD.findall(bare[:200].upper())[:2]
    first = words[0] if words else ""
    if first in _ALLOWED or tuple(words) in _ALLOWED_PAIRS:
        return
    raise StatementRefused(f"{first or 'Nothing'} is not for a substation's request.")
