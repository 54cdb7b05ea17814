"""Sentences with places in them that are still translated for their reader.

`gettext_lazy("… %(n)s") % {...}` renders at once, in the raiser's language; `worded` waits until somebody reads it.
"""

from __future__ import annotations

from django.utils.functional import Promise, lazy
from django.utils.translation import get_language

Sentence = str | Promise  # Words for people: plain, or translated when somebody reads them.


def _fill(text: Sentence, values: dict[str, object]) -> str:
    return str(text) % values


_lazy_fill = lazy(_fill, str)


def worded(text: Sentence, **values: object) -> Sentence:
    """`text` (a lazy msgid with %(name)s places) filled when it is shown; values may be lazy themselves."""
    return _lazy_fill(text, values)


def in_english() -> bool:
    """Whether the active language is English; else Chinese is read, which every name has."""
    return (get_language() or "").startswith("en")


def shorten(value: object, limit: int = 60) -> str:
    """A value as it may stand in a sentence: one line, no control characters, `limit` characters at most."""
    text = str(value)
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(char if char.isprintable() else " " for char in shown)
