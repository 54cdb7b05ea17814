"""The panel over the API: listings, prices, orders and money, for the owner's programs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from kameng.accounts.models import AuditRecord
from kameng.accounts.types import SYSTEM
from kameng.db.context import in_main, in_substation
from kameng.lib import clock
from shared_apps.library import services as library
from tenant_apps.listings import sync
from tenant_apps.listings.models import MarkupRule
from tests.api.conftest import (
    Api,
    Bought,
    a_token,
    a_user,
    begin_payment,
    host_of,
    pay,
    person_at,
    program_at,
)
from tests.tenant_apps import market
from tests.tenant_apps.channel import MemoryChannel

Sell = Callable[..., market.Goods]
Buy = Callable[..., Bought]


def rules_of(shop: Any) -> list[tuple[Any, ...]]:
    with in_substation(shop):
        return list(MarkupRule.objects.order_by("id").values_list("scope", "target_id", "kind", "value"))


class TestListings:
    def test_tell_the_owner_how_the_price_is_made(self, owner: Api, sell: Sell) -> None:
        goods = sell(codes=1)

        answer = owner.get(f"panel/listings/?q={goods.code}&on_shelf=true&category=cards")

        (row,) = answer.body["results"]
        assert (row["supply_unit"], row["unit"], row["on_shelf"]) == ("9.5000", "11.4000", True)
        assert [(stage["code"], stage["amount"]) for stage in row["stages"]] == [
            ("supply", "9.5000"), ("percent", "11.4000"), ("retail", "11.4000"),
        ]  # fmt: skip

    def test_tell_the_owner_which_supply_price_is_the_shops_alone(
        self, shop: Any, owner: Api, visitor: Api, sell: Sell
    ) -> None:
        goods, plain = sell(codes=1), sell(codes=1)
        with in_main():
            library.set_private_price(
                substation_id=shop.pk, sku_id=goods.sku_id, unit=Decimal("9.10"), by=SYSTEM, now=clock.utc_now()
            )
        sync.sync_substation(shop)

        found = {row["code"]: row for row in owner.get("panel/listings/?private_terms=true&limit=200").body["results"]}

        row = found[goods.code]
        assert plain.code not in found
        assert (row["supply_unit"], row["private_terms"], row["stages"][0]["code"]) == ("9.1000", True, "private")
        shown = visitor.get(f"listings/{goods.code}/").body
        assert not {"private_terms", "supply_unit"} & set(shown)
        assert "9.1000" not in str(shown)

    def test_go_off_the_shelf_and_on_again(self, shop: Any, owner: Api, visitor: Api, sell: Sell) -> None:
        goods = sell(codes=1)
        path = f"panel/listings/{goods.code}/"

        off = owner.call("PATCH", path, {"on_shelf": False})
        assert (off.status, off.body["on_shelf"]) == (200, False)
        assert visitor.get(f"listings/{goods.code}/").status == 404
        owner.call("PATCH", path, {"on_shelf": True})
        assert visitor.get(f"listings/{goods.code}/").status == 200
        with in_substation(shop):
            kinds = AuditRecord.objects.filter(action="listings.shelf.set").values_list("actor_kind", flat=True)
            assert set(kinds) == {"TOKEN"}

    @pytest.mark.parametrize("body", [{}, {"on_shelf": None}, {"on_shelf": "perhaps"}])
    def test_want_a_yes_or_no(self, owner: Api, sell: Sell, body: dict[str, Any]) -> None:
        answer = owner.call("PATCH", f"panel/listings/{sell(codes=1).code}/", body)

        assert (answer.status, answer.error["field"]) == (422, "on_shelf")

    def test_unknown_ones_are_unknown(self, owner: Api) -> None:
        assert owner.get("panel/listings/NOTHING/").error["code"] == "listing_unknown"
        assert owner.call("PATCH", "panel/listings/NOTHING/", {"on_shelf": True}).status == 404


class TestPrices:
    def test_are_previewed_without_being_set(self, shop: Any, owner: Api, sell: Sell) -> None:
        goods, before = sell(codes=1), rules_of(shop)

        answer = owner.get(f"panel/prices/preview/?scope=SKU&target_id={goods.sku_id}&kind=PRICE&value=14.25")

        assert (answer.status, answer.body["affected"], answer.body["refused"]) == (200, 1, 0)
        (row,) = answer.body["rows"]
        assert (row["sku_id"], row["old"], row["new"], row["problem"]) == (goods.sku_id, "11.4000", "14.2500", "")
        assert rules_of(shop) == before

    def test_are_set_listed_and_taken_away(self, shop: Any, owner: Api, visitor: Api, sell: Sell) -> None:
        goods = sell(codes=1)
        rule = {"scope": "SKU", "target_id": goods.sku_id, "kind": "PRICE", "value": "14.25"}

        done = owner.call("PUT", "panel/prices/rules/", rule)
        assert (done.status, done.body["changed"]) == (200, 1)
        assert visitor.get(f"listings/{goods.code}/").body["unit"] == "14.2500"
        listed = [row for row in owner.get("panel/prices/rules/").body if row["target_id"] == goods.sku_id]
        assert [(row["kind"], row["value"], row["updated_by"]) for row in listed] == [("PRICE", "14.2500", "test")]

        gone = owner.call("DELETE", f"panel/prices/rules/?scope=SKU&target_id={goods.sku_id}")
        assert (gone.status, gone.body["changed"]) == (200, 1)
        assert visitor.get(f"listings/{goods.code}/").body["unit"] == "11.4000"
        again = owner.call("DELETE", f"panel/prices/rules/?scope=SKU&target_id={goods.sku_id}")
        assert (again.status, again.error["code"]) == (404, "rule_target_unknown")

    def test_below_cost_are_refused(self, shop: Any, owner: Api, sell: Sell) -> None:
        goods, before = sell(codes=1), rules_of(shop)

        answer = owner.call(
            "PUT", "panel/prices/rules/",
            {"scope": "SKU", "target_id": goods.sku_id, "kind": "PRICE", "value": "9.00"},
        )  # fmt: skip

        assert (answer.status, answer.error["code"], answer.error["field"]) == (409, "rule_refused", "value")
        assert answer.error["details"]["listings"][0]["code"] == goods.code
        assert rules_of(shop) == before

    @pytest.mark.parametrize(
        ("changes", "status", "field"),
        [
            ({"scope": "WORLD"}, 422, "scope"), ({"kind": "GIFT"}, 422, "kind"), ({"value": "x"}, 422, "value"),
            ({"value": "-1"}, 422, "value"), ({"value": "1001"}, 422, "value"), ({"value": "0.00001"}, 422, "value"),
            ({"value": "Infinity"}, 422, "value"), ({"target_id": 2**64}, 422, "target_id"),
            ({"target_id": 5}, 422, "target_id"), ({"scope": "CATEGORY", "target_id": 2**62}, 404, "target_id"),
            ({"kind": "PRICE"}, 422, "kind"), ({"rounding": "UP"}, 422, "rounding"),
        ],
    )  # fmt: skip
    def test_what_is_no_rule(self, shop: Any, owner: Api, changes: dict[str, Any], status: int, field: str) -> None:
        before = rules_of(shop)

        answer = owner.call(
            "PUT", "panel/prices/rules/", {"scope": "SHOP", "kind": "PERCENT", "value": "10", **changes}
        )

        assert (answer.status, answer.error["field"]) == (status, field)
        assert rules_of(shop) == before


class TestOrders:
    def test_are_listed_with_their_lines(self, owner: Api, buy: Buy) -> None:
        bought = buy(2, codes=2)

        answer = owner.get(f"panel/orders/?q={bought.number}&state=PENDING_PAYMENT")

        (row,) = answer.body["results"]
        assert (row["number"], row["total_minor"], row["source"], row["contact"]) == (
            bought.number, 2280, "API", "ann@example.com",
        )  # fmt: skip
        assert [(line["sku_code"], line["quantity"]) for line in row["lines"]] == [(bought.goods.code, 2)]
        assert owner.get(f"panel/orders/?q={bought.number}&state=PAID").body["results"] == []
        assert owner.get("panel/orders/?placed_from=2999-01-01T00:00:00Z").body["results"] == []

    def test_show_history_and_earnings_and_are_polled(
        self, shop: Any, owner: Api, buy: Buy, account: Any, channel: MemoryChannel
    ) -> None:
        bought = buy(codes=1)
        path = f"panel/orders/{bought.number}/"
        etag = owner.get(path).headers["ETag"]
        assert owner.get(path, If_None_Match=etag).status == 304
        begin_payment(bought, account)
        pay(shop, account, bought)

        answer = owner.get(path, If_None_Match=etag)

        assert (answer.status, answer.body["state"]) == (200, "DELIVERED")
        assert answer.body["earned_minor"] > 0
        assert [step["subject"] for step in answer.body["steps"]][:2] == ["ORDER", "PAYMENT"]

    def test_hide_earnings_from_who_may_not_read_the_statement(
        self, shop: Any, buy: Buy, account: Any, channel: MemoryChannel
    ) -> None:
        bought = buy(codes=1)
        begin_payment(bought, account)
        pay(shop, account, bought)
        path = f"panel/orders/{bought.number}/"

        program = program_at(host_of(shop), a_token(["orders:read"], shop))
        staff = person_at(host_of(shop), a_user("STAFF", shop))
        boss = person_at(host_of(shop), a_user("OWNER", shop))

        assert program.get(path).body["earned_minor"] is None
        assert staff.get(path).body["earned_minor"] is None
        assert boss.get(path).body["earned_minor"] > 0

    def test_are_delivered_by_hand(self, shop: Any, owner: Api, buy: Buy, account: Any, channel: MemoryChannel) -> None:
        bought = buy(delivery="MANUAL")
        begin_payment(bought, account)
        pay(shop, account, bought)
        line = owner.get(f"panel/orders/{bought.number}/").body["lines"][0]
        assert next(row["number"] for row in owner.get("panel/orders/?queued=true").body["results"]) == bought.number
        body = {"line_id": line["id"], "note": "Account: ann, password: 1234"}

        answer = owner.post(f"panel/orders/{bought.number}/deliver/", body, Idempotency_Key=bought.number)
        again = owner.post(f"panel/orders/{bought.number}/deliver/", body, Idempotency_Key=bought.number)
        refused = owner.post(f"panel/orders/{bought.number}/deliver/", body)

        assert (answer.status, answer.body["state"]) == (200, "DELIVERED")
        assert again.body == answer.body
        assert (refused.status, refused.error["code"]) == (409, "order_state")
        assert bought.buyer.get(f"orders/{bought.number}/").body["lines"][0]["note"] == body["note"]

    def test_a_line_of_another_order_is_not_delivered(self, owner: Api, buy: Buy) -> None:
        one, two = buy(delivery="MANUAL"), buy(delivery="MANUAL")
        line = owner.get(f"panel/orders/{two.number}/").body["lines"][0]

        answer = owner.post(f"panel/orders/{one.number}/deliver/", {"line_id": line["id"], "note": "x"})

        assert (answer.status, answer.error["code"]) == (404, "order_not_found")

    def test_of_another_shop_are_unknown(self, other_shop: Any, buy: Buy) -> None:
        from kameng.accounts.tokens import SHOP_SCOPES

        bought = buy(codes=1)
        neighbour = program_at(host_of(other_shop), a_token(SHOP_SCOPES, other_shop))

        assert neighbour.get(f"panel/orders/{bought.number}/").status == 404
        assert neighbour.get(f"panel/orders/?q={bought.number}").body["results"] == []


class TestStatement:
    def test_adds_up_and_pages(
        self, make_shop: Callable[..., Any], shop: Any, owner: Api, buy: Buy, account: Any, channel: MemoryChannel
    ) -> None:
        from tenant_apps.finance import sync

        earned = 0
        for _ in range(2):
            bought = buy(codes=1)
            begin_payment(bought, account)
            pay(shop, account, bought)
            earned += owner.get(f"panel/orders/{bought.number}/").body["earned_minor"]
        sync.sync_statement(shop)

        whole = owner.get("panel/statement/").body
        assert whole["opening_minor"] + whole["in_minor"] + whole["out_minor"] == whole["closing_minor"]
        assert sum(line["amount_minor"] for line in whole["results"]) == whole["closing_minor"]
        assert sum(line["amount_minor"] for line in whole["results"][:2]) == earned
        assert whole["results"][0]["balance_minor"] == whole["closing_minor"]

        found, path = [], "panel/statement/?limit=1"
        while path:
            page = owner.get(path).body
            found += page["results"]
            path = (page["next"] or "").partition("/api/v1/")[2]
        assert found == whole["results"]

    def test_repeats_no_line_when_one_comes_in_between_two_pages(
        self, shop: Any, owner: Api, buy: Buy, account: Any, channel: MemoryChannel
    ) -> None:
        from tenant_apps.finance import sync

        def sells() -> None:
            bought = buy(codes=1)
            begin_payment(bought, account)
            assert pay(shop, account, bought) == "SALE"
            sync.sync_statement(shop)

        sells()
        sells()
        first = owner.get("panel/statement/?limit=1").body
        sells()

        second = owner.get(first["next"].partition("/api/v1/")[2]).body

        assert second["results"][0]["id"] < first["results"][0]["id"]
        assert second["closing_minor"] > first["closing_minor"]
        assert second["results"][0] == owner.get("panel/statement/?limit=3").body["results"][2]

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("since=2026-02-30", "since"), ("since=2026-02-02&until=2026-02-01", "since"), ("account=cash", "account"),
            ("since=0001-01-01&until=9999-12-31", "since"), ("until=0001-01-01", "until"), ("until=9999-12-31", "until"),
            ("cursor=-1", "cursor"), ("cursor=0", "cursor"), ("cursor=99999999999999999999", "cursor"), ("limit=x", "limit"),
        ],
    )  # fmt: skip
    def test_of_a_period_that_is_none(self, owner: Api, query: str, field: str) -> None:
        answer = owner.get(f"panel/statement/?{query}")

        assert (answer.status, answer.error["field"]) == (422, field)
