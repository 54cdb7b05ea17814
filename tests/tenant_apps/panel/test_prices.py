"""Prices: what a rule would do, what it does, and what it may not do."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from kameng.db.context import in_substation
from tenant_apps.listings.models import MarkupRule
from tests.tenant_apps.panel.office import Office, csv_rows

pytestmark = pytest.mark.usefixtures("quiet_terms")


def rules(office: Office) -> list[tuple[Any, ...]]:
    with in_substation(office.shop):
        return sorted(MarkupRule.objects.values_list("scope", "target_id", "kind", "value", "rounding"))


class TestPreview:
    def test_shows_old_and_new_price_and_what_is_earned_after_fees(self, office: Office) -> None:
        address = f"/panel/pricing/rule/preview/?scope=CATEGORY&target={office.category_id}"

        response = office.owner.get(f"{address}&kind=PERCENT&value=12&rounding=TENTH")

        # 9.50 × 1.12 = 10.64, up to 10.70; channel 1 % = 0.11; left 10.70 − 9.50 − 0.11 = 1.09; platform 5 % = 0.05.
        preview = response.context["preview"]
        assert (preview.affected, preview.changed, preview.clamped, preview.refused) == (1, 1, 0, 0)
        assert (preview.rows[0].old, preview.rows[0].new) == (Decimal("11.4000"), Decimal("10.7000"))
        assert preview.rows[0].net_minor == 104
        body = response.content.decode()
        assert "Reprice 1 SKU<" in body
        assert "¥11.40" in body
        assert "¥10.70" in body
        assert "¥1.04" in body

    def test_names_what_can_not_be_sold_with_what_would_do(self, office: Office) -> None:
        address = f"/panel/pricing/rule/preview/?scope=CATEGORY&target={office.category_id}"

        response = office.owner.get(f"{address}&kind=PERCENT&value=0&rounding=NONE")

        cures = response.context["cures"]
        assert [(cure.row.code, str(cure.problem_words), str(cure.row.cure)) for cure in cures] == [
            (office.goods.code, "Below cost and fees.", "Set at least ¥9.60.")
        ]
        body = response.content.decode()
        assert f"{cures[0].title}: Below cost and fees. <strong>Set at least ¥9.60.</strong>" in body
        assert "disabled><span>Reprice" in body
        assert "How the price comes about" not in body

    def test_is_a_reading_that_changes_nothing(self, office: Office) -> None:
        before = rules(office), office.counts()

        office.owner.get(
            f"/panel/pricing/rule/preview/?scope=CATEGORY&target={office.category_id}&kind=PERCENT&value=12"
        )

        assert (rules(office), office.counts()) == before

    @pytest.mark.parametrize(
        ("kind", "value", "words"),
        [
            ("PERCENT", "abc", "Write a number"),
            ("PERCENT", "", "Write how much"),
            ("PERCENT", "-1", "between 0 and 1,000"),
            ("PERCENT", "1e9", "between 0 and 1,000"),
            ("PERCENT", "1.00001", "at most four places"),
            ("FIXED", "10000000", "between 0 and 1,000,000"),
        ],
    )
    def test_says_what_is_wrong_with_a_number(self, office: Office, kind: str, value: str, words: str) -> None:
        response = office.owner.get(
            "/panel/pricing/rule/preview/", {"scope": "SHOP", "target": "0", "kind": kind, "value": value}
        )

        assert response.status_code == 200
        assert words in response.content.decode()
        assert "Reprice" not in response.content.decode()


class TestSave:
    def test_prices_a_category_at_twelve_percent(self, office: Office) -> None:
        browser = office.owner

        response = browser.post(
            "/panel/pricing/rule/",
            {"scope": "CATEGORY", "target": office.category_id, "kind": "PERCENT", "value": "12%", "rounding": "TENTH"},
        )

        assert (response.status_code, response["Location"]) == (302, "/panel/pricing/")
        assert ("CATEGORY", office.category_id, "PERCENT", Decimal("12.0000"), "TENTH") in rules(office)
        assert office.acts()[-1] == "listings.price.set"
        shown = browser.get(f"/panel/listings/?q={office.goods.code}").content.decode()
        assert "¥10.70" in shown

    def test_a_price_as_it_is_written_is_not_rounded(self, office: Office) -> None:
        data = {"scope": "SKU", "target": office.goods.sku_id, "kind": "PRICE", "value": "12.34", "rounding": "WHOLE"}

        office.owner.post("/panel/pricing/rule/", data)

        assert ("SKU", office.goods.sku_id, "PRICE", Decimal("12.3400"), "NONE") in rules(office)

    def test_goes_back_to_where_the_form_was_opened_and_nowhere_else(self, office: Office) -> None:
        data = {"scope": "SKU", "target": office.goods.sku_id, "kind": "FIXED", "value": "3"}
        browser = office.owner

        inside = browser.post("/panel/pricing/rule/", {**data, "next": "/panel/listings/?page=2"})
        outside = browser.post("/panel/pricing/rule/", {**data, "next": "https://evil.example/"})

        assert inside["Location"] == "/panel/listings/?page=2"
        assert outside["Location"] == "/panel/pricing/"

    def test_refuses_a_price_below_cost_names_the_cure_and_keeps_what_was_typed(self, office: Office) -> None:
        before = rules(office), office.counts()

        response = office.owner.post(
            "/panel/pricing/rule/",
            {"scope": "SKU", "target": office.goods.sku_id, "kind": "PRICE", "value": "9.40", "rounding": "NONE"},
        )

        assert response.status_code == 422
        body = response.content.decode()
        assert 'value="9.40"' in body
        # 9.60 − 9.50 − 0.10 leaves nothing to take a fee of.
        assert "Set at least ¥9.60." in body
        assert (rules(office), office.counts()) == before

    def test_refuses_a_price_below_the_floor_of_the_main_station(self, office: Office) -> None:
        goods = office.add_goods(floor=Decimal("11.00"))
        before = rules(office)

        response = office.owner.post(
            "/panel/pricing/rule/", {"scope": "SKU", "target": goods.sku_id, "kind": "PRICE", "value": "10.50"}
        )

        assert response.status_code == 422
        assert "Set at least ¥11.00." in response.content.decode()
        assert rules(office) == before

    def test_refuses_a_scope_or_target_that_is_not_there(self, office: Office) -> None:
        before, browser = rules(office), office.owner

        for scope, target in (("GALAXY", "1"), ("SHOP", "5"), ("CATEGORY", "987654321"), ("SKU", "x"), ("SKU", "")):
            data = {"scope": scope, "target": target, "kind": "PERCENT", "value": "12"}
            assert browser.post("/panel/pricing/rule/", data).status_code == 404, scope

        assert rules(office) == before


class TestList:
    def test_finds_the_rules_of_single_goods_and_exports_all(self, office: Office) -> None:
        other, browser = office.add_goods(), office.owner
        sku = {"scope": "SKU", "target": office.goods.sku_id, "kind": "PRICE", "value": "15"}
        product = {"scope": "PRODUCT", "target": other.product_id, "kind": "FIXED", "value": "3", "rounding": "NONE"}
        for data in (sku, product):
            browser.post("/panel/pricing/rule/", data)

        everything = browser.get("/panel/pricing/").context["named"]
        found = browser.get(f"/panel/pricing/?q={other.code}").context["named"]
        rows = csv_rows(browser.get("/panel/pricing/?export=csv"))

        assert [rule.target_id for rule, _name, _url in everything] == [other.product_id, office.goods.sku_id]
        assert [(rule.scope, url) for rule, _name, url in found] == [
            ("PRODUCT", f"/panel/products/{other.product_id}/")
        ]
        assert rows[0] == ["For", "Name", "SKU code", "How the price is made", "How much", "Rounding", "Set", "Who"]
        assert [[*row[:1], *row[2:6]] for row in rows[1:]] == [
            ["The whole shop", "", "Percent on the supply price", "20", ""],
            ["A product", "", "An amount on the supply price", "3", ""],
            ["One SKU", office.goods.code, "A price", "15", ""],
        ]


class TestRemove:
    def test_gives_the_price_back_to_the_wider_rule(self, office: Office) -> None:
        browser = office.owner
        data = {"scope": "SKU", "target": office.goods.sku_id}
        browser.post("/panel/pricing/rule/", {**data, "kind": "PRICE", "value": "15"})

        looked = browser.get("/panel/pricing/rule/remove/", data)
        response = browser.post("/panel/pricing/rule/remove/", data)

        assert (looked.context["preview"].rows[0].old, looked.context["preview"].rows[0].new) == (
            Decimal("15.0000"), Decimal("11.4000"),
        )  # fmt: skip
        assert response.status_code == 302
        assert [rule[0] for rule in rules(office)] == ["SHOP"]

    def test_is_missing_where_there_is_no_rule(self, office: Office) -> None:
        assert (
            office.owner.post(
                "/panel/pricing/rule/remove/", {"scope": "SKU", "target": office.goods.sku_id}
            ).status_code
            == 404
        )


class TestMany:
    def test_gives_each_chosen_sku_a_rule_of_its_own(self, office: Office) -> None:
        other = office.add_goods()
        ids = f"{office.goods.sku_id},{other.sku_id}"
        browser = office.owner

        form = browser.post("/panel/listings/bulk/", {"ids": ids.split(","), "deed": "price"})
        saved = browser.post(
            "/panel/pricing/many/", {"ids": ids, "kind": "PERCENT", "value": "30", "rounding": "WHOLE", "deed": "save"}
        )

        assert form.context["preview"].affected == 2
        assert saved.status_code == 302
        mine = [rule for rule in rules(office) if rule[0] == "SKU"]
        assert mine == [("SKU", pk, "PERCENT", Decimal("30.0000"), "WHOLE") for pk in sorted(map(int, ids.split(",")))]
        assert office.acts()[-1] == "listings.price.set_many"

    def test_is_all_or_nothing(self, office: Office) -> None:
        other = office.add_goods(supply={"BASIC": Decimal("20"), "PRO": Decimal("20"), "FLAGSHIP": Decimal("20")})
        before = rules(office), office.counts()

        response = office.owner.post(
            "/panel/pricing/many/",
            {"ids": f"{office.goods.sku_id},{other.sku_id}", "kind": "PRICE", "value": "15", "deed": "save"},
        )

        assert response.status_code == 422
        assert (rules(office), office.counts()) == before

    @pytest.mark.parametrize("ids", ["", "x", "1,,2", "987654321", "-4", "9" * 40])
    def test_refuses_what_is_no_sku_of_the_shop(self, office: Office, ids: str) -> None:
        before = rules(office)

        response = office.owner.post(
            "/panel/pricing/many/", {"ids": ids, "kind": "PERCENT", "value": "30", "deed": "save"}
        )

        assert response.status_code == 422
        assert rules(office) == before
