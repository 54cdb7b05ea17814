"""Codes into the stock, a million lines in a stream.

Committed in chunks, under one batch. One transaction for all of it would hold back the horizon that every shop's sync
waits for, and a failure near the end would cost the whole run. Nothing is lost by it: an import may be repeated with
the same file at any time, for what is in the stock already is found by its blind index and counted, never doubled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import BinaryIO

from django.db import connection
from django.utils.translation import gettext_lazy as _

from kameng.accounts import audit
from kameng.accounts.types import Actor
from kameng.db.context import in_main
from kameng.lib.crypto import CodeUnwritable, KeyRing, mask
from kameng.lib.errors import Refused
from kameng.lib.ids import public_id
from kameng.lib.tabular import RowError, read_codes
from kameng.lib.words import Sentence, shorten, worded
from shared_apps.library.models import StockPolicy
from shared_apps.stock import keys
from shared_apps.stock.models import CodeBatch
from shared_apps.stock.types import CodeImport, SkuRef

CHUNK = 5_000
LISTED_PROBLEMS = 10_000
Progress = Callable[[CodeImport], None]


class ImportRefused(Refused):
    """The SKU takes no codes."""

    code = "codes_import_refused"


def import_codes(
    *,
    sku: SkuRef,
    stream: BinaryIO | str,
    filename: str = "",
    by: Actor,
    now: datetime,
    note: str = "",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> CodeImport:
    """Import a file (CSV, XLSX, lines) or a pasted text of codes for one SKU; safe to repeat.

    Bad and double lines are left out and reported by number, with the code masked. `progress` is called after each
    chunk. `dry_run` counts and reports the same and writes nothing.
    Raises: ImportRefused, the FileRefused family. A file that breaks off in the middle keeps what came before.
    """
    if sku.stock_policy != StockPolicy.CODES:
        message = _("%(sku)s is not sold by codes. Change its stock policy, or import into another SKU.")
        raise ImportRefused(worded(message, sku=sku.code))
    reader = read_codes(stream, filename)
    run = _Import(sku, keys.ring(), by=by, now=now, source=filename, note=note, dry_run=dry_run)
    for chunk in _chunks(reader):
        run.take(chunk)
        run.result.fraction = reader.fraction()
        if progress is not None:
            progress(run.result)
    run.result.blank = reader.blank
    run.result.stopped_at_row = reader.stopped_at_row
    run.result.fraction = 1.0
    return run.result


def _chunks(lines: Iterable[tuple[int, str] | RowError]) -> Iterator[list[tuple[int, str] | RowError]]:
    chunk: list[tuple[int, str] | RowError] = []
    for line in lines:
        chunk.append(line)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


class _Import:
    """One run over one file."""

    def __init__(
        self, sku: SkuRef, ring: KeyRing, *, by: Actor, now: datetime, source: str, note: str, dry_run: bool
    ) -> None:
        self.result = CodeImport()
        self._sku = sku
        self._ring = ring
        self._by = by
        self._now = now
        self._source = source
        self._note = note
        self._dry_run = dry_run
        self._batch: CodeBatch | None = None
        # Only a dry run keeps what it has seen: a real one finds it in the table. 16 bytes a line.
        self._seen: set[bytes] = set()

    def take(self, chunk: Sequence[tuple[int, str] | RowError]) -> None:
        """Sort the lines of one chunk and store the new codes, in one transaction."""
        fresh = self._without_bad_lines(chunk)
        with in_main():
            if self._dry_run:
                known = self._known(list(fresh))
                self._count_known(fresh, known)
                self._seen.update(fresh)
                self.result.imported += len(fresh)
                return
            batch = self._ensure_batch()
            self._count_known(fresh, self._known(list(fresh)))
            self._store(batch, fresh)
            batch.imported = self.result.imported
            batch.duplicates = self.result.duplicates
            batch.rejected = self.result.rejected
            batch.save(update_fields=["imported", "duplicates", "rejected"])

    def _without_bad_lines(self, chunk: Sequence[tuple[int, str] | RowError]) -> dict[bytes, tuple[int, str]]:
        """Blind index → line and code of each code that this chunk has not had before."""
        fresh: dict[bytes, tuple[int, str]] = {}
        for line in chunk:
            if isinstance(line, RowError):
                self.result.rejected += 1
                self._problem(line)
                continue
            number, code = line
            try:
                index = self._ring.blind_index(code)
            except CodeUnwritable as error:
                self.result.rejected += 1
                cure = _("Get the code from its source again.")
                self._problem(RowError(number, "code", "", str(error), cure, error.code))
                continue
            if index in fresh or index in self._seen:
                self._repeated_in_file(number, code)
            else:
                fresh[index] = (number, code)
        return fresh

    def _known(self, indexes: list[bytes]) -> dict[bytes, int]:
        """Those of `indexes` that the stock has, with the batch that brought them."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT blind_index, batch_id FROM stock_code WHERE sku_id = %s AND blind_index = ANY(%s::bytea[])",
                [self._sku.id, bytea_array(indexes)],
            )
            return {bytes(index): batch_id for index, batch_id in cursor.fetchall()}

    def _count_known(self, fresh: dict[bytes, tuple[int, str]], known: dict[bytes, int]) -> None:
        """Take out of `fresh` what the stock has already, and say so by line."""
        own_batch = self._batch.pk if self._batch else None
        for index in [index for index in fresh if index in known]:  # In the order of the file.
            batch_id = known[index]
            number, code = fresh.pop(index)
            if batch_id == own_batch:
                self._repeated_in_file(number, code)
            else:
                self._in_stock_already(number, code)

    def _store(self, batch: CodeBatch, fresh: dict[bytes, tuple[int, str]]) -> None:
        """Encrypt and insert. What another import stores at the same moment is a duplicate of ours."""
        if not fresh:
            return
        sealed = list(self._ring.encrypt_many((code for _number, code in fresh.values()), keys.aad(self._sku.id)))
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO stock_code (batch_id, sku_id, state, blob, key_version, blind_index) "
                "SELECT %s, %s, 'AVAILABLE', line.blob, %s, line.blind_index "
                "FROM unnest(%s::bytea[], %s::bytea[]) WITH ORDINALITY AS line (blob, blind_index, number) "
                "ORDER BY line.number "  # So that codes are sold in the order of the file.
                "ON CONFLICT (sku_id, blind_index) DO NOTHING RETURNING blind_index",
                [batch.pk, self._sku.id, self._ring.current, bytea_array(s.blob for s in sealed), bytea_array(fresh)],
            )
            stored = {bytes(index) for (index,) in cursor.fetchall()}
            cursor.execute("INSERT INTO stock_stockmove (sku_id) VALUES (%s)", [self._sku.id])
        self.result.imported += len(stored)
        for index, (number, code) in fresh.items():
            if index not in stored:
                self._in_stock_already(number, code)

    def _ensure_batch(self) -> CodeBatch:
        if self._batch is None:
            self._batch = CodeBatch.objects.create(
                public_id=public_id("bat"),
                sku_id=self._sku.id,
                source=shorten(self._source, 200),
                note=shorten(self._note, 200),
                by=shorten(self._by.label, 120),
            )
            self.result.batch = self._batch.public_id
            audit.record(
                action="stock.codes.import",
                by=self._by,
                target=self._batch.public_id,
                at=self._now,
                sku=self._sku.code,
                source=self._batch.source,
            )
        return self._batch

    def _repeated_in_file(self, number: int, code: str) -> None:
        self.result.repeated_in_file += 1
        self._double(number, code, _("The same code stands in an earlier line of this file."), "code_repeated")

    def _in_stock_already(self, number: int, code: str) -> None:
        self.result.in_stock_already += 1
        self._double(number, code, _("This code is in the stock already, or was sold from it."), "code_known")

    def _double(self, number: int, code: str, problem: Sentence, error_code: str) -> None:
        cure = _("Nothing needs to be done; it was left out.")
        self._problem(RowError(number, "code", shorten(mask(code)), problem, cure, error_code))

    def _problem(self, error: RowError) -> None:
        self.result.problems_total += 1
        if len(self.result.problems) < LISTED_PROBLEMS:
            self.result.problems.append(error)


def bytea_array(values: Iterable[bytes]) -> str:
    """A bytea[] as one literal: an ARRAY[…] of single values takes the server many times longer to parse."""
    return "{" + ",".join(f'"\\\\x{value.hex()}"' for value in values) + "}"
