"""From a stream of bytes to lines of text: size limit, encoding, line ends; memory stays at one chunk and one line."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from django.utils.translation import gettext_lazy as _

from kameng.lib.tabular._types import KIB, Limits
from kameng.lib.tabular.errors import EncodingUnknown, FileBroken, FileTooLarge
from kameng.lib.words import worded

CHUNK = 64 * KIB
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


class Overlong:
    """Stands for a line that is longer than allowed; its bytes were let go."""


class Undecodable:
    """Stands for the end of a UTF-16 stream that is broken: the lines after it can't be found."""


OVERLONG, UNDECODABLE = Overlong(), Undecodable()
RawLine = bytes | Overlong | Undecodable


class ByteSource:
    """A stream of which the first 64 KiB can be looked at beforehand. Raises FileTooLarge past the limit."""

    def __init__(self, stream: BinaryIO, limits: Limits, encoding: str = "") -> None:
        self.stream = stream
        self.encoding = encoding  # Known beforehand, for a pasted text; else it is detected, once.
        self.detected: tuple[str, int] | None = (encoding, 0) if encoding else None
        self.limits = limits
        self.read = 0
        self.seekable = bool(getattr(stream, "seekable", lambda: False)())
        self.size = self._measure()
        if self.size is not None and self.size > limits.file_bytes:
            raise too_large_file(limits)
        self.head = stream.read(CHUNK)

    def _measure(self) -> int | None:
        if not self.seekable:
            return None
        size = self.stream.seek(0, 2)
        self.stream.seek(0)
        return size if isinstance(size, int) else self._measure_by_tell()

    def _measure_by_tell(self) -> int:
        # Django's file proxies hand seek() through, but some storages answer None.
        self.stream.seek(0, 2)
        size = self.stream.tell()
        self.stream.seek(0)
        return size

    def chunks(self) -> Iterator[bytes]:
        """The whole stream, head first."""
        chunk = self.head
        while chunk:
            self.read += len(chunk)
            if self.read > self.limits.file_bytes:
                raise too_large_file(self.limits)
            yield chunk
            chunk = self.stream.read(CHUNK)

    def telling_sample(self) -> bytes:
        """The first chunk that is not plain ASCII, for it tells the encoding; the head where there is none.

        A library file may well have its first Chinese word after 64 KiB.
        """
        if not self.seekable or not self.head.isascii():
            return self.head
        sample = self.head
        while chunk := self.stream.read(CHUNK):
            if not chunk.isascii():
                sample = sample[-4:] + chunk if sample else chunk  # A character may begin before this chunk.
                break
        self.stream.seek(len(self.head))
        return sample

    def fraction(self) -> float:
        """0–1; 0 while the size is unknown."""
        return min(1.0, self.read / self.size) if self.size else 0.0


def too_large_file(limits: Limits) -> FileTooLarge:
    """The refusal for too many bytes."""
    message = _("The file is larger than %(max)s MB. Split it and import the parts one after the other.")
    return FileTooLarge(worded(message, max=limits.file_bytes // (KIB * KIB)))


def encoding_of(source: ByteSource) -> tuple[str, int]:
    """The codec's name and the length of the byte order mark. Raises: EncodingUnknown, FileBroken."""
    if source.detected is None:
        source.detected = _detect(source)  # Kept, for it may have to read the file through.
    return source.detected


def _detect(source: ByteSource) -> tuple[str, int]:
    for mark, encoding in _BOMS:
        if source.head.startswith(mark):
            return encoding, len(mark)
    wide = _utf16_without_mark(source.head)
    if wide:
        return wide, 0
    if b"\x00" in source.head:
        raise not_a_table()
    sample = source.telling_sample()
    for encoding in ("utf-8", "gb18030"):
        try:
            codecs.getincrementaldecoder(encoding)().decode(sample)
        except UnicodeDecodeError:
            continue
        return encoding, 0
    message = _(
        "The file's characters can't be read. Save it as “CSV UTF-8” (in WPS and Excel: Save as) and try again."
    )
    raise EncodingUnknown(message)


def not_a_table() -> FileBroken:
    """The refusal for pictures, programs and the like."""
    return FileBroken(_("This is not a table. Upload a CSV or XLSX file."))


def _utf16_without_mark(head: bytes) -> str:
    sample = head[: 2 * (min(len(head), 4000) // 2)]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    enough = max(2, len(sample) // 20)
    if odd >= enough and even == 0:
        return "utf-16-le"
    if even >= enough and odd == 0:
        return "utf-16-be"
    return ""


class Lines:
    """Lines without their ends, as bytes that decode with `encoding`. UTF-16 is turned into UTF-8 on the way."""

    def __init__(self, source: ByteSource) -> None:
        found, self._skip = encoding_of(source)
        self.source = source
        self.encoding = "utf-8" if found.startswith("utf-16") else found
        self.original_encoding = found
        self._end = b"\n"
        first = self._first_text()
        if "\x00" in first and not source.encoding:
            raise not_a_table()
        if "\n" not in first and "\r" in first:  # Old Macintosh line ends.
            self._end = b"\r"
        self.first_lines = [line for line in re.split("\r\n|\n|\r", first) if line.strip()][:1]

    def _first_text(self) -> str:
        head = self.source.head[self._skip :]
        return codecs.getincrementaldecoder(self.original_encoding)("replace").decode(head)

    def __iter__(self) -> Iterator[RawLine]:
        limit, carry, dropping = self.source.limits.line_bytes, b"", False
        for chunk in self._utf8_chunks():
            if isinstance(chunk, Undecodable):
                yield chunk
                return
            parts = (carry + chunk).split(self._end)
            carry = parts.pop()
            for part in parts:
                if dropping or len(part) > limit + 1:  # + 1: the carriage return of a Windows line end.
                    dropping = False
                    yield OVERLONG
                else:
                    yield part
            if len(carry) > limit:
                carry, dropping = b"", True
        if dropping:
            yield OVERLONG
        elif carry:
            yield carry

    def _utf8_chunks(self) -> Iterator[bytes | Undecodable]:
        skip = self._skip
        if self.encoding == self.original_encoding:
            for chunk in self.source.chunks():
                yield chunk[skip:]
                skip = 0
            return
        decoder = codecs.getincrementaldecoder(self.original_encoding)()
        for chunk in self.source.chunks():
            try:
                yield decoder.decode(chunk[skip:]).encode()
            except UnicodeDecodeError as error:
                yield error.object[: error.start].decode(self.original_encoding).encode()
                yield UNDECODABLE
                return
            skip = 0
        try:
            yield decoder.decode(b"", final=True).encode()
        except UnicodeDecodeError:
            yield UNDECODABLE
