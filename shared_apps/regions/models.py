"""The tree of regions, who holds one and for how long, and who asked for a shop in it. Main scope."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.utils.translation import gettext as _

from kameng.lib.ids import public_id
from kameng.lib.words import in_english
from shared_apps.regions.states import LeadKind, LeadState, Level
from tenants.models import Substation


def _grant_id() -> str:
    return public_id("rgr")


def _lead_id() -> str:
    return public_id("led")


class Region(models.Model):
    """A place of the tree: GB/T 2260 in China, ISO 3166 elsewhere. Loaded from data/regions.csv, never edited by hand."""

    code = models.CharField(max_length=6, unique=True, help_text="440300 in China; DE or DE-BE elsewhere.")
    parent = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="children")
    level = models.CharField(max_length=11, choices=Level.choices)
    holdable = models.BooleanField(
        help_text="Whether a substation may hold it: one level of the tree, none within another."
    )
    name_zh = models.CharField(max_length=60, blank=True)
    name_en = models.CharField(max_length=60)
    search = models.CharField(max_length=60, blank=True, help_text="Pinyin and initials, or the name without accents.")

    class Meta:
        ordering = ("code",)
        constraints = (models.CheckConstraint(name="region_level_known", condition=Q(level__in=Level.values)),)
        indexes = (models.Index(fields=("parent", "holdable"), name="region_children"),)

    def __str__(self) -> str:
        return f"{self.code} {self.name_zh or self.name_en}"

    @property
    def name(self) -> str:
        """Its name in the active language; elsewhere its own where Chinese has none."""
        return self.name_in(english=in_english())

    def name_in(self, *, english: bool) -> str:
        """`name` in one of the two languages."""
        return self.name_en if english or not self.name_zh else self.name_zh

    @property
    def label(self) -> str:
        """Its name with what it lies in, so that it can't be mistaken: 江苏省 苏州市; Suzhou, Jiangsu. Wants `parent`."""
        return self.label_in(english=in_english())

    def label_in(self, *, english: bool) -> str:
        """`label` in one of the two languages."""
        own, above = self.name_in(english=english), self.parent
        if above is None or above.code == "CN":
            return own
        over = above.name_in(english=english)
        if over == own:  # A municipality and its one city.
            return own
        return f"{own}, {over}" if english else f"{over} {own}"


class RegionGrant(models.Model):
    """A region is a substation's alone from `starts_at` until before `ends_at`.

    Ended by bringing `ends_at` forward, never removed. Two grants of one region never overlap: the database refuses it.
    """

    public_id = models.CharField(max_length=30, unique=True, default=_grant_id)
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="grants")
    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="region_grants")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    answer_days = models.PositiveSmallIntegerField(default=3, help_text="An offer waits so long for an answer.")
    note = models.CharField(max_length=200, blank=True, default="")
    granted_by = models.CharField(max_length=120)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, help_text="When it was ended ahead of its time.")
    ended_by = models.CharField(max_length=120, blank=True, default="")

    class Meta:
        ordering = ("-starts_at", "-id")
        constraints = (
            # One agent a city. Ranges of one whole number stand for the region, so that no extension is needed.
            ExclusionConstraint(
                name="region_held_once",
                index_type="GIST",
                expressions=[
                    (Func(F("region"), F("region"), Value("[]"), function="int8range"), RangeOperators.OVERLAPS),
                    (Func(F("starts_at"), F("ends_at"), function="tstzrange"), RangeOperators.OVERLAPS),
                ],
            ),
            # Ended before it began, it has no time at all: the empty range, which overlaps nothing.
            models.CheckConstraint(name="region_grant_time", condition=Q(ends_at__gte=F("starts_at"))),
            models.CheckConstraint(name="region_grant_answer", condition=Q(answer_days__gte=1, answer_days__lte=30)),
            models.CheckConstraint(
                name="region_grant_ended_by_somebody",
                condition=Q(ended_at__isnull=True, ended_by="") | Q(ended_at__isnull=False) & ~Q(ended_by=""),
            ),
        )
        indexes = (
            models.Index(fields=("substation", "ends_at"), name="region_grant_of"),
            models.Index(fields=("ends_at",), name="region_grant_end"),
        )

    @property
    def last_at(self) -> datetime:
        """The last moment of it, for a reader: `ends_at` is the first that is not."""
        return self.ends_at - timedelta(seconds=1) if self.ends_at > self.starts_at else self.ends_at


class Lead(models.Model):
    """Somebody of a city who opened a shop, or asked about one; offered to whoever holds the city."""

    public_id = models.CharField(max_length=30, unique=True, default=_lead_id)
    kind = models.CharField(max_length=5, choices=LeadKind.choices)
    state = models.CharField(max_length=8, choices=LeadState.choices, default=LeadState.OPEN)
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="leads")
    # The shop that was opened. Its owner's contact stands in its own row, so that an erasure takes it from here, too.
    substation = models.OneToOneField(Substation, null=True, on_delete=models.PROTECT, related_name="region_lead")
    grant = models.ForeignKey(RegionGrant, null=True, on_delete=models.PROTECT, related_name="leads")
    # What somebody left who asked; emptied after LEAD_RETENTION_DAYS, and earlier when they wish.
    name = models.CharField(max_length=80, blank=True, default="")
    phone = models.CharField(max_length=30, blank=True, default="")
    email = models.EmailField(blank=True, default="")
    message = models.CharField(max_length=500, blank=True, default="")
    language = models.CharField(max_length=10, default="zh-hans")
    created_at = models.DateTimeField()
    offered_at = models.DateTimeField(null=True)
    lapses_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True, help_text="When it was taken, declined, lapsed or done.")
    answered_by = models.CharField(max_length=120, blank=True, default="")
    forgotten_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = (
            models.CheckConstraint(name="region_lead_state_known", condition=Q(state__in=LeadState.values)),
            models.CheckConstraint(
                name="region_lead_of_its_kind",
                condition=Q(kind="SHOP", substation__isnull=False, name="", phone="", email="", message="")
                | Q(kind="ASKED", substation__isnull=True),
            ),
            models.CheckConstraint(
                name="region_lead_offered_to_somebody",
                condition=~Q(state__in=("OFFERED", "TAKEN"))
                | Q(grant__isnull=False, offered_at__isnull=False, lapses_at__isnull=False),
            ),
            models.CheckConstraint(
                name="region_lead_forgotten_whole",
                condition=Q(forgotten_at__isnull=True) | Q(name="", phone="", email="", message=""),
            ),
        )
        indexes = (
            models.Index(fields=("lapses_at",), name="region_lead_due", condition=Q(state="OFFERED")),
            models.Index(fields=("grant", "state"), name="region_lead_of"),
            models.Index(fields=("state", "-created_at"), name="region_lead_listed"),
        )

    @property
    def who(self) -> str:
        """A name to call it by; never empty."""
        if self.kind == LeadKind.SHOP and self.substation is not None:
            return str(self.substation.name)
        return self.name or _("[removed]")
