"""How shops are made: applications and their steps."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from kameng.lib.ids import public_id
from tenants.models.shops import Plan, Substation
from tenants.states import BillingInterval, SignupState


def _signup_id() -> str:
    return public_id("sup")


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
