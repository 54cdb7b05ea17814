"""Own domains: who holds one, and who says so."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q
from django_tenants.models import DomainMixin

from tenants import names
from tenants.models.shops import Substation
from tenants.states import ClaimState


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
