"""Write an archive: a zip that is made as it goes, so that its size is nobody's memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from django.conf import settings
from django.utils.module_loading import import_string

from kameng.accounts.types import Actor
from kameng.db.context import in_main
from tenants.archive import form, snapshot
from tenants.archive.snapshot import Sink, Snapshot
from tenants.models import Substation

README = """\
Kameng · {name} · {made_at}

tables/       every table of the shop: .csv as PostgreSQL writes it (NULL is empty, an empty text is ""), .jsonl one
              object a line. For programs; open the CSV as text, not by double click, for a cell may look like a formula.
statements/   the shop's money by account, oldest first, amounts in the currency's smallest unit.
files/        pictures.
shop.json     name, address, plan and owner.
manifest.json every file with its size and SHA-256, every table with its columns and rows. manifest.seal says that this
              installation wrote it: an archive that was changed is not taken back.

tables/       店铺的全部数据表：.csv 为 PostgreSQL 格式，.jsonl 每行一个对象，供程序读取；CSV 请按文本打开，勿直接双击。
statements/   资金流水，按账户分文件，金额单位为分。
files/        图片。
shop.json     店名、地址、版本与站长。
manifest.json 每个文件的大小与 SHA-256，每张表的列与行数；manifest.seal 为本系统签章，改动过的存档不能导入。
"""


class Part(NamedTuple):
    """Something that another app adds (settings.ARCHIVE_PARTS): a path of `form.PATH`, and what writes it and counts."""

    path: str
    write: Callable[[Snapshot, Sink], int]


@dataclass(frozen=True)
class Progress:
    """How far the writing is."""

    done: int
    total: int
    rows: int


@dataclass(frozen=True)
class Written:
    """What was written: rows of all tables, bytes and SHA-256 of the whole file."""

    rows: int
    size_bytes: int
    sha256: str


@dataclass
class _Counted:
    """Passes bytes on, and knows how many and which they were."""

    out: Any
    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        self.out.write(data)
        self.size += len(data)
        self.digest.update(data)
        return len(data)

    def flush(self) -> None:
        self.out.flush()


def write(
    *,
    substation: Substation,
    out: BinaryIO,
    now: datetime,
    codes_for: Actor | None = None,
    progress: Callable[[Progress], None] = lambda done: None,
) -> Written:
    """Write everything that `substation` owns to `out`, which is only written to, never sought in.

    One snapshot for all of it: an order that is being placed is in the archive whole, with its lines and steps, or not at
    all. The time it takes grows with the shop and not with the network. `codes_for`: whoever may have the sold codes in the
    clear; each is recorded as seen by them before it is written. Outside any transaction.
    """
    with in_main():
        facts = form.shop_facts(substation)
    files = _files(substation.schema_name)
    counted = _Counted(out)
    with (
        snapshot.of(substation.schema_name) as moment,
        zipfile.ZipFile(
            counted,
            "w",
            zipfile.ZIP_DEFLATED,
            allowZip64=True,  # type: ignore[call-overload]
        ) as archive,
    ):
        tables, parts = moment.tables(), _parts(substation, codes_for)
        writer = _Writer(archive, now, len(tables) + len(parts) + len(files), progress)
        writer.text(form.README, README.format(name=substation.name, made_at=now.isoformat(timespec="seconds")))
        writer.text(form.SHOP, json.dumps(facts, ensure_ascii=False, indent=1))
        for table in tables:
            writer.table(moment, table)
        for part in parts:
            writer.part(moment, part)
        for path, source in files:
            writer.file(path, source)
        writer.manifest(
            {
                "format": form.FORMAT,
                "version": form.VERSION,
                "made_at": now.isoformat(),
                "schema_version": substation.schema_version,
                "shop": facts,
                "left_out": form.LEFT_OUT,
                "with_codes": codes_for is not None,
            }
        )
    return Written(writer.rows, counted.size, counted.digest.hexdigest())


def digests(moment: Snapshot) -> dict[str, dict[str, Any]]:
    """Table → rows and SHA-256 of what an archive of this moment would hold, without writing one."""
    found = {}
    for table in moment.tables():
        counted = _Counted(_Nowhere())
        rows = moment.copy(table.as_csv, counted)
        found[table.name] = {"rows": rows, "sha256": counted.digest.hexdigest()}
    return found


class _Nowhere:
    def write(self, data: bytes) -> None:
        """Forget it."""


class _Writer:
    """Puts one entry after the other into the zip, and remembers each for the manifest."""

    def __init__(
        self, archive: zipfile.ZipFile, now: datetime, total: int, progress: Callable[[Progress], None]
    ) -> None:
        self.archive = archive
        self.now = now
        self.total = total
        self.progress = progress
        self.done = 0
        self.rows = 0
        self.entries: list[dict[str, Any]] = []
        self.tables: list[dict[str, Any]] = []

    def text(self, path: str, text: str) -> None:
        with self._entry(path) as out:
            out.write(text.encode())

    def table(self, moment: Snapshot, table: form.Table) -> None:
        with self._entry(f"tables/{table.name}.csv") as out:
            rows = moment.copy(table.as_csv, out)
        with self._entry(f"tables/{table.name}.jsonl") as out:
            moment.copy(table.as_json, out)
        self.tables.append({"name": table.name, "columns": list(table.columns), "rows": rows})
        self._went_on(rows)

    def part(self, moment: Snapshot, part: Part) -> None:
        with self._entry(part.path) as out:
            part.write(moment, out)
        self._went_on(0)

    def file(self, path: str, source: Path) -> None:
        with self._entry(path, compress=False) as out, source.open("rb") as stream:
            shutil.copyfileobj(stream, out, 1 << 20)
        self._went_on(0)

    def manifest(self, head: dict[str, Any]) -> None:
        body = {**head, "tables": self.tables, "files": self.entries}
        raw = json.dumps(body, ensure_ascii=False, indent=1).encode()
        with self._entry(form.MANIFEST) as out:
            out.write(raw)
        with self._entry(form.SEAL) as out:
            out.write(form.seal_of(raw).encode())

    @contextmanager
    def _entry(self, path: str, *, compress: bool = True) -> Iterator[_Counted]:
        assert form.PATH.fullmatch(path), path
        info = zipfile.ZipInfo(path, self.now.timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
        info.external_attr = 0o600 << 16
        with self.archive.open(info, "w", force_zip64=True) as out:
            counted = _Counted(out)
            yield counted
        self.entries.append({"path": path, "bytes": counted.size, "sha256": counted.digest.hexdigest()})

    def _went_on(self, rows: int) -> None:
        self.done += 1
        self.rows += rows
        self.progress(Progress(self.done, self.total, self.rows))


def _parts(substation: Substation, codes_for: Actor | None) -> list[Part]:
    parts: list[Part] = []
    for path in settings.ARCHIVE_PARTS:
        parts += import_string(path)(substation=substation, codes_for=codes_for)
    return parts


def _files(schema: str) -> list[tuple[str, Path]]:
    """The shop's files by their path in the archive. Names are digests of their contents, so none changes meanwhile."""
    root = Path(settings.MEDIA_ROOT) / schema
    found = sorted(path for path in root.rglob("*") if path.is_file()) if root.is_dir() else []
    named = [(f"files/{path.relative_to(root).as_posix()}", path) for path in found]
    return [(name, path) for name, path in named if form.PATH.fullmatch(name)]
