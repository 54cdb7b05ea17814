"""The library's flat file: in and out without a difference, every bad row named with its cure."""

from __future__ import annotations

import csv
import io
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils.translation import override
from openpyxl import Workbook

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from kameng.lib.ids import random_token
from kameng.lib.tabular import EncodingUnknown, FileBroken, FileEmpty, HeaderRefused
from shared_apps.library import flat, selectors, services
from shared_apps.library.models import Brand, Category, Product, Sku, SupplyPrice
from tests.tenant_apps.market import CLERK, NOW

pytestmark = pytest.mark.usefixtures("prepared")
FULL = [
    "sku", "sku_zh", "product", "product_zh", "category", "category_zh", "kind", "delivery", "suggested",
    "stock_policy", "supply_basic",
]  # fmt: skip


def fresh() -> str:
    return random_token(8).lower()


def row(tag: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    made = {
        "sku": f"{tag}-{number}",
        "sku_zh": f"{number}00元",
        "product": f"card-{tag}",
        "product_zh": "点卡",
        "category": f"games-{tag}",
        "category_zh": "游戏",
        "kind": "卡密",
        "delivery": "自动发货",
        "suggested": "100",
        "stock_policy": "卡密",
        "supply_basic": "90",
    }
    return {**made, **changes}


def as_csv(rows: list[dict[str, Any]], encoding: str = "utf-8") -> bytes:
    out = io.StringIO()
    names = list(dict.fromkeys(name for one in rows for name in one))
    writer = csv.DictWriter(out, names, restval="")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(encoding)


def load(data: bytes, name: str = "library.csv", **options: Any) -> Any:
    with override("en"):
        result = services.import_library(stream=io.BytesIO(data), filename=name, by=CLERK, now=NOW, **options)
        result.told = [
            (error.row, error.column, error.value, str(error.problem), str(error.cure))
            for error in result.report.errors
        ]
    return result


def everything() -> dict[str, list[Any]]:
    """The whole library, without times and stamps."""
    with in_main():
        return {
            model.__name__: list(
                model.objects.order_by("pk").values(
                    *[f.attname for f in model._meta.fields if f.name not in ("created_at", "updated_at")]
                )
            )
            for model in (Category, Brand, Product, Sku, SupplyPrice)
        }


def counts() -> dict[str, int]:
    return {name: len(rows) for name, rows in everything().items()}


def one(code: str) -> Sku:
    with in_main():
        return selectors.sku_by_code(code)


class TestGoodFile:
    def test_makes_what_is_not_there(self) -> None:
        tag = fresh()

        done = load(as_csv([row(tag), row(tag, 2, supply_basic="")]))

        assert done.applied
        assert (done.skus_made, done.products_made, done.categories_made, done.prices_changed) == (2, 1, 1, 1)
        sku = one(f"{tag}-1")
        assert (sku.code, sku.suggested, sku.product.kind, sku.currency) == (
            f"{tag}-1".upper(), Decimal(100), "CARD_CODE", "CNY",
        )  # fmt: skip
        with in_main():
            assert list(SupplyPrice.objects.filter(sku=sku).values_list("level", "unit")) == [("BASIC", Decimal(90))]
            assert AuditRecord.objects.filter(action="library.import").first().details["skus_made"] == 2  # type: ignore[union-attr]

    def test_the_same_again_changes_nothing_and_stamps_nothing(self) -> None:
        tag = fresh()
        data = as_csv([row(tag), row(tag, 2)])
        load(data)
        stamp = self.stamp(tag)

        done = load(data)

        assert (done.skus_made, done.skus_changed, done.products_changed, done.prices_changed) == (0, 0, 0, 0)
        assert self.stamp(tag) == stamp

    def stamp(self, tag: str) -> str:
        with in_main(), connection.cursor() as cursor:
            cursor.execute("SELECT changed_xid::text FROM library_sku WHERE code = %s", [f"{tag}-1".upper()])
            return str(cursor.fetchone()[0])

    def test_a_column_that_is_not_there_leaves_what_is(self) -> None:
        tag = fresh()
        load(as_csv([row(tag, floor="80", summary_zh="好用")]))

        load(as_csv([{"sku": f"{tag}-1", "product": f"card-{tag}", "suggested": "101"}]))

        sku = one(f"{tag}-1")
        assert (sku.suggested, sku.floor, sku.name_zh, sku.product.summary_zh) == (
            Decimal(101), Decimal(80), "100元", "好用",
        )  # fmt: skip

    def test_a_blank_cell_empties_or_keeps_what_is_needed(self) -> None:
        tag = fresh()
        load(as_csv([row(tag, floor="80")]))

        load(as_csv([row(tag, floor="", suggested="", sku_zh="", supply_basic="")]))

        sku = one(f"{tag}-1")
        assert (sku.floor, sku.suggested, sku.name_zh) == (None, Decimal(100), "100元")
        with in_main():
            assert not SupplyPrice.objects.filter(sku=sku).exists()

    def test_a_path_makes_the_categories_above(self) -> None:
        tag = fresh()

        load(as_csv([row(tag, category=f"top-{tag} > low-{tag}", category_zh="上 > 下", category_en="Top > Low")]))

        with in_main():
            low = Category.objects.select_related("parent").get(slug=f"low-{tag}")
        assert (low.name_zh, low.name_en) == ("下", "Low")
        assert low.parent is not None
        assert (low.parent.slug, low.parent.name_zh) == (f"top-{tag}", "上")

    def test_chinese_headings_in_gbk(self) -> None:
        tag = fresh()
        head = "SKU编号,规格,商品标识,商品名称,分类标识,分类,类型,发货方式,建议零售价,库存方式,基础供货价\n"
        line = f"{tag}-1,一百元,card-{tag},点卡,games-{tag},游戏,卡密,自动发货,￥100.00,卡密,90元\n"

        done = load((head + line).encode("gbk"))

        assert done.applied
        assert one(f"{tag}-1").name_zh == "一百元"

    def test_a_workbook(self) -> None:
        tag = fresh()
        book, out = Workbook(), io.BytesIO()
        book.active.append(FULL)
        book.active.append([row(tag)[name] for name in FULL])
        book.save(out)

        assert load(out.getvalue(), "library.xlsx").skus_made == 1


class TestRoundTrip:
    @pytest.mark.parametrize("kind", ["csv", "xlsx"])
    def test_an_export_read_back_changes_nothing(self, kind: str) -> None:
        tag = fresh()
        field = (
            '[{"key": "account", "label_zh": "账号", "label_en": "", "kind": "text", "required": true, "choices": []}]'
        )
        load(
            as_csv(
                [
                    row(
                        tag,
                        1,
                        floor="80.1234",
                        ceiling="130",
                        face_value="100",
                        tags="热门;=cmd",
                        description_zh='a\n"b",c',
                    ),
                    row(tag, 2, tags="热门;=cmd", description_zh='a\n"b",c', active="no", low_stock_at="3"),
                    row(f"{tag}x", 1, buyer_fields=field, brand=f"b-{tag}", brand_zh="牌", brand_colour="#12abEF"),
                ]
            )
        )
        before = everything()
        out = io.BytesIO()
        if kind == "csv":
            out.write(b"".join(services.export_csv()))
        else:
            services.export_xlsx(out)

        done = load(out.getvalue(), f"all.{kind}")

        assert done.told == []
        assert done.applied
        assert everything() == before

    def test_an_export_makes_the_whole_again_elsewhere(self) -> None:
        tag = fresh()
        load(as_csv([row(tag, category=f"a-{tag} > b-{tag}", category_zh="甲 > 乙", brand=f"br-{tag}", brand_zh="牌")]))
        mine = [line for line in services.export_rows() if line[0] == f"{tag}-1".upper()]
        moved = [
            [str(cell).replace(tag, f"{tag}z").replace(tag.upper(), f"{tag}Z".upper()) for cell in line]
            for line in mine
        ]
        moved = [["" if cell == "None" else cell for cell in line] for line in moved]
        data = as_csv([dict(zip(flat.HEADERS, line, strict=True)) for line in moved])

        done = load(data)

        assert done.told == []
        assert (done.skus_made, done.products_made, done.categories_made, done.brands_made) == (1, 1, 2, 1)


class TestBadRows:
    @pytest.mark.parametrize(
        ("column", "value", "code"),
        [
            ("suggested", "-5", "price_negative"),
            ("suggested", "0", "price_zero"),
            ("suggested", "1000000.01", "price_absurd"),
            ("suggested", "1.23456", "price_too_fine"),
            ("suggested", "12,50", "cell_not_a_number"),
            ("suggested", "NaN", "cell_not_a_number"),
            ("suggested", "=1+1", "cell_formula"),
            ("suggested", "1e400", "price_too_fine"),
            ("sku", "", "cell_blank"),
            ("sku", "a b", "cell_not_a_code"),
            ("sku_zh", "", "cell_blank"),
            ("sku_zh", "x" * 121, "cell_too_long"),
            ("product", "", "cell_blank"),
            ("kind", "SPELL", "cell_unknown_value"),
            ("category", "a > b > c > d > e", "cell_not_a_path"),
            ("category", "", "cell_blank"),
            ("floor", "101.01", "floor_above_ceiling"),
            ("currency", "XYZ", "cell_unknown_currency"),
            ("buyer_fields", "[{}]", "cell_not_buyer_fields"),
            ("buyer_fields", "{", "cell_not_json"),
            ("picture", "../../etc/passwd", "cell_not_a_file"),
            ("brand_colour", "red", "cell_not_a_colour"),
            ("low_stock_at", "-1", "cell_out_of_bounds"),
            ("active", "maybe", "cell_not_boolean"),
        ],
    )
    def test_is_named_with_its_cure_and_nothing_is_written(self, column: str, value: str, code: str) -> None:
        tag = fresh()
        before = counts()

        done = load(as_csv([row(tag), row(f"{tag}b", 2, **{"ceiling": "101", column: value})]))

        assert [error.code for error in done.report.errors] == [code]
        ((number, named, _shown, problem, cure),) = done.told
        assert (number, named) == (3, column)
        assert problem
        assert cure
        assert not done.applied
        assert counts() == before

    def test_good_rows_go_in_only_when_asked(self) -> None:
        tag = fresh()
        data = as_csv([row(tag), row(tag, 2, suggested="-5")])
        refused = load(data)

        done = load(data, accept_good=True)

        assert (refused.applied, done.applied, done.skus_made, done.report.bad) == (False, True, 1, 1)
        with in_main():
            assert not Sku.objects.filter(code=f"{tag}-2".upper()).exists()

    def test_a_dry_run_writes_nothing(self) -> None:
        before = counts()

        done = load(as_csv([row(fresh())]), dry_run=True)

        assert (done.applied, done.report.good) == (False, 1)
        assert counts() == before

    def test_rows_that_contradict_each_other(self) -> None:
        tag = fresh()

        done = load(as_csv([row(tag), row(tag, 2, product_zh="别的"), row(tag, 1)]))

        assert [error[:3] for error in done.told] == [(3, "product_zh", "别的"), (4, "sku", f"{tag}-1".upper())]
        assert done.told[0][3] == "Row 2 says something else here of the product."
        assert done.told[1][3] == "Row 2 has the same SKU."

    def test_a_category_that_stands_elsewhere(self) -> None:
        tag = fresh()
        load(as_csv([row(tag, category=f"a-{tag} > b-{tag}", category_zh="甲 > 乙")]))

        done = load(as_csv([row(f"{tag}n", category=f"c-{tag} > b-{tag}", category_zh="丙 > 乙")]))

        assert [error.code for error in done.report.errors] == ["category_elsewhere"]

    def test_a_file_in_which_all_is_wrong_stays_readable(self) -> None:
        tag = fresh()

        done = load(as_csv([row(tag, n, suggested="-1") for n in range(1, 301)]))

        told = done.as_json(errors=10)
        assert (told["bad"], told["errors_total"], len(told["errors"])) == (300, 300, 10)


class TestNoTable:
    @pytest.mark.parametrize(
        ("data", "name", "error"),
        [
            (b"", "a.csv", FileEmpty),
            (b"\n\n", "a.csv", FileEmpty),
            (b"name,price\nx,1\n", "a.csv", HeaderRefused),
            (b"sku,product,colour\nx,y,z\n", "a.csv", HeaderRefused),
            (b"sku,sku,product\nx,y,z\n", "a.csv", HeaderRefused),
            (b"PK\x03\x04nothing", "a.xlsx", FileBroken),
            (b"just text", "a.xlsx", FileBroken),
            (b"sku,product\n\xff\xff,\xfe\xff\n", "a.csv", EncodingUnknown),
        ],
    )
    def test_is_refused_as_a_whole(self, data: bytes, name: str, error: type) -> None:
        before = counts()

        with pytest.raises(error):
            load(data, name)

        assert counts() == before

    def test_a_heading_names_what_is_missing_and_what_is_unknown(self) -> None:
        with pytest.raises(HeaderRefused) as refused:
            load(b"sku,prodcut\nx,y\n")

        assert refused.value.details["missing"] == ["product"]
        assert refused.value.details["unknown"] == ["prodcut"]

    def test_a_workbook_damaged_further_down_writes_nothing(self) -> None:
        book, out = Workbook(), io.BytesIO()
        book.active.append(FULL)
        tag = fresh()
        for number in range(1, 400):
            book.active.append([row(tag, number)[name] for name in FULL])
        book.save(out)
        damaged = _with_broken_sheet(out.getvalue())
        before = counts()

        with pytest.raises(FileBroken):
            load(damaged, "a.xlsx", accept_good=True)

        assert counts() == before

    def test_formulas_in_a_workbook_are_not_taken_for_values(self) -> None:
        tag = fresh()
        book, out = Workbook(), io.BytesIO()
        book.active.append(FULL)
        book.active.append([row(tag, suggested="=50+50")[name] for name in FULL])
        book.save(out)

        done = load(out.getvalue(), "a.xlsx")

        assert [(error.row, error.column) for error in done.report.errors] == [(2, "suggested")]
        assert not done.applied


def _with_broken_sheet(workbook: bytes) -> bytes:
    """The same workbook with its sheet cut off in the middle of a row."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[: len(content) // 2] if "sheet1" in name else content)
    return out.getvalue()


class TestLargeFile:
    def test_200_000_rows_are_checked_in_a_stream(self, tmp_path: Path) -> None:
        tag = fresh()
        path = tmp_path / "large.csv"
        with path.open("w", encoding="utf-8") as out:
            out.write("sku,sku_zh,product,product_zh,category,category_zh,kind,delivery,suggested,stock_policy\n")
            for number in range(200_000):
                price = "-1" if number % 50_000 == 7 else "12.50"
                out.write(f"{tag}-{number},张,p-{tag},卡,c-{tag},类,CARD_CODE,CODES,{price},CODES\n")
        seen: list[float] = []

        with path.open("rb") as stream:
            done = services.import_library(
                stream=stream, filename="large.csv", by=CLERK, now=NOW, dry_run=True,
                progress=lambda _result, fraction: seen.append(fraction),
            )  # fmt: skip

        assert (done.report.rows, done.report.bad) == (200_000, 4)
        assert [error.row for error in done.report.errors] == [9, 50_009, 100_009, 150_009]
        assert len(seen) == 99  # A step each 2,000 good rows.
        assert seen == sorted(seen)

    def test_batches_are_written_one_after_the_other(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from shared_apps.library.services import _importing

        monkeypatch.setattr(_importing, "BATCH", 7)
        tag = fresh()

        done = load(as_csv([row(tag, number) for number in range(1, 31)]))

        assert (done.skus_made, done.products_made, done.products_changed) == (30, 1, 0)


class TestRuns:
    def test_a_queued_import_is_done_by_its_job(self) -> None:
        tag = fresh()
        with in_main():
            run = services.start_import(stream=io.BytesIO(as_csv([row(tag)])), filename="x.csv", by=CLERK, now=NOW)

        done = services.execute_run(run=run.public_id, now=NOW)

        assert (done.state, done.rows_done, done.rows_good) == ("DONE", 1, 1)
        assert one(f"{tag}-1").name_zh == "100元"

    def test_a_run_with_bad_rows_ends_refused_with_its_report(self) -> None:
        tag = fresh()
        with in_main():
            run = services.start_import(
                stream=io.BytesIO(as_csv([row(tag, suggested="x")])), filename="x.csv", by=CLERK, now=NOW
            )

        done = services.execute_run(run=run.public_id, now=NOW)

        assert (done.state, done.rows_bad) == ("REFUSED", 1)
        assert (done.report[0]["row"], done.report[0]["column"], done.report[0]["value"]) == (2, "suggested", "x")
