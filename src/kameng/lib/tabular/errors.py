"""Refusals of a whole file. What is wrong with single rows is a RowError in the report instead."""

from __future__ import annotations

from kameng.lib.errors import Invalid


class FileRefused(Invalid):
    """The family: the file can't be read as a table at all. Nothing of it was used."""

    code = "file_refused"


class FileBroken(FileRefused):
    """Damaged, or another kind of file under this name."""

    code = "file_broken"


class FileEncrypted(FileRefused):
    """Protected with a password."""

    code = "file_encrypted"


class FileTooLarge(FileRefused):
    """Over a limit of bytes, rows or columns, or a small file that unpacks to a huge one."""

    code = "file_too_large"


class FileEmpty(FileRefused):
    """No row with anything in it."""

    code = "file_empty"


class EncodingUnknown(FileRefused):
    """Neither UTF-8, UTF-16 nor GBK."""

    code = "file_encoding_unknown"


class HeaderRefused(FileRefused):
    """Columns missing, unknown or twice; `details` lists them under `missing`, `unknown`, `duplicate`."""

    code = "file_header_refused"
