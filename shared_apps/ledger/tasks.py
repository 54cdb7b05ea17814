"""The followers of the ledger, on schedule."""

from __future__ import annotations

import json
from pathlib import Path

from django.conf import settings

from kameng.db.context import in_main
from kameng.jobs.registry import periodic
from kameng.lib import clock
from shared_apps.ledger import services
from shared_apps.ledger.models import Block

HEADS = "ledger-heads.jsonl"
TAIL = 4096  # Bytes that surely hold the last line.


@periodic("ledger.roll_up")
def roll_up() -> None:
    with in_main():
        services.roll_up(now=clock.utc_now())


@periodic("ledger.seal")
def seal() -> None:
    seal_all()


def seal_all() -> int:
    """Seal block after block until nothing waits; each head goes out to a file beside the database. How many."""
    made = 0
    while True:
        with in_main():
            height = services.seal(now=clock.utc_now())
        _export_new()
        if height is None:
            return made
        made += 1


def exported_heads() -> dict[int, str]:
    """The heads that were exported from this data folder: hashes in hexadecimal by height."""
    path = _path()
    if not path.exists():
        return {}
    with path.open("rb") as file:
        return {line["height"]: line["hash"] for line in map(json.loads, _whole_lines(file.read()))}


def _export_new() -> None:
    """Append the heads that the file does not have: also of a block whose sealer was killed before it got here.

    Whoever keeps a copy of the file elsewhere can prove a chain that was rewritten whole.
    """
    path = _path()
    last = 0
    if path.exists():
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            lines = _whole_lines(file.read())
        last = json.loads(lines[-1])["height"] if lines else 0
    with in_main():
        blocks = list(Block.objects.filter(height__gt=last).order_by("height"))
    if not blocks:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for block in blocks:
            line = {
                "height": block.height,
                "hash": bytes(block.block_hash).hex(),
                "transfers": block.leaf_count,
                "sealed_at": block.sealed_at.isoformat(),
            }
            file.write(b"\n" * _is_torn(path) + json.dumps(line).encode() + b"\n")
            file.flush()


def _path() -> Path:
    return Path(settings.DATA_DIR) / HEADS


def _whole_lines(raw: bytes) -> list[bytes]:
    """The lines that were written to their end; a killed process may have left a torn one."""
    return [line for line in raw.split(b"\n") if line.startswith(b"{") and line.endswith(b"}")]


def _is_torn(path: Path) -> bool:
    """Whether the file ends within a line."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        if size == 0:
            return False
        file.seek(-1, 2)
        return file.read() != b"\n"
