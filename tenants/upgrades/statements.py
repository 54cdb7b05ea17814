"""What the statements of a tenant migration say, where the catalogue keeps no trace of what they did.

Read word by word, without comments and quoted texts. It reads what a colleague has written, and guards nothing: what a
substation's request may send is `kameng.db.guard`'s.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""
      (?P<skipped>\s+ | --[^\n\r]*+ | /\*.*?\*/ | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*'
                | (?P<dollars>\$(?:[A-Za-z_]\w*)?\$).*?(?P=dollars))
    | (?P<name>"(?:[^"]|"")*")
    | (?P<word>[^\W\d]\w*)
    | (?P<end>;)
    | (?P<sign>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CHANGES_TABLES = frozenset({"ALTER", "CREATE", "DROP", "TRUNCATE", "CLUSTER", "REINDEX", "LOCK"})
_WRITES_ROWS = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE"})
# Between CREATE and what it creates.
_QUALITIES = frozenset(
    {"OR", "REPLACE", "UNIQUE", "TEMP", "TEMPORARY", "UNLOGGED", "LOCAL", "GLOBAL", "RECURSIVE", "MATERIALIZED"}
)
_CARRIED = frozenset({"TABLE", "INDEX"})


@dataclass(frozen=True)
class Statement:
    """One statement: its words in capitals, in order, and the names that it may mean, as the catalogue has them."""

    text: str
    words: tuple[str, ...]
    names: frozenset[str]

    @property
    def verb(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def writes_rows(self) -> bool:
        return self.verb in _WRITES_ROWS or (self.verb == "WITH" and not _WRITES_ROWS.isdisjoint(self.words))

    def alters(self, relations: Collection[str]) -> list[str]:
        """Which of these tables and indexes it takes a lock of, until the transaction ends."""
        return sorted(self.names.intersection(relations)) if self.verb in _CHANGES_TABLES else []

    @property
    def objection(self) -> str:
        """Why no tenant migration may say this, and what to do instead; empty for what it may."""
        if any(word.startswith("PG_SLEEP") for word in self.words):
            return "It waits, and holds its locks meanwhile. Take the pause out; a lock is waited for by the upgrade."
        if self.verb == "LOCK":
            return "Each statement takes the lock that it needs. Take the LOCK out."
        if self.verb == "REINDEX":
            return (
                "It keeps writers out of the table. REINDEX CONCURRENTLY is maintenance, and done outside migrations."
            )
        if (self.verb in ("SET", "RESET") and self.words[1:2] != ("CONSTRAINTS",)) or "SET_CONFIG" in self.words:
            return "The upgrade sets the search_path and the limits, and its own record follows. Take the SET out."
        if self.verb == "DO":
            return "What a DO block does is not to be read here. Write plain statements, or Python in RunPython."
        if self.verb == "CREATE":
            made = next((word for word in self.words[1:] if word not in _QUALITIES), "")
            if made not in _CARRIED:
                return (
                    f"A shop that signs up gets tables and indexes, and no {made.lower()}. Write it in Python, or as a "
                    "column or a constraint."
                )
        return ""


def read(recorded: Iterable[str]) -> Iterator[Statement]:
    """Each statement of what was sent; one text may hold several."""
    for text in recorded:
        words: list[str] = []
        names: set[str] = set()
        began = 0
        for token in _TOKEN.finditer(text):
            if token["word"]:
                words.append(token[0].upper())
                names.add(token[0].lower())
            elif token["name"]:
                names.add(token[0][1:-1].replace('""', '"'))
            elif token["end"]:
                if words:
                    yield Statement(text[began : token.start()].strip(), tuple(words), frozenset(names))
                words, names, began = [], set(), token.end()
        if words:
            yield Statement(text[began:].strip(), tuple(words), frozenset(names))


__all__ = ["Statement", "read"]
