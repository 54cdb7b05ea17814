"""The shared schema's tables about substations."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import get_language
from django_tenants.models import DomainMixin, TenantMixin

from kameng.lib.ids import public_id
from tenants import names
from tenants.states import (
    BillingInterval,
    ClaimState,
    ErasureState,
    ExportState,
    SignupState,
    SpareState,
    Standing,
    SubstationEvent,
    SubstationState,
    SupplyLevel,
    UpgradeKind,
)


def _substation_id() -> str:
    return public_id("sub")


def _export_id() -> str:
    return public_id("exp")


def _signup_id() -> str:
    return public_id("sup")


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
        return self.name_en if (get_language() or "").startswith("en") else self.name_zh

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


class Domain(DomainMixin):  # type: ignore[misc]
    """A host name of a substation beside its subdomain (which needs no row): proved, and held by its unique name."""

    verified_at = models.DateTimeField(null=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=("tenant",), condition=Q(is_primary=True), name="domain_one_primary"),
        )

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A plain save: the library's makes the first one primary, and here its owner says which is."""
        models.Model.save(self, *args, **kwargs)


class DomainClaim(models.Model):
    """A domain that a shop says is its own, and the token that proves it. A `Domain` row is made when it is proved.

    Any shop may claim any name: a claim holds nothing, so that nobody can keep a domain's owner out by naming it first.
    What is proved is held by `Domain.domain`, which is unique. A claim that is given up and made again has another token.
    """

    substation = models.ForeignKey(Substation, on_delete=models.CASCADE, related_name="domain_claims")
    domain = models.CharField(max_length=253, help_text="As DNS has it: lower case, punycode.")
    token = models.CharField(max_length=64)
    state = models.CharField(max_length=8, choices=ClaimState.choices, default=ClaimState.WAITING)
    problem = models.CharField(max_length=30, blank=True, default="", help_text="What the last check found, as a code.")
    found = models.CharField(max_length=300, blank=True, default="", help_text="What DNS said instead.")
    created_at = models.DateTimeField()
    asked_at = models.DateTimeField(null=True, help_text="When somebody asked for a check that was not made yet.")
    checked_at = models.DateTimeField(null=True)
    failing_since = models.DateTimeField(null=True)

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("substation", "domain"), name="domain_claimed_once"),)
        indexes = (models.Index(fields=("checked_at",), name="domain_claim_due"),)

    @property
    def host(self) -> str:
        """As a person reads it."""
        return names.shown(self.domain)


class ShopExport(models.Model):
    """An archive of everything that a substation owns: asked for, written by a worker, kept for some days."""

    public_id = models.CharField(max_length=30, unique=True, default=_export_id)
    substation = models.ForeignKey(Substation, on_delete=models.PROTECT, related_name="exports")
    state = models.CharField(max_length=7, choices=ExportState.choices, default=ExportState.PENDING)
    with_codes = models.BooleanField(default=False)
    for_owner = models.BooleanField(help_text="Asked for in the shop's panel; else by the main station.")
    by = models.CharField(max_length=120)
    # Who they were, for the record of the codes that they see.
    by_kind = models.CharField(max_length=10)
    by_id = models.BigIntegerField(null=True)
    by_ip = models.CharField(max_length=45, blank=True, default="")
    asked_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    parts_done = models.PositiveSmallIntegerField(default=0)
    parts_total = models.PositiveSmallIntegerField(default=0)
    rows_done = models.BigIntegerField(default=0)
    size_bytes = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    problem = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        ordering = ("-id",)
        constraints = (
            # Race: two clicks at once. One file at a time is written for a shop.
            models.UniqueConstraint(
                fields=("substation",), condition=Q(state__in=("PENDING", "RUNNING")), name="export_one_under_way"
            ),
            models.CheckConstraint(
                name="export_done_has_digest",
                condition=~Q(state="DONE") | (~Q(sha256="") & Q(expires_at__isnull=False)),
            ),
        )


class ErasureRecord(models.Model):
    """The proof that a substation was erased: what, how much, by whom, when. Holds nothing of what it was."""

    substation = models.OneToOneField(Substation, on_delete=models.PROTECT, related_name="erasure")
    state = models.CharField(max_length=7, choices=ErasureState.choices, default=ErasureState.RUNNING)
    schema_name = models.CharField(max_length=63)
    reason = models.CharField(max_length=200)
    by = models.CharField(max_length=120)
    begun_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    tables = models.JSONField(default=dict, help_text="Table → rows and SHA-256 of its rows, as an archive has them.")
    shared = models.JSONField(default=dict, help_text="Shared table → rows that lost their personal data.")
    counts = models.JSONField(default=dict, help_text="Files, cache entries, jobs, signups, domains, archives.")
    digest = models.CharField(max_length=64, blank=True, default="", help_text="SHA-256 of the three above.")


class HeldAddress(models.Model):
    """An erased shop's address: for some time nobody gets it, nor one that the eye takes for it."""

    slug = models.CharField(max_length=30, unique=True)
    skeleton = models.CharField(max_length=60, db_index=True)
    substation = models.OneToOneField(Substation, on_delete=models.PROTECT, related_name="held_address")
    until = models.DateTimeField()


class SpareSchema(models.Model):
    """A schema that is ready for the next signup, and who took it."""

    schema_name = models.CharField(max_length=63, unique=True)
    version = models.CharField(max_length=64)
    state = models.CharField(max_length=6, choices=SpareState.choices, default=SpareState.READY)
    created_at = models.DateTimeField(auto_now_add=True)
    taken_at = models.DateTimeField(null=True)
    substation = models.OneToOneField(Substation, null=True, on_delete=models.PROTECT, related_name="spare")

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="taken_spare_has_owner",
                condition=Q(state="READY", substation__isnull=True) | Q(state="TAKEN", substation__isnull=False),
            ),
        )
        indexes = (models.Index(fields=("version", "id"), condition=Q(state="READY"), name="spare_ready"),)


class SchemaScript(models.Model):
    """The SQL that makes one tenant schema, rendered from the template; one row per set of migration leaves."""

    version = models.CharField(max_length=64, unique=True)
    sql = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)


class SchemaUpgrade(models.Model):
    """One step from a version of the tenant schema to the next: what every schema at the first has to take.

    Written in the transaction in which the template took it, so that there is no version without the way to it.
    `@schema@` in `sql` stands for the schema's name. The two promises are declared by the migration and judged by the
    lint (docs/tenancy.md): code of the version before runs on a schema after it; code of the version after runs on a
    schema before it.
    """

    from_version = models.CharField(max_length=64)
    to_version = models.CharField(max_length=64)
    kind = models.CharField(max_length=6, choices=UpgradeKind.choices)
    migration = models.CharField(max_length=250, blank=True, default="", help_text="As in `orders.0002_add_note`.")
    sql = models.TextField(blank=True, default="")
    old_code_runs = models.BooleanField()
    code_runs_without = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("id",)
        constraints = (models.UniqueConstraint(fields=("from_version", "to_version"), name="schema_upgrade_once"),)

    def __str__(self) -> str:
        return self.migration or "rights"


class Signup(models.Model):
    """An application for a shop, from the first form to the panel."""

    public_id = models.CharField(max_length=30, unique=True, default=_signup_id)
    state = models.CharField(max_length=12, choices=SignupState.choices, default=SignupState.VERIFYING)
    name = models.CharField(max_length=60)
    slug = models.CharField(max_length=30)
    plan = models.ForeignKey(Plan, on_delete=models.PROTECT)
    interval = models.CharField(
        max_length=5, choices=BillingInterval.choices, default=BillingInterval.MONTH,
        db_default=BillingInterval.MONTH.value,
    )  # fmt: skip
    preset = models.CharField(max_length=20, blank=True, default="")
    region = models.CharField(max_length=6, blank=True, default="", db_default="", help_text="The code of its city.")
    accent = models.CharField(max_length=7, blank=True, default="")
    language = models.CharField(max_length=10, default="zh-hans")
    email = models.EmailField()
    owner_name = models.CharField(max_length=80, blank=True, default="")
    password = models.CharField(max_length=128, help_text="Hashed, as the owner's user row will hold it.")
    code_digest = models.BinaryField(max_length=32)
    code_expires_at = models.DateTimeField()
    code_attempts = models.PositiveSmallIntegerField(default=0)
    code_sent_count = models.PositiveSmallIntegerField(default=1)
    # Who may watch and finish this signup: the browser or program that began it.
    token_digest = models.BinaryField(max_length=32)
    substation = models.OneToOneField(Substation, null=True, on_delete=models.SET_NULL, related_name="signup")
    problem = models.CharField(max_length=300, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    ip = models.CharField(max_length=45, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = (
            # An address that somebody is signing up for is held for them until the signup ends.
            models.UniqueConstraint(
                fields=("slug",),
                condition=Q(state__in=("PAYING", "VERIFIED", "PROVISIONING", "FAILED")),
                name="signup_holds_address",
            ),
        )


class SignupStep(models.Model):
    """One step of the making, as the page shows it."""

    signup = models.ForeignKey(Signup, on_delete=models.CASCADE, related_name="steps")
    position = models.PositiveSmallIntegerField()
    name = models.CharField(max_length=80)
    state = models.CharField(max_length=8, default="PENDING")
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=("signup", "name"), name="signup_step_once"),)


class SyncFeed(models.TextChoices):
    LIBRARY = "LIBRARY"  # Categories, products, SKUs, supply prices.
    STOCK = "STOCK"  # Availability by SKU.
    STATEMENT = "STATEMENT"  # The substation's own ledger entries.


class SyncState(models.Model):
    """How far one substation has come with one feed.

    `watermark` is a transaction id: rows stamped before it have been seen. It is only ever set to the horizon
    (`pg_snapshot_xmin`) of the snapshot that read the rows, so a writer that commits late is not skipped.
    """

    substation = models.ForeignKey(Substation, on_delete=models.CASCADE, related_name="syncs")
    feed = models.CharField(max_length=10, choices=SyncFeed.choices)
    watermark = models.BigIntegerField(default=0)
    # The moment as of which the library's feed was last fetched: terms that began or ended since are due (none: all are).
    prices_at = models.DateTimeField(null=True)
    ran_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(null=True)
    rows_changed = models.BigIntegerField(default=0)
    duration_ms = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True, default="")

    class Meta:
        constraints = (models.UniqueConstraint(fields=("substation", "feed"), name="sync_state_once"),)
