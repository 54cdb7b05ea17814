"""Private terms in the console: seen beside the plan's, set, shown before they are written in bulk, imported, ended."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main
from kameng.lib import clock
from shared_apps.library import services
from shared_apps.library.models import ImportRun, PrivatePrice, Sku
from tenants.models import Substation
from tests.shared_apps.console.conftest import _client, _with_own_role, csv_rows, make_goods
from tests.shared_apps.console.test_access import url
from tests.tenant_apps import market

DAY = timedelta(days=1)


@pytest.fixture
def shop(fresh_shop: Any) -> Any:
    return fresh_shop


@pytest.fixture
def goods(prepared: None) -> market.Goods:
    """Supply 9.50, 9.00 and 8.50 by plan, floor 9.00, suggested 12.00."""
    with in_main():
        return make_goods("CODES", SYSTEM)


def put(shop: Any, goods: market.Goods, unit: str, **changes: Any) -> PrivatePrice:
    with in_main():
        return services.set_private_price(
            substation_id=shop.pk, sku_id=goods.sku_id, unit=Decimal(unit), by=SYSTEM,
            **{"now": clock.utc_now(), **changes},
        )  # fmt: skip


def standing(shop: Any) -> list[tuple[str, str]]:
    """Codes and prices in force or to come."""
    with in_main():
        rows = PrivatePrice.objects.filter(substation=shop, ended_at=None).order_by("sku__code")
        return [(row.sku.code, str(row.unit)) for row in rows.select_related("sku")]


class TestTheList:
    def test_shows_each_beside_the_plans_price_with_the_difference_and_what_is_odd(
        self, operator: Client, shop: Any, goods: market.Goods
    ) -> None:
        put(shop, goods, "8.30", note="Friends of the house")

        page = operator.get(url("terms", shop.public_id)).content.decode()

        for shown in (goods.code, "¥9.50", "¥8.30", "−12.6%", "In force", "Friends of the house",
                      "2.4% below what any plan pays; the cheapest pays ¥8.50."):  # fmt: skip
            assert shown in page, shown

    def test_warns_above_the_floor(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        put(shop, goods, "9.40")

        page = operator.get(url("terms", shop.public_id)).content.decode()

        assert "Above the floor of ¥9.00: sold at the floor, it would be sold at a loss." in page

    def test_filters_by_state_and_searches(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        with in_main():
            later, ended = make_goods("CODES", SYSTEM), make_goods("CODES", SYSTEM)
        put(shop, goods, "9.00")
        put(shop, later, "9.00", starts_at=clock.utc_now() + DAY)
        put(shop, ended, "9.00", now=clock.utc_now() - 2 * DAY, ends_at=clock.utc_now() - DAY)

        def codes(**asked: str) -> set[str]:
            rows = csv_rows(operator.get(url("terms", shop.public_id), {**asked, "export": "csv"}))
            return {row[0] for row in rows[1:]}

        assert codes() == {goods.code, later.code, ended.code}
        assert codes(state="IN_FORCE") == {goods.code}
        assert codes(state="TO_COME") == {later.code}
        assert codes(state="ENDED") == {ended.code}
        assert codes(q=later.code) == {later.code}

    def test_is_a_card_on_the_shops_page(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        assert b"This shop pays what its plan says." in operator.get(url("substation", shop.public_id)).content
        put(shop, goods, "9.00")

        page = operator.get(url("substation", shop.public_id)).content.decode()

        assert goods.code in page
        assert "−5.3%" in page

    def test_its_prices_are_for_whoever_may_look_at_terms(
        self, operator: Client, shop: Any, goods: market.Goods
    ) -> None:
        put(shop, goods, "8.30")
        clerk = _client(_with_own_role("network.look"))

        pages = [browser.get(url("substation", shop.public_id)).content.decode() for browser in (operator, clerk)]

        assert ["8.30" in page for page in pages] == [True, False]

    def test_never_shows_anothers(self, operator: Client, shop: Any, alice: Any, goods: market.Goods) -> None:
        put(shop, goods, "9.00")

        assert goods.code.encode() not in operator.get(url("terms", alice.public_id)).content


class TestOne:
    def test_is_set(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        response = operator.post(
            url("terms_new", shop.public_id), {"sku": goods.code.lower(), "unit": "9.05", "note": "Since November"}
        )

        assert response.status_code == 302
        assert standing(shop) == [(goods.code, "9.0500")]

    @pytest.mark.parametrize(
        ("sent", "said"),
        [
            ({"sku": "NOBODY"}, "There is no SKU with the code NOBODY."),
            ({"unit": "0"}, "A price must be above zero."),
            ({"unit": "cheap"}, "A price is a number with at most four places."),
            ({"ends_at": "2001-01-01T00:00"}, "It has to end after it begins."),
            ({"starts_at": "2001-01-01T00:00"}, "This time is over"),
        ],
    )
    def test_refuses_at_the_field_and_keeps_what_was_typed(
        self, operator: Client, shop: Any, goods: market.Goods, sent: dict[str, str], said: str
    ) -> None:
        form = {"sku": goods.code, "unit": "9.05", "note": "kept all the same", **sent}

        response = operator.post(url("terms_new", shop.public_id), form)

        assert response.status_code == 422
        page = response.content.decode()
        assert said in page
        assert 'value="kept all the same"' in page
        assert standing(shop) == []

    def test_takes_whatever_is_typed(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        for name, typed in (
            ("terms_beside", {"sku": "a\x00b", "unit": "1"}), ("terms_beside", {"sku": goods.code, "unit": "9" * 23}),
            ("terms_beside", {"sku": goods.code, "unit": "NaN"}), ("terms_skus", {"sku": "a\x00b"}),
            ("terms_new", {"sku": "a\x00b"}),
        ):  # fmt: skip
            assert operator.get(url(name, shop.public_id), typed).status_code == 200, (name, typed)

    def test_shows_the_plans_price_and_the_difference_while_typing(
        self, operator: Client, shop: Any, goods: market.Goods
    ) -> None:
        ask = url("terms_beside", shop.public_id)

        page = operator.get(ask, {"sku": goods.code, "unit": "8.30"}).content.decode()

        for shown in ("¥9.50", "¥8.50", "−12.6%", "2.4% below what any plan pays"):
            assert shown in page, shown
        assert "−" not in operator.get(ask, {"sku": goods.code, "unit": "8.3x"}).content.decode()
        assert b"Choose a SKU" in operator.get(ask, {"sku": "NOBODY", "unit": "8"}).content


class TestAShareOff:
    def test_shows_what_it_would_write_and_then_writes_just_that(
        self, operator: Client, shop: Any, goods: market.Goods
    ) -> None:
        category, asked = own_category(goods), url("terms_off", shop.public_id)
        with in_main():
            Sku.objects.filter(pk=goods.sku_id).update(floor=Decimal("9.20"))

        page = operator.get(asked, {"percent": "3", "category": category}).content.decode()

        # 9.50 less 3 %: 9.215; 8.4 % above the cheapest plan's 8.50; the suggested 12.00 leaves 30.2 %.
        for shown in ("¥9.215", "+8.4%", "+30.2%", "Write 1 private prices", "1 of them lie above their SKU"):
            assert shown in page, shown
        assert standing(shop) == []
        digest = digest_of(page)
        sent = {"percent": "3", "category": category, "note": "Three off", "digest": digest}
        assert operator.post(asked, sent).status_code == 302
        assert standing(shop) == [(goods.code, "9.2150")]

    def test_writes_nothing_when_a_price_has_moved_since(
        self, operator: Client, shop: Any, goods: market.Goods
    ) -> None:
        category, asked = own_category(goods), url("terms_off", shop.public_id)
        digest = digest_of(operator.get(asked, {"percent": "3", "category": category}).content.decode())
        with in_main():
            services.set_supply_prices(
                sku_id=goods.sku_id, prices={"BASIC": Decimal("9.60")}, by=SYSTEM, now=clock.utc_now()
            )

        response = operator.post(asked, {"percent": "3", "category": category, "digest": digest})

        assert response.status_code == 422
        page = response.content.decode()
        assert "have changed since this was shown" in page
        assert "¥9.312" in page  # What it would write now.
        assert standing(shop) == []

    @pytest.mark.parametrize("percent", ["0", "100", "-1", "1.234", "x", ""])
    def test_refuses_a_share_that_is_none(self, operator: Client, shop: Any, percent: str) -> None:
        response = operator.get(url("terms_off", shop.public_id), {"percent": percent})

        assert response.status_code == 422
        assert standing(shop) == []


def own_category(goods: market.Goods) -> str:
    """Moves the goods into a category of their own."""
    from shared_apps.library.models import Category, Product

    with in_main():
        category = Category.objects.create(slug=f"own-{goods.product_id}", name_zh="自")
        Product.objects.filter(pk=goods.product_id).update(category=category)
        return str(category.pk)


def digest_of(page: str) -> str:
    found = re.search(r'name="digest" value="([0-9a-f]{32})"', page)
    assert found is not None
    return found[1]


class TestAFile:
    def test_is_checked_first_and_then_written(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        with in_main():
            second = make_goods("CODES", SYSTEM)
        content = f"SKU 编号,密价,截止,备注\n{goods.code},9.10,2099-12-31,约定\n{second.code},8.00,,\n"

        run = checked(operator, shop, content)

        assert (run.state, run.rows_good, run.rows_bad) == ("DONE", 2, 0)
        assert run.options["result"]["warnings"] == [
            "1 private prices lie above their SKU's floor.", "1 private prices lie below what any plan pays.",
        ]  # fmt: skip
        assert standing(shop) == []
        assert operator.post(url("import_checked", run.public_id)).status_code == 302
        made = worked_off(shop)
        assert (made.state, made.options["result"]["prices_set"]) == ("DONE", 2)
        assert standing(shop) == sorted([(goods.code, "9.1000"), (second.code, "8.0000")])
        with in_main():
            row = PrivatePrice.objects.get(substation=shop, sku_id=goods.sku_id)
        assert (row.ends_at.isoformat(), row.note) == ("2099-12-31T16:00:00+00:00", "约定")  # type: ignore[union-attr]

    def test_names_row_column_value_and_cure_and_writes_nothing(
        self, operator: Client, shop: Any, goods: market.Goods
    ) -> None:
        content = (
            f"sku,price,ends\n{goods.code},9.10,\nNOBODY,1,\n{goods.code},9.00,\n{goods.code},0,\n"
            f"{goods.code},9,2001-01-01\n{goods.code},9,soon\n"
        )

        run = checked(operator, shop, content)

        told = [(one["row"], one["column"], one["value"], one["code"]) for one in run.report]
        assert told == [
            (3, "sku", "NOBODY", "sku_unknown"), (4, "sku", goods.code, "sku_repeated"), (5, "price", "0", "price_zero"),
            (6, "sku", goods.code, "sku_repeated"), (6, "ends", "2001-01-01 16:00:00+00:00", "span_empty"),
            (7, "ends", "soon", "cell_not_a_date"),
        ]  # fmt: skip
        assert all(one["problem"] and one["cure"] for one in run.report)
        assert standing(shop) == []
        page = operator.get(url("import_run", run.public_id)).content.decode()
        assert "There is no such SKU." in page
        assert shop.name in page

    def test_an_end_that_no_clock_can_show_is_refused_and_breaks_no_page(
        self, operator: Client, shop: Any, goods: market.Goods
    ) -> None:
        run = checked(operator, shop, f"sku,price,ends\n{goods.code},9.00,9999-12-31 23:59Z\n")

        assert [(one["row"], one["column"], one["code"]) for one in run.report] == [(2, "ends", "too_far")]
        assert operator.get(url("terms", shop.public_id)).status_code == 200
        assert operator.get(url("substation", shop.public_id)).status_code == 200
        assert standing(shop) == []

    def test_the_lists_export_can_be_imported_again(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        put(shop, goods, "9.00", note="as it was")
        exported = operator.get(url("terms", shop.public_id), {"export": "csv"}).content.decode("utf-8-sig")

        run = checked(operator, shop, exported)

        assert (run.rows_good, run.rows_bad) == (1, 0)
        operator.post(url("import_checked", run.public_id))
        assert worked_off(shop).options["result"]["prices_set"] == 0  # It says what holds.
        assert standing(shop) == [(goods.code, "9.0000")]


def checked(operator: Client, shop: Any, content: str) -> ImportRun:
    """Upload a file and let the worker check it."""
    upload = SimpleUploadedFile("terms.csv", content.encode(), "text/csv")
    response = operator.post(url("terms_file", shop.public_id), {"file": upload})
    assert response.status_code == 302
    return worked_off(shop)


def worked_off(shop: Any) -> ImportRun:
    """The shop's newest run, done."""
    with in_main():
        run = ImportRun.objects.filter(subject="TERMS", options__substation=shop.public_id).order_by("-id")[0]
    return services.execute_terms_run(run=run.public_id, now=clock.utc_now())


class TestTheEnd:
    def test_of_one(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        made = put(shop, goods, "9.00")

        assert operator.post(url("terms_end", shop.public_id, made.public_id)).status_code == 302
        assert standing(shop) == []
        assert operator.post(url("terms_end", shop.public_id, made.public_id)).status_code == 409

    def test_of_all(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        put(shop, goods, "9.00")

        page = operator.get(url("terms", shop.public_id)).content.decode()
        assert "1 private prices of" in page
        assert operator.post(url("terms_end_all", shop.public_id)).status_code == 302
        assert standing(shop) == []

    def test_a_closed_shop_offers_no_deed(self, operator: Client, shop: Any, goods: market.Goods) -> None:
        made = put(shop, goods, "9.00")
        with in_main():
            Substation.objects.filter(pk=shop.pk).update(state="CLOSED")

        page = operator.get(url("terms", shop.public_id)).content.decode()

        assert url("terms_new", shop.public_id) not in page
        assert operator.post(url("terms_end", shop.public_id, made.public_id)).status_code == 409
        assert standing(shop) == [(goods.code, "9.0000")]


class TestWhoMay:
    def test_a_viewer_looks_and_changes_nothing(self, viewer: Client, shop: Any, goods: market.Goods) -> None:
        made = put(shop, goods, "9.00")

        assert goods.code.encode() in viewer.get(url("terms", shop.public_id)).content
        for name, args in (("terms_new", ()), ("terms_off", ()), ("terms_file", ()), ("terms_end_all", ()),
                           ("terms_end", (made.public_id,))):  # fmt: skip
            assert viewer.post(url(name, shop.public_id, *args)).status_code == 403, name
        assert standing(shop) == [(goods.code, "9.0000")]
