"""Chinese from the areas' JSON files: `python -m kameng.ui.i18n build | check | missing [FOLDER]`.

Sources are English msgids; each area keeps `locale_src/<area>.po.json`, {"English": "中文"}. `build` merges them into
`locale/zh_Hans/LC_MESSAGES/django.po` and `.mo`, without the gettext programs and always to the same bytes. `check`
fails when a used msgid has no Chinese, when two areas disagree, when a placeholder is lost, or when the .mo is stale.
A msgid with a context is written "context\\u0004msgid". A file whose name begins with "_" (the gallery's samples) gives
way where another area says the same word otherwise.
"""

from __future__ import annotations

import ast
import json
import re
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.utils.translation.template import templatize

UI = Path(__file__).resolve().parent
REPO = UI.parents[2]
ROOTS = ("src", "tenants", "shared_apps", "tenant_apps")
LEFT_OUT = {"migrations", "node_modules", "static", "assets", "__pycache__"}
CONTEXT = "\u0004"
# Function → (position of the context, position of the msgid, position of the plural); None where it has none.
FUNCTIONS: dict[str, tuple[int | None, int, int | None]] = {
    "gettext": (None, 0, None),
    "gettext_lazy": (None, 0, None),
    "gettext_noop": (None, 0, None),
    "_": (None, 0, None),
    "ngettext": (None, 0, 1),
    "ngettext_lazy": (None, 0, 1),
    "pgettext": (0, 1, None),
    "pgettext_lazy": (0, 1, None),
    "npgettext": (0, 1, 2),
    "npgettext_lazy": (0, 1, 2),
}
HEADER = (
    "Project-Id-Version: kameng\nLanguage: zh_Hans\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
    "Content-Transfer-Encoding: 8bit\nPlural-Forms: nplurals=1; plural=0;\n"
)
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_STRING = r"""u?(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
_CALL = re.compile(rf"\b(_|gettext|ngettext|pgettext|npgettext)\(\s*({_STRING}(?:\s*,\s*{_STRING})*)", re.DOTALL)


@dataclass(frozen=True, order=True)
class Message:
    """A msgid where it is used. `key` carries the context; `plural` is empty for most."""

    path: str
    line: int
    key: str
    plural: str = ""


class CatalogueError(Exception):
    """The JSON files can't be merged; the text names file and string."""


def python_messages(source: str, path: str) -> Iterator[Message]:
    """Msgids that a Python module marks, under whatever name it imported the functions. f-strings are refused."""
    tree = ast.parse(source, path)
    names = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            function = names.get(node.func.id, "")
        elif isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
            function = node.func.attr if node.func.value.id == "translation" else ""
        else:
            function = ""
        if function not in FUNCTIONS or not node.args:
            continue
        if any(isinstance(argument, ast.JoinedStr) for argument in node.args):
            raise CatalogueError(f"{path}:{node.lineno}: an f-string can't be translated: write %(name)s")
        texts = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args]
        yield from _message(function, texts, path, node.lineno)


def template_messages(source: str, path: str) -> Iterator[Message]:
    """Msgids of {% translate %}, {% blocktranslate %}, their short names, and _("…") in a template's tags."""
    marked = templatize(source, origin=path)
    for match in _CALL.finditer(marked):
        texts = [ast.literal_eval(text) for text in re.findall(_STRING, match[2], re.DOTALL)]
        yield from _message(match[1], texts, path, marked.count("\n", 0, match.start()) + 1)


def _message(function: str, texts: Sequence[object], path: str, line: int) -> Iterator[Message]:
    context_at, msgid_at, plural_at = FUNCTIONS[function]
    if len(texts) <= msgid_at or not isinstance(texts[msgid_at], str) or not texts[msgid_at]:
        return  # A variable: its words are marked where they are written.
    msgid = str(texts[msgid_at])
    context = f"{texts[context_at]}{CONTEXT}" if context_at is not None else ""
    plural = texts[plural_at] if plural_at is not None and len(texts) > plural_at else ""
    yield Message(path, line, context + msgid, plural if isinstance(plural, str) else "")


def used_messages(repo: Path = REPO, under: str = "") -> list[Message]:
    """Every marked msgid of the product's packages, in the order of files and lines."""
    found: list[Message] = []
    for root in ROOTS:
        for file in sorted((repo / root).rglob("*")):
            if file.suffix not in {".py", ".html", ".txt"} or LEFT_OUT & set(file.relative_to(repo).parts):
                continue
            path = file.relative_to(repo).as_posix()
            if not path.startswith(under) or (file.suffix == ".txt" and "templates" not in file.parts):
                continue
            source = file.read_text("utf-8")
            found.extend(python_messages(source, path) if file.suffix == ".py" else template_messages(source, path))
    return sorted(message for message in found if not _CHINESE.search(message.key))


def merged(folder: Path) -> dict[str, str]:
    """Msgid → Chinese of all areas. Raises CatalogueError: a file that is no map of words, or two that disagree."""
    words: dict[str, str] = {}
    origin: dict[str, str] = {}
    problems: list[str] = []
    for file in sorted(folder.glob("*.po.json"), key=lambda file: (file.name.startswith("_"), file.name)):
        try:
            pairs = json.loads(file.read_text("utf-8"), object_pairs_hook=list)
        except ValueError as error:
            raise CatalogueError(f"{file.name}: {error}") from error
        for key, chinese in pairs:
            if not isinstance(chinese, str) or not chinese.strip():
                problems.append(f"{file.name}: {key!r} has no Chinese")
            elif key in words and file.name.startswith("_"):
                continue
            elif key in words and words[key] != chinese:
                rival = f"{words[key]!r} in {origin[key]}"
                problems.append(f"{file.name}: {key!r} is {chinese!r}, but {rival}; give one of them a context")
            elif set(_PLACEHOLDER.findall(key)) != set(_PLACEHOLDER.findall(chinese)):
                problems.append(f"{file.name}: {key!r} and {chinese!r} have different placeholders")
            else:
                words.setdefault(key, chinese)
                origin.setdefault(key, file.name)
    if problems:
        raise CatalogueError("\n".join(problems))
    return words


def missing(words: dict[str, str], used: Iterable[Message]) -> list[Message]:
    """Used msgids without Chinese, each once, at its first place."""
    seen: set[str] = set()
    gaps: list[Message] = []
    for message in used:
        if message.key not in words and _single_percent(message.key) not in words and message.key not in seen:
            seen.add(message.key)
            gaps.append(message)
    return gaps


def entries(words: dict[str, str], used: Iterable[Message]) -> dict[str, str]:
    """Catalogue keys as the .mo has them: plurals joined by NUL, a template's "%" doubled as Django looks it up."""
    made = dict(words)
    for message in used:
        chinese = words.get(message.key)
        if chinese is None and _single_percent(message.key) in words:
            chinese = made[message.key] = words[_single_percent(message.key)].replace("%", "%%")
        if chinese is not None and message.plural:
            made[f"{message.key}\0{message.plural}"] = chinese
    return dict(sorted(made.items()))


def _single_percent(key: str) -> str:
    return key if _PLACEHOLDER.search(key) else key.replace("%%", "%")


def po_text(catalogue: dict[str, str]) -> str:
    """The catalogue as a .po file, for people and for their tools."""
    blocks = ['msgid ""\nmsgstr ""\n' + "".join(f"{_quoted(line)}\n" for line in HEADER.splitlines(keepends=True))]
    for key, chinese in catalogue.items():
        context, _separator, rest = key.rpartition(CONTEXT)
        singular, _nul, plural = rest.partition("\0")
        lines = [f"msgctxt {_quoted(context)}"] if context else []
        lines.append(f"msgid {_quoted(singular)}")
        lines += [f"msgid_plural {_quoted(plural)}"] if plural else []
        lines.append(f"msgstr{'[0]' if plural else ''} {_quoted(chinese)}")
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'


def mo_bytes(catalogue: dict[str, str]) -> bytes:
    """The catalogue in GNU's binary form: magic, version, count, two tables of (length, offset), no hash table."""
    pairs = sorted((key.encode(), value.encode()) for key, value in {"": HEADER, **catalogue}.items())
    keys_at, values_at = 28, 28 + 8 * len(pairs)
    offset = values_at + 8 * len(pairs)
    tables: list[bytes] = []
    body: list[bytes] = []
    for side in (0, 1):
        for pair in pairs:
            tables.append(struct.pack("<II", len(pair[side]), offset))
            body.append(pair[side] + b"\0")
            offset += len(pair[side]) + 1
    head = struct.pack("<IIIIIII", 0x950412DE, 0, len(pairs), keys_at, values_at, 0, offset)
    return b"".join([head, *tables, *body])


def build(repo: Path = REPO, ui: Path = UI) -> int:
    """Writes .po and .mo; returns how many strings they hold. Raises CatalogueError and writes nothing."""
    catalogue = entries(merged(ui / "locale_src"), used_messages(repo))
    target = ui / "locale" / "zh_Hans" / "LC_MESSAGES"
    target.mkdir(parents=True, exist_ok=True)
    for name, content in (("django.po", po_text(catalogue).encode()), ("django.mo", mo_bytes(catalogue))):
        fresh = target / f"{name}.new"
        fresh.write_bytes(content)
        fresh.replace(target / name)  # Whole or not at all: several may build at once.
    return len(catalogue)


def check(repo: Path = REPO, ui: Path = UI) -> list[str]:
    """What is wrong, a line each with file and string; empty when all is well."""
    try:
        words, used = merged(ui / "locale_src"), used_messages(repo)
    except CatalogueError as error:
        return str(error).splitlines()
    problems = [f"{gap.path}:{gap.line}: no Chinese for {gap.key!r}" for gap in missing(words, used)]
    compiled = ui / "locale" / "zh_Hans" / "LC_MESSAGES" / "django.mo"
    if not compiled.exists() or compiled.read_bytes() != mo_bytes(entries(words, used)):
        problems.append(f"{compiled.name} is stale: run python -m kameng.ui.i18n build")
    return problems


def main(arguments: list[str]) -> int:
    """The command line; returns the exit code."""
    command, *rest = arguments or [""]
    if command == "build":
        try:
            print(f"{build()} strings")
        except CatalogueError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    if command == "check":
        problems = check()
        print("\n".join(problems) if problems else "Every string has its Chinese.")
        return 1 if problems else 0
    if command == "missing":
        gaps = missing(merged(UI / "locale_src"), used_messages(under=rest[0] if rest else ""))
        print(json.dumps({gap.key: "" for gap in gaps}, ensure_ascii=False, indent=1))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
