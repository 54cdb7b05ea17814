"""Single rows of the library: checked, recorded, and told to the shops."""

from __future__ import annotations

import io
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from kameng.jobs.models import Job
from kameng.lib.ids import random_token
from shared_apps.library import selectors, services
from shared_apps.library.models import Category, Product, Sku, SupplyPrice
from tests.tenant_apps.market import CLERK, NOW, make_goods

pytestmark = pytest.mark.usefixtures("db")


def sku(**changes: Any) -> Sku:
    goods = make_goods()
    values = {
        "product_id": goods.product_id,
        "code": f"E-{random_token(8)}",
        "name_zh": "一百",
        "suggested": Decimal(100),
        "stock_policy": "CODES",
    }
    return services.create_sku(by=CLERK, now=NOW, **{**values, **changes})


class TestSku:
    def test_is_made_with_its_prices_recorded_and_told(self) -> None:
        Job.objects.filter(kind="listings.sync_all").delete()

        made = sku(code="abc-1", supply={"BASIC": Decimal("90.5"), "PRO": Decimal(88)})

        assert made.code == "ABC-1"
        assert dict(SupplyPrice.objects.filter(sku=made).values_list("level", "unit")) == {
            "BASIC": Decimal("90.5"),
            "PRO": Decimal(88),
        }
        assert AuditRecord.objects.filter(target="ABC-1").count() == 2
        assert Job.objects.filter(kind="listings.sync_all").count() == 1

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"suggested": Decimal(0)}, "suggested"),
            ({"suggested": Decimal(-1)}, "suggested"),
            ({"suggested": Decimal("1000000.01")}, "suggested"),
            ({"suggested": Decimal("NaN")}, "suggested"),
            ({"suggested": Decimal("0.00001")}, "suggested"),
            ({"floor": Decimal(110), "ceiling": Decimal(100)}, "floor"),
            ({"currency": "XXX"}, "currency"),
            ({"stock_policy": "MAGIC"}, "stock_policy"),
            ({"code": "a b"}, "code"),
            ({"name_zh": ""}, "name_zh"),
            ({"supply": {"BASIC": Decimal(0)}}, "supply_basic"),
            ({"supply": {"GOLD": Decimal(1)}}, "supply_gold"),
        ],
    )
    def test_refuses_what_it_can_not_be(self, changes: dict[str, Any], field: str) -> None:
        with pytest.raises(services.LibraryInvalid) as refused:
            sku(**changes)

        assert refused.value.field == field

    def test_the_same_code_twice_is_refused(self) -> None:
        first = sku()

        with pytest.raises(services.LibraryInvalid) as refused:
            sku(code=first.code.lower())

        assert refused.value.field == "code"

    def test_setting_the_same_price_again_stamps_nothing(self) -> None:
        made = sku(supply={"BASIC": Decimal(90)})
        before = stamps(made)

        services.set_supply_prices(sku_id=made.pk, prices={"BASIC": Decimal("90.0000")}, by=CLERK, now=NOW)

        assert stamps(made) == before

    def test_prices_that_look_wrong_are_told(self) -> None:
        made = sku(floor=Decimal(80), ceiling=Decimal(95), supply={"BASIC": Decimal(96)})

        told = [str(text) for text in selectors.price_warnings(made)]

        assert len(told) == 3


def stamps(made: Sku) -> list[Any]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT ctid::text, unit FROM library_supplyprice WHERE sku_id = %s", [made.pk])
        return cursor.fetchall()


class TestCategory:
    def make(self, **changes: Any) -> Category:
        values = {"slug": f"c-{random_token(8)}", "name_zh": "类"}
        return services.create_category(by=CLERK, now=NOW, **{**values, **changes})

    def test_can_not_stand_below_itself(self) -> None:
        top = self.make()
        low = self.make(parent_id=top.pk)

        for parent in (top.pk, low.pk):
            with pytest.raises(services.LibraryInvalid):
                services.update_category(category_id=top.pk, parent_id=parent, by=CLERK, now=NOW)

    def test_closes_what_stands_below_it(self) -> None:
        top = self.make()
        low = self.make(parent_id=top.pk)

        services.update_category(category_id=top.pk, active=False, by=CLERK, now=NOW)

        assert not Category.objects.get(pk=low.pk).active

    def test_is_found_in_its_tree(self) -> None:
        top = self.make()
        low = self.make(parent_id=top.pk)

        nodes = {node.category.pk: node.depth for node in selectors.category_tree()}

        assert (nodes[top.pk], nodes[low.pk]) == (0, 1)


class TestPicture:
    def product(self) -> Product:
        return Product.objects.get(pk=make_goods().product_id)

    def upload(self, size: tuple[int, int], kind: str = "PNG", mode: str = "RGB") -> io.BytesIO:
        out = io.BytesIO()
        Image.new(mode, size, "red").save(out, kind)
        out.seek(0)
        return out

    @pytest.mark.parametrize(
        ("kind", "mode"), [("PNG", "RGBA"), ("PNG", "P"), ("JPEG", "RGB"), ("WEBP", "RGB"), ("GIF", "P")]
    )
    def test_is_made_smaller_and_encoded_anew(self, kind: str, mode: str) -> None:
        saved = services.set_picture(
            product_id=self.product().pk, stream=self.upload((2400, 600), kind, mode), by=CLERK, now=NOW
        )

        path = Path(os.environ["KAMENG_DATA"]) / "files" / "library" / saved.picture
        with Image.open(path) as picture:
            assert (picture.format, picture.size) == ("WEBP", (1200, 300))

    def test_the_same_picture_is_one_file(self) -> None:
        names = {services.store_picture(self.upload((30, 20))) for _ in range(2)}

        assert len(names) == 1

    @pytest.mark.parametrize(
        "content",
        [b"", b"not a picture", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n" + b"\0" * 50],
    )
    def test_refuses_what_is_none(self, content: bytes) -> None:
        row = self.product()

        with pytest.raises(services.PictureRefused):
            services.set_picture(product_id=row.pk, stream=io.BytesIO(content), by=CLERK, now=NOW)

        assert Product.objects.get(pk=row.pk).picture == ""

    def test_refuses_one_that_unpacks_to_too_much(self) -> None:
        with pytest.raises(services.PictureRefused):
            services.store_picture(self.upload((8000, 6000), mode="1"))

    def test_refuses_one_of_too_many_bytes(self) -> None:
        with pytest.raises(services.PictureRefused):
            services.store_picture(io.BytesIO(b"\0" * (10 * 1024 * 1024 + 1)))


class TestWhoMaySeeIt:
    def test_a_shop_reads_no_row_of_the_library(self, alice: Any) -> None:
        from django.db import DatabaseError

        from kameng.db.context import in_substation

        tables = ("library_supplyprice", "library_privateprice", "library_sku", "stock_code")
        for table in (*tables, "supply_terms(1, 'BASIC', now())"):
            with pytest.raises(DatabaseError), in_substation(alice):
                from django.db import connection

                with connection.cursor() as cursor:
                    cursor.execute(f"SELECT * FROM public.{table}")
        with in_main():
            assert Sku.objects.count() >= 0


class TestText:
    """What can be typed can be exported and read back: both ask the same of a text."""

    @pytest.mark.parametrize(
        ("field", "typed", "told"),
        [
            ("name_zh", "一\x85百", "invisible control character"),
            ("name_en", "one\nhundred", "line break"),
            ("name_en", "x" * 20_001, "20001 characters"),
        ],
    )
    def test_is_refused_where_an_import_would_refuse_it(self, field: str, typed: str, told: str) -> None:
        with pytest.raises(services.LibraryInvalid, match=told) as refused:
            sku(code="E-REFUSED", **{field: typed})

        assert (refused.value.field, Sku.objects.filter(code="E-REFUSED").exists()) == (field, False)

    def test_of_a_description_may_have_lines(self) -> None:
        product = Product.objects.get(pk=make_goods().product_id)

        services.update_product(product_id=product.pk, by=CLERK, now=NOW, description_zh=" 一\r\n二 ")

        product.refresh_from_db()
        assert product.description_zh == "一\n二"
