"""What an owner may do to prices, shelf and texts, and what is refused as a whole."""

from __future__ import annotations

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils.translation import override

from kameng.accounts.models import AuditRecord
from kameng.db.context import in_main, in_substation
from kameng.lib.errors import DomainError
from tenant_apps.listings import selectors, services, sync
from tenant_apps.listings.models import ListedProduct, Listing, MarkupRule
from tests.tenant_apps.market import CLERK, NOW, make_goods


@pytest.fixture
def shop(fresh_shop: Any) -> Any:
    return fresh_shop


@pytest.fixture
def shelf(shop: Any) -> Any:
    """A category of this test's own with a plain card, a bounded one, and one under it whose suggestion is too low."""
    from shared_apps.library.models import Category, Product

    with in_main():
        plain = make_goods(codes=1)  # 9.50 at the basic plan, suggested 12.
        bounded = make_goods(floor=Decimal("10.00"), ceiling=Decimal("13.00"))
        cheap = make_goods(suggested=Decimal("9.00"))
        top = Category.objects.create(slug=f"top-{plain.product_id}", name_zh="顶", name_en="Top")
        low = Category.objects.create(slug=f"low-{plain.product_id}", name_zh="下", parent=top)
        Product.objects.filter(pk__in=[plain.product_id, bounded.product_id]).update(category=top)
        Product.objects.filter(pk=cheap.product_id).update(category=low)
    sync.sync_substation(shop)
    return SimpleNamespace(plain=plain, bounded=bounded, cheap=cheap, top=top.pk, low=low.pk, top_slug=top.slug)


def set_rule(**changes: Any) -> Any:
    wanted: dict[str, Any] = {"scope": "SHOP", "target_id": 0, "kind": "PERCENT", "value": Decimal(20)}
    return services.set_rule(**{**wanted, **changes}, by=CLERK, now=NOW)


def rules() -> list[tuple[str, int, str, Decimal]]:
    return list(MarkupRule.objects.order_by("scope", "target_id").values_list("scope", "target_id", "kind", "value"))


class TestSetRule:
    def test_prices_a_category_and_all_below_it(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            preview = services.price_category(category_id=shelf.top, percent=Decimal(12), by=CLERK, now=NOW)

            offers = selectors.listing_for_checkout([shelf.plain.sku_id, shelf.cheap.sku_id])
            assert {offer.price.unit for offer in offers.values()} == {Decimal("10.64")}
            assert (preview.affected, preview.changed, preview.refused) == (3, 3, 0)
            record = AuditRecord.objects.filter(action="listings.price.set").get(target=f"CATEGORY:{shelf.top}")
            assert (record.actor_label, record.details["value"]) == ("Clerk", "12.0000")

    def test_replaces_the_rule_that_was_there(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            for value in (12, 15):
                set_rule(scope="CATEGORY", target_id=shelf.top, value=Decimal(value))

            assert rules() == [("CATEGORY", shelf.top, "PERCENT", 15), ("SHOP", 0, "PERCENT", 8)]

    def test_holds_a_percentage_at_the_bound(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            preview = set_rule(scope="SKU", target_id=shelf.bounded.sku_id, value=Decimal(50))

            assert (preview.clamped, preview.rows[0].clamped, preview.rows[0].new) == (1, "ceiling", Decimal(13))

    @pytest.mark.parametrize(
        ("value", "problem", "cure"),
        [
            ("9.99", "below_floor", "Set at least ¥10.00."),
            ("13.01", "above_ceiling", "Set at most ¥13.00."),
        ],
    )
    def test_refuses_a_price_outside_the_bounds(
        self, shop: Any, shelf: Any, value: str, problem: str, cure: str
    ) -> None:
        with in_substation(shop):
            before = rules()
            with override("en"), pytest.raises(services.RuleRefused) as refused:
                set_rule(scope="SKU", target_id=shelf.bounded.sku_id, kind="PRICE", value=Decimal(value))

            assert refused.value.details == {
                "refused": 1,
                "listings": [
                    {"id": shelf.bounded.sku_id, "code": shelf.bounded.code, "problem": problem, "cure": cure}
                ],
            }
            assert rules() == before
            assert not AuditRecord.objects.filter(target=f"SKU:{shelf.bounded.sku_id}").exists()

    def test_refuses_a_price_that_does_not_cover_cost_and_fees(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            terms = services.current_terms(now=NOW)
            with override("en"), pytest.raises(services.RuleRefused) as refused:
                set_rule(scope="SKU", target_id=shelf.plain.sku_id, kind="PRICE", value=Decimal("9.49"))
            cure = refused.value.details["listings"][0]["cure"]
            least = Decimal(cure.removeprefix("Set at least ¥").removesuffix("."))

            with pytest.raises(services.RuleRefused):
                set_rule(scope="SKU", target_id=shelf.plain.sku_id, kind="PRICE", value=least - Decimal("0.01"))
            made = set_rule(scope="SKU", target_id=shelf.plain.sku_id, kind="PRICE", value=least)

        assert terms.shares.platform_bps >= 0
        assert made.rows[0].net_minor == 0  # The cure is the least price that covers them, to the cent.

    def test_refuses_the_whole_when_one_of_many_would_be_sold_at_a_loss(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            before = rules()
            with pytest.raises(services.RuleRefused) as refused:
                set_rule(scope="CATEGORY", target_id=shelf.top, kind="SUGGESTED")

            assert [row["code"] for row in refused.value.details["listings"]] == [shelf.cheap.code]
            assert rules() == before

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"scope": "GALAXY"}, "scope"),
            ({"kind": "GUESS"}, "kind"),
            ({"rounding": "DOWN"}, "rounding"),
            ({"target_id": 3}, "target_id"),
            ({"kind": "PRICE", "value": Decimal(5)}, "kind"),
            ({"value": Decimal(-1)}, "value"),
            ({"value": Decimal("1000.0001")}, "value"),
            ({"value": Decimal("1.00001")}, "value"),
            ({"value": Decimal("NaN")}, "value"),
            ({"value": Decimal("1E+30")}, "value"),
            ({"scope": "CATEGORY", "target_id": 987654321}, "target_id"),
            ({"scope": "SKU", "target_id": -1}, "target_id"),
        ],
    )
    def test_refuses_what_is_no_rule(self, shop: Any, changes: dict[str, Any], field: str) -> None:
        with in_substation(shop):
            before = rules()
            with pytest.raises(DomainError) as refused:
                set_rule(**changes)

            assert refused.value.field == field
            assert rules() == before

    def test_another_shops_rules_stay(self, shop: Any, alice: Any) -> None:
        with in_substation(alice):
            before = rules()
        with in_substation(shop):
            set_rule(value=Decimal(77))

        with in_substation(alice):
            assert rules() == before


class TestPreview:
    def test_shows_old_and_new_and_what_is_earned_and_changes_nothing(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            before = rules()
            preview = services.preview_rule(
                scope="CATEGORY", target_id=shelf.top, kind="PERCENT", value=Decimal(20), now=NOW
            )

            row = next(row for row in preview.rows if row.listing_id == shelf.plain.sku_id)
            assert (row.supply, row.old, row.new) == (Decimal("9.5"), Decimal("10.3"), Decimal("11.4"))
            assert 0 < row.net_minor <= 190
            assert rules() == before

    def test_leaves_out_what_a_narrower_rule_prices(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            set_rule(scope="PRODUCT", target_id=shelf.plain.product_id, value=Decimal(30))

            preview = services.preview_rule(
                scope="CATEGORY", target_id=shelf.top, kind="PERCENT", value=Decimal(20), now=NOW
            )

            assert preview.affected == 2
            assert shelf.plain.sku_id not in {row.listing_id for row in preview.rows}

    def test_counts_all_and_lists_the_first_the_refused_before_the_others(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            preview = services.preview_rule(scope="CATEGORY", target_id=shelf.top, kind="SUGGESTED", now=NOW, limit=1)

            assert (preview.affected, preview.refused, len(preview.rows)) == (3, 1, 1)
            assert preview.rows[0].listing_id == shelf.cheap.sku_id

    def test_a_ceiling_below_cost_blocks_no_rule_and_is_counted(self, shop: Any) -> None:
        with in_main():
            lost = make_goods(ceiling=Decimal("9.00"))
        sync.sync_substation(shop)

        with in_substation(shop):
            preview = set_rule(scope="SKU", target_id=lost.sku_id, value=Decimal(20))

        assert (preview.refused, preview.unsellable) == (0, 1)

    def test_a_cheap_unit_is_judged_by_a_hundred(self, shop: Any) -> None:
        with in_main():
            coin = make_goods(supply={"BASIC": Decimal("0.0085")}, suggested=Decimal("0.01"))
        sync.sync_substation(shop)

        with in_substation(shop):
            preview = set_rule(scope="SKU", target_id=coin.sku_id, value=Decimal(100))

        assert (preview.rows[0].new, preview.rows[0].quantity) == (Decimal("0.0170"), 100)


class TestRemoveRule:
    def test_the_next_wider_one_prices_again(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            set_rule(scope="PRODUCT", target_id=shelf.plain.product_id, value=Decimal(30))

            preview = services.remove_rule(scope="PRODUCT", target_id=shelf.plain.product_id, by=CLERK, now=NOW)

            assert preview.rows[0].new == Decimal("10.3")
            assert ("PRODUCT", shelf.plain.product_id) not in [rule[:2] for rule in rules()]

    def test_refuses_when_what_is_left_would_be_a_loss(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            set_rule(scope="SKU", target_id=shelf.cheap.sku_id, value=Decimal(30))
            set_rule(scope="PRODUCT", target_id=shelf.plain.product_id, value=Decimal(30))
            MarkupRule.objects.filter(scope="SHOP").update(kind="SUGGESTED")  # Set when every suggestion covered it.
            before = rules()

            with pytest.raises(services.RuleRefused):
                services.remove_rule(scope="SKU", target_id=shelf.cheap.sku_id, by=CLERK, now=NOW)

            assert rules() == before

    def test_refuses_what_is_not_there(self, shop: Any) -> None:
        with in_substation(shop), pytest.raises(services.TargetUnknown):
            services.remove_rule(scope="SKU", target_id=1, by=CLERK, now=NOW)


class TestShelf:
    def test_takes_many_off_and_says_how_many_changed(self, shop: Any, shelf: Any) -> None:
        ids = [shelf.plain.sku_id, shelf.bounded.sku_id]
        with in_substation(shop):
            first = services.set_on_shelf(listing_ids=ids, on=False, by=CLERK, now=NOW)
            again = services.set_on_shelf(listing_ids=ids, on=False, by=CLERK, now=NOW)

            assert (first, again) == (2, 0)
            assert selectors.listing_for_checkout(ids) == {}

    def test_refuses_all_when_one_is_not_this_shops(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            with pytest.raises(services.ListingUnknown):
                services.set_on_shelf(listing_ids=[shelf.plain.sku_id, 987654321], on=False, by=CLERK, now=NOW)

            assert Listing.objects.get(pk=shelf.plain.sku_id).on_shelf


class TestEditProduct:
    def test_keeps_own_words_and_records_them(self, shop: Any, shelf: Any) -> None:
        with in_substation(shop):
            services.edit_product(
                product_id=shelf.plain.product_id, own_name=" 我家的卡 ", own_sort=-3, by=CLERK, now=NOW
            )

            row = ListedProduct.objects.get(pk=shelf.plain.product_id)
            assert (row.own_name, row.own_sort) == ("我家的卡", -3)
            assert selectors.products_page(query="我家的").products[0].name == "我家的卡"

    @pytest.mark.parametrize(
        ("own", "field"),
        [
            ({"own_name": "x" * 121}, "own_name"),
            ({"seo_title": "a\x00b"}, "seo_title"),
            ({"own_sort": 10**7}, "own_sort"),
        ],
    )
    def test_refuses_what_can_not_be_kept(self, shop: Any, shelf: Any, own: dict[str, Any], field: str) -> None:
        with in_substation(shop), pytest.raises(services.TextInvalid) as refused:
            services.edit_product(product_id=shelf.plain.product_id, by=CLERK, now=NOW, **own)

        assert refused.value.field == field
