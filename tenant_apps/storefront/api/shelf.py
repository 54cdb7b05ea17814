"""What a shop sells, over the API. A listing is a SKU as this shop sells it; its code names it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib import money
from kameng.lib.words import in_english
from kameng.web.endpoint import ApiView
from kameng.web.openapi import described, in_path, unit_field
from tenant_apps.listings import selectors as listings
from tenant_apps.listings.models import ListedProduct, Listing
from tenant_apps.listings.selectors import CategoryGone, ProductGone
from tenant_apps.listings.states import StockState
from tenant_apps.listings.types import CategoryTree, PanelRow
from tenant_apps.orders.checkout import MAX_QUANTITY
from tenant_apps.shop.selectors import open_shop
from tenant_apps.storefront import shown

TAG = "Shop"
CODE = in_path("code", "The listing's code.")
LISTING_GONE = _("This product is not in the shop any more.")
CATEGORY_GONE = _("There is no such category in this shop.")


class ListingFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=100, required=False, help_text="Words that must all occur.")
    category = serializers.CharField(max_length=60, required=False, help_text="A slug; takes in all below it.")
    in_stock = serializers.BooleanField(required=False, help_text="Only what is there, or only what is sold out.")


class BuyerFieldShape(serializers.Serializer[Any]):
    key = serializers.CharField(help_text="The key in an order's `buyer_fields`.")
    label = serializers.SerializerMethodField()  # type: ignore[assignment]
    kind = serializers.SerializerMethodField(help_text="text, phone, email or choice.")
    required = serializers.SerializerMethodField()  # type: ignore[assignment]
    choices = serializers.SerializerMethodField()

    def get_label(self, row: dict[str, Any]) -> str:
        return str((in_english() and row.get("label_en")) or row.get("label_zh") or row["key"])

    def get_kind(self, row: dict[str, Any]) -> str:
        return str(row.get("kind", "text"))

    def get_required(self, row: dict[str, Any]) -> bool:
        return bool(row.get("required", True))

    def get_choices(self, row: dict[str, Any]) -> list[str]:
        return [str(item["value"] if isinstance(item, dict) else item) for item in row.get("choices") or ()]


class ListingShape(serializers.Serializer[Any]):
    sku_id = serializers.IntegerField(source="listing.id", help_text="Names the listing in an order's lines.")
    code = serializers.CharField(source="listing.code")
    name = serializers.CharField(source="listing.name")
    product = serializers.CharField(source="product.slug")
    product_name = serializers.SerializerMethodField()
    brand = serializers.SerializerMethodField()
    summary = serializers.SerializerMethodField()
    picture = serializers.SerializerMethodField(help_text="An address on this host, or empty.")
    kind = serializers.CharField(source="product.kind")
    delivery = serializers.CharField(source="product.delivery", help_text="CODES: at once; MANUAL: by a person.")
    face_value = unit_field(source="listing.face_value", allow_null=True)
    currency = serializers.CharField(source="price.currency")
    unit = unit_field(source="price.unit", help_text="Price of one.")
    stock_state = serializers.ChoiceField(
        source="listing.stock_state", choices=StockState.choices,
        help_text="As of the last count; the truth is asked when an order is placed.",
    )  # fmt: skip
    buyer_fields = BuyerFieldShape(many=True, source="product.buyer_fields", help_text="What an order must tell.")

    def get_product_name(self, row: PanelRow) -> str:
        return shown.product_name(row.product)

    def get_brand(self, row: PanelRow) -> str:
        return str((in_english() and row.product.brand_en) or row.product.brand_zh)

    def get_summary(self, row: PanelRow) -> str:
        return shown.text_of(row.product, "summary")

    def get_picture(self, row: PanelRow) -> str:
        return shown.picture_url(row.product.picture)


class StageShape(serializers.Serializer[Any]):
    code = serializers.CharField(help_text="Names the stage in any language.")
    label = serializers.CharField()  # type: ignore[assignment]
    amount = serializers.CharField(help_text="The price of one after this stage.")
    detail = serializers.DictField()


class PriceFilters(serializers.Serializer[Any]):
    quantity = serializers.IntegerField(min_value=1, max_value=MAX_QUANTITY, required=False, default=1)


class PriceShape(serializers.Serializer[Any]):
    sku_id = serializers.IntegerField()
    code = serializers.CharField()
    quantity = serializers.IntegerField()
    currency = serializers.CharField()
    unit = unit_field()
    total_minor = serializers.IntegerField(help_text="To pay, in minor units; an order's `expected_total_minor`.")
    stages = StageShape(many=True, help_text="How the price came about, as far as it is a buyer's business.")


class Listings(ApiView):
    scopes = {"GET": None}

    @described(
        "What is on sale", tag=TAG, name="listings_list", answer=ListingShape, query=ListingFilters, paged=True,
        errors=(404, 503),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        open_shop(allowed=request._request.tenant.sells)  # type: ignore[attr-defined]
        asked = self.asked(request, ListingFilters)
        rows = _on_sale(asked.get("q", ""), asked.get("category"))
        if "in_stock" in asked:
            out = {"stock_state": StockState.OUT}
            rows = rows.exclude(**out) if asked["in_stock"] else rows.filter(**out)
        return self.page(request, rows, ListingShape, ordering="id", prepare=listings.priced)


class OneListing(ApiView):
    scopes = {"GET": None}

    @described("One listing", tag=TAG, name="listings_read", answer=ListingShape, errors=(404, 503), extra=(CODE,))
    def get(self, request: Request, code: str) -> Response:
        open_shop(allowed=request._request.tenant.sells)  # type: ignore[attr-defined]
        return Response(ListingShape(_one(code)).data)


class ListingPrice(ApiView):
    scopes = {"GET": None}

    @described(
        "A price, with its reasons", tag=TAG, name="listings_price", answer=PriceShape, query=PriceFilters,
        errors=(404, 503), extra=(CODE,),
    )  # fmt: skip
    def get(self, request: Request, code: str) -> Response:
        open_shop(allowed=request._request.tenant.sells)  # type: ignore[attr-defined]
        quantity = self.asked(request, PriceFilters)["quantity"]
        row = _one(code)
        total = money.line_total_minor(row.price.unit, quantity, row.price.currency)
        answer = {
            "sku_id": row.listing.id, "code": row.listing.code, "quantity": quantity, "unit": row.price.unit,
            "currency": row.price.currency, "total_minor": total, "stages": row.price.public_json()["stages"],
        }  # fmt: skip
        return Response(PriceShape(answer).data)


def _on_sale(query: str = "", category: str | None = None) -> QuerySet[Listing]:
    """Listings that a buyer may see. Raises: CategoryGone."""
    tree: CategoryTree = listings.categories_for_home()
    found = tree.by_slug(category) if category is not None else None
    if category is not None and found is None:
        raise CategoryGone(CATEGORY_GONE, field="category")
    rows = listings.panel_listings(query=query, category_id=found.id if found else None, on_shelf=True, active=True)
    visible = ListedProduct.objects.filter(active=True).exclude(category_id__in=tree.hidden)
    return rows.filter(product_id__in=visible.values("id"))


def _one(code: str) -> PanelRow:
    """Raises: ProductGone."""
    row = _on_sale().filter(code=code.upper()).first()
    found = listings.priced([row]) if row is not None else []
    if not found:
        raise ProductGone(LISTING_GONE)
    return found[0]
