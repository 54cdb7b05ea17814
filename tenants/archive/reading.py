"""Read an archive that anybody may have made: nothing of it is believed before it was checked, and nothing is unpacked
beside where it is wanted.
"""

from __future__ import annotations

import hashlib
import json
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from django.utils.translation import gettext_lazy as _

from kameng.lib.errors import Invalid
from kameng.lib.words import shorten, worded
from tenants.archive import form

MAX_ENTRIES = 20_000
MAX_MANIFEST = 8 * 1024 * 1024
MAX_BYTES = 64 * 1024**3  # Unpacked, all together; a shop that has more is moved by a person.
# Rows of text pack well, some 20 : 1; a bomb packs a thousand to one.
MAX_RATIO, FREE_BYTES = 250, 1024 * 1024
CHUNK = 1 << 20


class ArchiveRefused(Invalid):
    """The file is not taken; nothing was changed. `details["file"]` names the entry, where it is one."""

    code = "archive_refused"


class ArchiveNewer(ArchiveRefused):
    """Made by a later Kameng than this."""

    code = "archive_newer"


class ArchiveBroken(ArchiveRefused):
    """No zip, cut off, or an entry that is missing or not what the manifest says."""

    code = "archive_broken"


class ArchiveUnsafe(ArchiveRefused):
    """A path, a link or a size that no archive of ours has."""

    code = "archive_unsafe"


class ArchiveNotOurs(ArchiveRefused):
    """The seal does not fit: changed since it was made, or made by another installation."""

    code = "archive_not_ours"


@dataclass(frozen=True)
class Archive:
    """A checked archive, open for reading."""

    path: Path
    manifest: dict[str, Any]
    sha256: str  # Of the manifest, and with it of everything.
    _zip: zipfile.ZipFile
    _files: dict[str, dict[str, Any]]

    @property
    def shop(self) -> dict[str, Any]:
        return dict(self.manifest["shop"])

    @property
    def tables(self) -> list[dict[str, Any]]:
        return list(self.manifest["tables"])

    @property
    def pictures(self) -> list[str]:
        return sorted(name for name in self._files if name.startswith("files/"))

    @contextmanager
    def entry(self, name: str) -> Iterator[BinaryIO]:
        """One entry's bytes; they end where the manifest says, whatever the zip holds. Raises: ArchiveBroken at the end."""
        with _reading(name), self._zip.open(name) as stream:
            reader = _Measured(stream, name, self._files[name])
            yield reader  # type: ignore[misc]
            reader.finish()


class _Measured:
    """A stream that is counted and hashed while it is read, and refuses to be longer than it said."""

    def __init__(self, stream: Any, name: str, said: dict[str, Any]) -> None:
        self.stream, self.name, self.said = stream, name, said
        self.size, self.digest = 0, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        left = int(self.said["bytes"]) - self.size
        data: bytes = self.stream.read(min(CHUNK if size < 0 else size, left + 1))
        self.size += len(data)
        self.digest.update(data)
        if len(data) > left:
            raise _broken(self.name)
        return data

    def finish(self) -> None:
        while self.read():
            pass
        if self.size != self.said["bytes"] or self.digest.hexdigest() != self.said["sha256"]:
            raise _broken(self.name)


@contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """Check everything of the file, each entry's bytes too, and hand it out. Raises: the ArchiveRefused family."""
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, EOFError, ValueError, NotImplementedError) as error:
        message = _(
            "%(file)s is no archive that can be read, or was cut off. Export the shop again, or copy it once more."
        )
        raise ArchiveBroken(worded(message, file=path.name), details={"file": path.name}) from error
    with archive:
        _check_entries(archive)
        raw = _small(archive, form.MANIFEST)
        if not form.is_sealed(raw, _small(archive, form.SEAL).decode("ascii", "replace").strip()):
            message = _(
                "The seal of %(file)s does not fit: it was changed after it was made, or made by another installation, "
                "whose goods and keys are others. Take the file as it was exported here."
            )
            raise ArchiveNotOurs(worded(message, file=form.MANIFEST), details={"file": form.MANIFEST})
        manifest = _parsed(raw)
        files = {item["path"]: item for item in manifest["files"]}
        found = Archive(path, manifest, hashlib.sha256(raw).hexdigest(), archive, files)
        _check_whole(archive, found)
        yield found


def _check_entries(archive: zipfile.ZipFile) -> None:
    """What the zip says of itself, before a byte of it is unpacked."""
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise _unsafe(f"{len(entries)} entries")
    seen: set[str] = set()
    total = 0
    for info in entries:
        if not form.PATH.fullmatch(info.filename) or info.filename in seen or info.flag_bits & 0x1:
            raise _unsafe(info.orig_filename)
        kind = stat.S_IFMT(info.external_attr >> 16)
        if info.is_dir() or kind not in (0, stat.S_IFREG):  # A link leads out of the folder that it lies in.
            raise _unsafe(info.filename)
        if info.file_size > max(info.compress_size * MAX_RATIO, FREE_BYTES):
            raise _unsafe(info.filename)
        seen.add(info.filename)
        total += info.file_size
        if total > MAX_BYTES:
            raise _unsafe(info.filename)


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        manifest = json.loads(raw)
        if manifest["format"] != form.FORMAT:
            raise KeyError("format")
        if int(manifest["version"]) > form.VERSION:
            message = _("This archive has version %(found)s; this Kameng reads up to %(known)s. Upgrade Kameng first.")
            raise ArchiveNewer(worded(message, found=int(manifest["version"]), known=form.VERSION))
        for item in manifest["files"]:
            _names(item, path=str, bytes=int, sha256=str)
        for item in manifest["tables"]:
            _names(item, name=str, columns=list, rows=int)
        _names(manifest["shop"], name=str, address=str, plan=str, currency=str, language=str, owner_email=str)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _broken(form.MANIFEST) from error
    return dict(manifest)


def _names(item: Any, **kinds: type) -> None:
    for name, kind in kinds.items():
        if not isinstance(item[name], kind):
            raise TypeError(name)


def _check_whole(archive: zipfile.ZipFile, found: Archive) -> None:
    """Every entry is there, none more, and each is what the manifest says to the byte."""
    wanted = {*found._files, form.MANIFEST, form.SEAL}
    held = set(archive.namelist())
    for name in sorted(wanted - held):
        raise _broken(name)
    for name in sorted(held - wanted):
        raise _unsafe(name)
    for table in found.tables:
        if f"tables/{table['name']}.csv" not in found._files:
            raise _broken(f"tables/{table['name']}.csv")
    for name in found._files:
        with found.entry(name) as stream:
            while stream.read(CHUNK):
                pass


def _small(archive: zipfile.ZipFile, name: str) -> bytes:
    with _reading(name):
        if archive.getinfo(name).file_size > MAX_MANIFEST:
            raise _unsafe(name)
        with archive.open(name) as stream:
            data = stream.read(MAX_MANIFEST + 1)
    if len(data) > MAX_MANIFEST:
        raise _unsafe(name)
    return data


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """What a damaged zip raises, named."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise _broken(name) from error


def _broken(name: str) -> ArchiveBroken:
    message = _("%(file)s is missing or damaged in the archive. Export the shop again, or copy the file once more.")
    return ArchiveBroken(worded(message, file=shorten(name, 120)), details={"file": shorten(name, 120)})


def _unsafe(name: str) -> ArchiveUnsafe:
    message = _("%(file)s is nothing that an archive of a shop holds. Take the file as it was exported.")
    return ArchiveUnsafe(worded(message, file=shorten(name, 120)), details={"file": shorten(name, 120)})
