"""One row of settings per shop."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class ShopSettings(models.Model):
    """The shop as its buyers see it. Exactly one row, id 1."""

    id = models.BigIntegerField(primary_key=True, default=1)
    name = models.CharField(max_length=60)
    tagline = models.CharField(max_length=120, blank=True, default="")
    logo = models.CharField(max_length=200, blank=True, default="")  # A public file name in the shop's folder.
    accent = models.CharField(max_length=7, default="#3b5bdb")
    notice = models.TextField(blank=True, default="")
    about = models.TextField(blank=True, default="")
    contact_qq = models.CharField(max_length=40, blank=True, default="")
    contact_wechat = models.CharField(max_length=40, blank=True, default="")
    contact_email = models.EmailField(blank=True, default="")
    service_hours = models.CharField(max_length=80, blank=True, default="")
    language = models.CharField(max_length=10, default="zh-hans")
    time_zone = models.CharField(max_length=40, default="Asia/Shanghai")
    currency = models.CharField(max_length=3, default="CNY")
    preset = models.CharField(max_length=20, blank=True, default="")
    open = models.BooleanField(default=True)
    seo_title = models.CharField(max_length=120, blank=True, default="")
    seo_description = models.CharField(max_length=240, blank=True, default="")
    # The first-steps list: {"priced": true, "settings": true, ...}; each ticks itself off when the deed is done.
    first_steps = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (models.CheckConstraint(name="one_settings_row", condition=Q(id=1)),)
