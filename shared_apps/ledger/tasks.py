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


@periodic("ledger.roll_up")
def roll_up() -> None:
    with in_main():
        services.roll_up(now=clock.utc_now())


@periodic("ledger.seal")
def seal() -> None:
    seal_all()


def seal_all() -> int:
    """Seal block after block until nothing waits; each head goes out to a file beside the database. Answers how many."""
    made = 0
    while True:
        with in_main():
            height = services.seal(now=clock.utc_now())
            block = Block.objects.get(height=height) if height is not None else None
        if block is None:
            return made
        made += 1
        _export(block)


def exported_heads() -> dict[int, str]:
    """The heads that were exported from this data folder: hashes in hexadecimal by height."""
    path = Path(settings.DATA_DIR) / HEADS
    if not path.exists():
        return {}
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {line["height"]: line["hash"] for line in lines}


def _export(block: Block) -> None:
    """Append a head to the file: whoever keeps a copy of it elsewhere can prove a rewritten chain."""
    line = {
        "height": block.height, "hash": bytes(block.block_hash).hex(), "transfers": block.leaf_count,
        "sealed_at": block.sealed_at.isoformat(),
    }  # fmt: skip
    path = Path(settings.DATA_DIR) / HEADS
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
