"""The library over the API: what it holds, new products and SKUs, and a SKU's prices."""

from __future__ import annotations

from typing import Any

from django.urls import path
from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from kameng.lib import clock
from kameng.lib.errors import DomainError
from kameng.lib.money import EXPONENTS
from kameng.web.actors import actor
from kameng.web.endpoint import ApiView, naming
from kameng.web.idempotency import idempotent
from kameng.web.openapi import described, in_path, unit_field
from shared_apps.library import selectors, services
from shared_apps.library.models import Brand, Category, Delivery, Kind, Product, Sku, StockPolicy
from tenants.states import SupplyLevel

TAG = "Library"
READ, WRITE = "library:read", "library:write"
MAX_SORT, MAX_LOW_STOCK = 1_000_000, 1_000_000_000  # As in a file: what the API took in, an export must bring back.
SLUG = in_path("slug", "The row's slug.")
CODE = in_path("code", "The SKU's code, in any case.")


# -- What is answered.


class CategoryShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    slug = serializers.CharField()
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    parent_id = serializers.IntegerField(allow_null=True)
    icon = serializers.CharField()
    sort = serializers.IntegerField()
    active = serializers.BooleanField()


class BrandShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    slug = serializers.CharField()
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    colour = serializers.CharField()


class SkuShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    code = serializers.CharField()
    product = serializers.CharField(source="product.slug")
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    face_value = unit_field(allow_null=True)
    currency = serializers.CharField()
    suggested = unit_field()
    floor = unit_field(allow_null=True)
    ceiling = unit_field(allow_null=True)
    supply = serializers.SerializerMethodField(help_text="What a plan level pays for a unit, by level.")
    stock_policy = serializers.ChoiceField(choices=StockPolicy.choices)
    low_stock_at = serializers.IntegerField()
    sort = serializers.IntegerField()
    active = serializers.BooleanField()
    updated_at = serializers.DateTimeField()

    def get_supply(self, row: Sku) -> dict[str, str]:
        return {price.level: str(price.unit) for price in sorted(row.supply_prices.all(), key=lambda one: one.level)}


class ProductShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    slug = serializers.CharField()
    category = serializers.CharField(source="category.slug")
    brand = serializers.SerializerMethodField(help_text="The brand's slug.")
    kind = serializers.ChoiceField(choices=Kind.choices)
    delivery = serializers.ChoiceField(choices=Delivery.choices)
    name_zh = serializers.CharField()
    name_en = serializers.CharField()
    summary_zh = serializers.CharField()
    summary_en = serializers.CharField()
    picture = serializers.CharField(help_text="A file name below /files/library/, or empty.")
    sort = serializers.IntegerField()
    active = serializers.BooleanField()
    updated_at = serializers.DateTimeField()

    def get_brand(self, row: Product) -> str | None:
        return row.brand.slug if row.brand else None


class FullProductShape(ProductShape):
    description_zh = serializers.CharField()
    description_en = serializers.CharField()
    usage_zh = serializers.CharField()
    usage_en = serializers.CharField()
    buyer_fields = serializers.ListField(child=serializers.DictField(), help_text="What the buyer must fill in.")
    tags = serializers.ListField(child=serializers.CharField())
    skus = SkuShape(many=True, source="skus.all")


# -- What is sent.


class ProductFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=100, required=False, help_text="Words of names, slug or brand.")
    category = serializers.CharField(max_length=60, required=False, help_text="A slug; takes in all below it.")
    brand = serializers.CharField(max_length=60, required=False)
    active = serializers.BooleanField(required=False)


class SkuFilters(serializers.Serializer[Any]):
    q = serializers.CharField(max_length=100, required=False, help_text="Words of code or names.")
    product = serializers.CharField(max_length=80, required=False)
    active = serializers.BooleanField(required=False)


class ProductChangeBody(serializers.Serializer[Any]):
    category = serializers.CharField(max_length=60, required=False, help_text="A category's slug.")
    brand = serializers.CharField(max_length=60, required=False, allow_null=True, help_text="A brand's slug.")
    name_zh = serializers.CharField(max_length=120, required=False)
    name_en = serializers.CharField(max_length=120, required=False, allow_blank=True)
    summary_zh = serializers.CharField(max_length=240, required=False, allow_blank=True)
    summary_en = serializers.CharField(max_length=240, required=False, allow_blank=True)
    description_zh = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    description_en = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    usage_zh = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    usage_en = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    tags = serializers.ListField(child=serializers.CharField(max_length=60), max_length=20, required=False)
    sort = serializers.IntegerField(required=False, min_value=-MAX_SORT, max_value=MAX_SORT)
    active = serializers.BooleanField(required=False)


class ProductBody(ProductChangeBody):
    slug = serializers.CharField(max_length=80)
    category = serializers.CharField(max_length=60, help_text="A category's slug.")
    kind = serializers.ChoiceField(choices=Kind.choices)
    delivery = serializers.ChoiceField(choices=Delivery.choices)
    name_zh = serializers.CharField(max_length=120)


class SupplyBody(serializers.Serializer[Any]):
    """A field for each plan level; null takes the SKU out of that level's shops."""

    BASIC = unit_field(required=False, allow_null=True)
    PRO = unit_field(required=False, allow_null=True)
    FLAGSHIP = unit_field(required=False, allow_null=True)


assert set(SupplyBody().fields) == set(SupplyLevel.values)


class SkuChangeBody(serializers.Serializer[Any]):
    name_zh = serializers.CharField(max_length=120, required=False)
    name_en = serializers.CharField(max_length=120, required=False, allow_blank=True)
    face_value = unit_field(required=False, allow_null=True)
    suggested = unit_field(required=False)
    floor = unit_field(required=False, allow_null=True)
    ceiling = unit_field(required=False, allow_null=True)
    supply = SupplyBody(required=False)
    low_stock_at = serializers.IntegerField(required=False, min_value=0, max_value=MAX_LOW_STOCK)
    sort = serializers.IntegerField(required=False, min_value=-MAX_SORT, max_value=MAX_SORT)
    active = serializers.BooleanField(required=False)


class SkuBody(SkuChangeBody):
    code = serializers.CharField(max_length=60)
    product = serializers.CharField(max_length=80, help_text="A product's slug.")
    name_zh = serializers.CharField(max_length=120)
    suggested = unit_field()
    currency = serializers.ChoiceField(choices=sorted(EXPONENTS), required=False)
    stock_policy = serializers.ChoiceField(choices=StockPolicy.choices)


# -- Views.


class Categories(ApiView):
    scopes = {"GET": READ}

    @described("Categories", tag=TAG, name="library_categories_list", answer=CategoryShape, paged=True, scope=READ)
    def get(self, request: Request) -> Response:
        return self.page(request, Category.objects.all(), CategoryShape, ordering="id")


class OneCategory(ApiView):
    scopes = {"GET": READ}

    @described(
        "A category", tag=TAG, name="library_categories_read", answer=CategoryShape, scope=READ, errors=(404,),
        extra=(SLUG,),
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        return Response(CategoryShape(_by_slug(Category, slug)).data)


class Brands(ApiView):
    scopes = {"GET": READ}

    @described("Brands", tag=TAG, name="library_brands_list", answer=BrandShape, paged=True, scope=READ)
    def get(self, request: Request) -> Response:
        return self.page(request, Brand.objects.all(), BrandShape, ordering="id")


class OneBrand(ApiView):
    scopes = {"GET": READ}

    @described(
        "A brand", tag=TAG, name="library_brands_read", answer=BrandShape, scope=READ, errors=(404,), extra=(SLUG,)
    )
    def get(self, request: Request, slug: str) -> Response:
        return Response(BrandShape(_by_slug(Brand, slug)).data)


class Products(ApiView):
    scopes = {"GET": READ, "POST": WRITE}

    @described(
        "Products", tag=TAG, name="library_products_list", answer=ProductShape, query=ProductFilters, paged=True,
        scope=READ, errors=(404,),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, ProductFilters)
        rows = selectors.products(
            query=asked.get("q", ""),
            category_id=_by_slug(Category, asked["category"], "category").pk if "category" in asked else None,
            brand_id=_by_slug(Brand, asked["brand"], "brand").pk if "brand" in asked else None,
            active=asked.get("active"),
        )
        return self.page(request, rows, ProductShape, ordering="id")

    @described(
        "A new product", tag=TAG, name="library_products_create", body=ProductBody, answer=FullProductShape, status=201,
        creates=True, scope=WRITE, errors=(404,),
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        data = _by_ids(self.sent(request, ProductBody))
        made = services.create_product(by=actor(request), now=clock.utc_now(), **data)
        return Response(FullProductShape(selectors.product_with_skus(made.slug)).data, status=201)


class OneProduct(ApiView):
    scopes = {"GET": READ, "PATCH": WRITE}

    @described(
        "A product with its SKUs", tag=TAG, name="library_products_read", answer=FullProductShape, scope=READ,
        errors=(404,), extra=(SLUG,),
    )  # fmt: skip
    def get(self, request: Request, slug: str) -> Response:
        return Response(FullProductShape(selectors.product_with_skus(slug)).data)

    @described(
        "Change a product", tag=TAG, name="library_products_update", body=ProductChangeBody, answer=FullProductShape,
        scope=WRITE, errors=(404,), extra=(SLUG,),
        text="Names, texts, where it stands, whether it is supplied. What is not sent stays. Shops follow within "
        "seconds.",
    )  # fmt: skip
    def patch(self, request: Request, slug: str) -> Response:
        data, product = _by_ids(self.sent(request, ProductChangeBody)), selectors.product_with_skus(slug)
        if data:
            services.update_product(product_id=product.pk, by=actor(request), now=clock.utc_now(), **data)
        return Response(FullProductShape(selectors.product_with_skus(slug)).data)


class Skus(ApiView):
    scopes = {"GET": READ, "POST": WRITE}

    @described(
        "SKUs", tag=TAG, name="library_skus_list", answer=SkuShape, query=SkuFilters, paged=True, scope=READ,
        errors=(404,),
    )  # fmt: skip
    def get(self, request: Request) -> Response:
        asked = self.asked(request, SkuFilters)
        product = _product(asked["product"]) if "product" in asked else None
        rows = selectors.skus(
            query=asked.get("q", ""), product_id=product.pk if product else None, active=asked.get("active")
        )
        return self.page(request, rows, SkuShape, ordering="id")

    @described(
        "A new SKU", tag=TAG, name="library_skus_create", body=SkuBody, answer=SkuShape, status=201, creates=True,
        scope=WRITE, errors=(404,), text="Shops have it within seconds, those of the levels that have a supply price.",
    )  # fmt: skip
    @idempotent
    def post(self, request: Request) -> Response:
        data = self.sent(request, SkuBody)
        product, supply = _product(data.pop("product")), data.pop("supply", None)
        with naming(_at_level):
            made = services.create_sku(
                by=actor(request), now=clock.utc_now(), supply=supply, product_id=product.pk, **data
            )
        return Response(_sku_shown(made.code), status=201)


class OneSku(ApiView):
    scopes = {"GET": READ, "PATCH": WRITE}

    @described("A SKU", tag=TAG, name="library_skus_read", answer=SkuShape, scope=READ, errors=(404,), extra=(CODE,))
    def get(self, request: Request, code: str) -> Response:
        return Response(_sku_shown(code))

    @described(
        "Change a SKU", tag=TAG, name="library_skus_update", body=SkuChangeBody, answer=SkuShape, scope=WRITE,
        errors=(404,), extra=(CODE,),
        text="Prices, names, whether it is supplied. What is not sent stays. Shops follow within seconds.",
    )  # fmt: skip
    def patch(self, request: Request, code: str) -> Response:
        data, by, now = self.sent(request, SkuChangeBody), actor(request), clock.utc_now()
        sku = selectors.sku_by_code(code)
        supply = data.pop("supply", None)
        if data:
            services.update_sku(sku_id=sku.pk, by=by, now=now, **data)
        if supply:
            with naming(_at_level):
                services.set_supply_prices(sku_id=sku.pk, prices=supply, by=by, now=now)
        return Response(_sku_shown(sku.code))


def _product(slug: str) -> Product:
    """The product that a body or a query names. Raises: ProductUnknown."""
    with naming(lambda error: "product"):
        return selectors.product_with_skus(slug)


def _by_ids(data: dict[str, Any]) -> dict[str, Any]:
    """A product's values with its category and brand by their ids, as the services take them. Raises: RowUnknown."""
    for name, model in (("category", Category), ("brand", Brand)):
        if name in data:
            slug = data.pop(name)
            data[f"{name}_id"] = None if slug is None else _by_slug(model, slug, name).pk
    return data


def _at_level(error: DomainError) -> str:
    """`supply_basic` is `supply.BASIC` in a body."""
    level = error.field.removeprefix("supply_").upper()
    return f"supply.{level}" if level in SupplyLevel.values else ""


def _sku_shown(code: str) -> dict[str, Any]:
    sku = selectors.skus().filter(pk=selectors.sku_by_code(code).pk).get()
    return dict(SkuShape(sku).data)


def _by_slug(model: Any, slug: str, field: str = "") -> Any:
    """Raises: RowUnknown."""
    row = model.objects.filter(slug=slug).first()
    if row is None:
        raise services.RowUnknown(_("This row of the library does not exist."), field=field)
    return row


urlpatterns = [
    path("library/categories/", Categories.as_view()),
    path("library/categories/<str:slug>/", OneCategory.as_view()),
    path("library/brands/", Brands.as_view()),
    path("library/brands/<str:slug>/", OneBrand.as_view()),
    path("library/products/", Products.as_view()),
    path("library/products/<str:slug>/", OneProduct.as_view()),
    path("library/skus/", Skus.as_view()),
    path("library/skus/<str:code>/", OneSku.as_view()),
]
