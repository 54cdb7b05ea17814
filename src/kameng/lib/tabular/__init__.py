"""Tables in and out: CSV and XLSX as streams, named columns, typed cells, a report of what is wrong and its cure.

reader = read_rows(upload, upload.name, columns=(Column("sku", cells.slug_code(), ("SKU 编号",), required=True), …))
for number, row in reader:
    …
reader.report.good, reader.report.bad, reader.report.errors
"""

from kameng.lib.tabular import cells
from kameng.lib.tabular._types import Limits
from kameng.lib.tabular.codes import CODE_BYTES, CodesReader, read_codes
from kameng.lib.tabular.errors import (
    EncodingUnknown,
    FileBroken,
    FileEmpty,
    FileEncrypted,
    FileRefused,
    FileTooLarge,
    HeaderRefused,
)
from kameng.lib.tabular.reader import Column, TabularReader, read_rows
from kameng.lib.tabular.report import Report, RowError
from kameng.lib.tabular.writers import CellTooLong, plain, safe_text, write_csv, write_xlsx

__all__ = [
    "CODE_BYTES",
    "CellTooLong",
    "CodesReader",
    "Column",
    "EncodingUnknown",
    "FileBroken",
    "FileEmpty",
    "FileEncrypted",
    "FileRefused",
    "FileTooLarge",
    "HeaderRefused",
    "Limits",
    "Report",
    "RowError",
    "TabularReader",
    "cells",
    "plain",
    "read_codes",
    "read_rows",
    "safe_text",
    "write_csv",
    "write_xlsx",
]
