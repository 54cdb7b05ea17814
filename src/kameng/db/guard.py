"""What a tenant's request may send: plain DML, one statement at a time.

The app logs in as one role that may become every tenant's (`SET ROLE`), so the one thing that raw SQL in a
tenant must not do is change role. The database refuses the indirect ways (`DO`, `set_config`: their rights are
revoked); this page refuses the direct one, and with it everything else that no page of a shop needs.

A statement is read as Postgres reads it, token by token, and what can't be read with certainty is refused: a place
where we see a quoted text and Postgres sees code is a way out. What made such places, each tried in
`tests/kameng/db/test_guard.py`: a comment that ends at a carriage return; a name with letters beyond ASCII in front of
`$$` or `E'…'`; a text that goes on after a line break, with E's rules; a parameter inside quotes or a comment, where
the driver's own quotes close ours.
"""

from __future__ import annotations

import re
from functools import lru_cache

from kameng.db.scopes import StatementRefused

_ALLOWED = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "VALUES", "SAVEPOINT", "RELEASE", "EXPLAIN"})
_ALLOWED_PAIRS = frozenset({("SET", "CONSTRAINTS"), ("ROLLBACK", "TO")})

# Postgres' own alphabet: a letter is A–Z, the underscore or anything beyond ASCII; a name goes on with digits and `$`.
# Only the characters that its scanner takes for a space are one; a comment ends at either line break. A token is what it
# is, whatever follows: quantifiers with a `+` give nothing back, and a quote that may be a doubled one ends nothing. (No
# such quantifier on a group: Python before 3.11.5 reads some of them wrongly.)
_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\n\r\f\v]++)
    | (?P<comment>--[^\n\r]*+ | /\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/)   # One in another is refused.
    | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*'(?!'))
    | (?P<text>'(?:[^']|'')*'(?!'))
    | (?P<name>"(?:[^"]|"")*"(?!"))
    | (?P<word>[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*+)
    | (?P<number>[0-9][A-Za-z0-9_.]*+)
    | (?P<parameter>%(?:s|\([A-Za-z0-9_]++\)s))
    | (?P<end>;)
    | (?P<sign>(?!/\*)(?:%%|[-+*/<>=~!@\#^&|`?%.,:()\[\]{}]))
    """,
    re.VERBOSE | re.DOTALL,
)
# Text without a semicolon, a text constant, a dollar, a backslash, a comment or a letter beyond ASCII, and with nothing but
# plain names in quotes, is one statement however it is read: looked at in one go, for a list of 20,000 parameters has as
# many tokens.
_PLAIN = re.compile(r'(?:[A-Za-z0-9_ \t\n.,()\[\]=<>*+:|&!?@#^~%/-]++|"[A-Za-z0-9_]*+")*')
_VERB = re.compile(r"[ \t\n(]*+([A-Za-z]++)(?![0-9_])")
_QUOTED = frozenset({"escaped", "text", "name", "comment"})


@lru_cache(maxsize=4096)
def check(sql: str, with_parameters: bool = True) -> str:
    """Let one plain statement pass; answers its first word. The verdict is remembered per text.

    `with_parameters`: the driver will put values in place of %s. Raises StatementRefused.
    """
    verb = _VERB.match(sql)
    if verb and verb[1].upper() in _ALLOWED and _PLAIN.fullmatch(sql) and "--" not in sql and "/*" not in sql:
        return verb[1].upper()
    return _read(sql, with_parameters)


def _read(sql: str, with_parameters: bool) -> str:
    words: list[str] = []
    before = ""
    position, ended = 0, False
    while position < len(sql):
        token = _TOKEN.match(sql, position)
        if token is None:
            raise StatementRefused(f"Not to be read with certainty: {sql[position : position + 20]!r}.")
        position, kind = token.end(), str(token.lastgroup)
        if kind in _QUOTED and with_parameters and "%" in token[0].replace("%%", ""):
            raise StatementRefused("A parameter within quotes or a comment.")
        if kind in ("space", "comment"):
            continue
        if ended:
            raise StatementRefused("More than one statement at once.")
        # After E'…', or a parameter that may become one, the next text would go on by E's rules.
        if kind == "text" and before in ("escaped", "parameter"):
            raise StatementRefused("A text that goes on in another.")
        ended = kind == "end"
        if kind == "word" and len(words) < 2:
            words.append(token[0].upper())
        elif not words and token[0] != "(":  # Brackets around a SELECT, as in a UNION; nothing else stands in front.
            raise StatementRefused("A statement begins with its verb.")
        before = kind
    first = words[0] if words else ""
    if first in _ALLOWED or tuple(words) in _ALLOWED_PAIRS:
        return first
    raise StatementRefused(f"{first or 'Nothing'} is not for a substation's request.")
