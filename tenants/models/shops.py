"""What substations are, and the plans that they are on."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django_tenants.models import TenantMixin

from kameng.lib.ids import public_id
from kameng.lib.words import in_english
from tenants.states import BillingInterval, Standing, SubstationEvent, SubstationState, SupplyLevel


def _substation_id() -> str:
    return public_id("sub")


class Plan(models.Model):  # type: ignore[django-manager-missing]
    """What a substation pays and gets. Prices in minor units of the network's currency.

    The database's defaults are for the code before, which inserts without these columns while it still serves.
    """

    code = models.SlugField(max_length=20, unique=True)
    name_zh = models.CharField(max_length=40)
    name_en = models.CharField(max_length=40)
    pitch_zh = models.CharField(max_length=200, blank=True, default="")
    pitch_en = models.CharField(max_length=200, blank=True, default="")
    supply_level = models.CharField(max_length=10, choices=SupplyLevel.choices)
    opening_fee_minor = models.BigIntegerField(default=0)
    monthly_fee_minor = models.BigIntegerField(default=0)
    # What twelve months cost when they are paid at once; 0: only by the month.
    yearly_fee_minor = models.BigIntegerField(default=0, db_default=0)
    # Held for the shop and given back when it closes; income of nobody.
    deposit_minor = models.BigIntegerField(default=0, db_default=0)
    trial_days = models.PositiveSmallIntegerField(default=0, db_default=0)
    # After so many days without payment the panel is read-only, after twice as many the storefront closes.
    grace_days = models.PositiveSmallIntegerField(default=7, db_default=7)
    platform_fee_bps = models.PositiveIntegerField(default=100)
    settlement_days = models.PositiveSmallIntegerField(default=1, db_default=1, help_text="T+n; 0: the same day.")
    # Limits: null is none.
    max_listings = models.PositiveIntegerField(null=True, blank=True)
    max_staff = models.PositiveIntegerField(null=True, blank=True)
    max_own_products = models.PositiveIntegerField(null=True, blank=True)
    api_allowed = models.BooleanField(default=True, db_default=True)
    own_domain_allowed = models.BooleanField(default=True, db_default=True)
    sort = models.PositiveSmallIntegerField(default=0)
    active = models.BooleanField(default=True)

    substations: models.Manager[Substation]  # The reverse of Substation.plan, whose base class has no types.

    class Meta:
        ordering = ("sort", "id")
        constraints = (
            models.CheckConstraint(
                name="plan_fees_not_negative",
                condition=Q(
                    opening_fee_minor__gte=0, monthly_fee_minor__gte=0, yearly_fee_minor__gte=0, deposit_minor__gte=0
                ),
            ),
        )

    def __str__(self) -> str:
        return self.code

    @property
    def label(self) -> str:
        """Its name in the active language."""
        return self.name_en if in_english() else self.name_zh

    def period_fee_minor(self, interval: str) -> int:
        """What one period costs, in minor units."""
        return self.yearly_fee_minor if interval == BillingInterval.YEAR else self.monthly_fee_minor

    @property
    def intervals(self) -> tuple[str, ...]:
        """The periods it is sold for. A plan without a price has the month, which costs nothing."""
        return (BillingInterval.MONTH, BillingInterval.YEAR) if self.yearly_fee_minor else (BillingInterval.MONTH,)

    @property
    def costs(self) -> bool:
        """Whether its periods have a price."""
        return bool(self.monthly_fee_minor or self.yearly_fee_minor)

    @property
    def has_trial(self) -> bool:
        """Whether a shop begins on it without paying for a period first."""
        return self.costs and self.trial_days > 0

    def due_at_signup_minor(self, interval: str) -> int:
        """What has to be paid before the shop is made: opening fee, deposit, and the first period without a trial."""
        period = 0 if self.has_trial else self.period_fee_minor(interval)
        return self.opening_fee_minor + self.deposit_minor + period


class Substation(TenantMixin):  # type: ignore[misc]
    """One shop. Its schema and role bear the same opaque name, which no rename touches."""

    auto_create_schema = False
    auto_drop_schema = False

    public_id = models.CharField(max_length=30, unique=True, default=_substation_id)
    slug = models.CharField(max_length=30, unique=True)
    name = models.CharField(max_length=60)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT, related_name="substations")
    state = models.CharField(max_length=14, choices=SubstationState.choices, default=SubstationState.PROVISIONING)
    preset = models.CharField(max_length=20, blank=True, default="")
    # The code of the city that it said it is in (shared_apps.regions); empty where it said none.
    region = models.CharField(max_length=6, blank=True, default="", db_default="")
    currency = models.CharField(max_length=3, default="CNY")
    language = models.CharField(max_length=10, default="zh-hans")
    owner_email = models.EmailField()
    owner_name = models.CharField(max_length=80, blank=True, default="")
    schema_version = models.CharField(max_length=64, blank=True, default="")
    # Why the last `kameng migrate` left this schema at its version; empty when it did not. The database's default is
    # for the code before, which inserts without it while it still serves.
    schema_problem = models.CharField(max_length=500, blank=True, default="", db_default="")
    created_at = models.DateTimeField(auto_now_add=True)
    live_at = models.DateTimeField(null=True)
    suspended_reason = models.CharField(max_length=200, blank=True, default="")
    standing = models.CharField(
        max_length=9, choices=Standing.choices, default=Standing.GOOD, db_default=Standing.GOOD.value
    )
    closing_at = models.DateTimeField(null=True, help_text="When its closing began.")
    closed_at = models.DateTimeField(null=True)
    # Whether its other addresses send browsers on to the primary domain.
    sends_on = models.BooleanField(default=False, db_default=False)

    class Meta:
        ordering = ("id",)
        constraints = (
            models.CheckConstraint(
                name="live_substation_has_time",
                condition=Q(state__in=("APPLIED", "PROVISIONING")) | Q(live_at__isnull=False),
            ),
            models.CheckConstraint(name="substation_state_known", condition=Q(state__in=SubstationState.values)),
            models.CheckConstraint(name="substation_standing_known", condition=Q(standing__in=Standing.values)),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.slug})"

    def save(self, verbosity: int = 1, *args: Any, **kwargs: Any) -> None:
        """A plain save: the schema is made by `tenants.provisioning`, never by saving a row."""
        models.Model.save(self, *args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: a substation is closed, and its ledger stays."""
        raise NotImplementedError("A substation is closed, not deleted.")

    @property
    def host(self) -> str:
        return f"{self.slug}.{settings.BASE_DOMAIN}"

    @property
    def url(self) -> str:
        """The shop's address, without a trailing slash."""
        return f"{settings.SCHEME}://{self.host}{settings.AUTHORITY}"


class SubstationStep(models.Model):
    """One move of a substation from one state to another. Written once, in the move's own transaction."""

    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="lifecycle_steps")
    event = models.CharField(max_length=14, choices=SubstationEvent.choices)
    from_state = models.CharField(max_length=14, choices=SubstationState.choices)
    to_state = models.CharField(max_length=14, choices=SubstationState.choices)
    reason = models.CharField(max_length=200, blank=True, default="")
    by = models.CharField(max_length=120, help_text="Who moved it, as the audit trail names them.")
    at = models.DateTimeField()

    class Meta:
        ordering = ("-at", "-id")
        indexes = (models.Index(fields=("substation", "-at"), name="substation_step_of"),)
