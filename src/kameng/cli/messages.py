"""`kameng messages`: merges the Chinese of every area into one catalogue and compiles it.

The sources are `src/kameng/ui/locale_src/<area>.po.json`: one JSON object each, English sentence → Chinese.
No gettext program is needed, neither here nor on the machine that serves.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import click

from kameng.cli import REPO
from kameng.local.errors import LocalError

SOURCES = REPO / "src" / "kameng" / "ui" / "locale_src"
CATALOGUE = REPO / "src" / "kameng" / "ui" / "locale" / "zh_Hans" / "LC_MESSAGES"
PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]|%%|\{(\w*)\}")
HEADER = (
    "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\nLanguage: zh_Hans\n"
    "MIME-Version: 1.0\nPlural-Forms: nplurals=1; plural=0;\n"
)
MO_MAGIC = 0x950412DE  # GNU gettext manual, "The Format of GNU MO Files".


@click.command("messages")
@click.option("--check", is_flag=True, help="Write nothing; fail when the compiled catalogue is not up to date.")
def messages(check: bool) -> None:
    """Merge and compile the Chinese translations."""
    merged = merge(SOURCES)
    po, mo = to_po(merged), to_mo(merged)
    files = {CATALOGUE / "django.po": po.encode(), CATALOGUE / "django.mo": mo}
    stale = [path for path, content in files.items() if not path.exists() or path.read_bytes() != content]
    if check:
        if stale:
            raise LocalError("The compiled translations are older than their sources: run `make messages`.")
        click.echo(f"{len(merged)} translations are up to date.")
        return
    CATALOGUE.mkdir(parents=True, exist_ok=True)
    for path in stale:
        path.write_bytes(files[path])
    click.echo(f"{len(merged)} translations, {'written' if stale else 'unchanged'}.")


def merge(folder: Path) -> dict[str, str]:
    """All areas as one mapping. Raises LocalError naming every fault: bad JSON, an empty or a second translation that
    differs, a placeholder that one side has and the other has not.
    """
    merged: dict[str, str] = {}
    seen_in: dict[str, str] = {}
    faults: list[str] = []
    for path in sorted(folder.glob("*.po.json")):
        for english, chinese in _read(path).items():
            if not english or not chinese:
                faults.append(f"{path.name}: {english!r} has no translation")
            elif _placeholders(english) != _placeholders(chinese):
                faults.append(f"{path.name}: the placeholders of {english!r} and {chinese!r} differ")
            elif merged.get(english, chinese) != chinese:
                faults.append(f"{path.name}: {english!r} is {chinese!r}, in {seen_in[english]} {merged[english]!r}")
            else:
                merged[english] = chinese
                seen_in.setdefault(english, path.name)
    if faults:
        raise LocalError("\n".join(faults))
    return merged


def to_po(merged: Mapping[str, str]) -> str:
    """The catalogue as text, sorted, so that a change reads as a change."""
    entries = [_po_entry("", HEADER), *(_po_entry(english, merged[english]) for english in sorted(merged))]
    return "\n".join(entries)


def to_mo(merged: Mapping[str, str]) -> bytes:
    """The catalogue as gettext reads it: little-endian, without a hash table."""
    pairs = sorted((english.encode(), chinese.encode()) for english, chinese in {**merged, "": HEADER}.items())
    count = len(pairs)
    originals_at = 7 * 4
    translations_at = originals_at + 8 * count
    offset = translations_at + 8 * count
    tables: list[bytes] = []
    texts: list[bytes] = []
    for side in (0, 1):
        for pair in pairs:
            tables.append(struct.pack("<II", len(pair[side]), offset))
            texts.append(pair[side] + b"\0")
            offset += len(pair[side]) + 1
    head = struct.pack("<7I", MO_MAGIC, 0, count, originals_at, translations_at, 0, offset)
    return head + b"".join(tables) + b"".join(texts)


def _read(path: Path) -> dict[str, str]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise LocalError(f"{path.name}: {error}") from error
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise LocalError(f"{path.name}: it must be one object of sentences")
    return value


def _without_repeats(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """JSON lets a key come twice and keeps the last; two different translations must not pass like that."""
    value: dict[str, str] = {}
    for english, chinese in pairs:
        if value.setdefault(english, chinese) != chinese:
            raise ValueError(f"{english!r} is there twice, with different translations")
    return value


def _placeholders(text: str) -> list[str]:
    return sorted(match[0] for match in PLACEHOLDER.finditer(text) if match[0] != "%%")


def _po_entry(english: str, chinese: str) -> str:
    flag = "#, python-format\n" if "%(" in english else ""
    return f"{flag}msgid {_quoted(english)}\nmsgstr {_quoted(chinese)}\n"


def _quoted(text: str) -> str:
    """A po string: one line, or one line of it a line of text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
    lines = escaped.split("\n")
    if len(lines) == 1:
        return f'"{escaped}"'
    parts = [*(f"{line}\\n" for line in lines[:-1]), *([lines[-1]] if lines[-1] else [])]
    return '""\n' + "\n".join(f'"{part}"' for part in parts)
