"""Listings and prices of the shop over the API."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib import clock
from kameng.web.actors import actor
from kameng.web.api import MAX_ID
from kameng.web.endpoint import ApiView
from kameng.web.openapi import described, in_path, unit_field
from tenant_apps.listings import selectors, services
from tenant_apps.listings.models import Listing
from tenant_apps.listings.states import Rounding, RuleKind, RuleScope, StockState
from tenant_apps.listings.types import PanelRow

LISTINGS, PRICES = "Panel: listings", "Panel: prices"
READ, WRITE = "listings:read", "listings:write"
CODE = in_path("code", "The listing's code.")


# -- Listings.


class ListingFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=100, required=False, help_text="Words of code or names.")
    category = serializers.CharField(max_length=60, required=False, help_text="A slug; takes in all below it.")
    on_shelf = serializers.BooleanField(required=False)
    active = serializers.BooleanField(required=False, help_text="Whether the library supplies it.")
    stock_state = serializers.ChoiceField(choices=StockState.choices, required=False)
    private_terms = serializers.BooleanField(required=False, help_text="Agreed with the shop alone, or not.")


class PriceStageShape(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Names the stage in any language.")
    label = serializers.CharField()  # type: ignore[assignment]
    amount = unit_field(help_text="The price of one after this stage.")
    detail = serializers.DictField()


class PanelListingShape(serializers.Serializer[Any]):
    sku_id = serializers.IntegerField(source="listing.id")
    code = serializers.CharField(source="listing.code")
    name = serializers.CharField(source="listing.name")
    product = serializers.CharField(source="product.slug")
    product_id = serializers.IntegerField(source="product.id", help_text="The target of a rule for the product.")
    category_id = serializers.IntegerField(source="product.category_id")
    currency = serializers.CharField(source="price.currency")
    supply_unit = unit_field(source="price.supply", help_text="What the shop pays for one.")
    private_terms = serializers.BooleanField(
        source="listing.private_terms", help_text="That price is agreed with the shop alone."
    )
    suggested = unit_field(source="listing.suggested")
    floor = unit_field(source="listing.floor", allow_null=True)
    ceiling = unit_field(source="listing.ceiling", allow_null=True)
    unit = unit_field(source="price.unit", help_text="What a buyer pays for one.")
    stages = PriceStageShape(many=True, source="price.stages", help_text="How the price came about.")
    stock_state = serializers.ChoiceField(choices=StockState.choices, source="listing.stock_state")
    stock_available = serializers.IntegerField(source="listing.stock_available", help_text="As of the last sync.")
    active = serializers.BooleanField(source="listing.active", help_text="The library supplies it.")
    on_shelf = serializers.BooleanField(source="listing.on_shelf", help_text="The shop shows it.")


class ShelfBody(serializers.Serializer[Any]):
    on_shelf = serializers.BooleanField()


class Listings(ApiView):
    scopes = {"GET": READ}

    @described(
        "The shop's listings", tag=LISTINGS, name="panel_listings_list", answer=PanelListingShape,
        query=ListingFilters, paged=True, scope=READ, errors=(404,),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, ListingFilters)
        rows = selectors.panel_listings(
            query=asked.get("q", ""), category_id=_category(asked.get("category")), on_shelf=asked.get("on_shelf"),
            active=asked.get("active"), stock_state=asked.get("stock_state", ""), private=asked.get("private_terms"),
        )  # fmt: skip
        return self.page(request, rows, PanelListingShape, ordering="id", prepare=selectors.priced)


class OneListing(ApiView):
    scopes = {"GET": READ, "PATCH": WRITE}

    @described(
        "A listing", tag=LISTINGS, name="panel_listings_read", answer=PanelListingShape, scope=READ, errors=(404,),
        extra=(CODE,),
    )  # fmt: skip
    def get(self, request: Request, code: str) -> Response:
        return Response(PanelListingShape(_one(code)).data)

    @described(
        "On or off the shelf", tag=LISTINGS, name="panel_listings_update", body=ShelfBody, answer=PanelListingShape,
        scope=WRITE, errors=(404,), extra=(CODE,),
    )  # fmt: skip
    def patch(self, request: Request, code: str) -> Response:
        on = self.sent(request, ShelfBody)["on_shelf"]
        services.set_on_shelf(listing_ids=[_one(code).listing.id], on=on, by=actor(request), now=clock.utc_now())
        return Response(PanelListingShape(_one(code)).data)


def _category(slug: str | None) -> int | None:
    """Raises: CategoryGone."""
    if slug is None:
        return None
    found = selectors.categories_for_home().by_slug(slug)
    if found is None:
        raise selectors.CategoryGone(_("There is no such category in this shop."), field="category")
    return found.id


def _one(code: str) -> PanelRow:
    """Raises: ListingUnknown."""
    row: Listing | None = selectors.panel_listings(active=None).filter(code=code.upper()).first()
    found = selectors.priced([row]) if row is not None else []
    if not found:
        raise services.ListingUnknown(_("This product is not in this shop."))
    return found[0]


# -- Prices.


class RuleBody(serializers.Serializer[Any]):
    scope = serializers.ChoiceField(choices=RuleScope.choices)
    target_id = serializers.IntegerField(
        min_value=0, max_value=MAX_ID, required=False, default=0,
        help_text="A category's, product's or SKU's id; 0 for the whole shop.",
    )  # fmt: skip
    kind = serializers.ChoiceField(choices=RuleKind.choices)
    value = unit_field(required=False, default=Decimal(0), help_text="Percent points, or money per unit.")
    rounding = serializers.ChoiceField(choices=Rounding.choices, required=False, default=Rounding.NONE)


class RuleTarget(serializers.Serializer[Any]):
    scope = serializers.ChoiceField(choices=RuleScope.choices)
    target_id = serializers.IntegerField(min_value=0, max_value=MAX_ID, required=False, default=0)


class RuleShape(serializers.Serializer[Any]):
    scope = serializers.ChoiceField(choices=RuleScope.choices, source="rule.scope")
    target_id = serializers.IntegerField(source="rule.target_id")
    target_name = serializers.CharField()
    kind = serializers.ChoiceField(choices=RuleKind.choices, source="rule.kind")
    value = unit_field(source="rule.value")
    rounding = serializers.ChoiceField(choices=Rounding.choices, source="rule.rounding")
    updated_at = serializers.DateTimeField(source="rule.updated_at")
    updated_by = serializers.CharField(source="rule.updated_by")


class PreviewRowShape(serializers.Serializer[Any]):
    sku_id = serializers.IntegerField(source="listing_id")
    code = serializers.CharField()
    name = serializers.CharField()
    currency = serializers.CharField()
    supply_unit = unit_field(source="supply")
    old = unit_field(help_text="The price under the rules of now.")
    asked = unit_field(help_text="What the rule makes, before the bounds.")
    new = unit_field()
    clamped = serializers.CharField(help_text="floor, ceiling, or empty where the rule's own price stands.")
    quantity = serializers.IntegerField(help_text="What `net_minor` is for: cheap units are judged by the hundred.")
    net_minor = serializers.IntegerField(help_text="What the owner keeps, after cost and the dearest channel's fee.")
    problem = serializers.CharField(help_text="below_cost, below_floor, above_ceiling, or empty.")
    cure = serializers.CharField()


class PreviewShape(serializers.Serializer[Any]):
    affected = serializers.IntegerField(help_text="SKUs that the rule prices.")
    changed = serializers.IntegerField()
    clamped = serializers.IntegerField(help_text="Held at a bound.")
    refused = serializers.IntegerField(help_text="Above 0: the rule can't be set.")
    unsellable = serializers.IntegerField(help_text="Held at a ceiling below cost and fees.")
    rows = PreviewRowShape(many=True, help_text="The first hundred, the refused ones before the others.")


class PricePreview(ApiView):
    scopes = {"GET": READ}

    @described(
        "What a rule would do", tag=PRICES, name="panel_prices_preview", answer=PreviewShape, query=RuleBody,
        scope=READ, errors=(404,), text="Nothing is changed.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, RuleBody)
        return Response(PreviewShape(services.preview_rule(**asked, now=clock.utc_now())).data)


class PriceRules(ApiView):
    scopes = {"GET": READ, "PUT": WRITE, "DELETE": WRITE}

    @described(
        "The price rules", tag=PRICES, name="panel_prices_rules_list", answer=RuleShape(many=True), scope=READ,
        text="The widest first; the narrowest that fits a SKU prices it.",
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        rows = [{"rule": rule, "target_name": name} for rule, name in selectors.rules()]
        return Response(RuleShape(rows, many=True).data)

    @described(
        "Set a price rule", tag=PRICES, name="panel_prices_rules_set", body=RuleBody, answer=PreviewShape, scope=WRITE,
        errors=(404, 409), text="In place of the one for the same scope and target. Answers what it did. Refused when "
        "a SKU would be sold below cost and fees, or by hand outside its bounds.",
    )  # fmt: skip
    def put(self, request: Request) -> Response:
        data = self.sent(request, RuleBody)
        done = services.set_rule(**data, by=actor(request), now=clock.utc_now())
        return Response(PreviewShape(done).data)

    @described(
        "Take a price rule away", tag=PRICES, name="panel_prices_rules_delete", query=RuleTarget, answer=PreviewShape,
        scope=WRITE, errors=(404, 409), text="The next wider rule prices what it governed. Answers what it did.",
    )  # fmt: skip
    def delete(self, request: Request) -> Response:
        asked = self.asked(request, RuleTarget)
        return Response(PreviewShape(services.remove_rule(**asked, by=actor(request), now=clock.utc_now())).data)
