"""Synced tables, and the shop's own columns in them, which no sync ever sets.

Ids are the master library's: a listing's id is its master SKU's. There is no foreign key to the shared schema.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from shared_apps.library.names import Named
from tenant_apps.listings.states import Rounding, RuleKind, RuleScope, StockState


class ListedCategory(Named):
    id = models.BigIntegerField(primary_key=True)  # Master category.
    slug = models.SlugField(max_length=60)
    parent_id = models.BigIntegerField(null=True)
    icon = models.CharField(max_length=40, blank=True, default="")
    sort = models.IntegerField(default=0)
    active = models.BooleanField(default=True)
    # The shop's own.
    hidden = models.BooleanField(default=False)

    class Meta:
        ordering = ("sort", "id")
        indexes = (models.Index(fields=("slug",), name="listed_category_slug"),)


class ListedProduct(Named):
    id = models.BigIntegerField(primary_key=True)  # Master product.
    slug = models.SlugField(max_length=80)
    category_id = models.BigIntegerField()
    brand_zh = models.CharField(max_length=120, blank=True, default="")
    brand_en = models.CharField(max_length=120, blank=True, default="")
    brand_colour = models.CharField(max_length=7, blank=True, default="")
    kind = models.CharField(max_length=10)
    delivery = models.CharField(max_length=6)
    summary_zh = models.CharField(max_length=240, blank=True, default="")
    summary_en = models.CharField(max_length=240, blank=True, default="")
    description_zh = models.TextField(blank=True, default="")
    description_en = models.TextField(blank=True, default="")
    usage_zh = models.TextField(blank=True, default="")
    usage_en = models.TextField(blank=True, default="")
    buyer_fields = models.JSONField(default=list)
    picture = models.CharField(max_length=200, blank=True, default="")
    tags = models.JSONField(default=list)
    search_text = models.TextField(blank=True, default="")  # Names, brand and tags in lower case; made by the sync.
    sort = models.IntegerField(default=0)
    active = models.BooleanField(default=True)
    # The shop's own.
    own_name = models.CharField(max_length=120, blank=True, default="")
    own_description = models.TextField(blank=True, default="")
    own_sort = models.IntegerField(default=0)
    seo_title = models.CharField(max_length=120, blank=True, default="")
    seo_description = models.CharField(max_length=240, blank=True, default="")

    class Meta:
        ordering = ("own_sort", "sort", "id")
        indexes = (
            models.Index(fields=("slug",), name="listed_product_slug"),
            models.Index(fields=("category_id", "own_sort", "sort", "id"), name="listed_product_category"),
            models.Index(fields=("own_sort", "sort", "id"), condition=Q(active=True), name="listed_product_home"),
        )


class Listing(Named):
    id = models.BigIntegerField(primary_key=True)  # Master SKU.
    product_id = models.BigIntegerField()
    code = models.CharField(max_length=60)
    face_value = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    currency = models.CharField(max_length=3)
    supply_unit = models.DecimalField(
        max_digits=18, decimal_places=4
    )  # At this shop's plan level, or its private price.
    # Whether `supply_unit` is agreed for this shop alone. The database's default is for the code before, which inserts
    # without it while it still serves.
    private_terms = models.BooleanField(default=False, db_default=False)
    suggested = models.DecimalField(max_digits=18, decimal_places=4)
    floor = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    ceiling = models.DecimalField(max_digits=18, decimal_places=4, null=True)
    stock_policy = models.CharField(max_length=9)
    stock_state = models.CharField(max_length=9, choices=StockState.choices, default=StockState.OUT)
    stock_available = models.BigIntegerField(default=0)  # As of the last sync; the truth is asked at checkout.
    sort = models.IntegerField(default=0)
    active = models.BooleanField(default=True)
    # The shop's own.
    on_shelf = models.BooleanField(default=True)
    # New, of a plan that counts what is on the shelf: nobody has looked yet whether there is room for it.
    waits_for_room = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ("sort", "id")
        indexes = (
            models.Index(fields=("product_id", "sort", "id"), name="listing_product"),
            models.Index(fields=("code",), name="listing_code"),
            models.Index(fields=("id",), name="listing_waits", condition=Q(waits_for_room=True)),
        )


class MarkupRule(models.Model):
    """How a retail price is made of a supply price; the narrowest scope wins. `target_id` 0 for the shop."""

    scope = models.CharField(max_length=8, choices=RuleScope.choices)
    target_id = models.BigIntegerField(default=0)
    kind = models.CharField(max_length=9, choices=RuleKind.choices)
    value = models.DecimalField(max_digits=18, decimal_places=4, default=0)  # Percent points, or money per unit.
    rounding = models.CharField(max_length=5, choices=Rounding.choices, default=Rounding.NONE)
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("scope", "target_id"), name="markup_rule_once"),
            models.CheckConstraint(
                name="shop_rule_has_no_target",
                condition=Q(scope="SHOP", target_id=0) | (~Q(scope="SHOP") & Q(target_id__gt=0)),
            ),
        )
