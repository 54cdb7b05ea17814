"""The master library. Every table carries `changed_xid` (added by SQL, stamped by a trigger): the id of the
transaction that last changed the row, which the substations' syncs read. Django does not know the column."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from kameng.lib.ids import public_id
from shared_apps.library.names import Named
from tenants.models import Substation
from tenants.states import SupplyLevel


def _private_price_id() -> str:
    return public_id("pvp")


class Kind(models.TextChoices):
    CARD_CODE = "CARD_CODE", _("Card code")
    TOP_UP = "TOP_UP", _("Top-up")
    MEMBERSHIP = "MEMBERSHIP", _("Membership")
    LICENCE = "LICENCE", _("Licence")
    SERVICE = "SERVICE", _("Virtual service")
    COURSE = "COURSE", _("Course")
    BUNDLE = "BUNDLE", _("Bundle")
    PHYSICAL = "PHYSICAL", _("Physical goods")


class Delivery(models.TextChoices):
    CODES = "CODES", _("Instant, from the code stock")
    MANUAL = "MANUAL", _("By hand")


class StockPolicy(models.TextChoices):
    CODES = "CODES", _("One code a unit")
    COUNTED = "COUNTED", _("A number")
    UNLIMITED = "UNLIMITED", _("Without limit")


class Category(Named):
    slug = models.SlugField(max_length=60, unique=True)
    parent = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="children")
    icon = models.CharField(max_length=40, blank=True, default="")
    sort = models.IntegerField(default=0)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("sort", "id")


class Brand(Named):
    slug = models.SlugField(max_length=60, unique=True)
    colour = models.CharField(max_length=7, blank=True, default="")

    class Meta:
        ordering = ("slug",)


class Product(Named):
    slug = models.SlugField(max_length=80, unique=True)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    brand = models.ForeignKey(Brand, null=True, blank=True, on_delete=models.PROTECT, related_name="products")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    delivery = models.CharField(max_length=6, choices=Delivery.choices)
    summary_zh = models.CharField(max_length=240, blank=True, default="")
    summary_en = models.CharField(max_length=240, blank=True, default="")
    description_zh = models.TextField(blank=True, default="")
    description_en = models.TextField(blank=True, default="")
    usage_zh = models.TextField(blank=True, default="")
    usage_en = models.TextField(blank=True, default="")
    # What the buyer must fill in: [{"key","label_zh","label_en","kind": text|phone|email|choice,"required","choices"}].
    buyer_fields = models.JSONField(default=list, blank=True)
    # A public file name under /files/library/, or empty.
    picture = models.CharField(max_length=200, blank=True, default="")
    tags = models.JSONField(default=list, blank=True)
    sort = models.IntegerField(default=0)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("sort", "id")


class Sku(Named):
    """One thing that can be bought. Prices are per unit, four places, in `currency`."""

    code = models.CharField(max_length=60, unique=True)
    product = models.ForeignKey(Product, on_delete=models.PROTECT, related_name="skus")
    face_value = models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True)
    currency = models.CharField(max_length=3, default="CNY")
    suggested = models.DecimalField(max_digits=18, decimal_places=4)
    floor = models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True)
    ceiling = models.DecimalField(max_digits=18, decimal_places=4, null=True, blank=True)
    stock_policy = models.CharField(max_length=9, choices=StockPolicy.choices)
    low_stock_at = models.PositiveIntegerField(default=10)
    sort = models.IntegerField(default=0)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("sort", "id")
        constraints = (
            models.CheckConstraint(name="sku_suggested_positive", condition=Q(suggested__gt=0)),
            models.CheckConstraint(
                name="sku_floor_below_ceiling",
                condition=Q(floor__isnull=True) | Q(ceiling__isnull=True) | Q(floor__lte=F("ceiling")),
            ),
        )


class SupplyPrice(models.Model):
    """What a substation of one plan level pays for one unit."""

    sku = models.ForeignKey(Sku, on_delete=models.CASCADE, related_name="supply_prices")
    level = models.CharField(max_length=10, choices=SupplyLevel.choices)
    unit = models.DecimalField(max_digits=18, decimal_places=4)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("sku", "level"), name="supply_price_once"),
            models.CheckConstraint(name="supply_price_positive", condition=Q(unit__gt=0)),
        )


class PrivatePrice(models.Model):
    """What one substation pays for one unit of one SKU, in place of its plan's price, from `starts_at` to `ends_at`.

    Ended, never removed; a change ends one row and writes another. That no two of a substation's SKU overlap is held by
    the exclusion constraint `private_price_once` (written in the migration: Django's own wants an extension).
    """

    public_id = models.CharField(max_length=30, unique=True, default=_private_price_id)
    # No index of their own: those below begin with the substation, and no SKU is ever removed.
    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="private_prices", db_index=False)
    sku = models.ForeignKey(Sku, on_delete=models.PROTECT, related_name="private_prices", db_index=False)
    unit = models.DecimalField(max_digits=18, decimal_places=4)
    starts_at = models.DateTimeField()
    # None: until somebody ends it. Equal to `starts_at`: taken back before it began; it never was in force.
    ends_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True, default="")
    by = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    # Who ended it, when; empty where it runs out by itself.
    ended_by = models.CharField(max_length=120, blank=True, default="")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
        constraints = (
            models.CheckConstraint(name="private_price_positive", condition=Q(unit__gt=0)),
            models.CheckConstraint(
                name="private_price_ends_after_it_starts",
                condition=Q(ends_at__isnull=True) | Q(ends_at__gte=F("starts_at")),
            ),
        )
        indexes = (
            models.Index(fields=("substation", "sku", "starts_at"), name="private_price_of"),
            # What the sync asks at every tick: did one begin or end since it last looked?
            models.Index(fields=("substation", "starts_at"), name="private_price_begins"),
            models.Index(fields=("substation", "ends_at"), name="private_price_ends"),
        )


class ImportRun(models.Model):
    """One import of a file, with its progress and its report; library rows and codes alike."""

    public_id = models.CharField(max_length=30, unique=True)
    subject = models.CharField(max_length=10)  # LIBRARY or CODES.
    filename = models.CharField(max_length=200)
    dry_run = models.BooleanField(default=False)
    accept_good = models.BooleanField(default=False)
    state = models.CharField(max_length=8, default="PENDING")  # PENDING, RUNNING, DONE, REFUSED, FAILED.
    rows_done = models.BigIntegerField(default=0)
    rows_good = models.BigIntegerField(default=0)
    rows_bad = models.BigIntegerField(default=0)
    report = models.JSONField(default=list)
    options = models.JSONField(default=dict)
    problem = models.CharField(max_length=300, blank=True, default="")
    by = models.CharField(max_length=120, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-id",)
