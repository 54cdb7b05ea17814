"""The main station over the API: library, stock, substations, syncs and cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main
from shared_apps.library.models import Product, Sku
from shared_apps.stock.models import Code, CodeBatch, StockLevel
from tests.api.conftest import Api, a_token, an_invoice, program_at, some_goods
from tests.tenant_apps import market


@pytest.fixture
def goods(prepared: None) -> market.Goods:
    """A card with three codes in the library; committed."""
    with in_main():
        return some_goods(codes=3, supply=None)


def product_slug(goods: market.Goods) -> str:
    with in_main():
        return Product.objects.get(pk=goods.product_id).slug


def a_sku(of: str, /, **changes: Any) -> dict[str, Any]:
    return {
        "code": f"NEW-{market.public_id('x')[2:12]}", "product": of, "name_zh": "一百元", "suggested": "100",
        "stock_policy": "CODES", "supply": {"BASIC": "95.5", "PRO": "94"}, **changes,
    }  # fmt: skip


def audit_actions(target: str) -> list[tuple[str, str]]:
    with in_main():
        rows = AuditRecord.objects.filter(target=target).order_by("id")
        return list(rows.values_list("action", "actor_kind"))


class TestLibrary:
    def test_lists_page_by_page_without_loss(self, operator: Api) -> None:
        with in_main():
            for _ in range(5):
                some_goods()
            expected = sorted(Sku.objects.values_list("code", flat=True))

        found, path = [], "library/skus/?limit=2"
        while path:
            page = operator.get(path).body
            found += [sku["code"] for sku in page["results"]]
            path = (page["next"] or "").removeprefix("http://localhost/api/v1/")

        assert sorted(found) == expected

    def test_reads_a_sku_by_its_code_in_any_case(self, operator: Api, goods: market.Goods) -> None:
        answer = operator.get(f"library/skus/{goods.code.lower()}/")

        assert answer.status == 200
        assert answer.body | {"updated_at": "", "id": 0} == {
            "id": 0, "code": goods.code, "product": product_slug(goods), "name_zh": "10 元", "name_en": "",
            "face_value": None, "currency": "CNY", "suggested": "12.0000", "floor": None, "ceiling": None,
            "supply": {"BASIC": "9.5000", "PRO": "9.0000", "FLAGSHIP": "8.5000"}, "stock_policy": "CODES",
            "low_stock_at": 10, "sort": 0, "active": True, "updated_at": "",
        }  # fmt: skip

    def test_reads_products_categories_and_brands(self, operator: Api, goods: market.Goods) -> None:
        product = operator.get(f"library/products/{product_slug(goods)}/")
        category = operator.get("library/categories/cards/")

        assert [sku["code"] for sku in product.body["skus"]] == [goods.code]
        assert (product.body["category"], product.body["brand"]) == ("cards", None)
        assert (category.body["slug"], category.body["parent_id"]) == ("cards", None)
        assert operator.get("library/brands/nobody/").status == 404
        assert operator.get("library/brands/").status == 200

    def test_filters(self, operator: Api, goods: market.Goods) -> None:
        slug = product_slug(goods)

        by_product = operator.get(f"library/skus/?product={slug}").body["results"]
        by_word = operator.get(f"library/products/?q={slug}&category=cards&active=true").body["results"]

        assert [sku["code"] for sku in by_product] == [goods.code]
        assert [product["slug"] for product in by_word] == [slug]
        assert operator.get(f"library/products/?q={slug}&active=false").body["results"] == []
        gone = operator.get("library/products/?category=nothing")
        assert (gone.status, gone.error["field"]) == (404, "category")

    def test_makes_a_product_and_a_sku(self, operator: Api) -> None:
        slug = f"api-{market.public_id('x')[2:12].lower()}"
        some = {"slug": slug, "category": "cards", "kind": "CARD_CODE", "delivery": "CODES", "name_zh": "新卡"}
        with in_main():
            some_goods()

        product = operator.post("library/products/", some, Idempotency_Key=slug)
        sku = operator.post("library/skus/", a_sku(slug))

        assert (product.status, product.body["skus"]) == (201, [])
        assert (sku.status, sku.body["supply"]) == (201, {"BASIC": "95.5000", "PRO": "94.0000"})
        assert operator.post("library/products/", some, Idempotency_Key=slug).body == product.body
        assert audit_actions(slug) == [("library.product.create", "TOKEN")]

    @pytest.mark.parametrize(
        ("changes", "status", "field"),
        [
            ({"suggested": "-1"}, 422, "suggested"), ({"suggested": "1.23456"}, 422, "suggested"),
            ({"suggested": "NaN"}, 422, "suggested"),
            ({"suggested": 12.5}, 422, "suggested"), ({"suggested": "1" + "0" * 15}, 422, "suggested"),
            ({"floor": "9", "ceiling": "8"}, 422, "floor"), ({"currency": "XXX"}, 422, "currency"),
            ({"code": "has space"}, 422, "code"), ({"supply": {"BASIC": "0"}}, 422, "supply.BASIC"),
            ({"product": "nothing"}, 404, "product"), ({"low_stock_at": 2**31}, 422, "low_stock_at"),
            ({"sort": 10**30}, 422, "sort"),
            ({"sort": 1_000_001}, 422, "sort"), ({"low_stock_at": 1_000_000_001}, 422, "low_stock_at"),
            ({"stock_policy": "MAGIC"}, 422, "stock_policy"),
        ],
    )  # fmt: skip
    def test_refuses_a_sku_that_can_not_be(
        self, operator: Api, goods: market.Goods, changes: dict[str, Any], status: int, field: str | None
    ) -> None:
        with in_main():
            before = Sku.objects.count()

        answer = operator.post("library/skus/", a_sku(product_slug(goods), **changes))

        assert (answer.status, answer.error["field"]) == (status, field)
        with in_main():
            assert Sku.objects.count() == before

    def test_changes_prices_and_supply(self, operator: Api, goods: market.Goods) -> None:
        path = f"library/skus/{goods.code}/"

        answer = operator.call(
            "PATCH",
            path,
            {"suggested": "13", "floor": "11.5", "supply": {"PRO": None, "BASIC": "9.6"}, "active": False},
        )

        assert (answer.status, answer.body["suggested"], answer.body["floor"]) == (200, "13.0000", "11.5000")
        assert answer.body["supply"] == {"BASIC": "9.6000", "FLAGSHIP": "8.5000"}
        assert operator.get(path).body == answer.body
        assert audit_actions(goods.code) == [("library.sku.update", "TOKEN"), ("library.supply.set", "TOKEN")]

    def test_a_change_is_made_whole_or_not_at_all(self, operator: Api, goods: market.Goods) -> None:
        path = f"library/skus/{goods.code}/"
        before = operator.get(path).body

        answer = operator.call("PATCH", path, {"suggested": "13", "supply": {"BASIC": "-1"}})

        assert (answer.status, answer.error["field"]) == (422, "supply.BASIC")
        assert operator.get(path).body == before


class TestStock:
    def test_takes_codes_and_never_says_one(self, operator: Api, goods: market.Goods) -> None:
        sent = ["AAAA-BBBB-1111", "AAAA-BBBB-1111", "OLD-CODE-9876", "1.23E+15", "card----word", "code"]
        operator.post("stock/batches/", {"sku": goods.code, "codes": ["OLD-CODE-9876"]})

        answer = operator.post("stock/batches/", {"sku": goods.code, "codes": sent, "note": "by API"})

        assert answer.status == 201
        assert (answer.body["imported"], answer.body["repeated"]) == (3, 1)
        assert (answer.body["in_stock_already"], answer.body["rejected"]) == (1, 1)
        assert [problem["position"] for problem in answer.body["problems"]] == [1, 3, 2]
        told = json.dumps(answer.body)
        assert not any(code[-4:] in told for code in (*sent[:4], "word"))
        with in_main():
            batch = CodeBatch.objects.get(public_id=answer.body["batch"])
            assert Code.objects.filter(batch_id=batch.pk).count() == 3
            assert StockLevel.objects.get(pk=goods.sku_id).available == 7

    def test_a_dry_run_writes_nothing(self, operator: Api, goods: market.Goods) -> None:
        with in_main():
            before = Code.objects.count()

        answer = operator.post("stock/batches/", {"sku": goods.code, "codes": ["NEW-CODE-1"], "dry_run": True})

        assert (answer.status, answer.body["imported"], answer.body["batch"]) == (201, 1, None)
        with in_main():
            assert Code.objects.count() == before

    @pytest.mark.parametrize(
        ("codes", "field"),
        [([], "codes"), (["a\nb"], "codes.0"), ([""], "codes.0"), (["x" * 4097], "codes.0"), ("CODE", "codes")],
    )
    def test_refuses_what_is_no_list_of_codes(self, operator: Api, goods: market.Goods, codes: Any, field: str) -> None:
        answer = operator.post("stock/batches/", {"sku": goods.code, "codes": codes})

        assert (answer.status, answer.error["field"]) == (422, field)

    def test_refuses_a_sku_without_codes(self, operator: Api) -> None:
        with in_main():
            by_hand = some_goods(delivery="MANUAL")

        answer = operator.post("stock/batches/", {"sku": by_hand.code, "codes": ["X-1"]})

        assert (answer.status, answer.error["code"]) == (409, "codes_import_refused")
        assert operator.post("stock/batches/", {"sku": "NOTHING", "codes": ["X-1"]}).status == 404

    def test_lists_levels_and_batches(self, operator: Api, goods: market.Goods) -> None:
        operator.post("stock/batches/", {"sku": goods.code, "codes": ["Z-1", "Z-2"], "note": "two"})

        levels = operator.get(f"stock/levels/?q={goods.code}").body["results"]
        batches = operator.get(f"stock/batches/?sku={goods.code}").body["results"]

        assert [(row["sku"], row["available"], row["state"]) for row in levels] == [(goods.code, 5, "LOW")]
        assert [(row["sku"], row["imported"], row["note"]) for row in batches] == [(goods.code, 2, "two")]
        assert operator.get(f"stock/levels/?q={goods.code}&state=OUT").body["results"] == []


class TestNetwork:
    def test_shows_substations(self, operator: Api, shop: Any) -> None:
        one = operator.get(f"substations/{shop.public_id}/")
        listed = operator.get(f"substations/?q={shop.slug}&state=ACTIVE&plan=basic").body["results"]

        assert (one.status, one.body["slug"], one.body["supply_level"]) == (200, shop.slug, "BASIC")
        assert listed == [one.body]
        assert operator.get("substations/nobody/").error["code"] == "substation_unknown"
        assert "schema" not in json.dumps(one.body)

    def test_shows_and_repeats_a_sync(self, operator: Api, shop: Any) -> None:
        feeds = operator.get(f"sync/?substation={shop.slug}").body["results"]
        assert {feed["feed"] for feed in feeds} >= {"LIBRARY", "STOCK"}

        answer = operator.post(f"sync/{shop.public_id}/repeat/", {"full": True})

        assert (answer.status, answer.body) == (202, {"substations": 1})
        with in_main():
            record = AuditRecord.objects.filter(action="tenants.sync.repeated", target=shop.public_id).latest("id")
        assert record.details == {"full": True, "substations": 1}
        assert operator.post("sync/nobody/repeat/", {}).status == 404

    def test_shows_cases(self, operator: Api) -> None:
        assert operator.get("cases/").status == 200
        assert operator.get("cases/?state=OPEN&kind=LATE").body["results"] == []
        assert operator.get("cases/?kind=NONE").error["field"] == "kind"


class TestBilling:
    def test_reads_what_a_shop_was_charged(self, operator: Api, fresh_shop: Any) -> None:
        number = an_invoice(fresh_shop)

        listed = operator.get(f"billing/invoices/?substation={fresh_shop.slug}&state=OPEN").body["results"]
        whole = operator.get(f"billing/invoices/{number}/").body

        assert [row["number"] for row in listed] == [number]
        assert (whole["total_minor"], whole["currency"], whole["state"]) == (9900, "CNY", "OPEN")
        assert (whole["paid_by"], whole["transfer"], whole["reverses"]) == (None, None, None)
        assert [(line["text_en"], line["amount_minor"]) for line in whole["lines"]] == [("Professional, a month", 9900)]

    def test_reads_for_which_time_a_plan_is_paid_and_what_is_owed(self, operator: Api, fresh_shop: Any) -> None:
        an_invoice(fresh_shop)

        found = operator.get(f"substations/{fresh_shop.public_id}/subscription/").body

        assert (found["plan"], found["state"], found["standing"]) == ("basic", "ACTIVE", "GOOD")
        assert (found["due_minor"], found["prepaid_minor"], found["deposit_minor"]) == (9900, 0, 0)

    def test_refuses_what_is_not_there_and_who_may_not(self, operator: Api, prepared: None) -> None:
        assert operator.get("billing/invoices/KM-1999-000001/").status == 404
        assert operator.get("billing/invoices/?state=SOLD").error["field"] == "state"
        assert operator.get("billing/invoices/?substation=nobody").status == 404
        assert program_at("localhost", a_token(["cases:read"])).get("billing/invoices/").status == 403


class TestPrivateTerms:
    def test_are_set_read_and_ended(self, operator: Api, fresh_shop: Any, goods: market.Goods) -> None:
        path = f"substations/{fresh_shop.public_id}/terms/"

        made = operator.call("POST", path, {"sku": goods.code.lower(), "unit": "9.05", "note": "Agreed"})

        assert made.status == 201
        assert {name: made.body[name] for name in ("sku", "unit", "plan_unit", "state", "ends_at", "note", "ended_by")} == {
            "sku": goods.code, "unit": "9.0500", "plan_unit": "9.5000", "state": "IN_FORCE", "ends_at": None,
            "note": "Agreed", "ended_by": "",
        }  # fmt: skip
        one = f"{path}{made.body['id']}/"
        assert operator.get(one).body == made.body
        assert [row["id"] for row in operator.get(f"{path}?state=IN_FORCE").body["results"]] == [made.body["id"]]
        ended = operator.call("POST", f"{one}end/", {})
        assert (ended.status, ended.body["state"]) == (200, "ENDED")
        assert operator.call("POST", f"{one}end/", {}).status == 409
        assert audit_actions(fresh_shop.public_id)[-2:] == [
            ("library.private.set", "TOKEN"), ("library.private.end", "TOKEN"),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("changes", "status", "field"),
        [
            ({"sku": "NOBODY"}, 404, "sku"),
            ({"unit": "0"}, 422, "unit"),
            ({"unit": 9}, 422, "unit"),
            ({"ends_at": "2001-01-01T00:00:00Z"}, 422, "ends_at"),
            ({"starts_at": "2001-01-01T00:00:00Z"}, 422, "starts_at"),
            ({"until": "2099-01-01T00:00:00Z"}, 422, "until"),
        ],
    )
    def test_refuse_and_change_nothing(
        self, operator: Api, fresh_shop: Any, goods: market.Goods, changes: dict[str, Any], status: int, field: str
    ) -> None:
        path = f"substations/{fresh_shop.public_id}/terms/"

        answer = operator.call("POST", path, {"sku": goods.code, "unit": "9.05", **changes})

        assert (answer.status, answer.body["error"]["field"]) == (status, field)
        assert operator.get(path).body["results"] == []

    def test_of_another_are_not_there(self, operator: Api, fresh_shop: Any, bob: Any, goods: market.Goods) -> None:
        made = operator.call("POST", f"substations/{fresh_shop.public_id}/terms/", {"sku": goods.code, "unit": "9.05"})

        elsewhere = f"substations/{bob.public_id}/terms/{made.body['id']}/"
        assert operator.get(elsewhere).status == 404
        assert operator.call("POST", f"{elsewhere}end/", {}).status == 404
        assert operator.get(f"substations/{fresh_shop.public_id}/terms/{made.body['id']}/").body["state"] == "IN_FORCE"
