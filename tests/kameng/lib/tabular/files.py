"""Files for the tests of the tables, made in memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any

from openpyxl import Workbook

from kameng.lib.tabular import Column, cells

COLUMNS = (
    Column("sku", cells.slug_code(), ("SKU编号", "编码"), required=True),
    Column("name", cells.text(20), ("名称", "商品名称"), required=True),
    Column("price", cells.unit_price(), ("售价", "价格"), required=True),
    Column("stock", cells.integer(), ("库存",), default=7),
    Column("created_at", aliases=("创建时间",), ignored=True),
)


def csv_file(text: str, encoding: str = "utf-8") -> io.BytesIO:
    return io.BytesIO(text.encode(encoding))


def xlsx_file(rows: Iterable[Sequence[Any]], *more_sheets: Iterable[Sequence[Any]]) -> io.BytesIO:
    book = Workbook()
    for number, sheet_rows in enumerate([rows, *more_sheets]):
        sheet = book.worksheets[0] if number == 0 else book.create_sheet(f"More{number}")
        for row in sheet_rows:
            sheet.append(list(row))
    out = io.BytesIO()
    book.save(out)
    out.seek(0)
    return out


def zip_file(parts: dict[str, bytes]) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in parts.items():
            container.writestr(name, content)
    out.seek(0)
    return out


class OneWay(io.RawIOBase):
    """A stream that can't be wound back, as a pipe."""

    def __init__(self, content: bytes) -> None:
        self._inner = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._inner.read(size)
