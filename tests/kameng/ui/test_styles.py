"""The style sheet's parts: each class has one, where everything that it is by itself stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kameng.ui

PARTS = Path(kameng.ui.__file__).parent / "assets" / "css"
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_PRINTED = re.compile(r"@media print \{(?:[^{}]*\{[^{}]*\})*\s*\}")  # What paper leaves out is of all parts.
_RULE = re.compile(r"([^{};]+)\{")
_COMMA = re.compile(r",(?![^()]*\))")  # Not those within :is(…).
_ARGUMENTS = re.compile(r"\([^()]*\)")


def own_classes(css: str) -> Iterator[str]:
    """Classes that a rule is about by themselves, in whatever state: `.k-find`, `.k-find[open]`, and not `.k-site .k-find`,
    by which another class says how it wants one within itself."""
    for selectors in _RULE.findall(_PRINTED.sub("", _COMMENT.sub("", css))):
        for selector in _COMMA.split(selectors):
            plain = _ARGUMENTS.sub("", selector.strip())
            if not plain.startswith("@") and not re.search(r"[\s>+~]", plain):
                yield from re.findall(r"\.(k-[\w-]+)", plain)


@pytest.mark.parametrize(
    ("css", "found"),
    [
        (".k-a, .k-b:hover { color: red; }", ["k-a", "k-b"]),
        (".k-a .k-b, .k-a > .k-c { color: red; }", []),
        (".k-a:is(.k-b, .k-c) { color: red; } .k-a:not(:has(> .k-b)) { color: red; }", ["k-a", "k-a"]),
        ("@media (max-width: 639px) { .k-a { color: red; } }", ["k-a"]),
        ("/* .k-a { */ @media print {\n  .k-b { display: none; }\n} .k-c[data-x] { color: red; }", ["k-c"]),
    ],
)
def test_a_class_is_found_where_it_stands_by_itself(css: str, found: list[str]) -> None:
    assert list(own_classes(css)) == found


def test_each_class_has_one_part() -> None:
    """Two parts that used one name for two things broke a page that neither had looked at."""
    parts: dict[str, set[str]] = {}
    for path in sorted(PARTS.glob("*.css")):
        for name in own_classes(path.read_text("utf-8")):
            parts.setdefault(name, set()).add(path.name)

    assert len(parts) > 200
    assert {name: sorted(where) for name, where in parts.items() if len(where) > 1} == {}
