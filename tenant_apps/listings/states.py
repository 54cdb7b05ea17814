"""The words that listings and price rules are made of; without models, so that pure rules may use them."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class StockState(models.TextChoices):
    IN_STOCK = "IN_STOCK", _("In stock")
    LOW = "LOW", _("Few left")
    OUT = "OUT", _("Sold out")


class RuleScope(models.TextChoices):
    SHOP = "SHOP", _("The whole shop")
    CATEGORY = "CATEGORY", _("A category")
    PRODUCT = "PRODUCT", _("A product")
    SKU = "SKU", _("One SKU")


class RuleKind(models.TextChoices):
    PERCENT = "PERCENT", _("Percent on the supply price")
    FIXED = "FIXED", _("An amount on the supply price")
    PRICE = "PRICE", _("A price")
    SUGGESTED = "SUGGESTED", _("The suggested price")


class Rounding(models.TextChoices):
    NONE = "NONE", _("To the cent")
    TENTH = "TENTH", _("Up to 0.1")
    WHOLE = "WHOLE", _("Up to a whole")
    NINES = "NINES", _("Up to …9.9")
