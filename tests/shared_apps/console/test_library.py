"""Products, SKUs and their prices; imports that are seen before they are done."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.library import services as library
from shared_apps.library.models import Brand, Category, ImportRun, Product, Sku, SupplyPrice
from tests.shared_apps.console.conftest import Scene, csv_rows
from tests.shared_apps.console.test_access import url
from tests.tenant_apps import market


def product_of(scene: Scene) -> Product:
    with in_main():
        return Product.objects.get(pk=scene.counted.product_id)


def form_of(scene: Scene, **changes: Any) -> dict[str, Any]:
    """The product's form as the page sends it, with some of it changed."""
    row = product_of(scene)
    pk = scene.counted.sku_id
    return {
        "name_zh": row.name_zh, "name_en": row.name_en, "slug": row.slug, "category_id": row.category_id,
        "kind": row.kind, "delivery": row.delivery, "sort": row.sort, "active": "on", "tags": "",
        "fields-TOTAL_FORMS": "1", "fields-INITIAL_FORMS": "0", "fields-0-kind": "text", "fields-0-required": "on",
        f"sku{pk}-supply_basic": "9.50", f"sku{pk}-supply_pro": "9.00", f"sku{pk}-supply_flagship": "8.50",
        f"sku{pk}-floor": "9.00", f"sku{pk}-suggested": "12.00", f"sku{pk}-ceiling": "20.00", f"sku{pk}-active": "on",
        **changes,
    }  # fmt: skip


class TestTheProductsForm:
    def test_saves_names_fields_and_prices_together(self, operator: Client, scene: Scene) -> None:
        pk = scene.counted.sku_id
        changed = form_of(
            scene, name_en="Renamed", tags="hot, new;hot", **{
                "fields-0-key": "account", "fields-0-label_zh": "账号", "fields-0-choices": "",
                f"sku{pk}-supply_pro": "8.8888", f"sku{pk}-supply_flagship": "", f"sku{pk}-ceiling": "",
            },
        )  # fmt: skip

        response = operator.post(url("product", product_of(scene).slug), changed)

        assert response.status_code == 302, response.content.decode()[-3000:]
        row = product_of(scene)
        assert (row.name_en, row.tags, row.buyer_fields[0]["key"]) == ("Renamed", ["hot", "new"], "account")
        with in_main():
            prices = dict(SupplyPrice.objects.filter(sku_id=pk).values_list("level", "unit"))
            sku = Sku.objects.get(pk=pk)
        assert prices == {"BASIC": Decimal("9.5000"), "PRO": Decimal("8.8888")}
        assert (sku.ceiling, sku.floor) == (None, Decimal("9.0000"))
        with in_main():  # As it was, for the next test.
            SupplyPrice.objects.create(sku_id=pk, level="FLAGSHIP", unit=Decimal("8.5"))
            SupplyPrice.objects.filter(sku_id=pk, level="PRO").update(unit=Decimal("9"))
            Sku.objects.filter(pk=pk).update(ceiling=Decimal(20))
            Product.objects.filter(pk=row.pk).update(buyer_fields=[])

    def test_saves_nothing_when_one_price_is_refused_and_keeps_all_that_was_typed(
        self, operator: Client, scene: Scene
    ) -> None:
        before = market.rows("SELECT * FROM library_product WHERE id = %s", scene.counted.product_id)
        pk = scene.counted.sku_id

        for price, said in (
            ("-1", b"above zero"),
            ("abc", b"four places"),
            ("30", b"The floor lies above the ceiling."),
        ):
            response = operator.post(
                url("product", product_of(scene).slug),
                form_of(scene, name_en="Lost otherwise", **{f"sku{pk}-floor": price}),
            )

            assert response.status_code == 422, price
            assert said in response.content, price
            assert b'value="Lost otherwise"' in response.content
            assert f'value="{price}"'.encode() in response.content
        assert market.rows("SELECT * FROM library_product WHERE id = %s", scene.counted.product_id) == before

    def test_writes_nothing_where_nothing_differs(self, operator: Client, scene: Scene) -> None:
        sql = "SELECT changed_xid::text FROM library_sku WHERE id = %s"
        before = market.rows(sql, scene.counted.sku_id)

        response = operator.post(url("product", product_of(scene).slug), form_of(scene))

        assert response.status_code == 302, response.content.decode()[-3000:]
        assert market.rows(sql, scene.counted.sku_id) == before

    def test_refuses_a_text_file_as_a_picture(self, operator: Client, scene: Scene) -> None:
        upload = SimpleUploadedFile("x.png", b"no picture", "image/png")

        response = operator.post(url("product_picture", product_of(scene).slug), {"picture": upload}, follow=True)

        assert b"not a picture" in response.content
        assert product_of(scene).picture == ""


class TestSkus:
    def test_adds_one_with_its_prices(self, operator: Client, scene: Scene) -> None:
        form = {
            "code": "new-sku-1", "name_zh": "新", "currency": "CNY", "stock_policy": "UNLIMITED", "low_stock_at": "0",
            "supply_basic": "1", "suggested": "2", "sort": "0", "active": "on",
        }  # fmt: skip

        assert operator.post(url("sku_new", product_of(scene).slug), form).status_code == 302

        with in_main():
            sku = Sku.objects.get(code="NEW-SKU-1")
            assert list(sku.supply_prices.values_list("level", "unit")) == [("BASIC", Decimal("1.0000"))]

    def test_keeps_a_refused_code_in_its_field(self, operator: Client, scene: Scene) -> None:
        form = {
            "code": scene.goods.code, "name_zh": "双", "currency": "CNY", "stock_policy": "CODES",
            "low_stock_at": "1", "suggested": "2", "sort": "0",
        }  # fmt: skip

        response = operator.post(url("sku_new", product_of(scene).slug), form)

        assert response.status_code == 422
        assert f'value="{scene.goods.code}"'.encode() in response.content
        with in_main():
            assert Sku.objects.filter(code=scene.goods.code).count() == 1


class TestShelves:
    def test_a_category_and_a_brand(self, operator: Client) -> None:
        category = {"slug": "console-cat", "name_zh": "分类", "sort": "3", "active": "on"}
        brand = {"slug": "console-brand", "name_zh": "品牌", "colour": "#12ab34"}

        assert operator.post(url("category_new"), category).status_code == 302
        assert operator.post(url("brand_new"), brand).status_code == 302
        assert operator.post(url("brand_new"), {**brand, "slug": "b2", "colour": "red"}).status_code == 422
        assert operator.post(url("category", "console-cat"), {**category, "name_en": "Category"}).status_code == 302

        with in_main():
            assert Category.objects.get(slug="console-cat").name_en == "Category"
            assert [row.slug for row in Brand.objects.filter(slug__in=("console-brand", "b2"))] == ["console-brand"]

    def test_takes_chosen_products_out_of_supply_and_back(self, operator: Client, scene: Scene) -> None:
        for deed, supplied in (("off", False), ("on", True)):
            operator.post(url("products_shelf"), {"ids": [scene.counted.product_id], "deed": deed})
            assert product_of(scene).active is supplied

    def test_everything_means_what_the_filters_show(self, operator: Client, scene: Scene) -> None:
        row = product_of(scene)
        others = "SELECT id, active FROM library_product WHERE id <> %s ORDER BY id"
        before = market.rows(others, row.pk)

        operator.post(f"{url('products_shelf')}?q={row.slug}", {"everything": "1", "deed": "off"})

        assert product_of(scene).active is False
        assert market.rows(others, row.pk) == before
        operator.post(url("products_shelf"), {"ids": [row.pk], "deed": "on"})

    def test_exports_exactly_what_matches(self, operator: Client, scene: Scene) -> None:
        row = product_of(scene)

        rows = csv_rows(operator.get(url("products"), {"q": row.slug, "export": "csv"}))

        assert rows[0] == [
            "Address", "Name (Chinese)", "Name (English)", "Category", "Brand", "Kind", "Delivery", "SKUs", "Supplied",
            "Changed",
        ]  # fmt: skip
        with in_main():
            count = str(Sku.objects.filter(product=row).count())
        head = [row.slug, row.name_zh, row.name_en, "Cards", "", "Card code", "By hand", count, "yes"]
        assert [line[:9] for line in rows[1:]] == [head]


class TestImports:
    HEAD = "sku,product,product_zh,category,kind,delivery,sku_zh,suggested,stock_policy,supply_basic\n"

    def check(self, operator: Client, content: str) -> ImportRun:
        """Upload a file for checking and let the worker do it."""
        upload = SimpleUploadedFile("list.csv", content.encode(), "text/csv")
        response = operator.post(url("imports"), {"file": upload})
        assert response.status_code == 302, response.content.decode()[-2000:]
        run = response.headers["Location"].rstrip("/").rsplit("/", 1)[1]
        assert b"Waiting for a worker" in operator.get(url("import_run", run)).content
        library.execute_run(run=run, now=clock.utc_now())
        with in_main():
            return ImportRun.objects.get(public_id=run)

    def file(self, operator: Client, scene: Scene, price: str) -> str:
        """The library's own export of one SKU, with one price changed."""
        content = b"".join(operator.get(url("library_export")).streaming_content).decode("utf-8-sig")
        head, *rows = content.splitlines()
        row = next(row for row in rows if row.startswith(f'"{scene.counted.code}"'))
        at = [name.strip('"') for name in head.split(",")].index("suggested")
        cells = row.split(",")
        cells[at] = price
        return f"{head}\n{','.join(cells)}\n"

    def test_a_check_changes_nothing_and_the_import_after_it_does(self, operator: Client, scene: Scene) -> None:
        run = self.check(operator, self.file(operator, scene, "13.5"))
        assert (run.state, run.rows_good, run.rows_bad) == ("DONE", 1, 0), (run.problem, run.report)
        assert b"Import 1 rows" in operator.get(url("import_run", run.public_id)).content
        with in_main():
            assert Sku.objects.get(pk=scene.counted.sku_id).suggested == Decimal(12)

        response = operator.post(url("import_checked", run.public_id))

        assert response.status_code == 302
        library.execute_run(run=response.headers["Location"].rstrip("/").rsplit("/", 1)[1], now=clock.utc_now())
        with in_main():
            assert Sku.objects.get(pk=scene.counted.sku_id).suggested == Decimal("13.5")
            Sku.objects.filter(pk=scene.counted.sku_id).update(suggested=Decimal(12))

    def test_the_report_names_row_column_value_and_cure(self, operator: Client, scene: Scene) -> None:
        run = self.check(operator, self.file(operator, scene, "dear"))

        assert (run.rows_good, run.rows_bad) == (0, 1)
        rows = csv_rows(operator.get(url("import_run", run.public_id), {"export": "csv"}))
        assert rows[0] == ["Row", "Column", "Value", "Problem", "Cure"]
        assert rows[1][:3] == ["2", "suggested", "dear"]
        assert rows[1][3]
        assert rows[1][4]

    def test_a_file_is_imported_once(self, operator: Client, scene: Scene) -> None:
        run = self.check(operator, self.file(operator, scene, "13.5"))
        with in_main():
            before = ImportRun.objects.count()

        first = operator.post(url("import_checked", run.public_id))
        second = operator.post(url("import_checked", run.public_id))

        assert (first.status_code, second.status_code) == (302, 422)
        with in_main():
            assert ImportRun.objects.count() == before + 1

    def test_a_file_that_was_thrown_away_is_gone(self, operator: Client, scene: Scene) -> None:
        run = self.check(operator, self.file(operator, scene, "13.5"))

        assert operator.post(url("import_discard", run.public_id)).status_code == 302

        assert operator.post(url("import_checked", run.public_id)).status_code == 422
        with in_main():
            assert Sku.objects.get(pk=scene.counted.sku_id).suggested == Decimal(12)

    def test_asks_for_a_file(self, operator: Client) -> None:
        assert operator.post(url("imports"), {}).status_code == 422
